//! resetbench: which way of resetting a WebAssembly instance between blocks is correct, what it costs, and how much
//! memory it needs.
//!
//! Data flows one way: definitions -> plan -> launches -> rows -> summary -> report. A step reads what the step before
//! wrote to disk.

// Its macros stand in for those of the standard library in all that follows; tests keep theirs, whose output is held back.
#[cfg(not(test))]
#[macro_use]
mod stdout;

pub mod analyse;
pub mod cell;
pub mod claims;
pub mod cli;
pub mod determinism;
pub mod export;
pub mod files;
pub mod gate;
pub mod hosts;
pub mod kernels;
pub mod launch;
pub mod machine;
pub mod measure;
pub mod policies;
pub mod present;
pub mod profile;
pub mod progress;
pub mod prose;
pub mod protocol;
pub mod recommend;
pub mod serving;
pub mod startup;
pub mod units;
pub mod verb;
pub mod verify;
pub mod workload;
