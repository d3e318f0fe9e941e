//! What a module contains that a reset has to restore, and the rewriting that makes it reachable.

mod drops;
mod facts;
mod instrument;
mod read;
mod sections;

pub(crate) use facts::is_function;
pub use facts::{Export, Facts, Global, Import, Item, Memory, Segment, SegmentKind, Start, Table};
pub(crate) use instrument::export_name;
pub use instrument::{EXPORT_PREFIX, instrument, with_image, with_initial_pages, with_memory_pages};
