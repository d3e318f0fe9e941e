//! What children read: the module, the blocks, what fills the store, and the cache of compiled modules, in one folder per run.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::files;
use crate::workload::Workload;
use crate::workload::host::{Base, Entries};

/// The files of one workload.
#[derive(Clone, Debug)]
pub struct Staged {
    pub module: PathBuf,
    pub trace: PathBuf,
    /// What indexing has stored, where that comes before the inputs.
    pub filled: Option<PathBuf>,
    /// The blocks that were indexed for that.
    pub blocks: Option<PathBuf>,
    pub cache: PathBuf,
}

impl Staged {
    /// The same files for another build, with a folder of its own for what that compiles: an artifact is of one wasmtime and
    /// one compiler, and no name of its own tells it from another one's.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn of_build(&self, build: &str) -> Result<Self> {
        let mut cache = self.cache.clone().into_os_string();
        cache.push(format!("@{build}"));
        let cache = PathBuf::from(cache);
        files::make_folder(&cache)?;
        Ok(Self { cache, ..self.clone() })
    }
}

/// Writes a workload's files into `folder`.
///
/// # Errors
/// When a file cannot be written, or the store not be filled.
pub fn stage(folder: &Path, workload: &Workload) -> Result<Staged> {
    let folder = folder.join(workload.name.replace('/', "-"));
    let cache = folder.join("compiled");
    files::make_folder(&cache)?;
    let filled = workload.filled.as_ref().map(|filled| {
        let path = folder.join("filled.bin");
        let base = filled.base()?;
        write_store(&path, &base)?;
        anyhow::Ok(path)
    });
    let blocks = workload.filled.as_ref().map(|filled| {
        let path = folder.join("blocks.bin");
        write_parts(&path, filled.blocks())?;
        anyhow::Ok(path)
    });
    let staged = Staged {
        module: folder.join("module.wasm"),
        trace: folder.join("trace.bin"),
        filled: filled.transpose()?,
        blocks: blocks.transpose()?,
        cache,
    };
    files::write(&staged.module, &workload.module)?;
    write_parts(&staged.trace, workload.trace.iter().map(|input| &**input))?;
    Ok(staged)
}

/// Byte strings one after the other, each behind its length as a 32-bit little-endian number.
fn write_parts<'a>(path: &Path, parts: impl Iterator<Item = &'a [u8]>) -> Result<()> {
    let write = || {
        let mut file = BufWriter::new(File::create(path)?);
        for part in parts {
            file.write_all(&u32::try_from(part.len())?.to_le_bytes())?;
            file.write_all(part)?;
        }
        anyhow::Ok(file.flush()?)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Keys and values in turn.
fn write_store(path: &Path, base: &Base) -> Result<()> {
    write_parts(path, base.iter().flat_map(|(key, value)| [key, value]))
}

/// Reads the blocks that [`stage`] wrote.
///
/// # Errors
/// When the file cannot be read or is cut short.
pub fn read_trace(path: &Path) -> Result<Vec<Arc<[u8]>>> {
    read_parts(path, "block")
}

/// Reads what the store begins with, as [`stage`] wrote it.
///
/// # Errors
/// When the file cannot be read or is cut short.
pub fn read_store(path: &Path) -> Result<Entries> {
    let mut parts = read_parts::<Box<[u8]>>(path, "part")?.into_iter();
    let mut entries = Entries::with_capacity(parts.len() / 2);
    while let Some(key) = parts.next() {
        let value = parts.next().with_context(|| format!("{} is cut short after a key", path.display()))?;
        entries.insert(key, value);
    }
    Ok(entries)
}

fn read_parts<T: for<'a> From<&'a [u8]>>(path: &Path, called: &str) -> Result<Vec<T>> {
    let bytes = files::read(path)?;
    let mut rest = bytes.as_slice();
    let mut parts = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk() {
        let length = u32::from_le_bytes(*length) as usize;
        let Some((part, tail)) = tail.split_at_checked(length) else {
            bail!("{} is cut short in {called} {}", path.display(), parts.len());
        };
        parts.push(part.into());
        rest = tail;
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_share_files_and_no_artifacts() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("compiled");
        let own = Staged {
            module: "module.wasm".into(),
            trace: "trace.bin".into(),
            filled: None,
            blocks: None,
            cache,
        };
        let other = own.of_build("other").unwrap();
        assert_eq!((&other.module, &other.trace), (&own.module, &own.trace));
        assert!(other.cache.is_dir() && other.cache != own.cache);
        assert_ne!(other.cache, own.of_build("third").unwrap().cache);
    }

    #[test]
    fn a_store_is_read_as_it_was_written() {
        let entry = |key: &[u8], value: &[u8]| (Box::from(key), Box::from(value));
        let entries = Entries::from([entry(b"key", b"value"), entry(b"", b"x"), entry(b"spent", b"")]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("filled.bin");
        write_store(&path, &Base::new(entries.clone())).unwrap();
        assert_eq!(read_store(&path).unwrap(), entries);
        files::write(&path, [1, 0, 0, 0, b'k']).unwrap();
        assert!(read_store(&path).unwrap_err().to_string().ends_with("is cut short after a key"));
    }
}
