//! Blocks: where a workload's input comes from.
//!
//! Two sources, one type. Both yield [`Block`]s in ascending height, and the same call yields the same bytes on
//! every machine:
//!
//! - [`mainnet`]: the real mainnet block that crate `bitcoin-test-data` ships; needs no file and no network.
//! - [`read`]: the user's own blocks from disk, as raw bytes, hex, JSON, or Bitcoin Core's `blk*.dat` files,
//!   packed or not. For guests whose blocks are not Bitcoin's, [`as_they_are`].

mod bip34;
mod blk;
mod chain;
mod error;
mod files;
pub mod firehose;
mod hex;
mod json;
mod network;
mod opaque;
mod real;
mod record;
mod source;
mod text;
mod trace;

use std::fmt;
use std::sync::Arc;

pub use error::{BlocksError, Place, Position};
pub use files::read;
pub use opaque::as_they_are;
pub use real::mainnet;
pub use trace::{Heights, Known, Trace};

/// The largest block that consensus allows, in serialised bytes: a byte weighs at least 1 of the 4,000,000
/// weight units.
pub const MAX_BLOCK_BYTES: usize = 4_000_000;

/// One unit of input. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    /// The block's height: the number of blocks before it in its chain.
    pub height: u32,
    /// The block, consensus-serialised: the 80-byte header, the count of transactions, the transactions.
    pub bytes: Arc<[u8]>,
}

/// The height and the size: a failed assertion should not print a megabyte.
impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").field("height", &self.height).field("bytes", &self.bytes.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_shown_by_its_size_and_cloned_by_sharing() {
        let block = Block { height: 7, bytes: Arc::from([0_u8; 1000]) };
        assert_eq!(format!("{block:?}"), "Block { height: 7, bytes: 1000 }");
        assert!(Arc::ptr_eq(&block.bytes, &block.clone().bytes));
    }
}
