//! `compare`: what changed from one run to another.

use anyhow::Result;

use super::tell;
use crate::cli::CompareArgs;
use crate::gate::compare::compare;
use crate::launch::saved::Saved;

/// Compares two runs.
///
/// # Errors
/// When a run cannot be read, or the two have nothing in common.
pub fn run(args: &CompareArgs) -> Result<()> {
    let comparison = compare(&Saved::read(&args.a)?, &Saved::read(&args.b)?)?;
    tell(args.json, &comparison, || comparison.markdown())
}
