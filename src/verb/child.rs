//! `child`: one cell of a run.

use std::process::ExitCode;

use anyhow::{Context, Result};
use reset_strategies::registry;

use crate::cell::child;
use crate::cli::ChildArgs;

/// Serves the parent.
///
/// # Errors
/// When the specification or the pipe is broken.
pub fn run(args: &ChildArgs) -> Result<ExitCode> {
    let spec = serde_json::from_str(&args.spec).context("this verb is for `run` to use")?;
    child::serve(&spec, registry::find)?;
    Ok(ExitCode::SUCCESS)
}
