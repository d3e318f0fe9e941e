//! `report`: tables and figures from saved files alone.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;

use crate::analyse::summary::Summary;
use crate::claims::report::Checked;
use crate::cli::ReportArgs;
use crate::determinism::Cell;
use crate::launch::saved::Saved;
use crate::policies::report as policies;
use crate::present::book::{Facts, Material, Terrain};
use crate::present::{landscape, report, table, view::Group};
use crate::{claims, determinism, startup};

/// Draws a run again.
///
/// # Errors
/// When a file of the run is missing or malformed, or the folder cannot be written.
pub fn run(args: &ReportArgs) -> Result<ExitCode> {
    let run = Files::read(&args.folder)?;
    let written = run.present(&args.folder)?;
    print!("{}", run.tables()?);
    if args.explain {
        print!("{}", run.explanation());
    }
    if !args.quiet {
        eprintln!("{} files in {}", written.len(), args.folder.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// What a run left on disk, to be presented.
#[derive(Debug)]
pub struct Files {
    saved: Saved,
    /// The landscape that was measured into `landscape/`.
    landscape: Option<Saved>,
    startup: Option<startup::report::Report>,
    determinism: Vec<Cell>,
    claims: Vec<Checked>,
    policies: Vec<policies::Cell>,
}

impl Files {
    /// Reads the folder of a run.
    ///
    /// # Errors
    /// When a file is missing or malformed.
    pub fn read(folder: &Path) -> Result<Self> {
        let determinism: Option<determinism::report::Report> = beside(&folder.join("determinism.json"))?;
        let claims: Option<claims::report::Report> = beside(&folder.join("claims.json"))?;
        let landscape = folder.join("landscape");
        let policies: Option<policies::Report> = beside(&folder.join("policies.json"))?;
        Ok(Self {
            saved: Saved::read(folder)?,
            landscape: landscape.join("run.json").exists().then(|| Saved::read(&landscape)).transpose()?,
            startup: beside(&folder.join("startup.json"))?,
            determinism: determinism.map(|report| report.cells).unwrap_or_default(),
            claims: claims.map(|report| report.claims).unwrap_or_default(),
            policies: policies.map(|report| report.cells).unwrap_or_default(),
        })
    }

    /// What the rows say.
    pub fn summary(&self) -> &Summary {
        &self.saved.summary
    }

    /// How each strategy that adapts has done so, a line each.
    pub fn explanation(&self) -> String {
        let mut lines = String::new();
        for group in Group::all(self.summary()) {
            for (cell, learned) in group.cells.iter().filter_map(|cell| Some((cell, cell.learned()?))) {
                lines += &format!("\n{} on {} {learned}.\n", cell.name(), group.title());
            }
        }
        lines
    }

    /// Writes `summary.json` and the report.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn present(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let path = folder.join("summary.json");
        let text = serde_json::to_string_pretty(self.summary())? + "\n";
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        let landscape = self.saved.landscape()?;
        let own =
            landscape.as_ref().map(|landscape| Terrain { landscape, summary: self.summary(), beside: None });
        let beside = match &self.landscape {
            Some(saved) => saved.landscape()?.map(|landscape| (saved, facts(saved), landscape)),
            None => None,
        };
        let beside = beside.as_ref().map(|(saved, facts, landscape)| Terrain {
            landscape,
            summary: &saved.summary,
            beside: Some(facts),
        });
        let material = Material {
            facts: &facts(&self.saved),
            summary: self.summary(),
            rows: &self.saved.rows,
            distributions: &self.saved.distributions()?,
            landscape: own.or(beside),
            startup: self.startup.as_ref(),
            determinism: &self.determinism,
            claims: &self.claims,
            policies: &self.policies,
        };
        let mut written = report::write(folder, material)
            .with_context(|| format!("cannot draw the report in {}", folder.display()))?;
        written.insert(0, path);
        if let Some(landscape) = &landscape {
            let path = folder.join("landscape.json");
            let text = serde_json::to_string_pretty(landscape)? + "\n";
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
}

/// What a run says of itself.
fn facts(saved: &Saved) -> Facts {
    let record = &saved.record;
    let line = |name: &str, text: String| (name.to_owned(), text);
    Facts {
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
        seed: record.seed,
        interrupted: record.interrupted,
    }
}

/// A file that other verbs write and that may lie beside a run's; `None` where it does not.
fn beside<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match std::fs::read(path) {
        Ok(text) => {
            let malformed = || format!("{} is malformed: write it again, or remove it", path.display());
            Ok(Some(serde_json::from_slice(&text).with_context(malformed)?))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
