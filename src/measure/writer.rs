//! `rows.ndjson`, written line by line while the run goes on, so that an interrupted run keeps what it has.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::row::Row;

/// Appends rows to a file, each as it comes.
#[derive(Debug)]
pub struct RowWriter {
    path: PathBuf,
    file: File,
}

impl RowWriter {
    /// Makes the file, which must not exist.
    ///
    /// # Errors
    /// When it exists or cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let file = new(path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Goes on behind the rows of a file, which is made where there is none. Half a line, as an interrupted writer leaves it,
    /// is cut off: behind it no row could be read.
    ///
    /// # Errors
    /// When it cannot be opened, read or written.
    pub fn append(path: &Path) -> Result<Self> {
        let open = || -> io::Result<File> {
            let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
            let mut text = Vec::new();
            file.read_to_end(&mut text)?;
            let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
            file.set_len(whole as u64)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        let file = open().with_context(|| format!("cannot go on writing to {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Writes a row.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn write(&mut self, row: &Row) -> Result<()> {
        let mut line = serde_json::to_vec(row)?;
        line.push(b'\n');
        self.file.write_all(&line).with_context(|| format!("cannot write to {}", self.path.display()))?;
        self.keep()
    }

    /// Writes rows, one after the other.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_all(&mut self, rows: impl IntoIterator<Item = Row>) -> Result<()> {
        rows.into_iter().try_for_each(|row| self.write(&row))
    }

    /// Brings the rows back where somebody has removed the file, with its folder or alone: it can be read for as long as
    /// it is open.
    ///
    /// # Errors
    /// When they cannot be written anew.
    pub fn keep(&mut self) -> Result<()> {
        let restored = || -> io::Result<Option<File>> {
            if self.file.metadata()?.nlink() > 0 {
                return Ok(None);
            }
            if let Some(folder) = self.path.parent() {
                fs::create_dir_all(folder)?;
            }
            let mut file = new(&self.path)?;
            (&self.file).rewind()?;
            io::copy(&mut &self.file, &mut file)?;
            Ok(Some(file))
        };
        let name = self.path.display();
        if let Some(file) =
            restored().with_context(|| format!("{name} was removed, and cannot be written anew"))?
        {
            eprintln!("{name} was removed during the run: its rows are written anew");
            self.file = file;
        }
        Ok(())
    }
}

/// A file to write and to read again.
fn new(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create_new(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_is_cut_off_before_others_are_written_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.ndjson");
        let row = |launch| Row { launch, ..Row::default() };
        RowWriter::create(&path).unwrap().write(&row(0)).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, whole.clone() + &whole[..whole.len() / 2]).unwrap();
        RowWriter::append(&path).unwrap().write(&row(1)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(&whole), "{text}");
        let launches = text.lines().map(|line| serde_json::from_str::<Row>(line).unwrap().launch);
        assert_eq!(launches.collect::<Vec<_>>(), [0, 1]);
    }
}
