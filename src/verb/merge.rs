//! `merge`: results of many machines in one report.

use anyhow::Result;

use super::tell;
use crate::cli::MergeArgs;
use crate::files;
use crate::gate::fleet::merge;
use crate::launch::saved::Saved;

/// Merges runs.
///
/// # Errors
/// When a run cannot be read, or two have nothing in common.
pub fn run(args: &MergeArgs) -> Result<()> {
    let runs = args.folders.iter().map(|folder| Saved::read(folder)).collect::<Result<Vec<_>>>()?;
    let fleet = merge(&runs)?;
    if let Some(folder) = &args.out {
        files::make_folder(folder)?;
        files::write_json(&folder.join("fleet.json"), &fleet)?;
        files::write(&folder.join("fleet.md"), fleet.markdown())?;
    }
    tell(args.json, &fleet, || fleet.markdown())
}
