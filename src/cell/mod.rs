//! What happens inside the child process: one strategy on one workload, executed, reset, timed, counted and compared as the
//! parent asks ([`crate::protocol`]).
//!
//! [`child`] reads requests; a crew of sessions answers them, each by itself. A [`session`] stands on [`ground`] that all
//! share, and is timed, counted, or held against fresh instances ([`compare`]) in the surroundings that a schedule asks for.
//! Where a workload is served, a pool of sessions takes the crew's place.

pub mod anchors;
pub mod cache;
pub mod child;
pub mod code_map;
pub mod committed;
pub mod compare;
pub(crate) mod counters;
mod crew;
mod crowd;
mod follow;
mod forked;
pub mod ground;
mod guest_samples;
mod guest_stacks;
mod huge;
mod lending;
mod pages;
pub mod pressure;
mod requests;
mod serving;
pub mod session;
pub mod state;
mod ticker;
pub mod times;
mod twins;
mod waiting;
mod waste;
