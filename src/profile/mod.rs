//! Where a block's time goes: stacks through guest, host and kernel, and what they are spent on.
//!
//! A child as `run` starts it becomes steady, and is then [sampled](sampling) while it runs whole traces; in between it runs
//! without, which tells times and what sampling costs. Samples are [unwound](unwind), [named](symbols) and [folded](folded); each
//! stack belongs to a [share](rules) of the time. Where nothing can be sampled, counts are [priced](estimate).

pub mod bench;
pub mod draw;
pub mod estimate;
pub mod files;
pub mod folded;
mod image;
mod names;
pub mod report;
pub mod rules;
pub mod sampling;
pub mod shares;
pub mod symbols;
pub mod table;
mod turns;
pub mod unwind;
//! What a module does to its memory, block by block, and what that says of the strategies.

pub mod dirty;
pub mod fingerprint;
