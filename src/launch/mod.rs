//! The second and third step: one child process per cell, driven by the parent over pipes.
//!
//! What a child needs is on disk first (see [`crate::protocol::staging`]), so that any single cell can be run again by hand.

pub mod batch;
pub mod folder;
pub mod harness;
pub mod in_process;
pub mod landscape;
pub mod plan;
pub mod process;
pub mod record;
pub mod runner;
pub mod saved;

use std::path::PathBuf;

use anyhow::{Context, Result};

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
