//! What every verb that starts children has at hand, and the folder that it writes into.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::folder;
use super::program::Program;
use crate::files;
use crate::machine::pinning::Pinning;
use crate::measure::writer::RowWriter;
use crate::progress::Progress;

/// The exit code of what was stopped by Ctrl-C, as shells have it.
pub const INTERRUPTED: u8 = 130;

/// Where children come from, what is said meanwhile, and whether to go on.
#[derive(Debug)]
pub struct Stage {
    /// This program, to be started as children.
    pub binary: Program,
    /// Where children find their files; it goes when this is dropped.
    pub staging: TempDir,
    pub progress: Progress,
    /// The CPUs on which contenders are timed.
    pub pinning: Pinning,
    /// Set by Ctrl-C.
    pub interrupted: Arc<AtomicBool>,
}

impl Stage {
    /// A stage for the program at a path, that says nothing and that nobody interrupts.
    ///
    /// # Errors
    /// When there is no such program, or no room for the children's files.
    pub fn silent(binary: impl AsRef<Path>) -> Result<Self> {
        Self::of(Program::open(binary.as_ref())?)
    }

    /// The same for this program.
    ///
    /// # Errors
    /// When it cannot be found, or there is no room for the children's files.
    pub fn own() -> Result<Self> {
        Self::of(Program::own()?)
    }

    fn of(binary: Program) -> Result<Self> {
        let staging = folder::staging()?;
        let pinning = Pinning::of_this_machine();
        Ok(Self { binary, staging, progress: Progress::Quiet, pinning, interrupted: Arc::default() })
    }

    /// A stage that the first Ctrl-C ends in order; a second one ends the program at once.
    ///
    /// # Errors
    /// When there is no room for the children's files, or this program cannot be found.
    pub fn new(quiet: bool) -> Result<Self> {
        let stage = Self::own()?;
        let interrupted = stage.interrupted.clone();
        ctrlc::set_handler(move || {
            if interrupted.swap(true, Ordering::Relaxed) {
                std::process::exit(INTERRUPTED.into());
            }
            eprintln!("\nstopping after this step; Ctrl-C again to stop at once");
        })
        .context("cannot watch for Ctrl-C")?;
        Ok(Self { progress: Progress::new(quiet), ..stage })
    }

    /// Whether the user wants it to end.
    pub fn stopped(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

/// The folder of a run.
#[derive(Debug)]
pub struct Results {
    pub folder: PathBuf,
    /// The run's name, in every row.
    pub run: String,
    pub rows: RowWriter,
}

impl Results {
    /// Makes the folder that is asked for, or one beside it where that name is in use, and `rows.ndjson` in it.
    ///
    /// # Errors
    /// When either cannot be made.
    pub fn new(asked: Option<&Path>) -> Result<Self> {
        let folder = folder::fresh(&folder::wanted(asked))?;
        let run = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let rows = RowWriter::create(&folder.join("rows.ndjson"))?;
        Ok(Self { folder, run, rows })
    }

    /// Goes on in a folder that may hold rows already.
    ///
    /// # Errors
    /// When it cannot be made, or its rows cannot be written to.
    pub fn onwards(folder: PathBuf, run: String) -> Result<Self> {
        files::make_folder(&folder)?;
        let rows = RowWriter::append(&folder.join("rows.ndjson"))?;
        Ok(Self { folder, run, rows })
    }
}
