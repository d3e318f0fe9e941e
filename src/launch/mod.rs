//! The second and third step: one child process per cell, driven by the parent over pipes.
//!
//! What a child needs is on disk first (see [`staging`]), so that any single cell can be run again by hand.

pub mod cache;
pub mod child;
pub mod plan;
pub mod process;
pub mod protocol;
pub mod record;
pub mod runner;
pub mod staging;
