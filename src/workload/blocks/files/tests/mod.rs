mod core;
mod damage;
mod fuzz;
mod plain;

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::OnceLock;

use bitcoin::consensus::{deserialize, serialize};
use bitcoin::hex::FromHex;
use bitcoin::p2p::Magic;
use tempfile::TempDir;

use super::super::super::host::hex as hex_of;
use super::super::{Block, Known, Place, Position};
use super::*;

/// Blocks 100 to 105, of about 2,000 bytes each.
fn six() -> &'static [Block] {
    static BLOCKS: OnceLock<Vec<Block>> = OnceLock::new();
    BLOCKS.get_or_init(|| {
        let text = include_str!("../../../../../tests/chain/100-106.hex");
        let blocks =
            text.lines().filter(|line| !line.starts_with('#')).map(|line| Vec::from_hex(line).unwrap());
        (100..106).zip(blocks).map(|(height, bytes)| Block { height, bytes: bytes.into() }).collect()
    })
}

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(dir.path().join(name), content).unwrap();
    }
    dir
}

/// What is read of a folder with these files.
fn of(files: &[(&str, &[u8])], start: Option<u32>) -> Trace {
    read(folder(files).path(), start, None).unwrap()
}

/// A block file of these blocks, as they lie.
fn records<'a>(magic: Magic, blocks: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut file = Vec::new();
    for block in blocks {
        file.extend_from_slice(&magic.to_bytes());
        file.extend_from_slice(&(block.len() as u32).to_le_bytes());
        file.extend_from_slice(block);
    }
    file
}

fn pick(order: &[usize]) -> impl Iterator<Item = &'static [u8]> {
    order.iter().map(|&i| &*six()[i].bytes)
}

fn xor(bytes: &mut [u8], key: [u8; 8]) {
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte ^= key[i % 8];
    }
}

/// Another version of a block, with another hash: same parent, same transactions.
fn sibling(block: &Block) -> Vec<u8> {
    let mut other: bitcoin::Block = deserialize(&block.bytes).unwrap();
    other.header.time += 1;
    serialize(&other)
}

fn heights(trace: &Trace) -> Vec<u32> {
    trace.blocks.iter().map(|block| block.height).collect()
}

/// A trace whose heights are stated, with nothing to tell.
fn stated(blocks: &[Block]) -> Trace {
    Trace { blocks: blocks.to_vec(), known: Some(Known::Stated), found: blocks.len(), notes: vec![] }
}

fn error(path: &Path) -> BlocksError {
    read(path, None, None).expect_err("an error")
}
