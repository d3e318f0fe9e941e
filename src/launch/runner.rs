//! Drives all children of a workload in lock-step rounds and writes the rows.
//!
//! One instrument at a time: verification first, then per launch startup and timing rounds, then counters, and in the
//! last launch that all cells have memory, first over time and then, where asked for, over many blocks. A contender that
//! ends, refuses or diverges becomes a row, and the run goes on without it.

mod length;
mod long_run;
mod passes;
mod settling;
mod verified;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::batch;
use super::plan::{self, Drawn, Order, Plan};
use super::process::{Cell, Ended};
use super::rows;
use super::stage::{Results, Stage};
use crate::analyse::ending;
use crate::analyse::paired::Rounds;
use crate::analyse::summary::Ending;
use crate::machine;
use crate::measure::row::{Phase, Row, Status};
use crate::protocol::staging::{self, Staged};
use crate::protocol::{Answer, Refusal, Request, Spec, Stages, Verified};
use crate::workload::Workload;

/// How often memory is sampled: the sampler's cost stays below a thousandth of a core.
pub(super) const SAMPLE_EVERY: Duration = Duration::from_millis(5);

/// Takes a plan through its launches.
#[derive(Debug)]
pub struct Runner<'a> {
    pub plan: &'a Plan,
    pub stage: &'a Stage,
    pub results: &'a mut Results,
}

/// A strategy that is in the race, and the processes that run it.
struct Contender<'a> {
    plan: &'a plan::Contender,
    /// Whether others are held against it.
    yardstick: bool,
    verified: Verified,
    cell: Option<Cell>,
    /// The cycles so far: the median of each round.
    cycles: Rounds,
    /// Whether it decides by what it has learnt, so that other launches may count otherwise.
    learns: bool,
    /// Whether it became steady in this launch.
    settled: bool,
    /// Set once: a cell that failed is not started again.
    out: bool,
    /// Set once, with the launches that it had: nor is one that was measured for long enough.
    ended: Option<(Ending, u32)>,
}

impl<'a> Contender<'a> {
    fn new(plan: &'a plan::Contender, yardstick: bool, verified: Verified) -> Self {
        Self {
            plan,
            yardstick,
            verified,
            cell: None,
            cycles: Rounds::new(),
            learns: false,
            settled: false,
            out: false,
            ended: None,
        }
    }

    /// As rows name it.
    fn strategy(&self) -> &'a str {
        &self.plan.name
    }

    /// The numbers of the rounds that it has had in a launch.
    fn rounds(&self, launch: u32) -> BTreeSet<u32> {
        self.cycles.range((launch, 0)..=(launch, u32::MAX)).map(|(&(_, round), _)| round).collect()
    }

    /// Whether it is to have another launch.
    fn goes_on(&self) -> bool {
        !self.out && self.ended.is_none()
    }

    /// Whether the two are one strategy as two builds have it, of which the other is still there.
    fn is_twin(&self, other: &Self) -> bool {
        !other.out && self.plan.is_twin(other.plan)
    }
}

/// The rows of one workload have these in common.
struct Lane<'a> {
    workload: &'a Workload,
    /// Its place in the plan.
    index: usize,
    staged: &'a Staged,
    launch: u32,
}

/// A workload whose contenders are verified.
struct Ready<'w, 'a> {
    workload: &'w Workload,
    index: usize,
    staged: Staged,
    contenders: Vec<Contender<'a>>,
    /// What that took.
    verified: Duration,
    /// What the fewest launches will take, by the times of the reference's trace and of verifying.
    need: Duration,
}

/// Traces that a contender runs in a launch at least: on its way, and in rounds.
const TRACES: u32 = 7;

impl<'a> Runner<'a> {
    /// Verifies everything, then measures it, or what can be measured until it is interrupted.
    ///
    /// # Errors
    /// When files cannot be written or no child can be started.
    pub fn run(&mut self) -> Result<()> {
        let began = Instant::now();
        let budget = self.plan.effort.budget;
        let mut ready = Vec::new();
        for (index, workload) in self.plan.workloads.iter().enumerate() {
            if !self.stage.stopped() {
                ready.extend(self.prepare(workload, index)?);
            }
        }
        // The dearest comes last: if its fewest launches take more than its share, no other has less for it.
        ready.sort_by_key(|ready| ready.need);
        let needs: Vec<Duration> = ready.iter().map(|ready| ready.need).collect();
        for (index, ready) in ready.into_iter().enumerate() {
            if self.stage.stopped() {
                break;
            }
            let left = budget.saturating_sub(began.elapsed());
            self.measure(ready, Some(share(left, &needs[index..])))?;
        }
        if !self.stage.stopped()
            && let Some(words) = overrun(budget, began.elapsed())
        {
            self.stage.progress.note(&words);
        }
        self.stage.progress.finish();
        Ok(())
    }

    /// Verifies and measures all contenders on one workload, as long as the effort has for one. The fewest launches are run
    /// whatever they take.
    ///
    /// # Errors
    /// As for [`Runner::run`].
    pub fn workload(&mut self, workload: &Workload, index: usize) -> Result<()> {
        match self.prepare(workload, index)? {
            Some(ready) => self.measure(ready, None),
            None => Ok(()),
        }
    }

    /// Verifies all contenders on one workload; `None` where it does not run on fresh instances.
    fn prepare<'w>(&mut self, workload: &'w Workload, index: usize) -> Result<Option<Ready<'w, 'a>>> {
        let began = Instant::now();
        let staged = staging::stage(self.stage.staging.path(), workload)?;
        let lane = Lane { workload, index, staged: &staged, launch: 0 };
        let Some((reference, trace)) = self.reference(&lane)? else { return Ok(None) };
        if let Some(warning) = rows::count(&reference, workload).warning() {
            self.stage.progress.warn(&format!("{}: {warning}", workload.name));
        }
        let contenders = self.verify(&lane, &reference)?;
        let cells = u32::try_from(contenders.len())?;
        let verified = began.elapsed();
        // Verifying starts a child and runs the trace, as a launch does.
        let launch = trace * TRACES + verified / cells.max(1);
        Ok(Some(Ready {
            workload,
            index,
            need: launch * self.plan.effort.launches.0 * cells,
            verified,
            staged,
            contenders,
        }))
    }

    /// Measures a workload within its share of the time.
    fn measure(&mut self, ready: Ready<'_, 'a>, share: Option<Duration>) -> Result<()> {
        let Ready { workload, index, staged, contenders, verified, .. } = ready;
        let began = Instant::now();
        let mut lane = Lane { workload, index, staged: &staged, launch: 0 };
        // Sampled, and then read between blocks.
        let memory = 2 * self.plan.effort.memory_pass * u32::try_from(contenders.len())?;
        let mut batches = self.batches(&lane, contenders);
        let mut left = share.map_or(self.plan.effort.cell, |share| share.saturating_sub(memory));
        for (to_come, contenders) in (1..=u32::try_from(batches.len())?).rev().zip(&mut batches) {
            // What a batch leaves of its time is for those that follow.
            let time = left / to_come;
            left -= time;
            left += self.launches(&mut lane, contenders, time)?;
        }
        let progress = &self.stage.progress;
        progress.note(&format!(
            "{}: {} of {} strategies measured in {:.1} s, verified in {:.1} s before",
            workload.name,
            batches.iter().flatten().filter(|contender| !contender.out).count(),
            self.plan.contenders.len(),
            began.elapsed().as_secs_f64(),
            verified.as_secs_f64(),
        ));
        let ended = |contender: &Contender<'a>| {
            let (ending, launches) = contender.ended?;
            Some((contender.strategy(), ending, launches))
        };
        let ended: Vec<_> = batches.iter().flatten().filter_map(ended).collect();
        if let Some(words) = ending::told(&ended) {
            progress.note(&format!("{}: {words}", workload.name));
        }
        Ok(())
    }

    /// All contenders at once where memory allows, else in batches whose launches are numbered on.
    fn batches(&self, lane: &Lane<'_>, contenders: Vec<Contender<'a>>) -> Vec<Vec<Contender<'a>>> {
        // One strategy of two builds is compared round by round, as is everything with the yardsticks.
        let groups = groups(&contenders);
        let need = |group: &Vec<usize>| group.iter().map(|&index| contenders[index].verified.peak_rss).sum();
        let needs: Vec<u64> = groups.iter().map(need).collect();
        // A quarter is left to the parent, its sampler and whoever else is on the machine.
        let room = machine::room_bytes().map_or(u64::MAX, |room| room / 4 * 3);
        let batches = batch::batches(&needs, |group| contenders[groups[group][0]].yardstick, room);
        if let [_, _, ..] = batches[..] {
            self.stage.progress.note(&format!(
                "{}: {} batches, since all contenders at once do not fit into {} MiB",
                lane.workload.name,
                batches.len(),
                room >> 20,
            ));
        }
        let contender = |&index: &usize| {
            let Contender { plan, yardstick, verified, .. } = &contenders[index];
            Contender::new(plan, *yardstick, verified.clone())
        };
        batches
            .into_iter()
            .map(|batch| batch.into_iter().flat_map(|group| &groups[group]).map(contender).collect())
            .collect()
    }

    /// Starts the child of a contender.
    fn start(
        &self,
        lane: &Lane<'_>,
        contender: &plan::Contender,
        warm_bytes: u64,
    ) -> Result<(Cell, Stages), Ended> {
        let spec = |staged| Spec {
            host: self.plan.host.clone(),
            planted: contender.planted,
            warm_bytes,
            ..Spec::new(contender.strategy.name(), lane.workload, staged, self.plan.timeout)
        };
        let Some(build) = &contender.build else {
            return Cell::start(&self.stage.binary, spec(lane.staged));
        };
        let staged = lane.staged.of_build(&build.name);
        let staged = staged.map_err(|error| Ended::Failed(Refusal::Error, format!("{error:#}")))?;
        Cell::start(&build.program, spec(&staged))
    }

    /// Asks a contender that is still in the race; one that ends instead of answering drops out.
    fn ask<T: Answer>(
        &mut self,
        lane: &Lane<'_>,
        contender: &mut Contender<'a>,
        request: &Request,
    ) -> Result<Option<T>> {
        let Some(cell) = &mut contender.cell else { return Ok(None) };
        match cell.ask(request) {
            Ok(answer) => Ok(Some(answer)),
            Err(ended) => {
                self.drop_out(lane, contender, &ended)?;
                Ok(None)
            }
        }
    }

    fn drop_out(&mut self, lane: &Lane<'_>, contender: &mut Contender<'a>, ended: &Ended) -> Result<()> {
        contender.cell = None;
        contender.out = true;
        self.stage.progress.warn(&format!("{} on {}: {ended}", contender.strategy(), lane.workload.name));
        self.outcome(lane, contender.strategy(), ended.status(), Some(ended.to_string()))
    }

    /// Whether the cell may have figures, and why not.
    fn outcome(
        &mut self,
        lane: &Lane<'_>,
        strategy: &str,
        status: Status,
        error: Option<String>,
    ) -> Result<()> {
        let row = self.row(lane, strategy, Phase::Verify);
        self.write(Row { metric: "equivalence".into(), status, error, ..row })
    }

    fn write(&mut self, row: Row) -> Result<()> {
        self.results.rows.write(&row)
    }

    /// The random order of what is shuffled in this launch.
    fn order(&self, lane: &Lane<'_>, what: Drawn) -> Order {
        self.plan.order(lane.index, lane.launch, what)
    }

    /// What all rows have in common; the metric and its value are the caller's to fill in.
    fn row(&self, lane: &Lane<'_>, strategy: &str, phase: Phase) -> Row {
        let Workload { name, params, .. } = lane.workload;
        Row { launch: lane.launch, ..Row::new(&self.results.run, strategy, name, params, phase) }
    }
}

/// Contenders by their places: each strategy with its twin, and the yardsticks alone.
fn groups(contenders: &[Contender<'_>]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, contender) in contenders.iter().enumerate() {
        let fellow = |group: &&mut Vec<usize>| {
            let first = &contenders[group[0]];
            !first.yardstick && contender.is_twin(first)
        };
        match groups.iter_mut().find(fellow) {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    groups
}

/// The share of the time that is left for the first of these workloads, given what the fewest launches of each need: by the
/// square roots. The square of an interval's width falls with its workload's time over that of a round, so that the sum of
/// the squares is least then, as in Neyman's allocation of a sample to strata. None has less than half an equal part: where
/// launches are cheap, a few seconds make as many as its widest intervals need.
fn share(left: Duration, needs: &[Duration]) -> Duration {
    let root = |need: &Duration| need.as_secs_f64().sqrt();
    let all: f64 = needs.iter().map(root).sum();
    let share = if all > 0.0 { left.mul_f64(root(&needs[0]) / all) } else { left };
    share.max(left.mul_f64(0.5 / needs.len().max(1) as f64))
}

/// What there is to say about a budget that was too small for the fewest launches: they are run whatever they take.
fn overrun(budget: Duration, took: Duration) -> Option<String> {
    let enough = took.as_secs().div_ceil(10) * 10;
    (took > budget * 5 / 4).then(|| {
        format!(
            "the budget of {} s is too small: the fewest launches took {} s; --budget {enough}s would be enough, or fewer \
             strategies (-s) and workloads (-w)",
            budget.as_secs(),
            took.as_secs(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts;

    #[test]
    fn a_strategy_and_its_twin_are_in_one_batch_and_yardsticks_alone() {
        use reset_strategies::registry::find;
        let own = vec![find("copy/full").unwrap(), find("dirty/pagemap").unwrap()];
        let own = Plan::with_yardsticks(own, hosts::plain());
        let plans = Plan::with_build(own, &super::super::build::Build::own("old").unwrap());
        let yardsticks = ["fresh/relink", "control/oracle"];
        let contender = |plan| Contender::new(plan, yardsticks.contains(&&*plan.name), Verified::default());
        let contenders: Vec<_> = plans.iter().map(contender).collect();
        let names = |group: Vec<usize>| group.into_iter().map(|index| contenders[index].strategy()).collect();
        let groups: Vec<Vec<&str>> = groups(&contenders).into_iter().map(names).collect();
        let expected: [&[&str]; 6] = [
            &["copy/full", "copy/full@old"],
            &["dirty/pagemap", "dirty/pagemap@old"],
            &["fresh/relink"],
            &["control/oracle"],
            &["fresh/relink@old"],
            &["control/oracle@old"],
        ];
        assert_eq!(groups, expected);
    }

    #[test]
    fn a_workload_that_needs_four_times_as_much_has_twice_the_time() {
        let of = |left, needs: &[u64]| {
            let needs: Vec<_> = needs.iter().copied().map(Duration::from_secs).collect();
            share(Duration::from_secs(left), &needs).as_secs()
        };
        assert_eq!((of(90, &[4, 16]), of(60, &[16])), (30, 60));
        assert_eq!((of(100, &[0, 10]), of(100, &[1, 100, 100])), (25, 16));
        assert_eq!((of(20, &[]), of(20, &[0]), of(0, &[4])), (20, 20, 0));
    }

    #[test]
    fn a_budget_that_is_too_small_is_told_with_what_would_be_enough() {
        let of = |budget, took| overrun(Duration::from_secs(budget), Duration::from_secs(took));
        assert_eq!(of(100, 124), None);
        let told = of(1, 51).unwrap();
        assert!(told.starts_with("the budget of 1 s is too small: the fewest launches took 51 s"), "{told}");
        assert!(told.contains("--budget 60s would be enough"), "{told}");
    }
}
