//! Judges each policy, then runs all of them side by side.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use reset_strategies::Strategy;

use super::course::{Course, Judged, Launch};
use super::report;
use super::scenario::most_bytes;
use crate::analyse::evidence::{LONG_RSS, PEAK_RSS, TIME};
use crate::analyse::growth::WINDOWS;
use crate::analyse::summary::Equivalence;
use crate::launch::plan::Order;
use crate::launch::process::{Cell, Ended};
use crate::launch::rows;
use crate::launch::stage::{Results, Stage};
use crate::measure::row::{Phase, Row, Status, Unit};
use crate::measure::sampler;
use crate::protocol::policy::Policy;
use crate::protocol::schedule::Script;
use crate::protocol::staging::{self, Staged};
use crate::protocol::{Followed, REFERENCE, Reference, Request, Spec, Verified};
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
    pub stage: &'a Stage,
    pub results: &'a mut Results,
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
        let staged = staging::stage(self.stage.staging.path(), workload)?;
        self.stage.progress.say(&format!("{}: on fresh instances", workload.name));
        let reference = self.reference(workload, &staged);
        let memory_max = most_bytes(&workload.module)?;
        let mut cells = Vec::new();
        for &strategy in self.strategies {
            if self.stage.stopped() {
                break;
            }
            let lane = Lane { workload, staged: &staged, strategy };
            let mut runners = self.judged(&lane, &reference);
            let is_sound = runners.iter().any(|Runner { course, .. }| {
                course.policy == Policy::Every && course.judged.equivalence == Equivalence::Equivalent
            });
            if is_sound {
                self.launches(&lane, &mut runners)?;
            } else {
                // A reset that is wrong by itself has no time, whenever it happens.
                for runner in &mut runners {
                    let reason = "no time: this strategy's own reset is not known to be right";
                    runner.course.judged.reason.get_or_insert_with(|| reason.into());
                }
            }
            let courses: Vec<Course> = runners.into_iter().map(|runner| runner.course).collect();
            cells.extend(report::cells(workload, memory_max, strategy.name(), &courses));
        }
        Ok(cells)
    }

    fn start_cell(
        &self,
        strategy: &str,
        workload: &Workload,
        staged: &Staged,
        warm_bytes: u64,
    ) -> Result<Cell, Ended> {
        let spec = Spec { warm_bytes, ..Spec::new(strategy, workload, staged, self.timeout) };
        Cell::start(&self.stage.binary, spec).map(|(cell, _)| cell)
    }

    /// What fresh instances make of the blocks that are compared.
    fn reference(&self, workload: &Workload, staged: &Staged) -> Result<Reference, Ended> {
        let script = self.script(Policy::Every);
        self.start_cell(REFERENCE, workload, staged, 0)?.ask(&Request::Observe { script })
    }

    fn script(&self, policy: Policy) -> Script {
        let blocks = VERIFIED.min(usize::try_from(self.blocks).unwrap_or(usize::MAX));
        Script { blocks, seed: self.seed, policy, ..Script::in_order() }
    }

    /// What the verifier says of each policy.
    fn judged(&self, lane: &Lane<'_>, reference: &Result<Reference, Ended>) -> Vec<Runner> {
        let judge = |policy: &Policy| {
            self.stage.progress.say(&format!("{}: verifying {policy}", lane.name()));
            let verified = match reference {
                Ok(expected) => {
                    self.verified(lane, *policy, expected).map_err(|ended| (ended.to_string(), ended))
                }
                Err(ended) => Err((ended.of_reference(), ended.clone())),
            };
            let (judged, warm_bytes) = match verified {
                Ok(verified) => (Judged::of(&verified), verified.peak_rss),
                Err((reason, ended)) => (Judged::unknown(&ended, reason), 0),
            };
            let course = Course { policy: *policy, judged, launches: BTreeMap::new() };
            Runner { course, warm_bytes, cell: None }
        };
        self.policies.iter().map(judge).collect()
    }

    fn verified(&self, lane: &Lane<'_>, policy: Policy, expected: &Reference) -> Result<Verified, Ended> {
        let verify = Request::Verify { script: self.script(policy), expected: expected.clone() };
        self.start_cell(lane.strategy.name(), lane.workload, lane.staged, 0)?.ask(&verify)
    }

    /// Runs all policies side by side, several times over.
    fn launches(&mut self, lane: &Lane<'_>, runners: &mut [Runner]) -> Result<()> {
        let mut order = Order::new(self.seed, 0);
        for number in 0..self.launches {
            self.start(lane, number, runners, &mut order)?;
            for window in 0..WINDOWS {
                let place = format!("launch {}, window {} of {WINDOWS}", number + 1, window + 1);
                self.stage.progress.say(&format!("{}: {place}", lane.name()));
                if !self.window(lane, (number, window), runners, &mut order)? {
                    break;
                }
            }
            for runner in runners.iter_mut() {
                self.finish(lane, number, runner)?;
            }
            if self.stage.stopped() {
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
        order: &mut Order,
    ) -> Result<()> {
        let cpu = self.stage.pinning.of_launch(number, lane.workload.threads);
        for index in order.shuffled(runners.len()) {
            let runner = &mut runners[index];
            if runner.course.judged.reason.is_some() || self.stage.stopped() {
                continue;
            }
            let cell = self.start_cell(lane.strategy.name(), lane.workload, lane.staged, runner.warm_bytes);
            match cell.and_then(|cell| cell.keep_on(cpu).map(|()| cell)) {
                Ok(cell) => {
                    let mut launch = Launch::default();
                    self.read(lane, &cell, &mut launch);
                    if let Err(why) = sampler::forget_peak(cell.pid()) {
                        self.stage.progress.warn(&format!("{}: no peak: {why}", lane.name()));
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
        order: &mut Order,
    ) -> Result<bool> {
        let blocks = self.blocks.div_ceil(u64::from(WINDOWS));
        let mut round = Vec::new();
        for index in order.shuffled(runners.len()) {
            if self.stage.stopped() {
                return Ok(false);
            }
            let runner = &mut runners[index];
            let Some(cell) = &mut runner.cell else { continue };
            match cell.ask(&Request::Follow { policy: runner.course.policy, blocks }) {
                Ok(followed) => round.push((index, followed)),
                Err(ended) => self.gone(lane, number, runner, &ended)?,
            }
        }
        for (order, (index, followed)) in (0..).zip(round) {
            let Runner { course, cell: Some(cell), .. } = &mut runners[index] else { continue };
            self.write(lane, course.policy, (number, window, order), &followed)?;
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
            Err(why) => self.stage.progress.warn(&format!("{}: no memory: {why}", lane.name())),
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
        self.results.rows.write(&Row { metric: LONG_RSS.into(), value, samples, ..row.clone() })?;
        self.results.rows.write(&Row { metric: PEAK_RSS.into(), value: launch.peak, ..row })
    }

    /// A policy whose child ended is not started again.
    fn gone(&mut self, lane: &Lane<'_>, number: u32, runner: &mut Runner, ended: &Ended) -> Result<()> {
        runner.cell = None;
        let policy = runner.course.policy;
        let reason = format!("it ended in launch {}: {ended}", number + 1);
        self.stage.progress.warn(&format!("{} under {policy}: {reason}", lane.name()));
        let row = self.row(lane, policy, number, Phase::Cycle);
        let error = Some(reason.clone());
        self.results.rows.write(&Row { metric: TIME.into(), status: Status::Failed, error, ..row })?;
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
        let counted =
            |(metric, value): (&str, u64)| Row { metric: metric.into(), value: Some(value), ..row.clone() };
        self.results.rows.write_all(counts.map(counted))?;
        let row = Row { metric: TIME.into(), unit: Unit::Nanoseconds, ..row };
        self.results.rows.write(&rows::sampled(row, followed.cycle.clone()))
    }

    /// What rows have in common; the policy is a parameter, so that none of them passes for a strategy's own.
    fn row(&self, lane: &Lane<'_>, policy: Policy, launch: u32, phase: Phase) -> Row {
        let Workload { name, params, .. } = lane.workload;
        let mut row = Row::new(&self.results.run, lane.strategy.name(), name, params, phase);
        row.launch = launch;
        row.params.insert("policy".into(), policy.to_string().into());
        row
    }
}

impl Lane<'_> {
    fn name(&self) -> String {
        format!("{} on {}", self.strategy.name(), self.workload.name)
    }
}

impl Judged {
    fn of(verified: &Verified) -> Self {
        let Verified { blocks, difference, consequence, unjudged, .. } = verified.clone();
        Self {
            equivalence: match difference.is_some() || consequence.is_some() {
                true => Equivalence::Diverged,
                false if blocks == 0 || unjudged.is_some() => Equivalence::NotRun,
                false => Equivalence::Equivalent,
            },
            verified_blocks: blocks,
            first_difference: difference,
            consequence,
            reason: unjudged.or((blocks == 0).then(|| "no block was compared".into())),
        }
    }

    fn unknown(ended: &Ended, reason: String) -> Self {
        Self {
            equivalence: ended.equivalence(),
            verified_blocks: 0,
            first_difference: None,
            consequence: None,
            reason: Some(reason),
        }
    }
}
