//! The hidden verbs: this program as a child of itself.

use std::process::ExitCode;

use anyhow::{Context, Result};
use reset_strategies::registry;
use serde::de::DeserializeOwned;

use crate::cli::ChildArgs;
use crate::{cell, determinism, startup};

/// Is one cell of a run.
///
/// # Errors
/// When the task or the pipe is broken.
pub fn child(args: &ChildArgs) -> Result<()> {
    cell::child::serve(&task(args, "run")?, registry::find)
}

/// Is one startup, for the parent to measure.
///
/// # Errors
/// When a stage fails, or the task is broken.
pub fn start(args: &ChildArgs) -> Result<()> {
    startup::child::serve(&task(args, "startup")?)
}

/// Is one case of `determinism`, for the parent to judge by its end.
///
/// # Errors
/// When the case is refused, or the task is broken.
pub fn cell(args: &ChildArgs) -> Result<ExitCode> {
    determinism::child::serve(&task(args, "determinism")?)
}

fn task<T: DeserializeOwned>(args: &ChildArgs, parent: &str) -> Result<T> {
    serde_json::from_str(&args.spec).with_context(|| format!("this verb is for `{parent}` to use"))
}
