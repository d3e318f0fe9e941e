//! Drives all children of a workload in lock-step rounds and writes the rows.
//!
//! One instrument at a time: verification first, then per launch startup and timing rounds, then counters, and in the
//! last launch that all cells have memory, first over time and then, where asked for, over many blocks. A contender that
//! ends, refuses or diverges becomes a row, and the run goes on without it.

mod length;
mod long_run;
pub(super) mod outcomes;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reset_strategies::registry;

use super::batch;
use super::plan::{self, Order, Plan, YARDSTICKS};
use super::process::{Cell, Ended};
use crate::analyse::ending;
use crate::analyse::paired::{Round, Rounds};
use crate::analyse::quantile::median;
use crate::analyse::summary::Ending;
use crate::machine;
use crate::measure::row::{Phase, Row, Status, Unit};
use crate::measure::sampler::{Sampler, Samples};
use crate::measure::writer::RowWriter;
use crate::progress::Progress;
use crate::protocol::COMPILE;
use crate::protocol::schedule::Script;
use crate::protocol::staging::{self, Staged};
use crate::protocol::{Count, Reference, Refusal, Reply, Request, Spec, Stages, Verified};
use crate::workload::Workload;

/// Where the strategies' own comparison comes from: the plainest way to have a fresh instance.
pub const REFERENCE: &str = "fresh/on-demand-copy";

/// How often memory is sampled: the sampler's cost stays below a thousandth of a core.
pub(super) const SAMPLE_EVERY: Duration = Duration::from_millis(5);

/// Whole traces that a contender runs before its rounds are kept.
const WARM_UP: u32 = 2;

/// Most whole traces that a contender runs in one round.
const MAX_PASSES: u32 = 1_000;

/// Takes a plan through its launches.
#[derive(Debug)]
pub struct Runner<'a> {
    pub plan: &'a Plan,
    /// The run's name, in every row.
    pub run: &'a str,
    /// This program, to be started as children.
    pub binary: OsString,
    /// Where children find their files.
    pub staging: PathBuf,
    pub rows: RowWriter,
    pub progress: &'a Progress,
    /// Set by Ctrl-C.
    pub interrupted: &'a AtomicBool,
}

/// A strategy that is in the race, and the processes that run it.
struct Contender<'a> {
    /// As rows name it.
    strategy: &'a str,
    plan: &'a plan::Contender,
    verified: Verified,
    cell: Option<Cell>,
    /// The cycles so far: the median of each round.
    cycles: Rounds,
    /// Set once: a cell that failed is not started again.
    out: bool,
    /// Set once, with the launches that it had: nor is one that was measured for long enough.
    ended: Option<(Ending, u32)>,
}

impl<'a> Contender<'a> {
    fn new(strategy: &'a str, plan: &'a plan::Contender, verified: Verified) -> Self {
        Self { strategy, plan, verified, cell: None, cycles: Rounds::new(), out: false, ended: None }
    }

    /// Whether it is to have another launch.
    fn goes_on(&self) -> bool {
        !self.out && self.ended.is_none()
    }

    /// Whether others are held against it.
    fn is_yardstick(&self) -> bool {
        YARDSTICKS.contains(&self.strategy)
    }
}

/// The rows of one workload have these in common.
struct Lane<'a> {
    workload: &'a Workload,
    staged: &'a Staged,
    launch: u32,
}

/// Where in the timing pass a row was taken.
#[derive(Clone, Copy, Default)]
struct Turn {
    round: Option<u32>,
    order: Option<u32>,
}

impl<'a> Runner<'a> {
    /// Measures everything, or what can be measured until it is interrupted.
    ///
    /// # Errors
    /// When files cannot be written or no child can be started.
    pub fn run(&mut self) -> Result<()> {
        let began = Instant::now();
        let count = self.plan.workloads.len();
        for (index, workload) in self.plan.workloads.iter().enumerate() {
            if self.stopped() {
                break;
            }
            // What earlier workloads left of the budget is shared by the rest.
            let left = self.plan.effort.budget.saturating_sub(began.elapsed());
            let share = left / u32::try_from(count - index)?;
            self.workload(workload, index, Some(share))?;
        }
        self.progress.finish();
        Ok(())
    }

    /// Whether the user wants it to end.
    pub fn stopped(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Measures all contenders on one workload, within its share of the budget, or as long as the effort has for one.
    /// The fewest launches are run whatever they take.
    ///
    /// # Errors
    /// As for [`Runner::run`].
    pub fn workload(&mut self, workload: &Workload, index: usize, share: Option<Duration>) -> Result<()> {
        let began = Instant::now();
        let staged = staging::stage(&self.staging, workload)?;
        let mut lane = Lane { workload, staged: &staged, launch: 0 };
        let mut order = self.plan.order(index);
        let Some(reference) = self.reference(&lane)? else { return Ok(()) };
        if let Some(warning) = outcomes::of(&reference, workload).warning() {
            self.progress.warn(&format!("{}: {warning}", workload.name));
        }
        let contenders = self.verify(&lane, &reference)?;
        let verified = began.elapsed();
        let memory = self.plan.effort.memory_pass * u32::try_from(contenders.len())?;
        let mut batches = self.batches(&lane, contenders);
        let mut left = share
            .map_or(self.plan.effort.cell, |share| share.saturating_sub(verified).saturating_sub(memory));
        for (to_come, contenders) in (1..=u32::try_from(batches.len())?).rev().zip(&mut batches) {
            // What a batch leaves of its time is for those that follow.
            let time = left / to_come;
            left -= time;
            left += self.launches(&mut lane, contenders, &mut order, time)?;
        }
        self.progress.note(&format!(
            "{}: {} of {} strategies measured, verified in {:.1} s, {:.1} s in all",
            workload.name,
            batches.iter().flatten().filter(|contender| !contender.out).count(),
            self.plan.contenders.len(),
            verified.as_secs_f64(),
            began.elapsed().as_secs_f64(),
        ));
        let ended = |contender: &Contender<'a>| {
            let (ending, launches) = contender.ended?;
            Some((contender.strategy, ending, launches))
        };
        let ended: Vec<_> = batches.iter().flatten().filter_map(ended).collect();
        if let Some(words) = ending::told(&ended) {
            self.progress.note(&format!("{}: {words}", workload.name));
        }
        Ok(())
    }

    /// All contenders at once where memory allows, else in batches whose launches are numbered on.
    fn batches(&self, lane: &Lane<'_>, contenders: Vec<Contender<'a>>) -> Vec<Vec<Contender<'a>>> {
        let needs: Vec<_> = contenders.iter().map(|contender| contender.verified.peak_rss).collect();
        // A quarter is left to the parent, its sampler and whoever else is on the machine.
        let room = machine::room_bytes().map_or(u64::MAX, |room| room / 4 * 3);
        let batches = batch::batches(&needs, |index| contenders[index].is_yardstick(), room);
        if let [_, _, ..] = batches[..] {
            self.progress.note(&format!(
                "{}: {} batches, since all contenders at once do not fit into {} MiB",
                lane.workload.name,
                batches.len(),
                room >> 20,
            ));
        }
        let contender = |index: usize| {
            let Contender { strategy, plan, ref verified, .. } = contenders[index];
            Contender::new(strategy, plan, verified.clone())
        };
        batches.into_iter().map(|batch| batch.into_iter().map(contender).collect()).collect()
    }

    /// What the child of a contender is told.
    pub(super) fn spec(
        &self,
        workload: &Workload,
        staged: &Staged,
        contender: &plan::Contender,
        warm_bytes: u64,
    ) -> Spec {
        let cell = Spec::new(contender.strategy.name(), workload, staged, self.plan.timeout);
        Spec { planted: contender.planted, warm_bytes, ..cell }
    }

    /// What fresh instances make of the trace. Without it nothing can be compared, so that every cell says why.
    fn reference(&mut self, lane: &Lane<'_>) -> Result<Option<Reference>> {
        self.progress.say(&format!("{}: running the reference", lane.workload.name));
        let fresh = registry::find(REFERENCE).context("the strategy that references come from")?;
        let spec = self.spec(lane.workload, lane.staged, &plan::Contender::new(fresh), 0);
        let observe = Request::Observe { script: Script::in_order() };
        let reply = Cell::start(&self.binary, spec).and_then(|(mut cell, _)| cell.ask(&observe));
        let ended = match reply {
            Ok(Reply::Observed(reference)) => return Ok(Some(reference)),
            Ok(other) => Ended::unexpected(&other),
            Err(ended) => ended,
        };
        let (status, reason) = explain(&ended);
        for contender in &self.plan.contenders {
            let reason = format!("the reference ({REFERENCE}) did not run: {reason}");
            self.outcome(lane, &contender.name, status, Some(reason))?;
        }
        Ok(None)
    }

    /// Checks every cell in a child of its own; only those that pass are timed.
    fn verify(&mut self, lane: &Lane<'_>, reference: &Reference) -> Result<Vec<Contender<'a>>> {
        let mut contenders = Vec::new();
        let outcomes = outcomes::of(reference, lane.workload);
        for plan in &self.plan.contenders {
            if self.stopped() {
                break;
            }
            let strategy = plan.name.as_str();
            self.progress.say(&format!("{}: verifying {strategy}", lane.workload.name));
            let verified = match self.verified(lane, plan, reference) {
                Ok((verified, stages)) => {
                    self.compiled(lane, strategy, &stages)?;
                    verified
                }
                Err(ended) => {
                    let (status, reason) = explain(&ended);
                    self.outcome(lane, strategy, status, Some(reason))?;
                    continue;
                }
            };
            if let Some(difference) = verified.difference {
                self.outcome(lane, strategy, Status::Diverged, Some(difference))?;
                continue;
            }
            self.outcome(lane, strategy, Status::Ok, None)?;
            let row = self.row(lane, strategy, Turn::default(), Phase::Verify);
            outcomes::rows(&row, &outcomes).try_for_each(|row| self.rows.write(&row))?;
            contenders.push(Contender::new(strategy, plan, verified));
        }
        Ok(contenders)
    }

    fn verified(
        &self,
        lane: &Lane<'_>,
        contender: &plan::Contender,
        reference: &Reference,
    ) -> Result<(Verified, Stages), Ended> {
        let spec = self.spec(lane.workload, lane.staged, contender, 0);
        let (mut cell, stages) = Cell::start(&self.binary, spec)?;
        match cell.ask(&Request::Verify { script: Script::in_order(), expected: reference.clone() })? {
            Reply::Verified(verified) => Ok((verified, stages)),
            other => Err(Ended::unexpected(&other)),
        }
    }

    /// Starts one child per contender, one after the other, and writes what their startup took.
    fn start(&mut self, lane: &Lane<'_>, contenders: &mut [Contender<'a>], order: &mut Order) -> Result<()> {
        for index in order.shuffled(contenders.len()) {
            let contender = &mut contenders[index];
            if !contender.goes_on() || self.stopped() {
                continue;
            }
            let name = &lane.workload.name;
            self.progress.say(&format!(
                "{name}: launch {}, starting {}",
                lane.launch + 1,
                contender.strategy
            ));
            let spec = self.spec(lane.workload, lane.staged, contender.plan, contender.verified.peak_rss);
            match Cell::start(&self.binary, spec) {
                Ok((cell, stages)) => {
                    contender.cell = Some(cell);
                    for (stage, ns) in &stages {
                        self.stage(lane, contender.strategy, stage, *ns)?;
                    }
                }
                Err(ended) => self.drop_out(lane, contender, &ended)?,
            }
        }
        Ok(())
    }

    /// The timing pass: rounds over all contenders until the time is up. The first round warms up and sets how many
    /// traces make a turn; it is not written. It has two traces, since who learns which blocks come again has not met
    /// any of them again before the second.
    fn rounds(
        &mut self,
        lane: &Lane<'_>,
        contenders: &mut [Contender<'a>],
        order: &mut Order,
        until: Instant,
    ) -> Result<()> {
        let mut passes = WARM_UP;
        let (fewest, most) = self.plan.effort.rounds;
        for round in 0..=most {
            let warming = round == 0;
            let mut traces = Vec::new();
            for (place, index) in order.shuffled(contenders.len()).into_iter().enumerate() {
                if self.stopped() {
                    return Ok(());
                }
                let contender = &mut contenders[index];
                let Some(reply) = self.ask(lane, contender, &Request::Time { passes })? else { continue };
                let Reply::Timed { execute, reset } = reply else {
                    bail!("{}: {:?}", contender.strategy, Ended::unexpected(&reply));
                };
                if warming {
                    traces.push(execute.iter().sum::<u64>() + reset.iter().sum::<u64>());
                    continue;
                }
                let turn = Turn { round: Some(round - 1), order: Some(u32::try_from(place)?) };
                let strategy = contender.strategy;
                let cycle = execute.iter().zip(&reset).map(|(execute, reset)| execute + reset).collect();
                let time = ("time", Unit::Nanoseconds);
                self.sampled(lane, strategy, turn, Phase::Execute, time, execute)?;
                self.sampled(lane, strategy, turn, Phase::Reset, time, reset)?;
                let cycle = self.sampled(lane, strategy, turn, Phase::Cycle, time, cycle)?;
                if let Some(value) = cycle {
                    contender.cycles.insert((lane.launch, round - 1), Round { value, blocks: Vec::new() });
                }
            }
            if warming {
                traces.sort_unstable();
                let trace = traces.get(traces.len() / 2).map_or(1, |time| time / u64::from(WARM_UP)).max(1);
                let turn = u64::try_from(self.plan.effort.turn.as_nanos())?;
                passes = u32::try_from(turn.div_ceil(trace))?.clamp(1, MAX_PASSES);
            } else {
                let name = &lane.workload.name;
                self.progress.say(&format!("{name}: launch {}, round {round}", lane.launch + 1));
            }
            if round >= fewest && Instant::now() >= until {
                break;
            }
        }
        Ok(())
    }

    /// The counter pass: faults, system calls and interrupts per block, in one pass of the trace after a pass that warms up.
    fn count(&mut self, lane: &Lane<'_>, contenders: &mut [Contender<'a>]) -> Result<()> {
        for contender in contenders {
            if self.stopped() {
                return Ok(());
            }
            let Some(reply) = self.ask(lane, contender, &Request::Count { passes: 1 })? else { continue };
            let Reply::Counted(counts) = reply else {
                bail!("{}: {:?}", contender.strategy, Ended::unexpected(&reply));
            };
            for Count { phase, metric, unit, samples } in counts {
                self.sampled(lane, contender.strategy, Turn::default(), phase, (&metric, unit), samples)?;
            }
        }
        Ok(())
    }

    /// The memory pass: each contender runs alone while its residency is sampled from here.
    fn memory(&mut self, lane: &Lane<'_>, contenders: &mut [Contender<'a>]) -> Result<()> {
        let millis = u64::try_from(self.plan.effort.memory_pass.as_millis())?;
        for contender in contenders {
            if self.stopped() {
                return Ok(());
            }
            let Some(cell) = &contender.cell else { continue };
            self.progress.say(&format!("{}: memory of {}", lane.workload.name, contender.strategy));
            let sampler = Sampler::start(cell.pid(), SAMPLE_EVERY);
            let reply = self.ask(lane, contender, &Request::Run { millis, blocks: 0 })?;
            let samples = sampler.map(Sampler::stop);
            match (reply, samples) {
                (Some(Reply::Ran { .. }), Ok(samples)) => {
                    self.residency(lane, contender.strategy, &samples)?;
                }
                (Some(_), Err(error)) => {
                    let row = self.row(lane, contender.strategy, Turn::default(), Phase::Memory);
                    self.rows.write(&Row {
                        metric: "rss".into(),
                        unit: Unit::Bytes,
                        status: Status::Failed,
                        error: Some(error),
                        ..row
                    })?;
                }
                (Some(other), Ok(_)) => bail!("{}: {:?}", contender.strategy, Ended::unexpected(&other)),
                // It dropped out, which is written already.
                (None, _) => {}
            }
        }
        Ok(())
    }

    fn residency(&mut self, lane: &Lane<'_>, strategy: &str, samples: &Samples) -> Result<()> {
        let row = self.row(lane, strategy, Turn::default(), Phase::Memory);
        residency(&row, samples).iter().try_for_each(|row| self.rows.write(row))
    }

    /// Asks a contender that is still in the race; one that ends instead of answering drops out.
    fn ask(
        &mut self,
        lane: &Lane<'_>,
        contender: &mut Contender<'a>,
        request: &Request,
    ) -> Result<Option<Reply>> {
        let Some(cell) = &mut contender.cell else { return Ok(None) };
        match cell.ask(request) {
            Ok(reply) => Ok(Some(reply)),
            Err(ended) => {
                self.drop_out(lane, contender, &ended)?;
                Ok(None)
            }
        }
    }

    fn drop_out(&mut self, lane: &Lane<'_>, contender: &mut Contender<'a>, ended: &Ended) -> Result<()> {
        contender.cell = None;
        contender.out = true;
        let (status, reason) = explain(ended);
        self.progress.warn(&format!("{} on {}: {reason}", contender.strategy, lane.workload.name));
        self.outcome(lane, contender.strategy, status, Some(reason))
    }

    /// Whether the cell may have figures, and why not.
    fn outcome(
        &mut self,
        lane: &Lane<'_>,
        strategy: &str,
        status: Status,
        error: Option<String>,
    ) -> Result<()> {
        let row = self.row(lane, strategy, Turn::default(), Phase::Verify);
        self.rows.write(&Row { metric: "equivalence".into(), status, error, ..row })
    }

    /// How long compiling took, if this child was the first of its engine configuration; the others load what it
    /// left, and so does every child whose startup is measured.
    fn compiled(&mut self, lane: &Lane<'_>, strategy: &str, stages: &Stages) -> Result<()> {
        let Some((stage, ns)) = stages.iter().find(|(stage, _)| stage == COMPILE) else { return Ok(()) };
        let row = self.row(lane, strategy, Turn::default(), Phase::Verify);
        self.rows.write(&Row { metric: stage.clone(), unit: Unit::Nanoseconds, value: Some(*ns), ..row })
    }

    fn stage(&mut self, lane: &Lane<'_>, strategy: &str, stage: &str, ns: u64) -> Result<()> {
        let row = self.row(lane, strategy, Turn::default(), Phase::Startup);
        self.rows.write(&Row { metric: stage.into(), unit: Unit::Nanoseconds, value: Some(ns), ..row })
    }

    /// Writes the samples of a turn, and returns their median.
    fn sampled(
        &mut self,
        lane: &Lane<'_>,
        strategy: &str,
        turn: Turn,
        phase: Phase,
        (metric, unit): (&str, Unit),
        samples: Vec<u64>,
    ) -> Result<Option<u64>> {
        let row = self.row(lane, strategy, turn, phase);
        let value = median(&mut samples.clone());
        self.rows.write(&Row { metric: metric.into(), unit, value, samples, ..row })?;
        Ok(value)
    }

    /// What all rows have in common; the metric and its value are the caller's to fill in.
    fn row(&self, lane: &Lane<'_>, strategy: &str, turn: Turn, phase: Phase) -> Row {
        Row {
            run: self.run.into(),
            launch: lane.launch,
            round: turn.round,
            order: turn.order,
            strategy: strategy.into(),
            workload: lane.workload.name.clone(),
            params: lane.workload.params.clone(),
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

/// The rows of a memory pass; `row` holds what they have in common.
pub(super) fn residency(row: &Row, samples: &Samples) -> Vec<Row> {
    let row = Row { unit: Unit::Bytes, ..row.clone() };
    let series = samples.series.iter().map(|sample| Row {
        metric: "rss".into(),
        value: Some(sample.rss_bytes),
        at_ns: Some(sample.at_ns),
        ..row.clone()
    });
    let once = samples.once.iter().map(|&(metric, bytes)| Row {
        metric: metric.into(),
        value: Some(bytes),
        ..row.clone()
    });
    let cost = Row {
        metric: "sampler_time".into(),
        unit: Unit::Nanoseconds,
        value: Some(samples.cpu_ns),
        ..row.clone()
    };
    series.chain(once).chain([cost]).collect()
}

fn explain(ended: &Ended) -> (Status, String) {
    match ended {
        Ended::Failed(Refusal::Unavailable, reason) => (Status::Unavailable, reason.clone()),
        Ended::Failed(Refusal::Refused, reason) => (Status::Refused, reason.clone()),
        Ended::Failed(Refusal::Error, reason) => (Status::Failed, reason.clone()),
        Ended::Killed(signal) | Ended::Crashed(signal) => (Status::Killed, signal.clone()),
    }
}
