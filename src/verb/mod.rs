//! One file per verb.

pub mod check;
pub mod child;
pub mod compare;
pub mod doctor;
pub mod export;
pub mod list;
pub mod merge;
pub mod report;
pub mod run;
pub mod select;
pub mod trust;
