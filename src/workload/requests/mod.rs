//! Requests: what views are asked, in place of blocks.

mod made;

pub use made::{Made, Viewed};
