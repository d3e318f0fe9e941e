//! `report`: tables and figures from saved files alone.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::analyse::{saved::Saved, summary::Summary};
use crate::cli::ReportArgs;
use crate::present::{landscape, report, table, view::Group};

/// Draws a run again.
///
/// # Errors
/// When a file of the run is missing or malformed, or the folder cannot be written.
pub fn run(args: &ReportArgs) -> Result<ExitCode> {
    let run = Files::read(&args.folder)?;
    let written = run.present(&args.folder)?;
    print!("{}", run.tables()?);
    if !args.quiet {
        eprintln!("{} files in {}", written.len(), args.folder.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// What a run left on disk, to be presented.
#[derive(Debug)]
pub struct Files {
    saved: Saved,
}

impl Files {
    /// Reads the folder of a run.
    ///
    /// # Errors
    /// When a file is missing or malformed.
    pub fn read(folder: &Path) -> Result<Self> {
        Ok(Self { saved: Saved::read(folder)? })
    }

    /// What the rows say.
    pub fn summary(&self) -> &Summary {
        &self.saved.summary
    }

    /// Writes `summary.json` and the report.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn present(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let path = folder.join("summary.json");
        let text = serde_json::to_string_pretty(self.summary())? + "\n";
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        let mut written = report::write(folder, &self.facts(), self.summary(), &self.saved.rows)
            .with_context(|| format!("cannot draw the report in {}", folder.display()))?;
        written.insert(0, path);
        if let Some(landscape) = self.saved.landscape()? {
            let path = folder.join("landscape.json");
            let text = serde_json::to_string_pretty(&landscape)? + "\n";
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            written.push(path);
        }
        Ok(written)
    }

    /// The tables, for a terminal; a landscape has too many of them, and is told by its slices.
    ///
    /// # Errors
    /// When the rows are unfit.
    pub fn tables(&self) -> Result<String> {
        Ok(match self.saved.landscape()? {
            Some(landscape) => landscape::text(&landscape),
            None => table::tables(&Group::all(self.summary()), table::Options::for_stdout()),
        })
    }

    fn facts(&self) -> report::Facts {
        let record = &self.saved.record;
        let line = |name: &str, text: String| (name.to_owned(), text);
        report::Facts {
            title: "Resetting a WebAssembly instance between blocks".into(),
            run: record.run.clone(),
            started: record.started.clone(),
            profile: serde_json::to_value(record.profile)
                .ok()
                .and_then(|profile| profile.as_str().map(str::to_owned))
                .unwrap_or_default(),
            command: record.command.clone(),
            machine: vec![
                line("machine", record.machine.sentence()),
                line("noise", record.noise.sentence()),
                line("wasmtime", record.wasmtime.clone()),
                line("seed", record.seed.to_string()),
            ],
            strategies: record
                .strategies
                .iter()
                .map(|strategy| (strategy.name.clone(), strategy.configuration.clone()))
                .collect(),
            interrupted: record.interrupted,
        }
    }
}
