//! Saved results against each other: two runs, a night against its baseline and history, a fleet of machines.
//!
//! | step | file |
//! |---|---|
//! | what is followed from run to run | [`series`] |
//! | which of it may be compared, and what has to be said | [`likeness`] |
//! | two runs | [`compare`] |
//! | the file of past nights, and what their wobble allows | [`history`], [`threshold`] |
//! | how a series went over the nights, and where it changed | [`course`] |
//! | a run that holds two builds: the new one against the old one | [`builds`] |
//! | a night: fine, regression, noisy, or unusable | [`check`] |
//! | the command that measures a suspect once more | [`rerun`] |
//! | many machines in one report | [`fleet`] |
//! | for other people's dashboards | [`crate::export`] |
//!
//! Everything here is a function of saved files. Absolute times are never compared between runs: what is compared is each
//! strategy's ratio to the baseline strategy of its own run.

pub mod builds;
pub mod check;
pub mod compare;
pub mod course;
pub mod fleet;
pub mod history;
pub mod likeness;
pub mod rerun;
pub mod series;
pub mod threshold;
