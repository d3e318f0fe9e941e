//! Cells for someone else's clock: criterion decides how many blocks to run and when, and every sample that it analyses goes
//! into our rows, so that `report` draws from a `cargo bench` what it draws from a run.
//!
//! A cell runs in several processes that take criterion's samples in turns: a process is a launch, a sample one of its rounds.
//! Criterion takes its cells one after another, however, so that the rounds of two contenders are paired by their number
//! and not by their time. What the machine does meanwhile is in their ratio, and no interval tells of it; hence the
//! baseline is there a second time at the end, and what it differs from itself is shown.

mod sitting;
mod subject;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reset_strategies::registry;

use self::sitting::Sitting;
pub use self::sitting::Starter;
pub use self::subject::Subject;
use super::folder;
use super::plan::{Contender, Plan, Profile, is_again};
use super::process::{Cell, Ended};
use super::program::Program;
use super::record::{Record, StrategyRecord, WorkloadRecord};
use super::rows;
use super::stage::Results;
use crate::analyse::rows_file::{self, RowsError};
use crate::files;
use crate::hosts;
use crate::machine;
use crate::machine::pinning::Pinning;
use crate::measure::row::{Phase, Row, Status};
use crate::prose::printable;
use crate::protocol::schedule::Script;
use crate::protocol::staging::{self, Staged};
use crate::protocol::{Count, REFERENCE, Reference, Refusal, Request, Spec, Stages, Verified};
use crate::workload::Workload;

/// What is benched, and where.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The bench's name.
    pub bench: String,
    /// What criterion was told.
    pub args: Vec<String>,
    /// Where the folders of all benches are.
    pub parent: PathBuf,
    /// A folder within, for what is no part of the others' report.
    pub within: Option<String>,
    /// Who started the bench: benches of the same one share a folder.
    pub starter: Option<Starter>,
    /// The program that is started as a child.
    pub binary: OsString,
    pub profile: Profile,
    /// Processes per cell.
    pub launches: u32,
}

/// The rows and the record of one `cargo bench`, in the hands of one of its benches.
#[derive(Debug)]
pub struct Bench {
    sitting: Sitting,
    parent: PathBuf,
    results: Results,
    record: Record,
    binary: Program,
    pinning: Pinning,
    staging: tempfile::TempDir,
    timeout: Duration,
    /// Processes per cell.
    launches: u32,
    /// The number of the first launch that no other bench has had.
    next: u32,
    /// Startups that were timed by themselves.
    started: u32,
}

/// A workload whose files are in place and whose reference is known.
#[derive(Debug)]
pub struct Course {
    pub workload: Workload,
    staged: Staged,
    reference: Reference,
    /// Bytes of pages that a block dirties, as the floor restores them: the mean over the trace.
    pub dirty_bytes: u64,
}

impl Bench {
    /// Makes the folder and its `run.json`, or goes on in the one that another bench of the same cargo has begun.
    ///
    /// # Errors
    /// When files cannot be written, or those of the other bench cannot be read.
    pub fn open(setting: &Setting) -> Result<Self> {
        let Setting { bench, args, parent, binary, launches, .. } = setting;
        let sitting = Sitting::open(parent, setting.starter.as_ref())?;
        let folder = match &setting.within {
            None => sitting.folder.clone(),
            Some(name) => sitting.folder.join(name),
        };
        let mut record = if folder.join("run.json").exists() {
            Record::read(&folder)?
        } else {
            new_record(&folder, setting.profile)
        };
        if !record.benches.contains(bench) {
            record.benches.push(bench.clone());
        }
        record.command = command(&record.benches, args);
        let pinning = Pinning::of_this_machine();
        record.cpus = pinning.cpus().to_vec();
        let next = next_launch(&folder)?;
        let bench = Self {
            results: Results::onwards(folder, record.run.clone())?,
            sitting,
            parent: parent.clone(),
            record,
            binary: Program::open(Path::new(binary))?,
            pinning,
            staging: folder::staging()?,
            timeout: Duration::from_secs(60),
            launches: *launches,
            next,
            started: 0,
        };
        bench.note()?;
        Ok(bench)
    }

    /// From which orders are drawn: the same for all benches of a `cargo bench`.
    pub fn seed(&self) -> u64 {
        self.record.seed
    }

    /// Puts a workload's files in place, and finds out what fresh instances make of it and how much the floor restores.
    ///
    /// # Errors
    /// When files cannot be written or the reference does not run.
    pub fn course(&mut self, workload: &Workload) -> Result<Course> {
        let described = WorkloadRecord::new(workload);
        if !self.record.workloads.contains(&described) {
            self.record.workloads.push(described);
            self.note()?;
        }
        // Places of a landscape have one name.
        let place = tempfile::tempdir_in(self.staging.path())
            .context("cannot make a folder for a workload's files")?;
        let staged = staging::stage(&place.keep(), workload)?;
        let nothing = Reference { blocks: Vec::new(), store: String::new() };
        let mut course = Course { workload: workload.clone(), staged, reference: nothing, dirty_bytes: 0 };
        let observe = Request::Observe { script: Script::in_order() };
        course.reference = self.child(&course, REFERENCE, 0).and_then(|(mut cell, _)| cell.ask(&observe))?;
        let count = Request::Count { passes: 2 };
        let counts: Vec<Count> =
            self.child(&course, registry::FLOOR, 0).and_then(|(mut cell, _)| cell.ask(&count))?;
        let restored = counts.into_iter().find(|count| count.metric == "bytes_restored");
        let restored = restored.map_or_else(Vec::new, |count| count.samples);
        // The first pass teaches the floor which pages the trace changes.
        let second = &restored[restored.len() / 2..];
        course.dirty_bytes = second.iter().sum::<u64>() / second.len().max(1) as u64;
        Ok(course)
    }

    /// Compares a cell with fresh instances; `None` where this machine or this module does not allow the strategy. Either is in
    /// the rows.
    ///
    /// # Errors
    /// When it is not equal to a fresh instance: a wrong reset has no time.
    pub fn verify(&mut self, course: &Course, contender: &Contender) -> Result<Option<Verified>> {
        self.describe(contender)?;
        let row = Row { metric: "equivalence".into(), ..self.row(course, contender, Phase::Verify) };
        let verify = Request::Verify { script: Script::in_order(), expected: course.reference.clone() };
        let strategy = contender.strategy.name();
        let verified =
            self.child(course, strategy, 0).and_then(|(mut cell, _)| cell.ask::<Verified>(&verify));
        if let Err(Ended::Failed(Refusal::Unavailable | Refusal::Refused, _)) = verified {
            let _told = self.told(&row, verified).map(|_| ());
            return Ok(None);
        }
        let verified = self.told(&row, verified)?;
        if let Some(difference) = verified.difference {
            let (status, error) = (Status::Diverged, Some(difference.clone()));
            self.results.rows.write(&Row { status, error, ..row })?;
            bail!("{} on {} diverged: {difference}", contender.name, course.workload.name);
        }
        if let Some(reason) = &verified.unjudged {
            self.results.rows.write(&Row { status: Status::Failed, error: Some(reason.clone()), ..row })?;
            bail!("{} on {} cannot be judged: {reason}", contender.name, course.workload.name);
        }
        self.results.rows.write(&row)?;
        let outcomes = rows::count(&course.reference, &course.workload);
        self.results.rows.write_all(rows::outcomes(&row, &outcomes))?;
        Ok(Some(verified))
    }

    /// Starts a process of a verified cell, up to the end of its first block, and ends it; says what the stages took.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn startup(&mut self, course: &Course, contender: &Contender, verified: &Verified) -> Result<Stages> {
        Ok(self.start(course, contender, verified)?.1)
    }

    /// Writes a startup: criterion took it for a sample, or for a part of one.
    ///
    /// # Errors
    /// When a row cannot be written.
    pub fn keep_startup(&mut self, course: &Course, contender: &Contender, stages: &Stages) -> Result<()> {
        let launch = self.next + self.started;
        self.started += 1;
        let row = Row { launch, ..self.row(course, contender, Phase::Startup) };
        self.results.rows.write_all(rows::stages(&row, stages))
    }

    /// Writes the end into `run.json`, and says which folder `report` is to draw.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn close(mut self) -> Result<Finished> {
        self.record.finish(self.record.interrupted);
        self.write(&self.record)?;
        let Self { sitting, parent, results, .. } = self;
        // What lies within is a part of the report of what is around it, once there is any.
        let whole = sitting.folder.join("run.json").exists();
        let folder = if whole { sitting.folder.clone() } else { results.folder };
        Ok(Finished { sitting, parent, folder })
    }

    /// Adds a contender to the record.
    fn describe(&mut self, contender: &Contender) -> Result<()> {
        if self.record.strategies.iter().any(|known| known.name == contender.name) {
            return Ok(());
        }
        self.record.strategies.push(StrategyRecord::new(contender, self.record.host()));
        if is_again(&contender.name) {
            self.record.again = Some(contender.name.clone());
        }
        self.note()
    }

    /// Writes `run.json` as it is to be read if this is the last that is heard of the bench.
    fn note(&self) -> Result<()> {
        self.write(&Record { finished: None, interrupted: true, ..self.record.clone() })
    }

    /// Replaces `run.json` at once, so that there is never less in it than before.
    fn write(&self, record: &Record) -> Result<()> {
        let path = self.results.folder.join("run.json");
        let new = path.with_extension("json.new");
        files::write_json(&new, record)?;
        fs::rename(&new, &path).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Starts a process of a verified cell.
    fn start(
        &mut self,
        course: &Course,
        contender: &Contender,
        verified: &Verified,
    ) -> Result<(Cell, Stages)> {
        let started = self.child(course, contender.strategy.name(), verified.peak_rss);
        let row = self.row(course, contender, Phase::Verify);
        self.told(&Row { metric: "equivalence".into(), ..row }, started)
    }

    fn child(&self, course: &Course, strategy: &str, warm_bytes: u64) -> Result<(Cell, Stages), Ended> {
        let spec = Spec::new(strategy, &course.workload, &course.staged, self.timeout);
        Cell::start(&self.binary, Spec { warm_bytes, ..spec })
    }

    /// What a process answered; how it ended instead becomes a row and an error.
    fn told<T>(&mut self, row: &Row, answer: Result<T, Ended>) -> Result<T> {
        let Err(ended) = answer else { return Ok(answer?) };
        let (status, error) = (ended.status(), Some(ended.to_string()));
        let row = Row {
            phase: Phase::Verify,
            metric: "equivalence".into(),
            status,
            error,
            round: None,
            ..row.clone()
        };
        self.results.rows.write(&row)?;
        Err(ended).with_context(|| format!("{} on {}", row.strategy, row.workload))
    }

    fn row(&self, course: &Course, contender: &Contender, phase: Phase) -> Row {
        let Workload { name, params, .. } = &course.workload;
        Row::new(&self.record.run, &contender.name, name, params, phase)
    }
}

/// A bench that has ended; its folder stays locked until this is dropped.
#[derive(Debug)]
pub struct Finished {
    sitting: Sitting,
    parent: PathBuf,
    /// What `report` is to draw.
    pub folder: PathBuf,
}

impl Finished {
    /// Has the name of a baseline stand for the folder from now on.
    ///
    /// # Errors
    /// When the name is none for a file, or something else has it.
    pub fn keep_as(&self, name: &str) -> Result<PathBuf> {
        self.sitting.keep_as(&self.parent, name)
    }

    /// Where the folder of a baseline is to be found.
    ///
    /// # Errors
    /// When the name is none for a file.
    pub fn baseline(&self, name: &str) -> Result<PathBuf> {
        sitting::baseline(&self.parent, name)
    }
}

/// The record of a `cargo bench` that has measured nothing yet.
fn new_record(folder: &Path, profile: Profile) -> Record {
    let plan = Plan {
        host: hosts::plain(),
        contenders: Vec::new(),
        workloads: Vec::new(),
        effort: profile.effort(),
        seed: rand::random(),
        timeout: Duration::ZERO,
    };
    let run = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Record::new(&run, profile, &plan, String::new(), machine::noise(Duration::from_millis(100)))
}

/// What repeats these benches.
fn command(benches: &[String], args: &[String]) -> String {
    let benches: String = benches.iter().map(|bench| format!(" --bench {bench}")).collect();
    let args: String = args.iter().map(|arg| format!(" {}", printable(arg))).collect();
    let args = if args.is_empty() { args } else { format!(" --{args}") };
    format!("cargo bench{benches}{args}")
}

/// The number of the first launch that no bench before has had.
fn next_launch(folder: &Path) -> Result<u32> {
    match rows_file::find(folder).map(|rows| rows_file::read(&rows)) {
        None | Some(Err(RowsError::Empty { .. })) => Ok(0),
        Some(Ok(file)) => Ok(file.rows.iter().map(|row| row.launch + 1).max().unwrap_or(0)),
        Some(Err(error)) => Err(error.into()),
    }
}
