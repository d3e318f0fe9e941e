//! Where a block's time goes, and which pages of its memory it dirties.
//!
//! *Time*: a child as `run` starts it becomes steady, and is then [sampled](sampling) while it runs whole traces; in between it
//! runs without, which tells times and what sampling costs. Samples are [unwound](unwind), [named](symbols) and
//! [folded]; each stack belongs to a [share](rules) of the time. Where nothing can be sampled, counts are
//! [priced](estimate).
//!
//! *Pages*: a child says which pages each block leaves [dirty]. How many they are, how they lie and how they move is a
//! module's [fingerprint], by which the landscape predicts what strategies take.

pub mod appendix;
mod bars;
pub mod bench;
pub mod dirty;
pub mod draw;
pub mod estimate;
pub mod files;
pub mod fingerprint;
pub mod folded;
mod group;
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
