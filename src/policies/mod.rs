//! When a host resets: what it costs to reset after every block, above a size of memory, or on failure, how memory goes
//! over many blocks, and what the verifier says of it.
//!
//! Elsewhere a wrong reset has no time. Here it has one, because the saving is the reason why hosts leave resets out;
//! but no figure of a policy is ever without its verdict.

pub mod bench;
pub mod course;
pub mod report;
pub mod scenario;

/// Version of `policies.json`.
pub const SCHEMA: u32 = 1;
