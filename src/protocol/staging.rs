//! What children read: the module, the blocks and the cache of compiled modules, in one folder per run.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::files;
use crate::workload::Workload;

/// The files of one workload.
#[derive(Clone, Debug)]
pub struct Staged {
    pub module: PathBuf,
    pub trace: PathBuf,
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
/// When a file cannot be written.
pub fn stage(folder: &Path, workload: &Workload) -> Result<Staged> {
    let folder = folder.join(workload.name.replace('/', "-"));
    let cache = folder.join("compiled");
    files::make_folder(&cache)?;
    let staged = Staged { module: folder.join("module.wasm"), trace: folder.join("trace.bin"), cache };
    files::write(&staged.module, &workload.module)?;
    write_trace(&staged.trace, &workload.trace)
        .with_context(|| format!("cannot write {}", staged.trace.display()))?;
    Ok(staged)
}

/// Inputs one after the other, each behind its length as a 32-bit little-endian number.
fn write_trace(path: &Path, trace: &[Arc<[u8]>]) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for input in trace {
        file.write_all(&u32::try_from(input.len())?.to_le_bytes())?;
        file.write_all(input)?;
    }
    Ok(file.flush()?)
}

/// Reads what [`stage`] wrote.
///
/// # Errors
/// When the file cannot be read or is cut short.
pub fn read_trace(path: &Path) -> Result<Vec<Arc<[u8]>>> {
    let bytes = files::read(path)?;
    let mut rest = bytes.as_slice();
    let mut trace = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk() {
        let length = u32::from_le_bytes(*length) as usize;
        let Some((input, tail)) = tail.split_at_checked(length) else {
            bail!("{} is cut short in block {}", path.display(), trace.len());
        };
        trace.push(input.into());
        rest = tail;
    }
    Ok(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_share_files_and_no_artifacts() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("compiled");
        let own = Staged { module: "module.wasm".into(), trace: "trace.bin".into(), cache };
        let other = own.of_build("other").unwrap();
        assert_eq!((&other.module, &other.trace), (&own.module, &own.trace));
        assert!(other.cache.is_dir() && other.cache != own.cache);
        assert_ne!(other.cache, own.of_build("third").unwrap().cache);
    }
}
