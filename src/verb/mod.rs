//! One file per verb.

pub mod cell;
pub mod child;
pub mod claims;
pub mod determinism;
pub mod doctor;
pub mod list;
pub mod report;
pub mod run;
pub mod select;
pub mod start;
pub mod startup;
