//! Runs cells and samples them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use reset_strategies::Strategy;

use super::estimate::{Costs, estimate};
use super::folded::Folded;
use super::image::Images;
use super::names::Names;
use super::report::{self, Profile, Samples};
use super::sampling::{Forbidden, Sample, Sampled, Sampling};
use super::symbols::Symbols;
use super::unwind::Stacks;
use crate::analyse::quantile::median;
use crate::analyse::summary::Equivalence;
use crate::hosts::Host;
use crate::launch::process::{Cell, Ended};
use crate::launch::settling::Approach;
use crate::launch::stage::Stage;
use crate::prose::printable;
use crate::protocol::schedule::Script;
use crate::protocol::staging::{self, Staged};
use crate::protocol::{Count, Planted, REFERENCE, Reference, Request, Spec, Timed, Verified};
use crate::workload::Workload;

/// How long a child runs in one go: short against what a machine does to a child over the seconds, long against a request.
const SLICE: Duration = Duration::from_millis(200);

/// Most whole traces in one go.
const MOST_PASSES: u32 = 20_000;

/// Of so many goes in a row, one is not sampled.
const ONE_IN: u32 = 4;

/// What there is to know of how to profile.
pub struct Bench<'a> {
    pub stage: &'a Stage,
    pub host: &'a Host,
    /// How long each cell is sampled.
    pub time: Duration,
    /// Samples in a second of CPU time.
    pub frequency: u32,
    /// Whether to sample where that is possible.
    pub sampling: bool,
    pub timeout: Duration,
    /// What was read of programs and the kernel.
    known: Known,
    /// What is missing here, and the remedy.
    pub notes: Vec<String>,
}

#[derive(Default)]
struct Known {
    images: Images,
    kernel: Option<Arc<Names>>,
}

/// A workload whose files are in place.
pub struct Course<'a> {
    pub workload: &'a Workload,
    staged: Staged,
    reference: Result<Reference, Ended>,
}

/// A cell and what was sampled of it.
pub struct Profiled {
    pub cell: report::Cell,
    pub stacks: Option<Taken>,
}

/// The stacks of a cell.
pub struct Taken {
    pub pid: u32,
    pub folded: Folded,
    pub samples: Vec<Sample>,
    pub symbols: Symbols,
}

/// What a child that ran in turns with and without being sampled came to.
#[derive(Default)]
struct Ran {
    blocks: u64,
    /// While nothing was sampled.
    timed: Timed,
    /// Median cycles of each go.
    sampled: Vec<u64>,
    unsampled: Vec<u64>,
}

impl<'a> Bench<'a> {
    /// A bench that has profiled nothing yet.
    pub fn new(
        stage: &'a Stage,
        host: &'a Host,
        time: Duration,
        frequency: u32,
        sampling: bool,
        timeout: Duration,
    ) -> Self {
        Self { stage, host, time, frequency, sampling, timeout, known: Known::default(), notes: Vec::new() }
    }

    /// Puts a workload's files in place, and finds out what fresh instances make of it.
    ///
    /// # Errors
    /// When files cannot be written.
    pub fn course<'w>(&self, workload: &'w Workload) -> Result<Course<'w>> {
        let place = tempfile::tempdir_in(self.stage.staging.path())
            .context("cannot make a folder for a workload's files")?;
        let staged = staging::stage(&place.keep(), workload)?;
        self.stage.progress.say(&format!("{}: on fresh instances", workload.name));
        let spec = Spec { host: self.host.clone(), ..Spec::new(REFERENCE, workload, &staged, self.timeout) };
        let observe = Request::Observe { script: Script::in_order() };
        let reference = self.start(spec).and_then(|mut cell| cell.ask(&observe));
        Ok(Course { workload, staged, reference })
    }

    /// Verifies a cell and profiles it: one that is not equal to fresh instances has no profile.
    ///
    /// # Errors
    /// When files cannot be written.
    pub fn cell(
        &mut self,
        course: &Course<'_>,
        strategy: &Strategy,
        planted: Option<Planted>,
    ) -> Result<Profiled> {
        let name = format!("{} on {}", strategy.name(), course.workload.name);
        self.stage.progress.say(&format!("verifying {name}"));
        let cell = |equivalence, reason, profile| report::Cell {
            workload: course.workload.name.clone(),
            strategy: strategy.name().into(),
            planted,
            equivalence,
            reason,
            profile,
        };
        let without =
            |(equivalence, reason)| Profiled { cell: cell(equivalence, Some(reason), None), stacks: None };
        let verified = match self.verified(course, strategy) {
            Ok(verified) => verified,
            Err(why) => return Ok(without(why)),
        };
        if self.stage.stopped() {
            return Ok(without((Equivalence::Equivalent, "it was interrupted before".into())));
        }
        self.stage.progress.say(&format!("sampling {name}"));
        let map = course.staged.trace.with_extension("code-map");
        let spec = Spec {
            host: self.host.clone(),
            warm_bytes: verified.peak_rss,
            planted,
            code_map: Some(map.clone()),
            ..Spec::new(strategy.name(), course.workload, &course.staged, self.timeout)
        };
        match self.profile(course, spec, &map) {
            Ok(Ok((profile, stacks))) => {
                Ok(Profiled { cell: cell(Equivalence::Equivalent, None, Some(profile)), stacks })
            }
            Ok(Err(ended)) => Ok(without((Equivalence::Equivalent, format!("its process ended: {ended}")))),
            Err(error) => Err(error),
        }
    }

    /// Compares a cell with fresh instances; or what keeps it from being profiled.
    fn verified(&self, course: &Course<'_>, strategy: &Strategy) -> Result<Verified, (Equivalence, String)> {
        let reference =
            course.reference.as_ref().map_err(|ended| (Equivalence::NotRun, ended.of_reference()))?;
        let spec = Spec {
            host: self.host.clone(),
            ..Spec::new(strategy.name(), course.workload, &course.staged, self.timeout)
        };
        let verify = Request::Verify { script: Script::in_order(), expected: reference.clone() };
        let verified = self.start(spec).and_then(|mut cell| cell.ask::<Verified>(&verify));
        let verified = verified.map_err(|ended| (ended.equivalence(), ended.to_string()))?;
        match &verified {
            Verified { difference: Some(difference), .. } => Err((
                Equivalence::Diverged,
                format!("it is not equal to a fresh instance: {}", printable(difference)),
            )),
            Verified { unjudged: Some(reason), .. } => Err((Equivalence::NotRun, reason.clone())),
            _ => Ok(verified),
        }
    }

    fn start(&self, spec: Spec) -> Result<Cell, Ended> {
        Cell::start(&self.stage.binary, spec).map(|(cell, _)| cell)
    }

    /// Takes a child to its steady state, and samples it or counts.
    fn profile(
        &mut self,
        course: &Course<'_>,
        spec: Spec,
        map: &Path,
    ) -> Result<Result<(Profile, Option<Taken>), Ended>> {
        let cpu = self.stage.pinning.of_launch(0, course.workload.threads);
        let started = self.start(spec).and_then(|mut cell| {
            cell.keep_on(cpu)?;
            let approach = Approach::alone(|passes| cell.ask(&Request::Time { passes }))?;
            Ok((cell, passes(&approach)))
        });
        let (mut cell, passes) = match started {
            Ok(started) => started,
            Err(ended) => return Ok(Err(ended)),
        };
        let mapped = self.known.images.of(cell.pid())?;
        let forbidden = if self.sampling {
            match Sampling::of(cell.pid(), self.frequency, Stacks::of(&mapped)) {
                Ok(sampling) => {
                    let guest = Names::of_map(&fs::read_to_string(map).unwrap_or_default());
                    let symbols = Symbols::new(self.known.kernel(), guest, mapped);
                    return self.sampled(&mut cell, passes, sampling, symbols);
                }
                Err(Forbidden(why)) => format!("{why}; until then, shares are estimates"),
            }
        } else {
            "nothing was sampled, as --no-sampling asks: shares are estimates".to_owned()
        };
        self.note(forbidden);
        Ok(self.counted(&mut cell, passes).map(|profile| (profile, None)))
    }

    /// Samples a child that is steady.
    fn sampled(
        &mut self,
        cell: &mut Cell,
        passes: u32,
        sampling: Sampling,
        mut symbols: Symbols,
    ) -> Result<Result<(Profile, Option<Taken>), Ended>> {
        let kernel = sampling.kernel;
        let ran = match self.turns(cell, passes, &sampling)? {
            Ok(ran) => ran,
            Err(ended) => return Ok(Err(ended)),
        };
        let Sampled { samples, lost } = sampling.stop();
        let kernel_names = !self.known.kernel().is_empty();
        self.lacks(kernel, kernel_names);
        let folded = Folded::of(&samples, &mut symbols);
        let samples_taken =
            Samples { kernel, kernel_names, lost, overhead: ran.overhead(), ..Samples::default() };
        let (execute_ns, reset_ns) = (mean(&ran.timed.execute), mean(&ran.timed.reset));
        self.short(execute_ns + reset_ns, ran.blocks);
        let profile = Profile::sampled(&folded, samples_taken, ran.blocks, execute_ns, reset_ns);
        Ok(Ok((profile, Some(Taken { pid: cell.pid(), folded, samples, symbols }))))
    }

    /// Runs whole traces in turns, sampled and not, until the time is up or somebody stops it.
    fn turns(&self, cell: &mut Cell, passes: u32, sampling: &Sampling) -> Result<Result<Ran, Ended>> {
        let mut ran = Ran::default();
        let mut sampled = Duration::ZERO;
        for turn in 0.. {
            let is_sampled = turn % ONE_IN != 0;
            if turn > 1 && (sampled >= self.time || self.stage.stopped()) && !ran.timed.execute.is_empty() {
                break;
            }
            sampling.switch(is_sampled)?;
            let began = Instant::now();
            let timed = match cell.ask::<Timed>(&Request::Time { passes }) {
                Ok(timed) => timed,
                Err(ended) => return Ok(Err(ended)),
            };
            if is_sampled {
                sampled += began.elapsed();
            }
            ran.add(is_sampled, timed);
        }
        sampling.switch(false)?;
        Ok(Ok(ran))
    }

    /// Counts what a child's blocks cause, and prices it.
    fn counted(&self, cell: &mut Cell, passes: u32) -> Result<Profile, Ended> {
        let counts: Vec<Count> = cell.ask(&Request::Count { passes: 2 })?;
        let began = Instant::now();
        let mut all = Timed::default();
        while all.execute.is_empty() || began.elapsed() < self.time / 4 && !self.stage.stopped() {
            let timed: Timed = cell.ask(&Request::Time { passes })?;
            all.execute.extend(timed.execute);
            all.reset.extend(timed.reset);
        }
        let costs = Costs::here().map_err(|error| Ended::broken("unit costs", error))?;
        Ok(estimate(&all, &counts, costs))
    }

    /// Says what is not seen of the kernel, and the remedy.
    fn lacks(&mut self, kernel: bool, names: bool) {
        if !kernel {
            self.note(
                "samples stop outside the kernel, so that its faults and calls are missing: `sysctl kernel.perf_event_paranoid=1`, \
                 or the capability PERFMON, shows them"
                    .into(),
            );
        } else if !names {
            self.note(
                "functions of the kernel have no names here, so that faults cannot be told apart: `sysctl kernel.kptr_restrict=0`, \
                 or root, shows them"
                    .into(),
            );
        }
    }

    /// Says how often blocks were run that are shorter than the time between two samples.
    fn short(&mut self, cycle_ns: f64, blocks: u64) {
        let between = 1e9 / f64::from(self.frequency.max(1));
        if cycle_ns > 0.0 && cycle_ns < between {
            let each = between / cycle_ns;
            self.stage.progress.note(&format!(
                "a block takes less than the time between two samples: {blocks} were run, and one in {each:.0} was sampled"
            ));
        }
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.stage.progress.warn(&note);
            self.notes.push(note);
        }
    }
}

impl Known {
    fn kernel(&mut self) -> Arc<Names> {
        self.kernel.get_or_insert_with(|| Arc::new(Names::of_this_kernel())).clone()
    }
}

impl Ran {
    fn add(&mut self, sampled: bool, mut timed: Timed) {
        self.blocks += (timed.lead_in.len() + timed.execute.len()) as u64;
        if let Some(cycle) = median(&mut timed.cycles()) {
            if sampled { &mut self.sampled } else { &mut self.unsampled }.push(cycle);
        }
        if !sampled {
            self.timed.execute.append(&mut timed.execute);
            self.timed.reset.append(&mut timed.reset);
        }
    }

    /// What sampling makes of a cycle.
    fn overhead(&self) -> Option<f64> {
        let sampled = median(&mut self.sampled.clone())?;
        let unsampled = median(&mut self.unsampled.clone()).filter(|&cycle| cycle > 0)?;
        Some(sampled as f64 / unsampled as f64)
    }
}

/// Whole traces that fill a go.
fn passes(approach: &Approach) -> u32 {
    let trace = u128::from(approach.trace().unwrap_or(u64::MAX).max(1));
    u32::try_from(SLICE.as_nanos().div_ceil(trace)).unwrap_or(MOST_PASSES).clamp(1, MOST_PASSES)
}

fn mean(times: &[u64]) -> f64 {
    times.iter().sum::<u64>() as f64 / times.len().max(1) as f64
}

/// What files of a cell are called.
pub fn file_name(workload: &str, strategy: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    format!("{workload}.{strategy}").chars().map(plain).collect::<String>().into()
}
