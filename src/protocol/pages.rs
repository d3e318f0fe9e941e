//! Which pages each block leaves dirty, as a child says it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Pages that follow one another.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct Run {
    /// The number of the first, counted from the beginning of the memory.
    pub first: u64,
    /// How many there are.
    pub pages: u64,
}

impl Run {
    /// The number behind the last page.
    pub fn end(&self) -> u64 {
        self.first + self.pages
    }
}

/// One memory after a block, before its reset.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Touched {
    /// Its size before the block, in bytes.
    pub before: u64,
    /// Its size after the block.
    pub after: u64,
    /// The pages that the block has written, whatever they hold now. Absent where the strategy's tracker does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Vec<Run>>,
    /// The pages that hold something else than right after instantiation; beyond the initial size, than zeros.
    pub differing: Vec<Run>,
    /// Bytes that do, in all.
    pub differing_bytes: u64,
}

/// The pages of all blocks of a trace.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Pages {
    /// Bytes of an OS page.
    pub page_bytes: u64,
    /// Pages of all memories that are not all zeros right after instantiation.
    pub image_pages: u64,
    /// The memories after each block, in the order of the module.
    pub blocks: Vec<Vec<Touched>>,
    /// Traces that were run.
    pub traces: u32,
    /// Whether the last two of them came to the same.
    pub is_settled: bool,
}
