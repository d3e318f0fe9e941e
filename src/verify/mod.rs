//! Is a reset right? Every strategy runs the same blocks as fresh instances do, under schedules that have caught resets
//! out, and has to come to the same: what the blocks flush, and the whole state of the instance after each reset.
//!
//! Data flows one way here, too: a [`schedule`] and a seed make the [`schedule::Step`]s of a cell, fresh instances
//! say what they come to, a child process compares ([`compare`]), and the parent ([`matrix`]) collects a [`report`].
//! `run` takes the same way with the first schedule only, before it measures a cell.

pub mod committed;
pub mod compare;
mod forked;
mod huge;
pub mod matrix;
pub mod policy;
pub mod pressure;
pub mod report;
pub mod scarcity;
pub mod schedule;
pub mod state;
mod table;
mod twins;
