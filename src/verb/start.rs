//! `start`: one startup, measured.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::cli::ChildArgs;
use crate::startup::child;

/// Starts up, for the parent to measure.
///
/// # Errors
/// When a stage fails, or the specification is broken.
pub fn run(args: &ChildArgs) -> Result<ExitCode> {
    let spec = serde_json::from_str(&args.spec).context("this verb is for `startup` to use")?;
    child::serve(&spec)?;
    Ok(ExitCode::SUCCESS)
}
