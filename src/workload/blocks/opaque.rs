//! Files that are blocks as they are, whatever is in them.

use std::path::Path;
use std::sync::Arc;

use super::error::BlocksError;
use super::files;
use super::source::Source;
use super::{Block, Trace};

/// Reads a file, or the files of a folder in the natural order of their names, each as one block: its bytes, unpacked where they are
/// packed with gzip, zstd or xz. At most `limit` of them. What is skipped in a folder, and what is an error, is as with
/// [`read`](super::read).
///
/// # Errors
/// Whatever is missing, unreadable, empty, an archive, or larger than a gibibyte.
pub fn as_they_are(path: &Path, limit: usize) -> Result<Trace, BlocksError> {
    let mut notes = Vec::new();
    let files = files::given(path, &mut notes)?;
    let found = files.len();
    let block = |(height, path)| {
        let bytes = Source::of(path)?.whole()?;
        Ok(Block { height, bytes: Arc::from(bytes) })
    };
    let blocks = (0..).zip(files).take(limit).map(block).collect::<Result<_, BlocksError>>()?;
    Ok(Trace { blocks, known: None, found, notes })
}
