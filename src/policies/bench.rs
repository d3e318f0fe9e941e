//! Judges each policy, then runs all of them side by side.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use reset_strategies::Strategy;

use super::course::{Course, Judged, Launch};
use super::report;
use super::scenario::most_bytes;
use crate::analyse::evidence::{LONG_RSS, PEAK_RSS, TIME};
use crate::analyse::growth::WINDOWS;
use crate::analyse::quantile::median;
use crate::analyse::summary::Equivalence;
use crate::launch::process::{Cell, Ended};
use crate::launch::runner::REFERENCE;
use crate::measure::row::{Phase, Row, Status, Unit};
use crate::measure::sampler;
use crate::measure::writer::RowWriter;
use crate::progress::Progress;
use crate::protocol::policy::Policy;
use crate::protocol::schedule::{Schedule, Script};
use crate::protocol::staging::{self, Staged};
use crate::protocol::{Followed, Reference, Refusal, Reply, Request, Spec, Verified};
use crate::workload::Workload;

/// Blocks that are compared with those of fresh instances: what leaks does so from the first block on, and
/// `verify --policy` goes further.
const VERIFIED: usize = 64;

/// Everything that stays the same from workload to workload.
pub struct Bench<'a> {
    pub strategies: &'a [&'static Strategy],
    /// `every` among them: what the others are compared with.
    pub policies: &'a [Policy],
    pub launches: u32,
    /// Blocks of a launch, at least.
    pub blocks: u64,
    pub seed: u64,
    pub timeout: Duration,
    /// This program, to be started as children.
    pub binary: OsString,
    /// Where children find their files.
    pub staging: PathBuf,
    /// The run's name, in every row.
    pub run: &'a str,
    pub rows: RowWriter,
    pub progress: &'a Progress,
    /// Set by Ctrl-C.
    pub interrupted: &'a AtomicBool,
}

/// What the cells of one strategy on one workload have in common.
struct Lane<'a> {
    workload: &'a Workload,
    staged: &'a Staged,
    strategy: &'static Strategy,
}

/// A policy that is being run.
struct Runner {
    course: Course,
    /// The most memory that it needed when it was verified.
    warm_bytes: u64,
    cell: Option<Cell>,
}

impl Bench<'_> {
    /// Judges and runs all policies on one workload, with each strategy; or what can be run until it is interrupted.
    ///
    /// # Errors
    /// When files cannot be written.
    pub fn workload(&mut self, workload: &Workload) -> Result<Vec<report::Cell>> {
        let staged = staging::stage(&self.staging, workload)?;
        self.progress.say(&format!("{}: on fresh instances", workload.name));
        let reference = self.reference(workload, &staged);
        let memory_max = most_bytes(&workload.module)?;
        let mut cells = Vec::new();
        for &strategy in self.strategies {
            if self.stopped() {
                break;
            }
            let lane = Lane { workload, staged: &staged, strategy };
            let mut runners = self.judged(&lane, &reference);
            if runners.iter().any(|runner| runner.course.policy == Policy::Every && is_sound(runner)) {
                self.launches(&lane, &mut runners)?;
            } else {
                withhold(&mut runners);
            }
            let courses: Vec<Course> = runners.into_iter().map(|runner| runner.course).collect();
            cells.extend(report::cells(workload, memory_max, strategy.name(), &courses));
        }
        Ok(cells)
    }

    fn stopped(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// What fresh instances make of the blocks that are compared.
    fn reference(&self, workload: &Workload, staged: &Staged) -> Result<Reference, Ended> {
        let (mut cell, _) = Cell::start(&self.binary, Spec::new(REFERENCE, workload, staged, self.timeout))?;
        match cell.ask(&Request::Observe { script: self.script(Policy::Every) })? {
            Reply::Observed(reference) => Ok(reference),
            other => Err(Ended::unexpected(&other)),
        }
    }

    fn script(&self, policy: Policy) -> Script {
        let blocks = VERIFIED.min(usize::try_from(self.blocks).unwrap_or(usize::MAX));
        Script { schedule: Schedule::InOrder, blocks, seed: self.seed, policy }
    }

    /// What the verifier says of each policy.
    fn judged(&self, lane: &Lane<'_>, reference: &Result<Reference, Ended>) -> Vec<Runner> {
        let judge = |policy: &Policy| {
            self.progress.say(&format!("{}: verifying {policy}", lane.name()));
            let (judged, warm_bytes) = match reference {
                Ok(expected) => match self.verified(lane, *policy, expected) {
                    Ok(verified) => (Judged::of(&verified), verified.peak_rss),
                    Err(ended) => (Judged::unknown(&ended, ended.to_string()), 0),
                },
                Err(ended) => {
                    (Judged::unknown(ended, format!("it does not run on fresh instances: {ended}")), 0)
                }
            };
            let course = Course { policy: *policy, judged, launches: BTreeMap::new() };
            Runner { course, warm_bytes, cell: None }
        };
        self.policies.iter().map(judge).collect()
    }

    fn verified(&self, lane: &Lane<'_>, policy: Policy, expected: &Reference) -> Result<Verified, Ended> {
        let spec = Spec::new(lane.strategy.name(), lane.workload, lane.staged, self.timeout);
        let (mut cell, _) = Cell::start(&self.binary, spec)?;
        match cell.ask(&Request::Verify { script: self.script(policy), expected: expected.clone() })? {
            Reply::Verified(verified) => Ok(verified),
            other => Err(Ended::unexpected(&other)),
        }
    }

    /// Runs all policies side by side, several times over.
    fn launches(&mut self, lane: &Lane<'_>, runners: &mut [Runner]) -> Result<()> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        for number in 0..self.launches {
            self.start(lane, number, runners, &mut random)?;
            for window in 0..WINDOWS {
                let place = format!("launch {}, window {} of {WINDOWS}", number + 1, window + 1);
                self.progress.say(&format!("{}: {place}", lane.name()));
                if !self.window(lane, (number, window), runners, &mut random)? {
                    break;
                }
            }
            for runner in runners.iter_mut() {
                self.finish(lane, number, runner)?;
            }
            if self.stopped() {
                break;
            }
        }
        Ok(())
    }

    /// Starts a child for each policy, and reads its memory.
    fn start(
        &mut self,
        lane: &Lane<'_>,
        number: u32,
        runners: &mut [Runner],
        random: &mut ChaCha8Rng,
    ) -> Result<()> {
        for index in shuffled(runners.len(), random) {
            let runner = &mut runners[index];
            if runner.course.judged.reason.is_some() || self.stopped() {
                continue;
            }
            let spec = Spec::new(lane.strategy.name(), lane.workload, lane.staged, self.timeout);
            match Cell::start(&self.binary, Spec { warm_bytes: runner.warm_bytes, ..spec }) {
                Ok((cell, _)) => {
                    let mut launch = Launch::default();
                    self.read(lane, &cell, &mut launch);
                    if let Err(why) = sampler::forget_peak(cell.pid()) {
                        self.progress.warn(&format!("{}: no peak: {why}", lane.name()));
                    }
                    runner.course.launches.insert(number, launch);
                    runner.cell = Some(cell);
                }
                Err(ended) => self.gone(lane, number, runner, &ended)?,
            }
        }
        Ok(())
    }

    /// One window of each policy, in an order drawn anew; says whether there may be another. What was interrupted in the
    /// middle is left out, so that all policies have equally many.
    fn window(
        &mut self,
        lane: &Lane<'_>,
        (number, window): (u32, u32),
        runners: &mut [Runner],
        random: &mut ChaCha8Rng,
    ) -> Result<bool> {
        let blocks = self.blocks.div_ceil(u64::from(WINDOWS));
        let mut round = Vec::new();
        for index in shuffled(runners.len(), random) {
            if self.stopped() {
                return Ok(false);
            }
            let runner = &mut runners[index];
            let Some(cell) = &mut runner.cell else { continue };
            match cell.ask(&Request::Follow { policy: runner.course.policy, blocks }) {
                Ok(Reply::Followed(followed)) => round.push((index, followed)),
                Ok(other) => bail!("{}: {:?}", lane.name(), Ended::unexpected(&other)),
                Err(ended) => self.gone(lane, number, runner, &ended)?,
            }
        }
        for (order, (index, followed)) in round.into_iter().enumerate() {
            let Runner { course, cell: Some(cell), .. } = &mut runners[index] else { continue };
            self.write(lane, course.policy, (number, window, u32::try_from(order)?), &followed)?;
            if let Some(launch) = course.launches.get_mut(&number) {
                launch.windows.push(followed);
                self.read(lane, cell, launch);
            }
        }
        Ok(runners.iter().any(|runner| runner.cell.is_some()))
    }

    /// Reads a child's memory while it waits. A series with a gap would be misread: it ends where reading fails.
    fn read(&self, lane: &Lane<'_>, cell: &Cell, launch: &mut Launch) {
        if launch.rss.len() != launch.windows.len() {
            return;
        }
        match sampler::resident(cell.pid()) {
            Ok(bytes) => launch.rss.push(bytes),
            Err(why) => self.progress.warn(&format!("{}: no memory: {why}", lane.name())),
        }
    }

    /// Ends a child, after its peak was read and its memory written.
    fn finish(&mut self, lane: &Lane<'_>, number: u32, runner: &mut Runner) -> Result<()> {
        let (Some(cell), Some(launch)) = (runner.cell.take(), runner.course.launches.get_mut(&number)) else {
            return Ok(());
        };
        launch.peak = sampler::peak(cell.pid()).ok();
        let row = self.row(lane, runner.course.policy, number, Phase::Memory);
        let row = Row { unit: Unit::Bytes, ..row };
        let (value, samples) = (launch.rss.last().copied(), launch.rss.clone());
        self.rows.write(&Row { metric: LONG_RSS.into(), value, samples, ..row.clone() })?;
        self.rows.write(&Row { metric: PEAK_RSS.into(), value: launch.peak, ..row })?;
        Ok(())
    }

    /// A policy whose child ended is not started again.
    fn gone(&mut self, lane: &Lane<'_>, number: u32, runner: &mut Runner, ended: &Ended) -> Result<()> {
        runner.cell = None;
        let policy = runner.course.policy;
        let reason = format!("it ended in launch {}: {ended}", number + 1);
        self.progress.warn(&format!("{} under {policy}: {reason}", lane.name()));
        let row = self.row(lane, policy, number, Phase::Cycle);
        let error = Some(reason.clone());
        self.rows.write(&Row { metric: TIME.into(), status: Status::Failed, error, ..row })?;
        runner.course.judged.reason = Some(reason);
        Ok(())
    }

    /// A window as rows.
    fn write(
        &mut self,
        lane: &Lane<'_>,
        policy: Policy,
        (number, window, order): (u32, u32, u32),
        followed: &Followed,
    ) -> Result<()> {
        let row = self.row(lane, policy, number, Phase::Cycle);
        let row = Row { round: Some(window), order: Some(order), ..row };
        let counts =
            [("resets", followed.resets), ("retries", followed.retries), ("failed_blocks", followed.failed)];
        for (metric, value) in counts {
            self.rows.write(&Row { metric: metric.into(), value: Some(value), ..row.clone() })?;
        }
        let (value, samples) = (median(&mut followed.cycle.clone()), followed.cycle.clone());
        self.rows.write(&Row { metric: TIME.into(), unit: Unit::Nanoseconds, value, samples, ..row })
    }

    /// What rows have in common; the policy is a parameter, so that none of them passes for a strategy's own.
    fn row(&self, lane: &Lane<'_>, policy: Policy, launch: u32, phase: Phase) -> Row {
        let mut params = lane.workload.params.clone();
        params.insert("policy".into(), policy.to_string().into());
        Row {
            run: self.run.into(),
            launch,
            round: None,
            order: None,
            strategy: lane.strategy.name().into(),
            workload: lane.workload.name.clone(),
            params,
            phase,
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

impl Lane<'_> {
    fn name(&self) -> String {
        format!("{} on {}", self.strategy.name(), self.workload.name)
    }
}

impl Judged {
    fn of(verified: &Verified) -> Self {
        let Verified { blocks, difference, consequence, .. } = verified.clone();
        Self {
            equivalence: match difference.is_some() || consequence.is_some() {
                true => Equivalence::Diverged,
                false if blocks == 0 => Equivalence::NotRun,
                false => Equivalence::Equivalent,
            },
            verified_blocks: blocks,
            first_difference: difference,
            consequence,
            reason: (blocks == 0).then(|| "no block was compared".into()),
        }
    }

    fn unknown(ended: &Ended, reason: String) -> Self {
        let equivalence = match ended {
            Ended::Failed(Refusal::Unavailable, _) => Equivalence::Unavailable,
            Ended::Failed(Refusal::Refused, _) => Equivalence::Refused,
            _ => Equivalence::NotRun,
        };
        Self {
            equivalence,
            verified_blocks: 0,
            first_difference: None,
            consequence: None,
            reason: Some(reason),
        }
    }
}

fn is_sound(runner: &Runner) -> bool {
    runner.course.judged.equivalence == Equivalence::Equivalent
}

/// A reset that is wrong by itself has no time, whenever it happens.
fn withhold(runners: &mut [Runner]) {
    for runner in runners {
        let reason = "no time: this strategy's own reset is not known to be right";
        runner.course.judged.reason.get_or_insert_with(|| reason.into());
    }
}

fn shuffled(count: usize, random: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<_> = (0..count).collect();
    order.shuffle(random);
    order
}
