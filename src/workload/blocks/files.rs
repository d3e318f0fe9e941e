//! Blocks from the user's files.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::blk::{self, Key, Reader, Source};
use super::error::{BlocksError, Place};
use super::trace::{Collector, Trace};
use super::{MAX_BLOCK_BYTES, chain, hex};

/// Reads the blocks of a file or a folder.
///
/// What a file is, its content tells: a file named `blk*.dat`, or one that begins with a network's magic
/// (such as `bootstrap.dat`), is Bitcoin Core's; one that begins as text is hex; any other is one raw block,
/// consensus-serialised. In a hex file, a line of 162 digits or more is a block of its own; when the first
/// line is shorter, the file is one block wrapped over lines. White space does not matter otherwise.
///
/// A folder is read without its sub-folders, its files in natural order of their names (`2.bin` before
/// `10.bin`). Skipped without a word are hidden files and what else lies in Bitcoin Core's blocks folder
/// (`xor.dat`, `rev*.dat`, `index`); skipped with a note are other sub-folders, `README*` and `*.md`.
/// Whatever else is no block is an error that names the file, because a trace that is shorter than it looks
/// is worse than a file to move away.
///
/// Raw and hex blocks get ascending heights from `start_height` on, in the order of the files and of the
/// blocks in them; where a coinbase states another height (BIP 34), a note tells. The blocks of Bitcoin
/// Core's files are unscrambled with the `xor.dat` beside them, put in the order of their chain, without
/// stale ones, and get the heights that their coinbases state or else, for blocks from before BIP 34, heights
/// from `start_height` on.
///
/// At most `limit` blocks are read, the lowest; later raw and hex blocks are not looked at, of Bitcoin Core's
/// only the headers. Every block that is returned has been decoded to its last byte; what its scripts and
/// amounts say is not checked. Memory: the blocks returned, one more in decoded form, and a few hundred bytes
/// for each block in Bitcoin Core's files.
///
/// # Errors
///
/// Whatever is missing, unreadable, or not made of whole blocks. The [`BlocksError`] names the place and the
/// remedy.
pub fn read(path: &Path, start_height: u32, limit: Option<usize>) -> Result<Trace, BlocksError> {
    let facts = fs::metadata(path).map_err(|error| BlocksError::io(path, error))?;
    let mut trace = Collector::new(start_height, limit);
    let files = if facts.is_dir() { list(path, &mut trace)? } else { vec![path.to_owned()] };
    let mut kinds = Vec::with_capacity(files.len());
    for file in &files {
        kinds.push(Kind::of(file)?);
    }
    let core = kinds.iter().position(|kind| *kind == Kind::Core);
    let other = kinds.iter().position(|kind| *kind != Kind::Core);
    match (core, other) {
        (Some(core), Some(other)) => {
            return Err(BlocksError::Mixed { core: files[core].clone(), other: files[other].clone() });
        }
        (Some(_), None) => read_core(files, start_height, &mut trace)?,
        _ => {
            for (file, kind) in files.iter().zip(kinds) {
                if trace.is_full() {
                    break;
                }
                match kind {
                    Kind::Hex => hex::read(file, &mut trace)?,
                    _ => trace.push_next(read_raw(file)?, &Place::whole(file))?,
                }
            }
        }
    }
    Ok(trace.finish())
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Bitcoin Core's records.
    Core,
    Hex,
    /// One block, or no block at all: decoding tells.
    Raw,
}

impl Kind {
    fn of(path: &Path) -> Result<Self, BlocksError> {
        let failed = |error| BlocksError::io(path, error);
        // Before opening: to open a pipe is to wait for its other end.
        if !fs::metadata(path).map_err(failed)?.is_file() {
            return Err(BlocksError::NotAFile { path: path.to_owned() });
        }
        let mut head = Vec::new();
        File::open(path).and_then(|file| file.take(512).read_to_end(&mut head)).map_err(failed)?;
        if head.is_empty() {
            return Err(BlocksError::EmptyFile { path: path.to_owned() });
        }
        let name = path.file_name().unwrap_or_default();
        Ok(if blk::is_named_so(&name.to_string_lossy()) || blk::network_of(&head).is_some() {
            Kind::Core
        } else if hex::is_text(&head) {
            Kind::Hex
        } else {
            Kind::Raw
        })
    }
}

/// The files of a folder that are to be read, in order.
fn list(folder: &Path, trace: &mut Collector) -> Result<Vec<PathBuf>, BlocksError> {
    let failed = |error| BlocksError::io(folder, error);
    let mut files = Vec::new();
    let mut skipped = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let lower = name.to_lowercase();
        let is_undo = name.starts_with("rev") && name.ends_with(".dat");
        if name.starts_with('.') || is_undo || name == "xor.dat" || name == "index" {
            continue;
        }
        // Follows links: a folder of links to blocks is a good way to choose some.
        let is_folder = fs::metadata(&path).map_err(|error| BlocksError::io(&path, error))?.is_dir();
        if is_folder || lower.starts_with("readme") || lower.ends_with(".md") {
            skipped.push(path);
        } else {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(BlocksError::EmptyFolder { path: folder.to_owned() });
    }
    for paths in [&mut files, &mut skipped] {
        paths.sort_by(|a, b| natural(a.file_name().unwrap_or_default(), b.file_name().unwrap_or_default()));
    }
    for path in skipped {
        trace.note(format!("{}: skipped, as sub-folders and read-me files are", path.display()));
    }
    Ok(files)
}

/// Compares names the way people count: runs of digits as numbers, everything else byte by byte.
fn natural(a: &OsStr, b: &OsStr) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    loop {
        let (Some(x), Some(y)) = (left.first(), right.first()) else {
            // Of names that only differ in leading zeros, such as 1 and 01, neither is a beginning of the
            // other.
            return left.len().cmp(&right.len()).then_with(|| a.cmp(b));
        };
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let ((m, left_rest), (n, right_rest)) = (number(left), number(right));
            let order = m.len().cmp(&n.len()).then(m.cmp(n));
            if order.is_ne() {
                return order;
            }
            (left, right) = (left_rest, right_rest);
        } else {
            if x != y {
                return x.cmp(y);
            }
            (left, right) = (&left[1..], &right[1..]);
        }
    }
}

/// The digits that `text` begins with, without leading zeros, and what follows them.
fn number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    (&digits[zeros..], rest)
}

/// The bytes of a raw block's file.
fn read_raw(path: &Path) -> Result<Vec<u8>, BlocksError> {
    let failed = |error| BlocksError::io(path, error);
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length > MAX_BLOCK_BYTES as u64 {
        return Err(BlocksError::TooLarge { at: Place::whole(path), bytes: length });
    }
    let mut bytes = Vec::with_capacity(length as usize);
    file.take(MAX_BLOCK_BYTES as u64).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Reads Bitcoin Core's files: first all headers, for the order, then the blocks.
fn read_core(files: Vec<PathBuf>, start_height: u32, trace: &mut Collector) -> Result<(), BlocksError> {
    let mut sources = Vec::with_capacity(files.len());
    for path in files {
        let key = Key::beside(&path)?;
        sources.push(Source { path, key });
    }
    let (mut network, mut records) = (None, Vec::new());
    let mut bare = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        let before = records.len();
        blk::index(source, number, &mut network, &mut records)?;
        if records.len() == before {
            bare.push(&source.path);
        }
    }
    for path in bare {
        // A node may have reserved the space for its next file already; with nothing else to read it is a
        // mistake.
        if records.is_empty() {
            return Err(BlocksError::EmptyFile { path: path.clone() });
        }
        trace.note(format!("{}: holds no block yet, only reserved space", path.display()));
    }
    let ordered = chain::order(&records, start_height);
    ordered.notes.into_iter().for_each(|note| trace.note(note));
    let mut reader = Reader::new(&sources);
    for &(height, i) in &ordered.picks {
        if trace.is_full() {
            return Ok(());
        }
        let (bytes, at) = reader.read(&records[i])?;
        trace.push(bytes, height, &at)?;
    }
    match ordered.beyond.filter(|_| !trace.is_full()) {
        Some(i) => Err(BlocksError::Height { at: reader.place(&records[i]) }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
