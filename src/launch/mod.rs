//! The second and third step: one child process per cell, driven by the parent over pipes.
//!
//! What a child needs is on disk first (see [`crate::protocol::staging`]), so that any single cell can be run again by hand.

pub mod about;
pub mod batch;
pub mod bench;
pub mod build;
pub mod folder;
pub mod harness;
pub mod landscape;
pub mod plan;
pub mod process;
pub mod program;
pub mod record;
pub mod rows;
pub mod runner;
pub mod saved;
pub mod settling;
pub mod stage;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Serialize;

use self::program::Program;

/// This program, to be started again as a child.
///
/// It is the file that is running and not the one that has its path now: whoever builds anew in the middle of a run would
/// otherwise have the rest of it measured with another program (proc(5), `/proc/pid/exe`).
///
/// # Errors
/// When there is neither.
pub fn program() -> Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() {
        return Ok(running);
    }
    program::executed().context("cannot find this program: is /proc mounted?")
}

/// A program as a child with pipes, to do what a hidden verb does with a task.
///
/// # Errors
/// When the task cannot be JSON, or the program is no longer what it was.
pub fn child(program: &Program, verb: &str, task: &impl Serialize) -> Result<Command> {
    let mut command = program.command()?;
    command.arg(verb).arg(serde_json::to_string(task)?);
    Ok(command)
}
