//! `compare`: what changed from one run to another.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::CompareArgs;
use crate::gate::compare::compare;
use crate::launch::saved::Saved;

/// Compares two runs.
///
/// # Errors
/// When a run cannot be read, or the two have nothing in common.
pub fn run(args: &CompareArgs) -> Result<ExitCode> {
    let comparison = compare(&Saved::read(&args.a)?, &Saved::read(&args.b)?)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&comparison)?);
    } else {
        print!("{}", comparison.markdown());
    }
    Ok(ExitCode::SUCCESS)
}
