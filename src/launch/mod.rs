//! The second and third step: one child process per cell, driven by the parent over pipes.
//!
//! What a child needs is on disk first (see [`crate::protocol::staging`]), so that any single cell can be run again by hand.

pub mod batch;
pub mod bench;
pub mod folder;
pub mod harness;
pub mod landscape;
pub mod plan;
pub mod process;
pub mod record;
pub mod rows;
pub mod runner;
pub mod saved;
pub mod settling;
pub mod stage;

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde::Serialize;

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
    std::env::current_exe().context("cannot find this program: is /proc mounted?")
}

/// This program as a child with pipes, to do what a hidden verb does with a task.
///
/// # Errors
/// When the task cannot be JSON.
pub fn child(binary: &OsStr, verb: &str, task: &impl Serialize) -> Result<Command, serde_json::Error> {
    let mut command = Command::new(binary);
    command.arg(verb).arg(serde_json::to_string(task)?);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A Ctrl-C on the terminal is the parent's to handle: it ends its children when their rows are safe.
    command.process_group(0);
    Ok(command)
}
