//! One file per verb.

pub mod child;
pub mod doctor;
pub mod list;
pub mod report;
pub mod run;
pub mod select;
pub mod verify;
