//! Blocks from the user's files.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::chain::{self, Ordered, Origin};
use super::error::BlocksError;
use super::record::Record;
use super::source::{Kind, Reader, Source, Sources};
use super::trace::{Collector, Trace};

/// The most blocks that may turn out to be damaged when they are decoded: each costs another ordering of all.
const MOST_DAMAGED: usize = 100;

/// Reads the blocks of a file or a folder.
///
/// What a file is, its content tells: a file named `blk*.dat`, or one that begins with a network's magic
/// (such as `bootstrap.dat`), is Bitcoin Core's; one that begins as text is hex, or JSON with hex in it; any other is
/// one raw block, consensus-serialised. In a hex file, a line of 162 digits or more is a block of its own, with or
/// without `0x`; when the first line is shorter, the file is one block wrapped over lines. White space does not matter
/// otherwise. Each may be packed with gzip, zstd or xz.
///
/// A folder is read without its sub-folders, its files in natural order of their names (`2.bin` before
/// `10.bin`); of Bitcoin Core's data folder, `blocks` is read. Skipped without a word are hidden files and what else lies
/// in Bitcoin Core's blocks folder (`xor.dat`, `rev*.dat`, `index`); skipped with a note are other sub-folders, `README*`
/// and `*.md`. Whatever else is no block is an error that names the file, because a trace that is shorter than it looks
/// is worse than a file to move away.
///
/// Blocks are put in the order of their chain, without stale ones, and get the heights that their coinbases state
/// (BIP 34). Where no block states one, they are counted from `start_height`, or from 0. Where some do, the trace begins at
/// the block of height `start_height`; if none has it, the first block is given it on purpose, with a note. Raw and hex
/// blocks that fit into no chain keep the order of the files and of the blocks in them.
///
/// Bitcoin Core's files are unscrambled with the `xor.dat` beside them. As Core does, what is no record is passed over, with
/// a note.
///
/// At most `limit` blocks are read, the lowest; of others only the beginnings. Every block that is returned has been
/// decoded to its last byte; what its scripts and amounts say is not checked. Memory: the blocks returned, one more in
/// decoded form, and a few hundred bytes for each block in the files.
///
/// # Errors
///
/// Whatever is missing, unreadable, or not made of blocks. The [`BlocksError`] names the place and the
/// remedy.
pub fn read(path: &Path, start_height: Option<u32>, limit: Option<usize>) -> Result<Trace, BlocksError> {
    let mut notes = Vec::new();
    let files = given(path, &mut notes)?;
    let files = files.into_iter().map(Source::of).collect::<Result<Vec<_>, _>>()?;
    let core = files.iter().find(|file| file.kind == Kind::Core);
    let other = files.iter().find(|file| file.kind != Kind::Core);
    if let (Some(core), Some(other)) = (core, other) {
        return Err(BlocksError::Mixed { core: core.path.clone(), other: other.path.clone() });
    }
    let origin = if core.is_some() { Origin::Node } else { Origin::User };
    let sources = Sources::new(files)?;
    let mut records = sources.index(&mut notes)?;
    for damaged in 0.. {
        let ordered = chain::order(&records, start_height, origin);
        match fill(&sources, &records, &ordered, limit) {
            Ok(trace) => {
                notes.extend(ordered.notes);
                return Ok(trace.finish(notes));
            }
            // Of a node's blocks, whole records are known by their beginnings only.
            Err((Some(record), error))
                if origin == Origin::Node && damaged < MOST_DAMAGED && records.len() > 1 =>
            {
                notes.push(format!("passed over a damaged block: {error}"));
                records.remove(record);
            }
            Err((_, error)) => return Err(error),
        }
    }
    unreachable!("there is always a next attempt")
}

/// Reads the blocks that were picked. An error comes with the record that is no block, if it is about one.
fn fill(
    sources: &Sources,
    records: &[Record],
    ordered: &Ordered,
    limit: Option<usize>,
) -> Result<Collector, (Option<usize>, BlocksError)> {
    let mut trace = Collector::new(ordered.known, ordered.picks.len(), limit);
    let picks = &ordered.picks[..ordered.picks.len().min(limit.unwrap_or(usize::MAX))];
    let mut reader = Reader::new(sources, picks.iter().map(|&(_, i)| &records[i]));
    for &(height, i) in picks {
        let (bytes, at, record) = reader.read(&records[i]).map_err(|error| (None, error))?;
        trace.push(bytes, height, &at, record).map_err(|error| (Some(i), error))?;
    }
    match ordered.beyond.filter(|_| !trace.is_full()) {
        Some(i) => Err((None, BlocksError::Height { at: reader.place(&records[i]) })),
        None => Ok(trace),
    }
}

/// The file, or the files of a folder.
pub(super) fn given(path: &Path, notes: &mut Vec<String>) -> Result<Vec<PathBuf>, BlocksError> {
    let facts = fs::metadata(path).map_err(|error| BlocksError::io(path, error))?;
    if facts.is_dir() { list(path, notes) } else { Ok(vec![path.to_owned()]) }
}

/// The files of a folder that are to be read, in order.
fn list(folder: &Path, notes: &mut Vec<String>) -> Result<Vec<PathBuf>, BlocksError> {
    // Bitcoin Core's data folder, of which nothing else is a block.
    if folder.join("blocks/blk00000.dat").exists() && !folder.join("blk00000.dat").exists() {
        return list(&folder.join("blocks"), notes);
    }
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
        notes.push(format!("{}: skipped, as sub-folders and read-me files are", path.display()));
    }
    Ok(files)
}

/// Compares names the way people count: runs of digits as numbers, everything else byte by byte. Of names that only differ
/// in leading zeros, such as 1 and 01, bytes decide.
fn natural(a: &OsStr, b: &OsStr) -> Ordering {
    /// Bytes, and the digits of numbers without leading zeros, of which more are more; a digit stands for the byte.
    fn parts(name: &OsStr) -> impl Iterator<Item = (u8, usize, &[u8])> {
        let runs = name.as_bytes().chunk_by(|a, b| a.is_ascii_digit() && b.is_ascii_digit());
        runs.map(|run| {
            let digits = &run[run.iter().take_while(|&&byte| byte == b'0').count()..];
            if run[0].is_ascii_digit() { (b'0', digits.len(), digits) } else { (run[0], 0, &[][..]) }
        })
    }
    parts(a).cmp(parts(b)).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests;
