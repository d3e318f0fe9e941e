//! `report`: tables and figures from saved files alone.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

use crate::analyse::summary::Summary;
use crate::claims::report::Checked;
use crate::cli::ReportArgs;
use crate::determinism::{Cell, word};
use crate::files;
use crate::launch::saved::Saved;
use crate::policies::report as policies;
use crate::present::appendix::Appendix;
use crate::present::book::{Facts, Material, Terrain};
use crate::present::{landscape, report, serving as served, table, view::Group};
use crate::prose::printable;
use crate::{claims, determinism, profile, serving, startup};

/// Draws a run again.
///
/// # Errors
/// When a file of the run is missing or malformed, or the folder cannot be written.
pub fn run(args: &ReportArgs) -> Result<()> {
    let run = Files::read(&args.folder)?;
    let written = run.present(&args.folder)?;
    print!("{}", run.tables()?);
    if args.explain {
        print!("{}", run.explanation());
    }
    if !args.quiet {
        for note in &run.summary().notes {
            // The backticks are for Markdown.
            eprintln!("note: {}", printable(&note.replace('`', "")));
        }
        eprintln!("{} files in {}", written.len(), args.folder.display());
    }
    Ok(())
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
    serving: Option<serving::report::Report>,
    profile: Option<profile::report::Report>,
}

impl Files {
    /// Reads the folder of a run.
    ///
    /// # Errors
    /// When a file is missing or malformed.
    pub fn read(folder: &Path) -> Result<Self> {
        let determinism: Option<determinism::report::Report> = beside(folder, "determinism.json")?;
        let claims: Option<claims::report::Report> = beside(folder, "claims.json")?;
        let policies: Option<policies::Report> = beside(folder, "policies.json")?;
        let served: Option<serving::report::Report> = beside(&folder.join(serving::FOLDER), "serving.json")?;
        let served_schema = served.as_ref().map(|report| report.schema);
        spoken(&folder.join(serving::FOLDER).join("serving.json"), served_schema, serving::SCHEMA)?;
        let profiled: Option<profile::report::Report> =
            beside(&folder.join(profile::appendix::FOLDER), "profile.json")?;
        let profiled_schema = profiled.as_ref().map(|report| report.schema);
        spoken(
            &folder.join(profile::appendix::FOLDER).join("profile.json"),
            profiled_schema,
            profile::report::SCHEMA,
        )?;
        let landscape = folder.join("landscape");
        Ok(Self {
            saved: Saved::read(folder)?,
            landscape: landscape.join("run.json").exists().then(|| Saved::read(&landscape)).transpose()?,
            startup: beside(folder, "startup.json")?,
            determinism: determinism.map(|report| report.cells).unwrap_or_default(),
            claims: claims.map(|report| report.claims).unwrap_or_default(),
            policies: policies.map(|report| report.cells).unwrap_or_default(),
            serving: served,
            profile: profiled,
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
        let ways = self.saved.record.zeroing.iter().map(|way| format!("{} by {way}", way.place));
        let ways = ways.collect::<Vec<_>>().join("; ");
        if !ways.is_empty() {
            lines += &format!("\nIn place, pages are zeroed as was fastest here: {ways}.\n");
        }
        lines
    }

    /// Writes `summary.json` and the report.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn present(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let path = folder.join("summary.json");
        files::write_json(&path, self.summary())?;
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
            serving: self.serving.as_ref(),
            appendix: self.profile.as_ref().map(|profile| profile as &dyn Appendix),
        };
        let mut written = report::write(folder, material)
            .with_context(|| format!("cannot draw the report in {}", folder.display()))?;
        written.insert(0, path);
        if let Some(landscape) = &landscape {
            let path = folder.join("landscape.json");
            files::write_json(&path, landscape)?;
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
            None => {
                let options = table::Options::for_stdout();
                let served = self.serving.iter().map(|report| format!("\n{}", served::text(report, options)));
                table::tables(&Group::all(self.summary()), options) + &served.collect::<String>()
            }
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
        host: record.host().name.clone(),
        profile: word(record.profile),
        command: record.command.clone(),
        machine: vec![
            line("host", record.host().sentence()),
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
fn beside<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Option<T>> {
    let path = folder.join(name);
    if !path.exists() {
        return Ok(None);
    }
    let malformed = || format!("{} is malformed: write it again, or remove it", path.display());
    serde_json::from_slice(&files::read(&path)?).with_context(malformed).map(Some)
}

/// Whether this program reads such a file, if there is one.
fn spoken(path: &Path, schema: Option<u32>, own: u32) -> Result<()> {
    match schema.filter(|schema| *schema != own) {
        None => Ok(()),
        Some(other) => bail!(
            "{}: schema {other}, and this program reads {own}: draw it with the program that wrote it",
            path.display()
        ),
    }
}
