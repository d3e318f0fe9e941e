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
use super::plan::{Contender, Plan};
use super::record::{Record, WorkloadRecord};
use super::runner::{REFERENCE, SAMPLE_EVERY, outcomes, residency};
use crate::analyse::quantile::median;
use crate::cell::compare;
use crate::cell::counters;
use crate::cell::ground::Ground;
use crate::cell::session::Cell;
use crate::cell::times::{Stages, Timed};
use crate::machine;
use crate::measure::row::{Phase, Row, Status, Unit};
use crate::measure::sampler::Sampler;
use crate::measure::writer::RowWriter;
use crate::protocol::schedule::Script;
use crate::protocol::staging::{self, Staged};
use crate::protocol::{Reference, Spec, Verified};
use crate::workload::Workload;

/// Blocks of one sample of criterion's that are kept in a row; beyond that every n-th is.
const MOST_KEPT: usize = 512;

/// The rows and the record of one `cargo bench`.
pub struct Bench {
    folder: PathBuf,
    record: Record,
    rows: RowWriter,
    staging: tempfile::TempDir,
    timeout: Duration,
    warm_up: Duration,
}

/// A workload whose files are in place and whose reference is known.
pub struct Course {
    workload: Workload,
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
    pub fn open(
        wanted: &Path,
        plan: &Plan,
        profile: crate::launch::plan::Profile,
        warm_up: Duration,
    ) -> Result<Self> {
        let folder = folder::fresh(wanted)?;
        let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let noise = machine::noise(Duration::from_millis(100));
        let record = Record::new(&name, profile, plan, format!("cargo bench, {name}"), noise);
        record.write(&folder.join("run.json"))?;
        let rows = RowWriter::create(&folder.join("rows.ndjson"))?;
        let staging = folder::staging()?;
        Ok(Self { folder, record, rows, staging, timeout: plan.timeout, warm_up })
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
        course.reference = compare::observe(&mut self.start(&course, REFERENCE)?, &Script::in_order())?;
        let counts = counters::count(&mut self.start(&course, registry::FLOOR)?, 2)?;
        let restored = counts.into_iter().find(|count| count.metric == "bytes_restored");
        // The first pass teaches the floor which pages the trace changes.
        let second =
            restored.map_or_else(Vec::new, |mut count| count.samples.split_off(count.samples.len() / 2));
        course.dirty_bytes = second.iter().sum::<u64>() / second.len().max(1) as u64;
        Ok(course)
    }

    fn spec(&self, course: &Course, strategy: &str) -> Spec {
        let cell = Spec::new(strategy, &course.workload, &course.staged, self.timeout);
        // Criterion decides how many run at once: one.
        Spec { threads: 1, ..cell }
    }

    fn start(&self, course: &Course, strategy: &str) -> Result<Cell> {
        let mut stages = Stages::here();
        let ground = Ground::lay(&self.spec(course, strategy), registry::find, &mut stages)?;
        Cell::on(&Arc::new(ground), &mut stages)
    }

    /// Starts a cell and verifies it; `None` where this machine or this module does not allow the strategy, which is a row.
    ///
    /// # Errors
    /// When it is not equal to a fresh instance: a wrong reset has no time.
    pub fn subject(&mut self, course: &Course, contender: &Contender) -> Result<Option<Subject>> {
        let mut row = self.row(course, contender);
        row.metric = "equivalence".into();
        let strategy = contender.strategy.name();
        let mut cell = match self.start(course, strategy) {
            Ok(cell) => cell,
            Err(error) => {
                row.status = match error.downcast_ref::<Error>() {
                    Some(Error::Unavailable { .. }) => Status::Unavailable,
                    Some(Error::Refused { .. }) => Status::Refused,
                    _ => return Err(error),
                };
                row.error = Some(format!("{error:#}"));
                self.rows.write(&row)?;
                return Ok(None);
            }
        };
        let Verified { difference, .. } = compare::verify(&mut cell, &Script::in_order(), &course.reference)?;
        if let Some(difference) = difference {
            (row.status, row.error) = (Status::Diverged, Some(difference.clone()));
            self.rows.write(&row)?;
            bail!("{} on {} diverged: {difference}", contender.name, course.workload.name);
        }
        self.rows.write(&row)?;
        outcomes::rows(&row, &outcomes::of(&course.reference, &course.workload))
            .try_for_each(|row| self.rows.write(&row))?;
        // Another one is timed: what the verification has touched stays resident, and some strategies would pay for it.
        drop(cell);
        let cell = self.start(course, strategy)?;
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
            let cycle: Vec<u64> = timed.execute.iter().zip(&timed.reset).map(|(e, r)| e + r).collect();
            for (phase, samples) in
                [(Phase::Execute, &timed.execute), (Phase::Reset, &timed.reset), (Phase::Cycle, &cycle)]
            {
                let kept =
                    samples.iter().step_by(samples.len().div_ceil(MOST_KEPT).max(1)).copied().collect();
                let value = median(&mut samples.clone());
                let unit = Unit::Nanoseconds;
                let row =
                    Row { phase, metric: "time".into(), unit, value, samples: kept, ..subject.row.clone() };
                self.rows.write(&row)?;
            }
        }
        Ok(timed)
    }

    /// Starts a cell anew, from its files to the first block done, and writes the stages.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn startup(&mut self, course: &Course, contender: &Contender) -> Result<Duration> {
        let mut stages = Stages::here();
        let ground = Ground::lay(&self.spec(course, contender.strategy.name()), registry::find, &mut stages)?;
        let cell = Cell::on(&Arc::new(ground), &mut stages)?;
        let stages = stages.done();
        drop(cell);
        for (stage, ns) in &stages {
            let row = self.row(course, contender);
            let (metric, unit) = (stage.clone(), Unit::Nanoseconds);
            self.rows.write(&Row { phase: Phase::Startup, metric, unit, value: Some(*ns), ..row })?;
        }
        Ok(Duration::from_nanos(stages.iter().map(|(_, ns)| ns).sum()))
    }

    /// Ends a cell: writes what its memory was meanwhile.
    ///
    /// # Errors
    /// When a row cannot be written.
    pub fn finish(&mut self, subject: Subject) -> Result<()> {
        let Subject { row, sampler, .. } = subject;
        let Some(samples) = sampler.map(Sampler::stop) else { return Ok(()) };
        residency(&Row { phase: Phase::Memory, ..row }, &samples)
            .iter()
            .try_for_each(|row| self.rows.write(row))
    }

    /// Writes the end into `run.json`, and says where everything is.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn close(mut self) -> Result<PathBuf> {
        self.record.finish(false);
        self.record.write(&self.folder.join("run.json"))?;
        if fs::metadata(self.folder.join("rows.ndjson"))?.len() == 0 {
            fs::remove_dir_all(&self.folder)
                .with_context(|| format!("cannot remove {}", self.folder.display()))?;
        }
        Ok(self.folder)
    }

    fn row(&self, course: &Course, contender: &Contender) -> Row {
        Row {
            run: self.record.run.clone(),
            launch: 0,
            round: None,
            order: None,
            strategy: contender.name.clone(),
            workload: course.workload.name.clone(),
            params: course.workload.params.clone(),
            phase: Phase::Verify,
            metric: String::new(),
            unit: Unit::Count,
            value: None,
            samples: Vec::new(),
            at_ns: None,
            status: Status::Ok,
            error: None,
        }
    }
}

impl Subject {
    /// Without sampling memory: another thread of this process makes each unmapping an interrupt to the CPU on which it
    /// ran last, which costs strategies that unmap a few per cent.
    pub fn unsampled(self) -> Self {
        Self { sampler: None, ..self }
    }
}

impl Course {
    /// `group/name`.
    pub fn name(&self) -> &str {
        &self.workload.name
    }

    /// The module, as it came.
    pub fn module(&self) -> &[u8] {
        &self.workload.module
    }

    /// The blocks.
    pub fn trace(&self) -> &[std::sync::Arc<[u8]>] {
        &self.workload.trace
    }
}
