//! The trace being read: every block passes here, whatever file it came from.

use std::sync::Arc;

use bitcoin::consensus::encode;

use super::error::{BlocksError, Place};
use super::{Block, bip34};

/// Blocks read from disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// In ascending height.
    pub blocks: Vec<Block>,
    /// What the user should know of how the files were read, as sentences: blocks left out, heights that
    /// disagree.
    pub notes: Vec<String>,
}

/// A [`Trace`] in the making.
pub(super) struct Collector {
    trace: Trace,
    limit: Option<usize>,
    start_height: u32,
    odd_heights: Odd,
    odd_roots: Odd,
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
    /// Gives heights from `start_height`, and takes `limit` blocks at most.
    pub(super) fn new(start_height: u32, limit: Option<usize>) -> Self {
        Collector {
            trace: Trace::default(),
            limit,
            start_height,
            odd_heights: Odd::default(),
            odd_roots: Odd::default(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.trace.blocks.len() >= limit)
    }

    pub(super) fn note(&mut self, note: String) {
        self.trace.notes.push(note);
    }

    pub(super) fn len(&self) -> usize {
        self.trace.blocks.len()
    }

    /// Takes the next block of a sequence and gives it the next height.
    pub(super) fn push_next(&mut self, bytes: Vec<u8>, at: &Place) -> Result<(), BlocksError> {
        let height =
            u32::try_from(self.trace.blocks.len()).ok().and_then(|n| self.start_height.checked_add(n));
        let height = height.ok_or_else(|| BlocksError::Height { at: at.clone() })?;
        self.push(bytes, height, at)
    }

    /// Takes a block whose height is known.
    pub(super) fn push(&mut self, bytes: Vec<u8>, height: u32, at: &Place) -> Result<(), BlocksError> {
        let block = decode(&bytes, at)?;
        if !block.check_merkle_root() {
            self.odd_roots.add(|| {
                format!("{at}: the merkle root in the header is not that of the transactions; used as it is")
            });
        }
        if let Some(stated) = bip34::height(&block).filter(|&stated| stated != height) {
            self.odd_heights
                .add(|| format!("{at}: given height {height}, though its coinbase states {stated} (BIP 34)"));
        }
        self.trace.blocks.push(Block { height, bytes: Arc::from(bytes) });
        Ok(())
    }

    pub(super) fn finish(mut self) -> Trace {
        self.trace.notes.extend(self.odd_heights.note());
        self.trace.notes.extend(self.odd_roots.note());
        self.trace
    }
}

/// Decodes `bytes` as exactly one block.
fn decode(bytes: &[u8], at: &Place) -> Result<bitcoin::Block, BlocksError> {
    let malformed = |cause: String| BlocksError::Malformed { at: at.clone(), cause };
    match encode::deserialize_partial::<bitcoin::Block>(bytes) {
        Ok((block, _)) if block.txdata.is_empty() => {
            Err(malformed("it has no transaction, not even a coinbase".into()))
        }
        Ok((block, used)) if used == bytes.len() => Ok(block),
        Ok((_, used)) => {
            Err(BlocksError::Trailing { at: at.clone(), block: used, extra: bytes.len() - used })
        }
        Err(encode::Error::Io(error)) if error.kind() == bitcoin::io::ErrorKind::UnexpectedEof => {
            Err(BlocksError::Truncated { at: at.clone(), bytes: bytes.len() })
        }
        Err(error) => Err(malformed(error.to_string())),
    }
}
