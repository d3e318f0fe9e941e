//! `cell`: one case of `determinism`.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::cli::ChildArgs;
use crate::determinism::child;

/// Runs a case, for the parent to judge by its end.
///
/// # Errors
/// When the case is refused, or the specification is broken.
pub fn run(args: &ChildArgs) -> Result<ExitCode> {
    let spec = serde_json::from_str(&args.spec).context("this verb is for `determinism` to use")?;
    child::serve(&spec)
}
