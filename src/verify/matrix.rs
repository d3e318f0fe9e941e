//! The parent's part: every strategy on every workload, each cell in a child process of its own.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use reset_strategies::module::Facts;
use reset_strategies::{Availability, Lifecycle, Strategy, Support};

use super::report::{CellReport, Ran, Report};
use crate::analyse::summary::Equivalence;
use crate::cell::pressure::{self, swap};
use crate::launch::process::{Cell, Ended};
use crate::launch::runner::REFERENCE;
use crate::launch::stage::Stage;
use crate::machine::group::Group;
use crate::protocol::policy::Policy;
use crate::protocol::schedule::{Schedule, Script};
use crate::protocol::staging::{self, Staged};
use crate::protocol::{Reference, Request, Spec, Verified};
use crate::workload::Workload;
use crate::workload::host::Outcome;

/// What is verified, and how thoroughly.
#[derive(Debug)]
pub struct Matrix<'a> {
    pub strategies: &'a [&'static Strategy],
    pub workloads: &'a [Workload],
    pub schedules: &'a [Schedule],
    pub policy: Policy,
    pub seed: u64,
    /// Blocks that strategies which claim to be sound compare in all, at least; every workload gets the same time for
    /// its share.
    pub blocks: u64,
    pub timeout: Duration,
    pub stage: &'a Stage,
}

/// A workload that fresh instances have run.
struct Lane<'a> {
    workload: &'a Workload,
    staged: Staged,
    scripts: Vec<(Script, Reference)>,
}

/// A workload's files and what one block of it costs, or why fresh instances do not run it.
type Cost = Result<(Staged, Duration), String>;

/// What ends a cell before all of its schedules have run.
enum End {
    Diverged(Schedule, String),
    Unjudged(String),
    Ended(Ended),
}

impl From<Ended> for End {
    fn from(ended: Ended) -> Self {
        Self::Ended(ended)
    }
}

impl Matrix<'_> {
    /// Verifies everything, or what can be verified until it is interrupted.
    ///
    /// # Errors
    /// When files cannot be written or no child can be started.
    pub fn run(&self) -> Result<Report> {
        let costs = in_parallel(self.workloads, |workload| self.cost(workload));
        let costs = costs.into_iter().collect::<Result<Vec<_>>>()?;
        let share = self.share(&costs);
        let prepared: Vec<_> = self.workloads.iter().zip(costs).collect();
        let lanes = in_parallel(&prepared, |(workload, cost)| {
            let (staged, cost) = cost.as_ref().map_err(String::clone)?;
            self.lane(workload, staged, share, *cost).map_err(|ended| ended.of_reference())
        });

        let pairs: Vec<_> = (0..lanes.len())
            .flat_map(|lane| self.strategies.iter().map(move |strategy| (lane, *strategy)))
            .collect();
        let cells = in_parallel(&pairs, |(lane, strategy)| {
            let workload = &self.workloads[*lane];
            match &lanes[*lane] {
                _ if self.stage.stopped() => not_run(strategy, workload, "interrupted".into()),
                Ok(lane) => self.cell(lane, strategy),
                Err(reason) => unable(strategy, workload, reason),
            }
        });
        self.stage.progress.finish();
        Ok(Report::new(self.seed, self.policy.to_string(), self.schedules, cells))
    }

    /// The time that each run of a script may take so that the blocks wanted come together, given what a block of
    /// each workload costs.
    fn share(&self, costs: &[Cost]) -> Duration {
        let swap = swap().is_ok();
        let schedules = self.schedules.iter().filter(|&&schedule| swap || schedule != Schedule::MemoryLimit);
        let runs = (2 * schedules.count()) as f64;
        let blocks_per_second: f64 = self
            .workloads
            .iter()
            .zip(costs)
            .filter_map(|(workload, cost)| Some((workload, cost.as_ref().ok()?.1)))
            .map(|(workload, cost)| runs * self.sound(workload) as f64 / cost.as_secs_f64())
            .sum();
        Duration::try_from_secs_f64(self.blocks as f64 / blocks_per_second).unwrap_or_default()
    }

    /// How many strategies will claim to be sound on a workload.
    fn sound(&self, workload: &Workload) -> usize {
        let Ok(facts) = Facts::read(&workload.module) else { return 0 };
        let claims = |strategy: &&&Strategy| {
            !strategy.is_control()
                && strategy.availability() == Availability::Available
                && strategy.support(&facts) == Support::Supported
        };
        self.strategies.iter().filter(claims).count()
    }

    /// What one block costs on a fresh instance, or why there is no telling.
    fn cost(&self, workload: &Workload) -> Result<Cost> {
        self.stage.progress.say(&format!("{}: on fresh instances", workload.name));
        let staged = staging::stage(self.stage.staging.path(), workload)?;
        let observed = self.start(self.spec(workload, &staged, REFERENCE)).and_then(|mut cell| {
            let started = Instant::now();
            let script = self.script(Schedule::InOrder, 0);
            let reference: Reference = cell.ask(&Request::Observe { script })?;
            Ok((reference, started.elapsed()))
        });
        let (reference, time) = match observed {
            Ok(observed) => observed,
            Err(ended) => return Ok(Err(ended.of_reference())),
        };
        if let Some(block) = reference.blocks.iter().position(|block| block.outcome == Outcome::TimedOut) {
            let seconds = self.timeout.as_secs_f32();
            return Ok(Err(format!(
                "block {block} takes more than {seconds} s of CPU time on a fresh instance: allow for more with --timeout"
            )));
        }
        let blocks = u32::try_from(reference.blocks.len().max(1))?;
        Ok(Ok((staged, (time / blocks).max(CHEAPEST))))
    }

    /// Has fresh instances run every script.
    fn lane<'a>(
        &self,
        workload: &'a Workload,
        staged: &Staged,
        share: Duration,
        cost: Duration,
    ) -> Result<Lane<'a>, Ended> {
        let blocks = (share.as_secs_f64() / cost.as_secs_f64()).ceil() as usize;
        let mut cell = self.start(self.spec(workload, staged, REFERENCE))?;
        let mut scripts = Vec::new();
        for schedule in self.schedules {
            let script = self.script(*schedule, blocks);
            scripts.push((script, cell.ask(&Request::Observe { script })?));
        }
        Ok(Lane { workload, staged: staged.clone(), scripts })
    }

    /// Takes one cell through all schedules, up to its first difference.
    fn cell(&self, lane: &Lane<'_>, strategy: &'static Strategy) -> CellReport {
        self.stage.progress.say(&format!("{}: {strategy}", lane.workload.name));
        let mut report = CellReport {
            equivalence: Equivalence::Equivalent,
            reason: None,
            ..not_run(strategy, lane.workload, String::new())
        };
        match self.schedules(lane, strategy, &mut report) {
            Ok(()) => report.settle(),
            Err(End::Diverged(schedule, difference)) => {
                self.stage
                    .progress
                    .note(&format!("{}: {strategy} diverges: {difference}", lane.workload.name));
                report.equivalence = Equivalence::Diverged;
                report.schedule = Some(schedule);
                report.first_difference = Some(difference);
            }
            Err(End::Unjudged(reason)) => {
                report.equivalence = Equivalence::NotRun;
                report.reason = Some(reason);
            }
            Err(End::Ended(ended)) => {
                report.equivalence = ended.equivalence();
                report.reason = Some(ended.to_string());
            }
        }
        report
    }

    /// Runs all scripts in as many children as they need, up to the first difference.
    fn schedules(&self, lane: &Lane<'_>, strategy: &Strategy, report: &mut CellReport) -> Result<(), End> {
        let (alone, together): (Vec<_>, Vec<_>) =
            lane.scripts.iter().partition(|(script, _)| script.schedule.is_alone());
        if !together.is_empty() {
            self.scripts(lane, &together, None, report)?;
        }
        for script in alone {
            let name = script.0.schedule;
            let group = match name {
                // Known without a process: all of its resets make a new memory.
                Schedule::Committed if matches!(strategy.lifecycle(), Lifecycle::Fresh(_)) => {
                    Err("nothing to commit: a fresh strategy drops its memory after each block".into())
                }
                Schedule::MemoryLimit => pressure::group().map(Some),
                _ => Ok(None),
            };
            match group {
                Ok(group) => self.scripts(lane, &[script], group.as_ref(), report)?,
                Err(reason) => report.schedules.push(Ran { name, blocks: 0, not_run: Some(reason) }),
            }
        }
        Ok(())
    }

    /// Runs scripts in a child, up to the first difference.
    fn scripts(
        &self,
        lane: &Lane<'_>,
        scripts: &[&(Script, Reference)],
        group: Option<&Group>,
        report: &mut CellReport,
    ) -> Result<(), End> {
        let script = scripts.iter().map(|(script, _)| *script).find(|script| script.schedule.is_special());
        let spec = self.spec(lane.workload, &lane.staged, &report.strategy);
        let mut cell = self.start(Spec { script, group: group.map(Group::members), ..spec })?;
        for (script, expected) in scripts {
            let name = script.schedule;
            if let Some(Err(reason)) = group.map(pressure::limit) {
                report.schedules.push(Ran { name, blocks: 0, not_run: Some(reason) });
                continue;
            }
            let verified: Verified =
                match cell.ask(&Request::Verify { script: *script, expected: expected.clone() }) {
                    // Under a limit the kernel may well kill: that says nothing of the reset.
                    Err(Ended::Killed(how)) if group.is_some() => {
                        report.schedules.push(Ran { name, blocks: 0, not_run: Some(how) });
                        return Ok(());
                    }
                    Err(Ended::Crashed(how)) => {
                        return Err(End::Diverged(name, format!("the process was {how}")));
                    }
                    verified => verified?,
                };
            let Verified { blocks, difference, consequence, not_run, unjudged, .. } = verified;
            report.blocks += blocks;
            report.schedules.push(Ran { name, blocks, not_run });
            if report.consequence.is_none() {
                report.consequence = consequence;
            }
            if let Some(difference) = difference {
                return Err(End::Diverged(name, difference));
            }
            if let Some(reason) = unjudged {
                return Err(End::Unjudged(reason));
            }
        }
        Ok(())
    }

    fn start(&self, spec: Spec) -> Result<Cell, Ended> {
        Cell::start(&self.stage.binary, spec).map(|(cell, _)| cell)
    }

    fn script(&self, schedule: Schedule, blocks: usize) -> Script {
        Script { schedule, blocks, seed: self.seed, policy: self.policy }
    }

    fn spec(&self, workload: &Workload, staged: &Staged, strategy: &str) -> Spec {
        Spec::new(strategy, workload, staged, self.timeout)
    }
}

/// Cheaper blocks count as this expensive: below, it is the comparison that takes the time.
const CHEAPEST: Duration = Duration::from_micros(50);

/// A cell of a workload that fresh instances do not run: what the strategy refuses is refused all the same.
fn unable(strategy: &Strategy, workload: &Workload, reason: &str) -> CellReport {
    let facts = Facts::read(&workload.module).ok();
    match facts.map(|facts| strategy.support(&facts)) {
        Some(Support::Refused { reason }) => {
            CellReport { equivalence: Equivalence::Refused, ..not_run(strategy, workload, reason) }
        }
        _ => not_run(strategy, workload, reason.into()),
    }
}

fn not_run(strategy: &Strategy, workload: &Workload, reason: String) -> CellReport {
    CellReport {
        strategy: strategy.name().into(),
        workload: workload.name.clone(),
        control: strategy.is_control(),
        equivalence: Equivalence::NotRun,
        blocks: 0,
        first_difference: None,
        schedule: None,
        consequence: None,
        reason: Some(reason),
        schedules: Vec::new(),
    }
}

/// Works on all items, as many at once as there are CPUs; the results are in the order of the items.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(1, usize::from).min(items.len());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    let result = work(item);
                    done.lock().expect("no panic while holding the lock").push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no panic while holding the lock");
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..100).collect();
        assert_eq!(in_parallel(&items, |item| item * 2), (0..100).map(|n| n * 2).collect::<Vec<_>>());
        assert_eq!(in_parallel(&[], |item: &u32| *item), Vec::<u32>::new());
    }
}
