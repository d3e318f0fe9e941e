//! A file of the user's: what it is, and its blocks one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::PathBuf;

use tempfile::NamedTempFile;

use super::super::packed::{self, Packing};
use super::blk::{self, Blk, Key};
use super::error::{BlocksError, Place, Position, Take};
use super::network::{self, Network};
use super::record::{HEAD, Record};
use super::{MAX_BLOCK_BYTES, text};

/// The most that the files of a trace unpack to, and the most of a text: several of Bitcoin Core's files.
const MOST_BYTES: u64 = 1 << 30;

/// As much of a file as tells what it is: tar archives say so late.
const LOOK: u64 = 512;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Bitcoin Core's records.
    Core,
    /// Hex or JSON.
    Text,
    /// One block, or no block at all: decoding tells.
    Raw,
}

/// A file that may hold blocks.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    packing: Option<Packing>,
}

impl Source {
    /// Looks at the beginning of a file.
    pub(super) fn of(path: PathBuf) -> Result<Self, BlocksError> {
        let failed = |error| BlocksError::io(&path, error);
        // Before opening: to open a pipe is to wait for its other end.
        if !fs::metadata(&path).map_err(failed)?.is_file() {
            return Err(BlocksError::NotAFile { path });
        }
        let look = |bytes: &mut dyn Read| {
            let mut head = Vec::new();
            bytes.take(LOOK).read_to_end(&mut head).map(|_| head)
        };
        let mut head = File::open(&path).and_then(|mut file| look(&mut file)).map_err(failed)?;
        let packing = Packing::of(&head);
        let mut source = Self { path: path.clone(), kind: Kind::Raw, packing };
        if packing.is_some() {
            head = source.bytes(LOOK + 1).and_then(|mut bytes| look(&mut bytes)).map_err(failed)?;
        }
        if head.is_empty() {
            return Err(BlocksError::EmptyFile { path });
        }
        if let Some(what) = packed::archive(&head) {
            return Err(BlocksError::Archive { path, what });
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = if packing.is_some() { Packing::bare(&name) } else { &name };
        let has_magic = Network::of(&head).is_some() || network::other_chain(&head).is_some();
        source.kind = match () {
            () if blk::is_named_so(name) || has_magic => Kind::Core,
            () if text::is_text(&head) => Kind::Text,
            () => Kind::Raw,
        };
        Ok(source)
    }

    /// The bytes, unpacked; more than `limit` of packed ones are an error.
    fn bytes(&self, limit: u64) -> io::Result<Box<dyn Read>> {
        let file = File::open(&self.path)?;
        Ok(match self.packing {
            Some(packing) => packing.unpack(BufReader::new(file), limit)?,
            None => Box::new(file),
        })
    }

    /// Unpacks it to where it can be read from anywhere, and says how long it is.
    fn unpack(&self, limit: u64) -> Result<(NamedTempFile, u64), BlocksError> {
        let copy = || {
            let mut data = NamedTempFile::new()?;
            let length = io::copy(&mut self.bytes(limit)?, &mut data)?;
            Ok((data, length))
        };
        copy().map_err(|error| match packed::limit_of(&error) {
            Some(_) => BlocksError::Beyond { path: self.path.clone(), limit: MOST_BYTES },
            None => BlocksError::io(&self.path, error),
        })
    }

    fn place(&self) -> Place {
        Position::Whole.of(&self.path)
    }

    /// The one block of a raw file, or its first `most` bytes; and how many bytes there are in all.
    fn raw(&self, most: usize) -> Result<(Vec<u8>, u64), BlocksError> {
        let failed = |error| BlocksError::io(&self.path, error);
        let too_large = |bytes| Err(BlocksError::TooLarge { at: self.place(), bytes });
        let mut head = Vec::new();
        let mut bytes = self.bytes(u64::MAX).map_err(failed)?.take(MAX_BLOCK_BYTES as u64 + 1);
        bytes.by_ref().take(most as u64).read_to_end(&mut head).map_err(failed)?;
        let length = match self.packing {
            None => fs::metadata(&self.path).map_err(failed)?.len(),
            Some(_) => head.len() as u64 + io::copy(&mut bytes, &mut io::sink()).map_err(failed)?,
        };
        if length > MAX_BLOCK_BYTES as u64 { too_large(length) } else { Ok((head, length)) }
    }

    /// All bytes, whatever they are.
    pub(super) fn whole(&self) -> Result<Vec<u8>, BlocksError> {
        let beyond = || BlocksError::Beyond { path: self.path.clone(), limit: MOST_BYTES };
        let mut whole = Vec::new();
        let read =
            self.bytes(MOST_BYTES).and_then(|bytes| bytes.take(MOST_BYTES + 1).read_to_end(&mut whole));
        match read {
            Ok(length) if length as u64 > MOST_BYTES => Err(beyond()),
            Ok(_) => Ok(whole),
            Err(error) if packed::limit_of(&error).is_some() => Err(beyond()),
            Err(error) => Err(BlocksError::io(&self.path, error)),
        }
    }

    /// Hands over the blocks of a text one by one, as long as `take` says that it wants more.
    fn text(&self, take: Take) -> Result<(), BlocksError> {
        let bytes = self.bytes(MOST_BYTES).map_err(|error| BlocksError::io(&self.path, error))?;
        text::read(&self.path, bytes, &mut |at, mut bytes| {
            // The hex of a record of Bitcoin Core's, as cut out of its file.
            if Network::of(&bytes).is_some() && bytes.get(4..8).is_some_and(|l| l == length_of(&bytes)) {
                bytes.drain(..8);
            }
            take(at, bytes)
        })
    }
}

/// The length that a record says that its block has, if `record` is all of it.
fn length_of(record: &[u8]) -> [u8; 4] {
    (record.len().saturating_sub(8) as u32).to_le_bytes()
}

/// All files of a trace, in order.
pub(super) struct Sources {
    files: Vec<Source>,
    /// Bitcoin Core's, by their numbers. They are read here and there, so that packed ones are unpacked first.
    unpacked: BTreeMap<usize, NamedTempFile>,
}

impl Sources {
    pub(super) fn new(files: Vec<Source>) -> Result<Self, BlocksError> {
        let (mut unpacked, mut left) = (BTreeMap::new(), MOST_BYTES);
        for (number, file) in files.iter().enumerate() {
            if file.kind == Kind::Core && file.packing.is_some() {
                let (data, length) = file.unpack(left)?;
                left -= length;
                unpacked.insert(number, data);
            }
        }
        Ok(Self { files, unpacked })
    }

    fn blk(&self, number: usize) -> Result<Blk, BlocksError> {
        let path = &self.files[number].path;
        let data = self.unpacked.get(&number).map_or(&**path, NamedTempFile::path);
        Blk::open(path, data, Key::beside(path)?)
    }

    /// Looks at the beginning of every block, and adds a note for each file that is odd.
    pub(super) fn index(&self, notes: &mut Vec<String>) -> Result<Vec<Record>, BlocksError> {
        let (mut network, mut records) = (None, Vec::new());
        let mut bare = Vec::new();
        for (number, file) in self.files.iter().enumerate() {
            let before = records.len();
            match file.kind {
                Kind::Core => notes.extend(self.blk(number)?.index(number, &mut network, &mut records)?),
                Kind::Raw => {
                    let (head, length) = file.raw(HEAD)?;
                    records.push(Record::new(&head, number, 0, length as u32, &file.place())?);
                }
                Kind::Text => {
                    let mut nth = 0;
                    file.text(&mut |at, bytes| {
                        let head = &bytes[..bytes.len().min(HEAD)];
                        records.push(Record::new(head, number, nth, bytes.len() as u32, &at)?);
                        nth += 1;
                        Ok(true)
                    })?;
                }
            }
            if records.len() == before {
                bare.push(&file.path);
            }
        }
        for path in bare {
            // A node may have reserved the space for its next file already; with nothing else to read it is a
            // mistake.
            if records.is_empty() {
                return Err(BlocksError::EmptyFile { path: path.clone() });
            }
            notes.push(format!("{}: holds no whole block", path.display()));
        }
        if let Some(network) = network.filter(|network| Network::of(&network.magic).is_none()) {
            notes.push(format!("these are blocks of {}", network.name));
        }
        Ok(records)
    }
}

/// Reads chosen blocks. Keeps the last file open, because neighbours in the chain are mostly neighbours on
/// disk.
pub(super) struct Reader<'a> {
    sources: &'a Sources,
    /// Which blocks of which texts will be asked for.
    wanted: BTreeMap<usize, BTreeSet<u64>>,
    open: Option<(usize, Open)>,
}

enum Open {
    Core(Blk),
    /// Those blocks of a text that are wanted, by their numbers.
    Text(BTreeMap<u64, (Place, Vec<u8>)>),
}

impl<'a> Reader<'a> {
    pub(super) fn new<'r>(sources: &'a Sources, chosen: impl Iterator<Item = &'r Record>) -> Self {
        let mut wanted: BTreeMap<usize, BTreeSet<u64>> = BTreeMap::new();
        for record in chosen.filter(|record| sources.files[record.source].kind == Kind::Text) {
            wanted.entry(record.source).or_default().insert(record.offset);
        }
        Reader { sources, wanted, open: None }
    }

    /// The place of a block that is not read.
    pub(super) fn place(&self, record: &Record) -> Place {
        let file = &self.sources.files[record.source];
        match file.kind {
            Kind::Core => Position::Byte(record.offset).of(&file.path),
            Kind::Text => Position::Item(record.offset as usize + 1).of(&file.path),
            Kind::Raw => file.place(),
        }
    }

    /// The block's bytes, its place, and whether it is a record of Bitcoin Core's.
    pub(super) fn read(&mut self, record: &Record) -> Result<(Vec<u8>, Place, bool), BlocksError> {
        let number = record.source;
        let file = &self.sources.files[number];
        if file.kind == Kind::Raw {
            return Ok((file.raw(MAX_BLOCK_BYTES)?.0, file.place(), false));
        }
        let mut open = match self.open.take() {
            Some((last, open)) if last == number => open,
            _ if file.kind == Kind::Core => Open::Core(self.sources.blk(number)?),
            _ => Open::Text(self.wanted_of(number)?),
        };
        let found = match &mut open {
            Open::Core(blk) => (blk.block(record)?, blk.place(record.offset), true),
            Open::Text(blocks) => {
                // It changed since it was looked at.
                let missing = || BlocksError::EmptyFile { path: file.path.clone() };
                let (at, bytes) = blocks.remove(&record.offset).ok_or_else(missing)?;
                (bytes, at, false)
            }
        };
        self.open = Some((number, open));
        Ok(found)
    }

    /// Reads a text again for the blocks that are wanted and not had yet.
    fn wanted_of(&mut self, number: usize) -> Result<BTreeMap<u64, (Place, Vec<u8>)>, BlocksError> {
        let wanted = self.wanted.get(&number).cloned().unwrap_or_default();
        let (mut nth, mut blocks) = (0, BTreeMap::new());
        self.sources.files[number].text(&mut |at, bytes| {
            if wanted.contains(&nth) {
                blocks.insert(nth, (at, bytes));
            }
            nth += 1;
            Ok(blocks.len() < wanted.len())
        })?;
        Ok(blocks)
    }
}
