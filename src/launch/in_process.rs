//! Cells in this process, for someone else's clock: criterion decides how many blocks to run and when, and every sample
//! goes into our rows as well, so that `report` draws from a `cargo bench`.
//!
//! What this cannot do is pair: contenders run one after the other, so their rows belong to no round, and no ratios are made
//! of them. Memory is sampled by a thread of the same process, which `run` avoids: its own cost is in the rows, and what it
//! costs those that unmap memory is in their times (see [`Subject::unsampled`]).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reset_strategies::{Error, registry};

use super::folder;
use super::plan::{Contender, Plan, Profile};
use super::record::{Record, WorkloadRecord};
use super::rows;
use super::runner::{REFERENCE, SAMPLE_EVERY};
use super::stage::Results;
use crate::cell::compare;
use crate::cell::counters;
use crate::cell::ground::Ground;
use crate::cell::session::Cell;
use crate::cell::times::Stages;
use crate::machine;
use crate::measure::row::{Phase, Row, Status, Unit};
use crate::measure::sampler::Sampler;
use crate::protocol::schedule::Script;
use crate::protocol::staging::{self, Staged};
use crate::protocol::{Reference, Spec, Timed};
use crate::workload::Workload;

/// Blocks of one sample of criterion's that are kept in a row; beyond that every n-th is.
const MOST_KEPT: usize = 512;

/// The rows and the record of one `cargo bench`.
pub struct Bench {
    results: Results,
    record: Record,
    staging: tempfile::TempDir,
    timeout: Duration,
    warm_up: Duration,
}

/// A workload whose files are in place and whose reference is known.
pub struct Course {
    pub workload: Workload,
    staged: Staged,
    reference: Reference,
    /// Bytes of pages that a block dirties, as the floor restores them: the mean over the trace.
    pub dirty_bytes: u64,
}

/// A verified cell, ready to be timed.
pub struct Subject {
    cell: Cell,
    row: Row,
    began: Instant,
    sampler: Option<Sampler>,
}

impl Bench {
    /// Makes the folder and `run.json`. Samples of the first `warm_up` of each cell are not written.
    ///
    /// # Errors
    /// When files cannot be written.
    pub fn open(wanted: &Path, plan: &Plan, profile: Profile, warm_up: Duration) -> Result<Self> {
        let results = Results::new(Some(wanted))?;
        let name = &results.run;
        let noise = machine::noise(Duration::from_millis(100));
        let record = Record::new(name, profile, plan, format!("cargo bench, {name}"), noise);
        record.write(&results.folder)?;
        Ok(Self { results, record, staging: folder::staging()?, timeout: plan.timeout, warm_up })
    }

    /// Puts a workload's files in place, and finds out what fresh instances make of it and how much the floor restores.
    ///
    /// # Errors
    /// When files cannot be written or the reference does not run.
    pub fn course(&mut self, workload: &Workload) -> Result<Course> {
        let number = self.record.workloads.len();
        let staged = staging::stage(&self.staging.path().join(number.to_string()), workload)?;
        self.record.workloads.push(WorkloadRecord::new(workload));
        let nothing = Reference { blocks: Vec::new(), store: String::new() };
        let mut course = Course { workload: workload.clone(), staged, reference: nothing, dirty_bytes: 0 };
        course.reference = compare::observe(&mut self.start(&course, REFERENCE)?.0, &Script::in_order())?;
        let counts = counters::count(&mut self.start(&course, registry::FLOOR)?.0, 2)?;
        let restored = counts.into_iter().find(|count| count.metric == "bytes_restored");
        let restored = restored.map_or_else(Vec::new, |count| count.samples);
        // The first pass teaches the floor which pages the trace changes.
        let second = &restored[restored.len() / 2..];
        course.dirty_bytes = second.iter().sum::<u64>() / second.len().max(1) as u64;
        Ok(course)
    }

    fn start(&self, course: &Course, strategy: &str) -> Result<(Cell, Stages)> {
        let cell = Spec::new(strategy, &course.workload, &course.staged, self.timeout);
        // Criterion decides how many run at once: one.
        let spec = Spec { threads: 1, ..cell };
        let mut stages = Stages::here();
        let ground = Ground::lay(&spec, registry::find, &mut stages)?;
        Ok((Cell::on(&Arc::new(ground), &mut stages)?, stages))
    }

    /// Starts a cell and verifies it; `None` where this machine or this module does not allow the strategy, which is a row.
    ///
    /// # Errors
    /// When it is not equal to a fresh instance: a wrong reset has no time.
    pub fn subject(&mut self, course: &Course, contender: &Contender) -> Result<Option<Subject>> {
        let row = Row { metric: "equivalence".into(), ..self.row(course, contender, Phase::Verify) };
        let strategy = contender.strategy.name();
        let mut cell = match self.start(course, strategy) {
            Ok((cell, _)) => cell,
            Err(error) => {
                let status = match error.downcast_ref::<Error>() {
                    Some(Error::Unavailable { .. }) => Status::Unavailable,
                    Some(Error::Refused { .. }) => Status::Refused,
                    _ => return Err(error),
                };
                self.results.rows.write(&Row { status, error: Some(format!("{error:#}")), ..row })?;
                return Ok(None);
            }
        };
        let verified = compare::verify(&mut cell, &Script::in_order(), &course.reference)?;
        if let Some(difference) = verified.difference {
            let (status, error) = (Status::Diverged, Some(difference.clone()));
            self.results.rows.write(&Row { status, error, ..row })?;
            bail!("{} on {} diverged: {difference}", contender.name, course.workload.name);
        }
        self.results.rows.write(&row)?;
        let outcomes = rows::count(&course.reference, &course.workload);
        self.results.rows.write_all(rows::outcomes(&row, &outcomes))?;
        // Another one is timed: what the verification has touched stays resident, and some strategies would pay for it.
        drop(cell);
        let (cell, _) = self.start(course, strategy)?;
        let sampler = Sampler::start(std::process::id(), SAMPLE_EVERY).ok();
        Ok(Some(Subject { cell, row, began: Instant::now(), sampler }))
    }

    /// Runs at least so many blocks, in whole traces, and writes what each took.
    ///
    /// # Errors
    /// When a reset fails or a row cannot be written.
    pub fn time(&mut self, subject: &mut Subject, blocks: u64) -> Result<Timed> {
        let passes = blocks.div_ceil(subject.cell.trace().len().max(1) as u64);
        let timed = subject.cell.time(u32::try_from(passes)?)?;
        if subject.began.elapsed() >= self.warm_up {
            for (phase, samples) in [
                (Phase::Execute, timed.execute.clone()),
                (Phase::Reset, timed.reset.clone()),
                (Phase::Cycle, timed.cycles()),
            ] {
                let (metric, unit) = ("time".into(), Unit::Nanoseconds);
                let mut row = rows::sampled(Row { phase, metric, unit, ..subject.row.clone() }, samples);
                let step = row.samples.len().div_ceil(MOST_KEPT).max(1);
                row.samples = row.samples.into_iter().step_by(step).collect();
                self.results.rows.write(&row)?;
            }
        }
        Ok(timed)
    }

    /// Starts a cell anew, from its files to the first block done, and writes the stages.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn startup(&mut self, course: &Course, contender: &Contender) -> Result<Duration> {
        let (_, stages) = self.start(course, contender.strategy.name())?;
        let stages = stages.done();
        let row = self.row(course, contender, Phase::Startup);
        self.results.rows.write_all(rows::stages(&row, &stages))?;
        Ok(Duration::from_nanos(stages.iter().map(|(_, ns)| ns).sum()))
    }

    /// Ends a cell: writes what its memory was meanwhile.
    ///
    /// # Errors
    /// When a row cannot be written.
    pub fn finish(&mut self, subject: Subject) -> Result<()> {
        let Subject { row, sampler, .. } = subject;
        let Some(samples) = sampler.map(Sampler::stop) else { return Ok(()) };
        self.results.rows.write_all(rows::residency(&Row { phase: Phase::Memory, ..row }, &samples))
    }

    /// Writes the end into `run.json`, and says where everything is.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn close(mut self) -> Result<PathBuf> {
        self.record.finish(false);
        let folder = self.results.folder;
        self.record.write(&folder)?;
        if fs::metadata(folder.join("rows.ndjson"))?.len() == 0 {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        Ok(folder)
    }

    fn row(&self, course: &Course, contender: &Contender, phase: Phase) -> Row {
        let Workload { name, params, .. } = &course.workload;
        Row::new(&self.record.run, &contender.name, name, params, phase)
    }
}

impl Subject {
    /// Without sampling memory: another thread of this process makes each unmapping an interrupt to the CPU on which it
    /// ran last, which costs strategies that unmap a few per cent.
    pub fn unsampled(self) -> Self {
        Self { sampler: None, ..self }
    }
}
