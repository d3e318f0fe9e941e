//! `export`: a run in the formats of other people's dashboards.

use anyhow::Result;

use crate::cli::ExportArgs;
use crate::export::export;
use crate::gate::likeness;
use crate::launch::saved::Saved;

/// Prints a run in a format.
///
/// # Errors
/// When the run cannot be read, or is no result.
pub fn run(args: &ExportArgs) -> Result<()> {
    let saved = Saved::read(&args.folder)?;
    likeness::unplanted(&saved)?;
    print!("{}", export(&saved, args.format)?);
    Ok(())
}
