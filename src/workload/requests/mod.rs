//! Requests: what views are asked, in place of blocks.

mod given;
mod made;

pub use given::{Asked, exports, given};
pub use made::{Made, Viewed};
