//! Is a reset right? Every strategy runs the same blocks as fresh instances do, under schedules that have caught resets
//! out, and has to come to the same: what the blocks flush, and the whole state of the instance after each reset.
//!
//! Data flows one way here, too: a [`schedule`](crate::protocol::schedule) and a seed make the steps of a cell, fresh instances
//! say what they come to, a child process compares ([`crate::cell::compare`]), and the parent ([`matrix`]) collects a
//! [`report`]. How many steps there are follows from what is wanted and from the time that there is ([`plan`]).
//! `run` takes the same way with the first schedule only, before it measures a cell.

mod course;
pub mod matrix;
pub mod plan;
pub mod report;
mod table;
pub mod watch;
