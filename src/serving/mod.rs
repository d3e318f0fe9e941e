//! Serving: many short calls at once over a filled store, as hosts answer views.
//!
//! Callers share a pool of sessions in one process. First each calls again as soon as it has its answer (a *closed* loop), for
//! several numbers of callers: how many calls a strategy serves in a second, and what more callers than cores do to it. Then
//! requests arrive by themselves (an *open* loop) at shares of what the strategy itself serves with a caller for each CPU: what a caller waits.
//!
//! Contenders take turns in shuffled rounds and several launches, as they do for blocks ([`crate::launch`]), so that ratios
//! are of the same rounds.

pub mod bench;
pub mod effort;
pub mod report;
pub mod suite;

/// The folder of what was served, in that of its run: its rows are no rows of blocks.
pub const FOLDER: &str = "serving";

/// Version of `serving.json`.
pub const SCHEMA: u32 = 1;
