//! The second and third step: one child process per cell, driven by the parent over pipes.
//!
//! What a child needs is on disk first (see [`staging`]), so that any single cell can be run again by hand.

pub mod batch;
pub mod cache;
pub mod child;
mod counters;
mod crew;
pub mod folder;
mod follow;
pub mod harness;
pub mod in_process;
pub mod landscape;
pub mod plan;
pub mod process;
pub mod protocol;
pub mod record;
pub mod runner;
pub mod staging;
mod waste;
