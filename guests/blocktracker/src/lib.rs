//! `indexer/blocktracker`: follows the chain of headers and decodes no transaction.
//!
//! For every block it stores
//!
//! | key | value |
//! |---|---|
//! | `/header/<hash>` | the 80 bytes of the header |
//! | `/length/<hash>` | the block's length in bytes |
//! | `/height/<hash>` | its height |
//! | `/hash/<height>` | its hash |
//! | `/tip` | hash, height, and for how many blocks the headers have been linked without a gap |
//! | `/cached/<height>` | how many keys the cache holds in the end |
//!
//! Numbers are little-endian `u32`, hashes are in their internal byte order.

use bitcoin_hashes::{Hash, sha256d};

const HEADER: usize = 80;
const HASH: usize = 32;

#[unsafe(no_mangle)]
pub extern "C" fn _start() {
    let input = indexer::input();
    let block = input.payload();
    let height = input.height().to_le_bytes();
    let Some(header) = block.first_chunk::<HEADER>() else {
        indexer::fail("the block is too short to hold a header");
    };
    let hash = sha256d::Hash::hash(header).to_byte_array();

    indexer::set(&key("/header/", &hash), header);
    indexer::set(&key("/length/", &hash), &(block.len() as u32).to_le_bytes());
    indexer::set(&key("/height/", &hash), &height);
    indexer::set(&key("/hash/", &height), &hash);

    // The parent's hash comes right after the version.
    let parent = &header[4..4 + HASH];
    let tip = indexer::get(b"/tip");
    let linked = if tip.starts_with(parent) { 1 + linked(&tip) } else { 1 };
    indexer::set(b"/tip", &[&hash[..], &height, &linked.to_le_bytes()].concat());

    let cached = 1 + indexer::cached();
    indexer::set(&key("/cached/", &height), &cached.to_le_bytes());
    indexer::flush();
}

fn key(prefix: &str, rest: &[u8]) -> Vec<u8> {
    [prefix.as_bytes(), rest].concat()
}

/// The last field of a tip.
fn linked(tip: &[u8]) -> u32 {
    tip.last_chunk().map_or(0, |linked| u32::from_le_bytes(*linked))
}
