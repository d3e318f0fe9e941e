//! Bitcoin Core's block files, `blk00000.dat` and on.
//!
//! A file is a row of records: the network's 4-byte magic, the block's length as 4 bytes little-endian, the
//! block. Blocks lie in the order in which they arrived, which is not that of the chain, and stale ones stay.
//! Core reserves space ahead, so zeros may follow the last record. From version 28 on, files are XORed with
//! the 8 bytes of `xor.dat` in the same folder, repeated from the beginning of each file (the reserved zeros
//! are not).
//!
//! Reading takes two passes, because a node's files are far larger than memory: [`index`] reads the beginning
//! of each record; once the blocks are chosen and in order, a [`Reader`] reads those alone.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bitcoin::block::Header;
use bitcoin::consensus::{Decodable, ReadExt};
use bitcoin::p2p::Magic;
use bitcoin::{BlockHash, OutPoint, VarInt};

use super::error::{BlocksError, Place};
use super::{MAX_BLOCK_BYTES, bip34};

/// The networks whose files are known, by magic.
const NETWORKS: [(Magic, &str); 5] = [
    (Magic::BITCOIN, "mainnet"),
    (Magic::TESTNET3, "testnet3"),
    (Magic::TESTNET4, "testnet4"),
    (Magic::SIGNET, "signet"),
    (Magic::REGTEST, "regtest"),
];
const ANY_NETWORK: &str = "mainnet, testnet3, testnet4, signet or regtest";

/// Magic and length.
const PREFIX: usize = 8;
/// A header and a count of transactions.
const LEAST_BLOCK: u32 = 81;
/// As much of a block as the index reads: the header, and the coinbase beyond the height it states, which
/// ends within the first 150 bytes.
const HEAD: usize = 160;

/// Whether Bitcoin Core names block files like this: `blk`, digits, `.dat`.
pub(super) fn is_named_so(name: &str) -> bool {
    let digits = name.strip_prefix("blk").and_then(|rest| rest.strip_suffix(".dat"));
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()))
}

/// The network's name, if a file that begins with `head` is a (plain) block file.
pub(super) fn network_of(head: &[u8]) -> Option<&'static str> {
    let magic = Magic::from_bytes(head.get(..4)?.try_into().ok()?);
    NETWORKS.iter().find(|(known, _)| *known == magic).map(|(_, name)| *name)
}

/// The key that a folder's block files are XORed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Key(Option<[u8; 8]>);

impl Key {
    /// The key in `xor.dat` beside `file`, if there is one.
    pub(super) fn beside(file: &Path) -> Result<Self, BlocksError> {
        let path = file.with_file_name("xor.dat");
        let bytes = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Key(None)),
            Err(error) => return Err(BlocksError::io(&path, error)),
            // The length first: whatever else is called xor.dat may be large.
            Ok(facts) if facts.len() != 8 => {
                return Err(BlocksError::XorKey { path, bytes: facts.len() });
            }
            Ok(_) => fs::read(&path).map_err(|error| BlocksError::io(&path, error))?,
        };
        let key = bytes.as_slice().try_into();
        key.map(|key| Key(Some(key))).map_err(|_| BlocksError::XorKey { path, bytes: bytes.len() as u64 })
    }

    /// Unscrambles `bytes`, which lie `offset` bytes into their file.
    fn apply(self, bytes: &mut [u8], offset: u64) {
        if let Key(Some(mut key)) = self {
            key.rotate_left((offset % 8) as usize);
            for (byte, mask) in bytes.iter_mut().zip(key.iter().cycle()) {
                *byte ^= mask;
            }
        }
    }
}

/// A block file.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) key: Key,
}

/// A block in a block file, as far as the index knows it.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// Which file, as an index into the sources.
    pub(super) source: usize,
    /// Where the block begins, in bytes from the beginning of the file.
    pub(super) offset: u64,
    pub(super) bytes: u32,
    pub(super) hash: BlockHash,
    pub(super) parent: BlockHash,
    /// Expected hashes to find the block.
    pub(super) work: f64,
    /// The height that its coinbase states.
    pub(super) stated: Option<u32>,
}

/// Adds the records of `source`, the file with this number, to `records`. All files must be of one network:
/// that of the first record, which `network` keeps.
pub(super) fn index(
    source: &Source,
    number: usize,
    network: &mut Option<&'static str>,
    records: &mut Vec<Record>,
) -> Result<(), BlocksError> {
    let path = &source.path;
    let failed = |error| BlocksError::io(path, error);
    let file = File::open(path).map_err(failed)?;
    let end = file.metadata().map_err(failed)?.len();
    let mut at = 0;
    while at < end {
        let have = (end - at).min(PREFIX as u64);
        let mut prefix = [0; PREFIX];
        file.read_exact_at(&mut prefix[..have as usize], at).map_err(failed)?;
        source.key.apply(&mut prefix, at);
        let [m0, m1, m2, m3, length @ ..] = prefix;
        let found = [m0, m1, m2, m3];
        let name = network_of(&found);
        if name.is_none() && is_padding(&file, at, end, source.key).map_err(failed)? {
            break;
        }
        let place = || Place::byte(path, at);
        if have < PREFIX as u64 {
            return Err(BlocksError::RecordTruncated { at: place(), needs: PREFIX as u64, left: have });
        }
        if name.is_none() || network.is_some() && name != *network {
            let (expected, keyed) = (network.unwrap_or(ANY_NETWORK), source.key.0.is_some());
            return Err(BlocksError::Magic { at: place(), found, expected, keyed });
        }
        *network = name;
        let bytes = u32::from_le_bytes(length);
        if !(LEAST_BLOCK..=MAX_BLOCK_BYTES as u32).contains(&bytes) {
            return Err(BlocksError::RecordSize { at: place(), claimed: bytes });
        }
        let (needs, left) = (PREFIX as u64 + u64::from(bytes), end - at);
        if left < needs {
            return Err(BlocksError::RecordTruncated { at: place(), needs, left });
        }
        let offset = at + PREFIX as u64;
        let mut head = [0; HEAD];
        let head = &mut head[..HEAD.min(bytes as usize)];
        file.read_exact_at(head, offset).map_err(failed)?;
        source.key.apply(head, offset);
        let header = Header::consensus_decode(&mut &head[..]).map_err(|error| BlocksError::Malformed {
            at: Place::byte(path, offset),
            cause: error.to_string(),
        })?;
        records.push(Record {
            source: number,
            offset,
            bytes,
            hash: header.block_hash(),
            parent: header.prev_blockhash,
            work: work(header.bits.to_consensus()),
            stated: stated_height(header.version.to_consensus(), &head[80..]),
        });
        at = offset + u64::from(bytes);
    }
    Ok(())
}

/// Whether the file holds nothing but zeros from `at` to its `end`: as it lies on disk, the way Core reserves
/// space, or after the key, the way whoever scrambles a whole file leaves it.
fn is_padding(file: &File, mut at: u64, end: u64, key: Key) -> io::Result<bool> {
    let is_zero = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0);
    let (mut raw, mut plain) = (true, true);
    // Mostly the answer lies in the first bytes.
    let mut chunk = vec![0; PREFIX];
    while at < end && (raw || plain) {
        let length = (end - at).min(chunk.len() as u64) as usize;
        let bytes = &mut chunk[..length];
        file.read_exact_at(bytes, at)?;
        raw = raw && is_zero(bytes);
        key.apply(bytes, at);
        plain = plain && is_zero(bytes);
        at += length as u64;
        chunk.resize(1 << 16, 0);
    }
    Ok(raw || plain)
}

/// Expected hashes to find a block with these target bits: 2^256 / target. In floating point, because files
/// may hold any bits whatever and sums must not overflow; more than 53 bits are never needed to tell two
/// chains apart.
fn work(bits: u32) -> f64 {
    let mantissa = bits & 0x00ff_ffff;
    // Negative and zero targets cannot be met, so they count for nothing.
    if mantissa == 0 || mantissa > 0x007f_ffff {
        return 0.0;
    }
    let exponent = 256 - 8 * ((bits >> 24) as i32 - 3);
    2_f64.powi(exponent) / f64::from(mantissa)
}

/// The height that the coinbase states, from the bytes after the header; `None` if they are no coinbase.
fn stated_height(version: i32, mut rest: &[u8]) -> Option<u32> {
    let rest = &mut rest;
    VarInt::consensus_decode(rest).ok()?;
    i32::consensus_decode(rest).ok()?;
    if VarInt::consensus_decode(rest).ok()?.0 == 0 {
        // No inputs is the segwit marker: a flag follows, then the true count.
        rest.read_u8().ok()?;
        VarInt::consensus_decode(rest).ok()?;
    }
    OutPoint::consensus_decode(rest).ok()?;
    let length = usize::try_from(VarInt::consensus_decode(rest).ok()?.0).ok()?;
    bip34::height_in(version, &rest[..length.min(rest.len())])
}

/// Reads chosen blocks. Keeps the last file open, because neighbours in the chain are mostly neighbours on
/// disk.
pub(super) struct Reader<'a> {
    sources: &'a [Source],
    open: Option<(usize, File)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(sources: &'a [Source]) -> Self {
        Reader { sources, open: None }
    }

    pub(super) fn place(&self, record: &Record) -> Place {
        Place::byte(&self.sources[record.source].path, record.offset)
    }

    pub(super) fn read(&mut self, record: &Record) -> Result<(Vec<u8>, Place), BlocksError> {
        let Source { path, key } = &self.sources[record.source];
        let failed = |error| BlocksError::io(path, error);
        let file = match self.open.take() {
            Some((number, file)) if number == record.source => file,
            _ => File::open(path).map_err(failed)?,
        };
        let mut bytes = vec![0; record.bytes as usize];
        file.read_exact_at(&mut bytes, record.offset).map_err(failed)?;
        key.apply(&mut bytes, record.offset);
        self.open = Some((record.source, file));
        Ok((bytes, self.place(record)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::real::mainnet;
    use super::*;

    #[test]
    fn names_of_block_files() {
        for name in ["blk00000.dat", "blk00000000001.dat", "blk1.dat"] {
            assert!(is_named_so(name), "{name}");
        }
        for name in ["blk.dat", "rev00000.dat", "blk00000.dat.bak", "blkx.dat", "Blk00000.dat", "xor.dat", ""]
        {
            assert!(!is_named_so(name), "{name}");
        }
    }

    #[test]
    fn networks_by_magic() {
        assert_eq!(network_of(&[0xf9, 0xbe, 0xb4, 0xd9, 1]), Some("mainnet"));
        assert_eq!(network_of(&[0x0b, 0x11, 0x09, 0x07]), Some("testnet3"));
        assert_eq!(network_of(&[0x1c, 0x16, 0x3f, 0x28]), Some("testnet4"));
        assert_eq!(network_of(&[0x0a, 0x03, 0xcf, 0x40]), Some("signet"));
        assert_eq!(network_of(&[0xfa, 0xbf, 0xb5, 0xda]), Some("regtest"));
        assert_eq!(network_of(&[0xf9, 0xbe, 0xb4]), None);
        assert_eq!(network_of(&[0, 0, 0, 0]), None);
    }

    #[test]
    fn the_key_goes_by_the_place_in_the_file() {
        let key = Key(Some([1, 2, 3, 4, 5, 6, 7, 8]));
        let mut bytes = [0; 10];
        key.apply(&mut bytes, 8_000_000_006);
        assert_eq!(bytes, [7, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
        key.apply(&mut bytes, 8_000_000_006);
        assert_eq!(bytes, [0; 10], "twice is not at all");
        Key(None).apply(&mut bytes, 3);
        assert_eq!(bytes, [0; 10]);
    }

    #[test]
    fn work_is_two_to_the_256_by_the_target() {
        // Difficulty 1 is 2^32 hashes, very nearly; regtest's is 2.
        assert!((work(0x1d00_ffff) / 4_295_032_833.0 - 1.0).abs() < 1e-9);
        assert!((work(0x207f_ffff) - 2.0).abs() < 1e-6);
        assert!(work(0x170e_d0eb) > work(0x1d00_ffff));
        for impossible in [0, 0x1d00_0000, 0x1d80_0000, u32::MAX] {
            assert_eq!(work(impossible).to_bits(), 0, "{impossible:x}");
        }
        for odd in [1, 0x00ff_ffff, 0xff00_0001, 0xff7f_ffff] {
            assert!(work(odd).is_finite(), "{odd:x}");
        }
    }

    #[test]
    fn the_height_is_read_from_the_beginning_of_a_block() {
        let head = &mainnet()[0].bytes[80..HEAD];
        assert_eq!(stated_height(4, head), Some(702_861));
        assert_eq!(stated_height(1, head), None);
        for cut in 0..head.len() {
            let stated = stated_height(4, &head[..cut]);
            assert!(stated.is_none() || stated == Some(702_861), "{cut}: {stated:?}");
        }
    }
}
