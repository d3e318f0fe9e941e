//! `report`: tables and figures from saved files alone.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::analyse::{self, SEED, rows_file, summary::Summary};
use crate::cli::ReportArgs;
use crate::launch::record::Record;
use crate::measure::row::Row;
use crate::present::{report, table, view::Group};

/// Draws a run again.
///
/// # Errors
/// When a file of the run is missing or malformed, or the folder cannot be written.
pub fn run(args: &ReportArgs) -> Result<ExitCode> {
    let run = Files::read(&args.folder)?;
    let written = run.present(&args.folder)?;
    print!("{}", run.tables());
    eprintln!("{} files in {}", written.len(), args.folder.display());
    Ok(ExitCode::SUCCESS)
}

/// What a run left on disk, and what follows from it.
#[derive(Debug)]
pub struct Files {
    record: Record,
    rows: Vec<Row>,
    /// What the rows say.
    pub summary: Summary,
}

impl Files {
    /// Reads `run.json` and `rows.ndjson`, and summarises the rows.
    ///
    /// # Errors
    /// When a file is missing or malformed.
    pub fn read(folder: &Path) -> Result<Self> {
        let record = Record::read(&folder.join("run.json"))?;
        let file = rows_file::read(&folder.join("rows.ndjson"))?;
        let contenders = || record.strategies.iter();
        let facts = analyse::Facts {
            run: record.run.clone(),
            baseline: record.baseline.clone(),
            contenders: contenders().map(|strategy| strategy.name.clone()).collect(),
            controls: contenders().filter(|s| s.control).map(|s| s.name.clone()).collect(),
            floor: record.floor.clone(),
            seed: SEED,
        };
        let mut summary = analyse::summarise(&file.rows, &facts)?;
        summary.notes.extend(file.notes);
        Ok(Self { record, rows: file.rows, summary })
    }

    /// Writes `summary.json` and the report.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn present(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let path = folder.join("summary.json");
        let text = serde_json::to_string_pretty(&self.summary)? + "\n";
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        let mut written = report::write(folder, &self.facts(), &self.summary, &self.rows)
            .with_context(|| format!("cannot draw the report in {}", folder.display()))?;
        written.insert(0, path);
        Ok(written)
    }

    /// The tables, for a terminal.
    pub fn tables(&self) -> String {
        table::tables(&Group::all(&self.summary), table::Options::for_stdout())
    }

    fn facts(&self) -> report::Facts {
        let record = &self.record;
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
