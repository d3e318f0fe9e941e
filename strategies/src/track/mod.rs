//! Trackers: which pages of a memory may differ from the snapshot.
//!
//! A tracker may report too much, never too little: a page that it leaves out keeps what the last block wrote.

pub mod full;
pub mod hot_cold;
pub mod mincore;
pub mod oracle;
pub mod pagemap;
pub mod pagemap_scan;
pub mod soft_dirty;
pub mod uffd_wp;

pub use crate::in_place::parts::{Search, Tracker};
pub use crate::learned::Learned;
