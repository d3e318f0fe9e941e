//! `merge`: results of many machines in one report.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::cli::MergeArgs;
use crate::gate::fleet::merge;
use crate::launch::saved::Saved;

/// Merges runs.
///
/// # Errors
/// When a run cannot be read, or two have nothing in common.
pub fn run(args: &MergeArgs) -> Result<ExitCode> {
    let runs = args.folders.iter().map(|folder| Saved::read(folder)).collect::<Result<Vec<_>>>()?;
    let fleet = merge(&runs)?;
    let json = serde_json::to_string_pretty(&fleet)? + "\n";
    if let Some(folder) = &args.out {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for (name, text) in [("fleet.json", &json), ("fleet.md", &fleet.markdown())] {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    print!("{}", if args.json { json } else { fleet.markdown() });
    Ok(ExitCode::SUCCESS)
}
