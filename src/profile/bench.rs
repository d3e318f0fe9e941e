//! Runs cells and samples them.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reset_strategies::Strategy;

use super::estimate::{Costs, estimate};
use super::folded::Folded;
use super::image::{Images, Mapped};
use super::names::Names;
use super::report::{self, Basis, Profile, Samples};
use super::sampling::{Forbidden, Sample, Sampled, Sampling};
use super::symbols::Symbols;
use super::turns::{Turns, passes};
use super::unwind::Stacks;
use crate::analyse::summary::Equivalence;
use crate::cell::anchors;
use crate::hosts::Host;
use crate::launch::process::{Cell, Ended};
use crate::launch::settling::Approach;
use crate::launch::stage::Stage;
use crate::prose::printable;
use crate::protocol::schedule::Script;
use crate::protocol::staging::{self, Staged};
use crate::protocol::{Count, GuestStacks, Planted, REFERENCE, Reference, Request, Spec, Timed, Verified};
use crate::workload::Workload;

/// How cells are profiled.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// How long each cell runs, with samples and without.
    pub time: Duration,
    /// Samples in a second of CPU time.
    pub frequency: u32,
    /// Whether to sample where that is possible.
    pub sampling: bool,
    /// CPU time that a block may take.
    pub timeout: Duration,
}

/// Profiles cells, one after the other.
pub struct Bench<'a> {
    stage: &'a Stage,
    host: &'a Host,
    setting: Setting,
    images: Images,
    /// The kernel's functions, once somebody has asked.
    kernel: Option<Arc<Names>>,
    /// What is missing here, and the remedy.
    pub notes: Vec<String>,
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
    pub folded: Folded,
    /// The samples that they were folded from; absent where wasmtime took the guest's alone, without their times.
    pub sampled: Option<Of>,
}

/// Samples of a process, and what names their frames.
pub struct Of {
    pub pid: u32,
    pub samples: Vec<Sample>,
    pub symbols: Symbols,
}

impl<'a> Bench<'a> {
    /// A bench that has profiled nothing yet.
    pub fn new(stage: &'a Stage, host: &'a Host, setting: Setting) -> Self {
        Self { stage, host, setting, images: Images::default(), kernel: None, notes: Vec::new() }
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
        let observe = Request::Observe { script: Script::in_order() };
        let spec = self.spec(REFERENCE, workload, &staged);
        let reference = self.start(spec).and_then(|mut cell| cell.ask(&observe));
        Ok(Course { workload, staged, reference })
    }

    /// Verifies a cell and profiles it: one that is not equal to fresh instances has no profile, and says why.
    pub fn cell(&mut self, course: &Course<'_>, strategy: &Strategy, planted: Option<Planted>) -> Profiled {
        let name = format!("{} on {}", strategy.name(), course.workload.name);
        let mut cell = report::Cell {
            workload: course.workload.name.clone(),
            strategy: strategy.name().into(),
            planted,
            equivalence: Equivalence::Equivalent,
            reason: None,
            profile: None,
        };
        self.stage.progress.say(&format!("verifying {name}"));
        let verified = match self.verified(course, strategy) {
            Ok(verified) => verified,
            Err((equivalence, reason)) => {
                let cell = report::Cell { equivalence, reason: Some(reason), ..cell };
                return Profiled { cell, stacks: None };
            }
        };
        self.stage.progress.say(&format!("sampling {name}"));
        let map = course.staged.trace.with_extension("code-map");
        let spec = Spec {
            warm_bytes: verified.peak_rss,
            planted,
            code_map: Some(map.clone()),
            guest_stacks: true,
            ..self.spec(strategy.name(), course.workload, &course.staged)
        };
        let stacks = match self.profile(course, spec, &map) {
            Ok((profile, stacks)) => {
                cell.profile = Some(profile);
                stacks
            }
            Err(error) => {
                cell.reason = Some(format!("{error:#}"));
                None
            }
        };
        Profiled { cell, stacks }
    }

    fn spec(&self, strategy: &str, workload: &Workload, staged: &Staged) -> Spec {
        let host = self.host.clone();
        Spec { host, ..Spec::new(strategy, workload, staged, self.setting.timeout) }
    }

    /// Compares a cell with fresh instances; or what keeps it from being profiled.
    fn verified(&self, course: &Course<'_>, strategy: &Strategy) -> Result<Verified, (Equivalence, String)> {
        let reference =
            course.reference.as_ref().map_err(|ended| (Equivalence::NotRun, ended.of_reference()))?;
        let spec = self.spec(strategy.name(), course.workload, &course.staged);
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
    fn profile(&mut self, course: &Course<'_>, spec: Spec, map: &Path) -> Result<(Profile, Option<Taken>)> {
        let mut cell = self.start(spec)?;
        cell.keep_on(self.stage.pinning.of_launch(0, course.workload.threads))?;
        let approach = Approach::alone(|passes| cell.ask(&Request::Time { passes }))?;
        let passes = passes(&approach);
        let mapped = self.images.of(cell.pid())?;
        match self.sampling(cell.pid(), &mapped) {
            Ok(sampling) => {
                let guest = Names::of_map(&String::from_utf8_lossy(&fs::read(map)?));
                let symbols = Symbols::new(self.kernel(), guest, mapped);
                let (profile, taken) = self.sampled(&mut cell, passes, sampling, symbols)?;
                Ok((profile, Some(taken)))
            }
            Err(Forbidden(why)) => {
                self.note(format!(
                    "shares are estimates, and flame graphs show the guest alone, as wasmtime sees it at functions and loops: {why}"
                ));
                let (profile, taken) = self.counted(&mut cell, passes)?;
                Ok((profile, Some(taken)))
            }
        }
    }

    /// Samples of a child, or why there are none.
    fn sampling(&self, pid: u32, mapped: &[Mapped]) -> Result<Sampling, Forbidden> {
        if !self.setting.sampling {
            return Err(Forbidden("nothing is sampled, as --no-sampling asks".into()));
        }
        if !mapped.iter().any(|mapped| mapped.image.names.any_has(anchors::EXECUTE)) {
            return Err(Forbidden(
                "this program has no symbols, by which stacks are told apart: build it without `strip`"
                    .into(),
            ));
        }
        Sampling::of(pid, self.setting.frequency, Stacks::of(mapped))
    }

    /// Samples a child that is steady.
    fn sampled(
        &mut self,
        cell: &mut Cell,
        passes: u32,
        sampling: Sampling,
        mut symbols: Symbols,
    ) -> Result<(Profile, Taken)> {
        let kernel = sampling.kernel;
        let turns = Turns::run(cell, passes, &sampling, self.setting.time, self.stage)?;
        let Sampled { samples, lost } = sampling.stop();
        let kernel_names = !self.kernel().is_empty();
        self.lacks(kernel, kernel_names);
        let folded = Folded::of(&samples, &mut symbols);
        let (execute_ns, reset_ns) = (mean(&turns.timed.execute), mean(&turns.timed.reset));
        ensure!(
            folded.samples() > 0,
            "none of {} samples was in a block: let it run for longer (--seconds)",
            samples.len()
        );
        self.short(execute_ns + reset_ns, turns.blocks);
        let taken = Samples { kernel, kernel_names, lost, overhead: turns.overhead(), ..Samples::default() };
        let profile = Profile::sampled(&folded, taken, turns.blocks, execute_ns, reset_ns);
        let sampled = Some(Of { pid: cell.pid(), samples, symbols });
        Ok((profile, Taken { folded, sampled }))
    }

    /// Counts what a child's blocks cause, and prices it; and has wasmtime look where the guest is.
    fn counted(&self, cell: &mut Cell, passes: u32) -> Result<(Profile, Taken)> {
        let counts: Vec<Count> = cell.ask(&Request::Count { passes: 2 })?;
        let began = Instant::now();
        let mut all = Timed::default();
        while all.execute.is_empty() || began.elapsed() < self.setting.time / 4 && !self.stage.stopped() {
            let timed: Timed = cell.ask(&Request::Time { passes })?;
            all.execute.extend(timed.execute);
            all.reset.extend(timed.reset);
        }
        let costs = Costs::here().context("what a fault costs here")?;
        let mut profile = estimate(&all, &counts, costs);
        let mut folded = Folded::default();
        let began = Instant::now();
        while folded.samples() == 0 || began.elapsed() < self.setting.time / 2 && !self.stage.stopped() {
            let hertz = self.setting.frequency;
            let stacks: GuestStacks = cell.ask(&Request::GuestStacks { passes, hertz })?;
            folded.add(&Folded::of_guest(&stacks));
            if began.elapsed() >= self.setting.time {
                break;
            }
        }
        if let Basis::Counts { guest_samples, .. } = &mut profile.basis {
            *guest_samples = folded.samples();
        }
        Ok((profile, Taken { folded, sampled: None }))
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
    fn short(&self, cycle_ns: f64, blocks: u64) {
        let between = 1e9 / f64::from(self.setting.frequency.max(1));
        if cycle_ns > 0.0 && cycle_ns < between {
            let each = between / cycle_ns;
            self.stage.progress.note(&format!(
                "a block takes less than the time between two samples: {blocks} were run, and one in {each:.0} was sampled"
            ));
        }
    }

    fn kernel(&mut self) -> Arc<Names> {
        self.kernel.get_or_insert_with(|| Arc::new(Names::of_this_kernel())).clone()
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.stage.progress.warn(&note);
            self.notes.push(note);
        }
    }
}

fn mean(times: &[u64]) -> f64 {
    times.iter().sum::<u64>() as f64 / times.len().max(1) as f64
}
