//! Where an instance differs from a fresh one.

use std::fmt;

use crate::module::SegmentKind;

/// What a global or a slot of a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number of any type as its bits, so that NaNs compare.
    Bits(u128),
    /// No reference.
    Null,
    /// A function of the instance, by index.
    Function(u32),
    /// A reference to something else.
    Other,
}

/// Where an instance first differs from a fresh one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// A memory has another size, in bytes.
    Size {
        /// The memory.
        index: usize,
        /// Bytes in a fresh instance.
        fresh: usize,
        /// Bytes found.
        found: usize,
    },
    /// A byte of a memory.
    Byte {
        /// The memory.
        index: usize,
        /// Where in it.
        offset: usize,
        /// The byte of a fresh instance.
        fresh: u8,
        /// The byte found.
        found: u8,
    },
    /// A byte beyond the size of a memory can be read where it should trap.
    Beyond {
        /// The memory.
        index: usize,
        /// Where in it.
        offset: usize,
    },
    /// A memory does not grow as a fresh one does.
    Growth {
        /// The memory.
        index: usize,
        /// By how many of its pages.
        pages: u64,
        /// What the engine says.
        reason: String,
    },
    /// A global.
    Global {
        /// Its index.
        index: usize,
        /// Its value in a fresh instance.
        fresh: Value,
        /// The value found.
        found: Value,
    },
    /// A table has another number of elements.
    TableSize {
        /// The table.
        index: usize,
        /// Elements in a fresh instance.
        fresh: usize,
        /// Elements found.
        found: usize,
    },
    /// An element of a table.
    Element {
        /// The table.
        index: usize,
        /// The slot.
        slot: usize,
        /// The element in a fresh instance.
        fresh: Value,
        /// The element found.
        found: Value,
    },
    /// A segment was dropped and should not be, or the other way round.
    Segment {
        /// Data or elements.
        kind: SegmentKind,
        /// The segment.
        index: u32,
        /// Whether it was found dropped.
        dropped: bool,
    },
}

impl Value {
    /// Whether two values differ for sure. When not all functions are `known`, the one that is not could be the other.
    pub(super) fn differs(&self, found: &Self, known: bool) -> bool {
        match (self, found) {
            (Self::Function(_), Self::Other) | (Self::Other, Self::Function(_)) => known,
            (fresh, found) => fresh != found,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bits(bits) => write!(f, "{bits}"),
            Self::Null => f.write_str("null"),
            Self::Function(index) => write!(f, "function {index}"),
            Self::Other => f.write_str("a reference to something else"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { index, fresh, found } => {
                write!(f, "memory {index} has {found} bytes where a fresh instance has {fresh}")
            }
            Self::Byte { index, offset, fresh, found } => {
                write!(f, "memory {index} at {offset:#x} holds {found:#04x} instead of {fresh:#04x}")
            }
            Self::Beyond { index, offset } => {
                write!(f, "memory {index} can be read at {offset:#x}, beyond its size")
            }
            Self::Growth { index, pages, reason } => {
                write!(f, "memory {index} does not grow by {pages} pages: {reason}")
            }
            Self::Global { index, fresh, found } => {
                write!(f, "global {index} is {found} instead of {fresh}")
            }
            Self::TableSize { index, fresh, found } => {
                write!(f, "table {index} has {found} elements where a fresh instance has {fresh}")
            }
            Self::Element { index, slot, fresh, found } => {
                write!(f, "table {index} holds {found} instead of {fresh} in slot {slot}")
            }
            Self::Segment { kind, index, dropped } => {
                let kind = match kind {
                    SegmentKind::Data => "data",
                    SegmentKind::Element => "element",
                };
                let found = if *dropped { "is dropped" } else { "is no longer dropped" };
                write!(f, "{kind} segment {index} {found}, unlike in a fresh instance")
            }
        }
    }
}
