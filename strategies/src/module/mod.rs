//! What a module contains that a reset has to restore, and the rewriting that makes it reachable.

mod drops;
mod facts;
mod instrument;
mod read;
mod sections;

pub(crate) use facts::is_function;
pub use facts::{Export, Facts, Global, Import, Item, Memory, Segment, SegmentKind, Start, Table};
pub use instrument::{
    EXPORT_PREFIX, ORIGIN_SECTION, instrument, origin, with_image, with_initial_pages, with_memory_pages,
};
pub(crate) use instrument::{added_exports, export_name, origin_name};
