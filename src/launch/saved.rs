//! What a run left in its folder, read back.

use std::path::Path;

use anyhow::{Result, bail, ensure};

use super::plan::is_again;
use super::record::Record;
use crate::analyse::crossover::{self, Landscape};
use crate::analyse::distribution::{self, Distribution};
use crate::analyse::evidence::{self, Group};
use crate::analyse::standing::standings;
use crate::analyse::summary::{self, Cell, Summary, Verdict};
use crate::analyse::{Facts, SEED, Unfit, rows_file, summarise};
use crate::files;
use crate::measure::row::Row;
use crate::prose::enumerated;
use crate::units;
use crate::workload::one_block;

/// The files of a run, and what follows from them.
#[derive(Clone, Debug)]
pub struct Saved {
    pub record: Record,
    /// Empty where only `summary.json` was kept.
    pub rows: Vec<Row>,
    /// What the rows say.
    pub summary: Summary,
}

impl Saved {
    /// Reads `run.json` and the rows, packed or not, and summarises them. Where no rows were kept, `summary.json` stands
    /// in for them, and a note says so.
    ///
    /// # Errors
    /// When a file is missing, malformed, of another schema, or speaks of another run.
    pub fn read(folder: &Path) -> Result<Self> {
        let record = Record::read(folder)?;
        let file = match rows_file::find(folder) {
            Some(rows) => rows_file::read(&rows)?,
            None if folder.join("summary.json").exists() => return Self::without_rows(folder, record),
            None => bail!(
                "{} holds neither rows ({}) nor a summary.json: was the run measured to its end?",
                folder.display(),
                rows_file::NAMES.join(", ")
            ),
        };
        let mut summary = summarise(&file.rows, &facts(&record))?;
        summary.notes.extend(file.notes);
        let one: Vec<&str> =
            record.workloads.iter().filter(|w| w.repeats_one_block()).map(|w| &*w.name).collect();
        summary.notes.extend((!one.is_empty()).then(|| one_block(&one)));
        summary.notes.extend(record.made_worse().map(|words| format!("{words}.")));
        if !record.benches.is_empty() {
            summary.notes.push(led_by_criterion(&record));
            summary.notes.extend(drift(&summary.cells));
        }
        Ok(Self { record, rows: file.rows, summary })
    }

    /// The landscape, if the run is one.
    ///
    /// # Errors
    /// When the rows are unfit.
    pub fn landscape(&self) -> Result<Option<Landscape>> {
        let left_out = &self.record.left_out;
        let landscape = crossover::landscape(&self.rows, &self.summary, &facts(&self.record), left_out)?;
        let curves = landscape.slices.iter().any(|slice| slice.best.len() > 1);
        Ok((curves || !left_out.is_empty()).then_some(landscape))
    }

    /// The rows by workload, for comparisons that the summary does not hold; empty where no rows were kept.
    ///
    /// # Errors
    /// When the rows are unfit.
    pub fn groups(&self) -> Result<Vec<Group>, Unfit> {
        evidence::gather(&self.record.run, &self.rows)
    }

    /// How single blocks' cycles are distributed, cell by cell.
    ///
    /// # Errors
    /// When the rows are unfit.
    pub fn distributions(&self) -> Result<Vec<Distribution>> {
        Ok(distribution::distributions(&self.rows, &facts(&self.record))?)
    }

    fn without_rows(folder: &Path, record: Record) -> Result<Self> {
        let path = folder.join("summary.json");
        let shown = path.display();
        let mut summary: Summary = files::read_json(&path, summary::SCHEMA, "")?;
        ensure!(
            summary.run == record.run,
            "{shown} is of run `{}`, and run.json beside it of `{}`",
            summary.run,
            record.run
        );
        summary.standings = standings(&summary.cells);
        summary.notes.push(format!("{shown} is taken at its word: there are no rows beside it"));
        Ok(Self { record, rows: Vec::new(), summary })
    }
}

/// What a reader has to know whose rows are criterion's samples.
fn led_by_criterion(record: &Record) -> String {
    let again = record.again.as_ref().map_or_else(String::new, |again| {
        format!(
            ": `{again}`, which is `{}` once more at the end of each workload, shows how much that is",
            record.baseline
        )
    });
    format!(
        "From criterion ({}). Its cells ran one after another, so that what the machine did in between is in their ratios, and \
         in no interval{again}.",
        record.benches.join(", ")
    )
}

/// Where the baseline measurably differs from itself, if anywhere.
fn drift(cells: &[Cell]) -> Option<String> {
    let different = |cell: &&Cell| matches!(cell.verdict, Verdict::Faster | Verdict::Slower);
    let again = cells.iter().filter(|cell| is_again(&cell.strategy)).filter(different);
    let times =
        |cell: &Cell| Some(format!("{} ({}x)", cell.workload, units::ratio(cell.ratio_to_baseline?.value)));
    let places: Vec<_> = again.filter_map(times).collect();
    (!places.is_empty()).then(|| {
        format!(
            "The baseline once more is not what it was on {}: the machine has changed meanwhile, and differences of that size \
             between strategies say nothing there.",
            enumerated(&places)
        )
    })
}

/// What the rows do not say about their run.
fn facts(record: &Record) -> Facts {
    Facts {
        run: record.run.clone(),
        host: record.host().name.clone(),
        baseline: record.baseline.clone(),
        contenders: record.strategies.iter().map(|strategy| strategy.name.clone()).collect(),
        controls: record.strategies.iter().filter(|s| s.control).map(|s| s.name.clone()).collect(),
        floor: record.floor.clone(),
        seed: SEED,
    }
}
