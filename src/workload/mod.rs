//! The first step: a guest module, a trace of blocks and parameters make a [`Workload`].

pub mod blocks;
pub mod bundled;
pub mod definition;
pub mod filled;
pub mod host;
pub mod landscape;
pub mod module_file;
pub mod packed;
pub mod requests;
pub mod scarcity;
pub mod user;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use blocks::{Heights, Known};
use filled::Filled;
use host::Spoken;

use crate::measure::row::Params;

/// What every strategy runs alike.
#[derive(Clone, Debug)]
pub struct Workload {
    /// `group/name`.
    pub name: String,
    /// Kind of workload: `indexer`, `view`, `stress`, `foreign` or `user`.
    pub category: String,
    /// What it does, in a line.
    pub summary: String,
    /// The module as the guest's author compiled it, after `memory_pages` was applied.
    pub module: Arc<[u8]>,
    /// The ABI that it speaks.
    pub abi: Spoken,
    /// What the guest is given, in order: each as its ABI has it, such as a 4-byte little-endian height and a block.
    pub trace: Vec<Arc<[u8]>>,
    /// The heights of Bitcoin blocks; absent where inputs are words.
    pub heights: Option<Heights>,
    /// Keys that are in the host's store before the first block.
    pub store: BTreeMap<String, String>,
    /// What indexing has stored there before, where inputs are requests.
    pub filled: Option<Filled>,
    /// Instances at once, each on a thread of its own.
    pub threads: u32,
    /// Parameters that distinguish this workload from others of the same name.
    pub params: Params,
}

impl Workload {
    /// Whether its trace is a single block of a chain, which is then run again and again.
    pub fn repeats_one_block(&self) -> bool {
        self.heights.is_some() && self.trace.len() == 1
    }
}

/// What a trace of one block hides, said of the workloads that have one.
pub fn one_block(names: &[&str]) -> String {
    format!(
        "one block is run over and over on {}: the pages that it dirties are the same each time, so that caches are warm \
         and strategies that learn look better than on a chain; more blocks show that (--blocks with a folder, --limit)",
        names.join(", ")
    )
}
