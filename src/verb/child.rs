//! The hidden verbs: this program as a child of itself.

use std::process::ExitCode;

use anyhow::{Context, Result};
use reset_strategies::registry;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cli::ChildArgs;
use crate::launch::about::About;
use crate::protocol::{Refusal, Reply, Spec, VERSION, misunderstood, say};
use crate::{cell, determinism, startup};

/// Is one cell of a run.
///
/// # Errors
/// When the task or the pipe is broken; that the parent speaks another protocol is told to it.
pub fn child(args: &ChildArgs) -> Result<()> {
    let spec = task::<Spec>(args, "run");
    if let Ok(spec) = &spec
        && spec.protocol == VERSION
    {
        return cell::child::serve(spec, registry::find);
    }
    // Looked at only now: a startup is measured.
    let said: Value = task(args, "run")?;
    let other = said.get("protocol").and_then(Value::as_u64);
    if said.is_object() && other != Some(VERSION.into()) {
        let reason = misunderstood("the parent", other);
        return say(&Reply::Failed { refusal: Refusal::Error, reason });
    }
    spec.map(|_| ())
}

/// Says what this build is, for `run --against` of another one.
///
/// # Errors
/// When the pipe is broken.
pub fn about() -> Result<()> {
    say(&About::own())
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
