//! The dirty map: which pages of a module's memories each block of a trace leaves dirty.
//!
//! The sets are exact, and not sampled. *Written* are the pages that the kernel has seen the block write since the reset
//! ([`seen`] asks a child under `dirty/uffd-wp`); *differing* are those of them that hold something else than right after
//! instantiation when the block ends. What a reset has to restore is the second, what it has to go by is mostly the first:
//! a page that was written and changed back is dirty, too. Both are in a [`Map`].

mod figure;
mod grid;
pub mod map;
pub mod regions;
pub mod seen;
pub mod sets;
mod text;

pub use figure::Theme;
pub use map::Map;
pub use seen::{Bench, Seen};
