//! One file per verb.

pub mod cell;
pub mod check;
pub mod child;
pub mod claims;
pub mod compare;
pub mod determinism;
pub mod doctor;
pub mod export;
pub mod inspect;
pub mod kernels;
pub mod list;
pub mod manual;
pub mod merge;
pub mod policies;
pub mod recommend;
pub mod report;
pub mod run;
pub mod select;
pub mod start;
pub mod startup;
pub mod trust;
pub mod verify;
