//! What a module contains that a reset has to restore, and the rewriting that makes it reachable.

mod facts;
mod instrument;

pub use facts::{Export, Facts, Global, Import, Item, Memory, Start, Table};
pub(crate) use instrument::export_name;
pub use instrument::{EXPORT_PREFIX, instrument, with_initial_pages, with_memory_pages};
