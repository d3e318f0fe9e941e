//! The trace being read: every block passes here, whatever file it came from.

use std::fmt;
use std::sync::Arc;

use bitcoin::consensus::encode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::{BlocksError, Place};
use super::{Block, bip34, real};
use crate::units::several;

/// Blocks read from disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// In ascending height.
    pub blocks: Vec<Block>,
    /// Where the heights come from; nowhere, where blocks are what no height can be read of.
    pub known: Option<Known>,
    /// Blocks that were there, of which the limit may have left some.
    pub found: usize,
    /// What the user should know of how the files were read, as sentences: blocks left out, heights that
    /// disagree.
    pub notes: Vec<String>,
}

/// How heights are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Known {
    /// Coinbases state them (BIP 34).
    Stated,
    /// The user said the first, whatever coinbases state.
    Given,
    /// From the first block on, because not all blocks state one.
    Counted,
}

/// The heights of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Heights {
    /// Of the first block.
    pub first: u32,
    pub known: Known,
}

impl fmt::Display for Heights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, known } = self;
        match known {
            Known::Stated => write!(f, "from height {first} on, as coinbases state (BIP 34)"),
            Known::Given => write!(f, "from height {first} on, as --start-height says"),
            Known::Counted => write!(
                f,
                "counted from {first} because not every block states its height (BIP 34): an indexer that begins later does \
                 nothing on them, so give the first one's with --start-height"
            ),
        }
    }
}

impl Trace {
    /// The bundled blocks of the main network.
    #[must_use]
    pub fn mainnet() -> Self {
        let blocks = real::mainnet();
        Self { found: blocks.len(), blocks, known: Some(Known::Stated), notes: Vec::new() }
    }

    /// The first height and how it is known; `None` of no block, and where it is not known.
    #[must_use]
    pub fn heights(&self) -> Option<Heights> {
        self.blocks.first().zip(self.known).map(|(block, known)| Heights { first: block.height, known })
    }

    /// What was read, in a line.
    #[must_use]
    pub fn sentence(&self) -> String {
        let (taken, found) = (self.blocks.len(), several(self.found, "block"));
        let count = match self.found > taken {
            true => format!("{taken} of {found} (more with --limit)"),
            false => several(taken, "block"),
        };
        self.heights().map_or(count.clone(), |heights| format!("{count}, {heights}"))
    }
}

/// A [`Trace`] in the making.
pub(super) struct Collector {
    trace: Trace,
    limit: Option<usize>,
    odd_heights: Odd,
    odd_roots: Odd,
    odd_ends: Odd,
}

/// Blocks that are odd in one way: told once, with how many and which was the first, rather than once for
/// each.
#[derive(Default)]
struct Odd {
    count: usize,
    first: Option<String>,
}

impl Odd {
    fn add(&mut self, describe: impl FnOnce() -> String) {
        self.count += 1;
        self.first.get_or_insert_with(describe);
    }

    fn note(self) -> Option<String> {
        let first = self.first?;
        Some(if self.count == 1 { first } else { format!("{first} (and {} more like it)", self.count - 1) })
    }
}

impl Collector {
    /// Takes `limit` of `found` blocks at most.
    pub(super) fn new(known: Known, found: usize, limit: Option<usize>) -> Self {
        Collector {
            trace: Trace { blocks: Vec::new(), known: Some(known), found, notes: Vec::new() },
            limit,
            odd_heights: Odd::default(),
            odd_roots: Odd::default(),
            odd_ends: Odd::default(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.trace.blocks.len() >= limit)
    }

    /// Takes a block. What follows it in `bytes` is an error, or in a `record` of Bitcoin Core's is dropped.
    pub(super) fn push(
        &mut self,
        mut bytes: Vec<u8>,
        height: u32,
        at: &Place,
        record: bool,
    ) -> Result<(), BlocksError> {
        let (block, used) = decode(&bytes, at)?;
        let extra = bytes.len() - used;
        if extra > 0 && !record {
            return Err(BlocksError::Trailing { at: at.clone(), block: used, extra });
        }
        if extra > 0 {
            self.odd_ends.add(|| format!("{at}: {extra} bytes after the block in its record, passed over"));
            bytes.truncate(used);
        }
        if !block.check_merkle_root() {
            self.odd_roots.add(|| {
                format!("{at}: the merkle root in the header is not that of the transactions; used as it is")
            });
        }
        let stated = bip34::height(&block).filter(|&stated| stated != height);
        if let Some(stated) = stated.filter(|_| self.trace.known != Some(Known::Given)) {
            self.odd_heights
                .add(|| format!("{at}: given height {height}, though its coinbase states {stated} (BIP 34)"));
        }
        self.trace.blocks.push(Block { height, bytes: Arc::from(bytes) });
        Ok(())
    }

    /// The trace, with `notes` before those of its blocks.
    pub(super) fn finish(mut self, notes: Vec<String>) -> Trace {
        self.trace.notes = notes;
        self.trace.notes.extend(self.odd_heights.note());
        self.trace.notes.extend(self.odd_roots.note());
        self.trace.notes.extend(self.odd_ends.note());
        self.trace
    }
}

/// Decodes the block that `bytes` begin with, and says how many of them it has.
pub(super) fn decode(bytes: &[u8], at: &Place) -> Result<(bitcoin::Block, usize), BlocksError> {
    let malformed = |cause| BlocksError::Malformed { at: at.clone(), cause };
    match encode::deserialize_partial::<bitcoin::Block>(bytes) {
        Ok((block, _)) if block.txdata.is_empty() => {
            Err(malformed("it has no transaction, not even a coinbase".into()))
        }
        Ok(found) => Ok(found),
        Err(encode::Error::Io(error)) if error.kind() == bitcoin::io::ErrorKind::UnexpectedEof => {
            Err(BlocksError::Truncated { at: at.clone(), bytes: bytes.len() })
        }
        Err(error) => Err(malformed(error.to_string())),
    }
}
