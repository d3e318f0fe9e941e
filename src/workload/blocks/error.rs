//! What can be wrong with the user's block files. Each message names the place, the cause and the remedy.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::super::host::hex;
use super::super::packed;
use super::network::ANY;

/// Takes a block and where it stands, and says whether it wants more.
pub(super) type Take<'a> = &'a mut dyn FnMut(Place, Vec<u8>) -> Result<bool, BlocksError>;

/// Where in the user's files something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub path: PathBuf,
    pub position: Position,
}

/// Where in a file something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The file as a whole.
    Whole,
    /// Bytes from the beginning of the file, from 0.
    Byte(u64),
    /// A line of text, from 1.
    Line(usize),
    /// A block of several, from 1.
    Item(usize),
}

impl Position {
    pub(super) fn of(self, path: &Path) -> Place {
        Place { path: path.to_owned(), position: self }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.position {
            Position::Whole => write!(f, "{path}"),
            Position::Byte(offset) => write!(f, "{path}, byte {offset}"),
            Position::Line(line) => write!(f, "{path}, line {line}"),
            Position::Item(number) => write!(f, "{path}, block {number}"),
        }
    }
}

/// Why blocks could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlocksError {
    #[error("{}: no such file or folder; check the path", path.display())]
    Missing { path: PathBuf },
    #[error(
        "{}: no permission to read it; Bitcoin Core keeps its files to the user it runs as, so run as that \
         user or make a copy readable with `chmod -R u+rX`",
        path.display()
    )]
    Denied { path: PathBuf },
    #[error("{}: cannot be read: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: io::Error },
    #[error("{}: neither a file nor a folder; write the blocks to a file first", path.display())]
    NotAFile { path: PathBuf },
    #[error(
        "{}: the folder holds no block file; put raw (.bin, .raw), hex (.hex, .txt) or blk*.dat files in it, packed \
         with gzip, zstd or xz or not",
        path.display()
    )]
    EmptyFolder { path: PathBuf },
    #[error("{}: the file holds no block; fetch it again or remove it", path.display())]
    EmptyFile { path: PathBuf },
    #[error(
        "{}: {what}, which is not read; unpack it, or pack each file with gzip, zstd or xz", path.display()
    )]
    Archive { path: PathBuf, what: &'static str },
    #[error("{}: it has or unpacks to more than {} MiB, the most that is read; unpack and split it", path.display(), limit >> 20)]
    Beyond { path: PathBuf, limit: u64 },
    #[error("{}: not JSON: {cause}; fetch it again, or remove it if it holds no block", path.display())]
    Json { path: PathBuf, cause: String },
    #[error(
        "{}: JSON without a block: what is read is its hex, as a string or in one of {members}; \
         `bitcoin-cli getblock HASH 0` prints it",
        path.display()
    )]
    JsonWithout { path: PathBuf, members: String },
    #[error(
        "{}: a Bitcoin Core block file beside {}, which is none; keep them in separate folders, because \
         blk*.dat files are put in the order of their chain and other files in the order of their names",
        core.display(),
        other.display()
    )]
    Mixed { core: PathBuf, other: PathBuf },
    #[error(
        "{at}: not a Bitcoin block: it ends after {bytes} bytes, in the middle of {}; fetch it again, or remove \
         the file if it is no block",
        if *bytes < 80 { "the 80-byte header" } else { "the transactions" }
    )]
    Truncated { at: Place, bytes: usize },
    #[error("{at}: a block of {block} bytes, then {extra} more; split them: one block per raw file or line")]
    Trailing { at: Place, block: usize, extra: usize },
    #[error("{at}: not a Bitcoin block: {cause}; fetch it again, or remove the file if it is no block")]
    Malformed { at: Place, cause: String },
    #[error(
        "{at}: {bytes} bytes or more, which no block has (4,000,000 at most); remove it if it is no block file"
    )]
    TooLarge { at: Place, bytes: u64 },
    #[error(
        "{at}: {found:?} (column {column}) is no hex digit; hex files hold hex digits and white space \
         only, with or without 0x before a block, so remove the rest, or the file if it holds no block"
    )]
    NotHex { at: Place, column: usize, found: char },
    #[error(
        "{at}: an odd number of hex digits ({digits}); the last one may be cut off, so fetch the block again"
    )]
    OddHex { at: Place, digits: usize },
    #[error(
        "{at}: found no block: no magic of {ANY} is in the file, which begins with {}; {}",
        hex(found),
        if *keyed { "copy the xor.dat of the folder that this file comes from, the one here does not fit" }
        else { "Bitcoin Core 28 and later scramble block files: put their folder's xor.dat beside this file" }
    )]
    Magic { at: Place, found: [u8; 4], keyed: bool },
    #[error(
        "{at}: these are {chain} blocks, not Bitcoin's; indexers of Bitcoin are measured on Bitcoin's blocks"
    )]
    OtherChain { at: Place, chain: &'static str },
    #[error("{at}: blocks of {found} beside those of {expected}; keep them in separate folders")]
    OtherNetwork { at: Place, found: String, expected: String },
    #[error(
        "{at}: the record claims a block of {claimed} bytes, and a block has 81 to 4,000,000; the file is \
         damaged here, so fetch it again or rebuild it with `bitcoind -reindex`"
    )]
    RecordSize { at: Place, claimed: u32 },
    #[error(
        "{at}: the record needs {needs} bytes and the file ends after {left} of them; copy the file again, \
         with the node stopped"
    )]
    RecordTruncated { at: Place, needs: u64, left: u64 },
    #[error("{}: a key of {bytes} bytes, not Bitcoin Core's 8; copy the xor.dat again", path.display())]
    XorKey { path: PathBuf, bytes: u64 },
    #[error("{at}: its height would be above 4,294,967,295; start at a lower height")]
    Height { at: Place },
}

impl BlocksError {
    /// What an I/O error on `path` means.
    pub(super) fn io(path: &Path, cause: io::Error) -> Self {
        let path = path.to_owned();
        match cause.kind() {
            io::ErrorKind::NotFound => BlocksError::Missing { path },
            io::ErrorKind::PermissionDenied => BlocksError::Denied { path },
            _ => match packed::limit_of(&cause) {
                Some(limit) => BlocksError::Beyond { path, limit },
                None => BlocksError::Unreadable { path, cause },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_errors_by_kind() {
        let path = Path::new("a/b.bin");
        let error = |kind| BlocksError::io(path, io::Error::from(kind));
        assert!(matches!(error(io::ErrorKind::NotFound), BlocksError::Missing { .. }));
        assert!(matches!(error(io::ErrorKind::PermissionDenied), BlocksError::Denied { .. }));
        assert!(matches!(error(io::ErrorKind::Interrupted), BlocksError::Unreadable { .. }));
    }

    #[test]
    fn messages_name_the_place_the_cause_and_the_remedy() {
        let path = Path::new("a/b.bin");
        let told = |error: BlocksError| error.to_string();
        assert_eq!(
            told(BlocksError::io(path, io::ErrorKind::NotFound.into())),
            "a/b.bin: no such file or folder; check the path"
        );
        let denied = told(BlocksError::io(path, io::ErrorKind::PermissionDenied.into()));
        assert!(denied.contains("no permission") && denied.contains("chmod"), "{denied}");
        let truncated = told(BlocksError::Truncated { at: Position::Line(3).of(path), bytes: 79 });
        assert!(
            truncated.starts_with("a/b.bin, line 3: ") && truncated.contains("80-byte header"),
            "{truncated}"
        );
        let magic = |keyed| {
            told(BlocksError::Magic { at: Position::Byte(8).of(path), found: [0, 1, 0xab, 0xff], keyed })
        };
        assert!(magic(false).starts_with("a/b.bin, byte 8: found no block: no magic of mainnet"));
        assert!(magic(false).contains("begins with 0001abff"));
        assert!(magic(false).contains("xor.dat beside this file") && magic(true).contains("does not fit"));
    }
}
