//! Bitcoin Core's block files, `blk00000.dat` and on.
//!
//! A file is a row of records: the network's 4-byte magic, the block's length as 4 bytes little-endian, the
//! block. Blocks lie in the order in which they arrived, which is not that of the chain, and stale ones stay.
//! Core reserves space ahead, so zeros may follow the last record. From version 28 on, files are XORed with
//! the 8 bytes of `xor.dat` in the same folder, repeated from the beginning of each file (the reserved zeros
//! are not).
//!
//! A node that was stopped hard leaves zeros, halves of records, or the same record twice. Core reads on at the
//! next magic (`LoadExternalBlockFile`), and so does this: what is between records is passed over, with a note.
//! A record is taken where another one, reserved space or the end of the file follows it, and else where it
//! decodes to its end: half a record must not swallow the whole one after it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::MAX_BLOCK_BYTES;
use super::error::{BlocksError, Place, Position};
use super::network::{self, Network};
use super::record::{HEAD, LEAST_BLOCK, Record};
use super::trace::decode;

/// Magic and length.
const PREFIX: usize = 8;

/// How much is looked at when the next magic is searched.
const CHUNK: usize = 1 << 20;

/// Whether Bitcoin Core names block files like this: `blk`, digits, `.dat`.
pub(super) fn is_named_so(name: &str) -> bool {
    let digits = name.strip_prefix("blk").and_then(|rest| rest.strip_suffix(".dat"));
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()))
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

/// A block file that is open.
#[derive(Debug)]
pub(super) struct Blk {
    file: File,
    end: u64,
    key: Key,
    /// The name that it has for the user.
    path: PathBuf,
}

/// What is between a file's records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Passed {
    bytes: u64,
    places: usize,
    first: u64,
}

impl Passed {
    fn add(&mut self, from: u64, until: u64) {
        if self.places == 0 {
            self.first = from;
        }
        self.bytes += until - from;
        self.places += 1;
    }
}

impl Blk {
    /// Opens the file at `data`, which the user knows as `path`.
    pub(super) fn open(path: &Path, data: &Path, key: Key) -> Result<Self, BlocksError> {
        let open = || {
            let file = File::open(data)?;
            let end = file.metadata()?.len();
            Ok(Self { file, end, key, path: path.to_owned() })
        };
        let mut blk = open().map_err(|error| BlocksError::io(path, error))?;
        let failed = |error| BlocksError::io(path, error);
        let (plain, keyed) = (blk.raw(0, 4).map_err(failed)?, blk.read(0, 4).map_err(failed)?);
        // Somebody has unscrambled the file and left the key.
        if Network::of(&plain).is_some() && Network::of(&keyed).is_none() {
            blk.key = Key(None);
        }
        Ok(blk)
    }

    fn raw(&self, at: u64, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.end.saturating_sub(at).min(most as u64) as usize];
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }

    /// Unscrambled bytes from `at` on, fewer at the end of the file.
    fn read(&self, at: u64, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = self.raw(at, most)?;
        self.key.apply(&mut bytes, at);
        Ok(bytes)
    }

    pub(super) fn place(&self, offset: u64) -> Place {
        Position::Byte(offset).of(&self.path)
    }

    /// The bytes of a record's block.
    pub(super) fn block(&self, record: &Record) -> Result<Vec<u8>, BlocksError> {
        self.read(record.offset, record.bytes as usize).map_err(|error| BlocksError::io(&self.path, error))
    }

    /// Adds the records of the file, whose number is `number`, to `records`. All files must be of one network: that of
    /// the first record, which `network` keeps. Returns a note on what was passed over.
    pub(super) fn index(
        &self,
        number: usize,
        network: &mut Option<Network>,
        records: &mut Vec<Record>,
    ) -> Result<Option<String>, BlocksError> {
        let failed = |error| BlocksError::io(&self.path, error);
        let (mut at, mut passed) = (0, Passed::default());
        // Where the bytes began that are of no record.
        let mut gap = None;
        while at < self.end {
            if let Some(record) = self.record(at, number, network, gap.is_some()).map_err(failed)? {
                if let Some(from) = gap.take() {
                    passed.add(from, at);
                }
                at = record.offset + u64::from(record.bytes);
                records.push(record);
                continue;
            }
            if gap.is_none() {
                gap = Some(at);
                if self.is_padding(at).map_err(failed)? {
                    break;
                }
                if at == 0 {
                    self.check_first(network.as_ref())?;
                }
            }
            at = self.next_magic(at + 1, network.as_ref()).map_err(failed)?;
        }
        if let Some(from) = gap.filter(|&from| !self.is_padding(from).unwrap_or(false)) {
            if records.is_empty() {
                return Err(self.hopeless().map_err(failed)?);
            }
            passed.add(from, self.end);
        }
        Ok((passed.places > 0).then(|| self.note(passed)))
    }

    fn note(&self, passed: Passed) -> String {
        let Passed { bytes, places, first } = passed;
        let more = if places == 1 { String::new() } else { format!(" in {places} places, the first") };
        format!(
            "{}: {bytes} bytes{more} from byte {first} on are no whole record and were passed over, as Bitcoin Core \
             does: zeros or damage",
            self.path.display()
        )
    }

    /// The record at `at`, if there is one. `strict` where it is not certain that a record begins there.
    fn record(
        &self,
        at: u64,
        number: usize,
        network: &mut Option<Network>,
        strict: bool,
    ) -> io::Result<Option<Record>> {
        let head = self.read(at, PREFIX + HEAD)?;
        let Some((&[m0, m1, m2, m3, l0, l1, l2, l3], head)) = head.split_first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let magic = [m0, m1, m2, m3];
        let named = match &*network {
            Some(known) => (known.magic == magic).then(|| known.clone()),
            None => Network::of(&magic),
        };
        let unnamed = network.is_none() && at == 0 && network::other_chain(&magic).is_none();
        let Some(found) = named.clone().or_else(|| unnamed.then(|| Network::unnamed(magic))) else {
            return Ok(None);
        };
        let bytes = u32::from_le_bytes([l0, l1, l2, l3]);
        let offset = at + PREFIX as u64;
        let fits =
            (LEAST_BLOCK..=MAX_BLOCK_BYTES as u32).contains(&bytes) && offset + u64::from(bytes) <= self.end;
        // A block of zeros is space that a node had reserved, or never wrote to.
        let head = &head[..head.len().min(bytes as usize)];
        if !fits || head.iter().take(80).all(|&byte| byte == 0) {
            return Ok(None);
        }
        let next = offset + u64::from(bytes);
        let certain = named.is_some() && !strict && next == self.end || self.begins(next, &found)?;
        let bytes = match certain || named.is_some() && self.is_reserved(next)? {
            true => bytes,
            false => match decode(&self.read(offset, bytes as usize)?, &self.place(offset)) {
                // Half a record whose end is the beginning of the next one decodes, too.
                Ok((block, used)) if block.check_merkle_root() => used as u32,
                _ => return Ok(None),
            },
        };
        let Ok(record) = Record::new(head, number, offset, bytes, &self.place(offset)) else {
            return Ok(None);
        };
        *network = Some(found);
        Ok(Some(record))
    }

    /// Whether a record of the network begins at `at`.
    fn begins(&self, at: u64, network: &Network) -> io::Result<bool> {
        Ok(self.read(at, 4)? == network.magic)
    }

    /// Whether reserved space begins at `at`: zeros as they lie on disk, or, where a whole file was scrambled, after
    /// the key.
    fn is_reserved(&self, at: u64) -> io::Result<bool> {
        let is_zero = |bytes: Vec<u8>| bytes.len() == PREFIX && bytes.iter().all(|&byte| byte == 0);
        Ok(is_zero(self.raw(at, PREFIX)?) || is_zero(self.read(at, PREFIX)?))
    }

    /// Where the next magic is, from `at` on; the end of the file if there is none.
    fn next_magic(&self, mut at: u64, network: Option<&Network>) -> io::Result<u64> {
        while at < self.end {
            let bytes = self.read(at, CHUNK)?;
            if let Some(found) = network::position(&bytes, network) {
                return Ok(at + found as u64);
            }
            // A magic may lie across two chunks.
            at += bytes.len().saturating_sub(3).max(1) as u64;
        }
        Ok(self.end)
    }

    /// Whether the file holds nothing but zeros from `at` to its end: as it lies on disk, the way Core reserves
    /// space, or after the key, the way whoever scrambles a whole file leaves it.
    fn is_padding(&self, mut at: u64) -> io::Result<bool> {
        let is_zero = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0);
        let (mut raw, mut plain) = (true, true);
        // Mostly the answer lies in the first bytes.
        let mut most = PREFIX;
        while at < self.end && (raw || plain) {
            let mut bytes = self.raw(at, most)?;
            raw = raw && is_zero(&bytes);
            self.key.apply(&mut bytes, at);
            plain = plain && is_zero(&bytes);
            at += bytes.len() as u64;
            most = 1 << 16;
        }
        Ok(raw || plain)
    }

    /// Fails where the file begins with the magic of another chain or network than `network`: nothing in it is wanted.
    fn check_first(&self, network: Option<&Network>) -> Result<(), BlocksError> {
        let head = self.read(0, 4).map_err(|error| BlocksError::io(&self.path, error))?;
        let at = || self.place(0);
        if let Some(chain) = network::other_chain(&head) {
            return Err(BlocksError::OtherChain { at: at(), chain });
        }
        match (network, Network::of(&head)) {
            (Some(network), Some(other)) if *network != other => Err(BlocksError::OtherNetwork {
                at: at(),
                found: other.name.into_owned(),
                expected: network.name.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// Why the first file has no record at all.
    fn hopeless(&self) -> io::Result<BlocksError> {
        let head = self.read(0, PREFIX)?;
        let at = self.place(0);
        if Network::of(&head).is_none() {
            let found = std::array::from_fn(|i| head.get(i).copied().unwrap_or_default());
            return Ok(BlocksError::Magic { at, found, keyed: self.key.0.is_some() });
        }
        let Some(&length) = head.last_chunk().filter(|_| head.len() == PREFIX) else {
            return Ok(BlocksError::RecordTruncated { at, needs: PREFIX as u64, left: self.end });
        };
        let claimed = u32::from_le_bytes(length);
        if !(LEAST_BLOCK..=MAX_BLOCK_BYTES as u32).contains(&claimed) {
            return Ok(BlocksError::RecordSize { at, claimed });
        }
        let needs = PREFIX as u64 + u64::from(claimed);
        if needs > self.end {
            return Ok(BlocksError::RecordTruncated { at, needs, left: self.end });
        }
        let bytes = self.read(PREFIX as u64, claimed as usize)?;
        let at = self.place(PREFIX as u64);
        let zeros = |_| BlocksError::Malformed { at: at.clone(), cause: "it is all zeros".into() };
        Ok(decode(&bytes, &at).map_or_else(|error| error, zeros))
    }
}

#[cfg(test)]
mod tests {
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
}
