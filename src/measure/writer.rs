//! `rows.ndjson`, written line by line while the run goes on, so that an interrupted run keeps what it has.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::row::Row;

/// Appends rows to a file, each flushed as it comes.
#[derive(Debug)]
pub struct RowWriter {
    path: PathBuf,
    file: BufWriter<File>,
}

impl RowWriter {
    /// Makes the file, which must not exist.
    ///
    /// # Errors
    /// When it exists or cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create_new(path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file) })
    }

    /// Writes a row.
    ///
    /// # Errors
    /// When the disk is full, or the file went away.
    pub fn write(&mut self, row: &Row) -> Result<()> {
        serde_json::to_writer(&mut self.file, row)
            .map_err(std::io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"))
            .and_then(|()| self.file.flush())
            .with_context(|| format!("cannot write to {}", self.path.display()))
    }
}
