//! The passes of one launch, one instrument after the other: startup, timing rounds, counters, memory.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::settling::Steady;
use super::{Contender, Lane, Runner, SAMPLE_EVERY};
use crate::analyse::evidence::{FILE_RSS, REST_RSS, RSS};
use crate::analyse::learned::Learned;
use crate::analyse::paired::Round;
use crate::launch::plan::Drawn;
use crate::launch::rows;
use crate::launch::settling::MOST;
use crate::measure::row::{Phase, Row, Status, Unit};
use crate::measure::sampler::{self, Sampler};
use crate::protocol::{Count, Request, Timed};

/// Most readings of memory between blocks: strategies that keep house do not hold as much after each.
const READINGS: usize = 5;

/// Resident bytes between blocks, one for each reading: all of them, and those that show files.
type Readings = (Vec<u64>, Vec<u64>);

/// Most whole traces that a contender runs in one round.
const MAX_PASSES: u32 = 1_000;

impl<'a> Runner<'a> {
    /// Starts one child per contender, one after the other, and writes what their startup took. All are kept on one CPU from
    /// then on.
    pub(super) fn startup(&mut self, lane: &Lane<'_>, contenders: &mut [Contender<'a>]) -> Result<()> {
        let mut order = self.order(lane, Drawn::Starts);
        let place = format!("{}: launch {}", lane.workload.name, lane.launch + 1);
        let cpu = self.cpu(lane);
        for index in order.shuffled(contenders.len()) {
            let contender = &mut contenders[index];
            if !contender.goes_on() || self.stage.stopped() {
                continue;
            }
            self.stage.progress.say(&format!("{place}, starting {}", contender.strategy()));
            let started = self.start(lane, contender.plan, contender.verified.peak_rss);
            match started.and_then(|(cell, stages)| cell.keep_on(cpu).map(|()| (cell, stages))) {
                Ok((cell, stages)) => {
                    contender.cell = Some(cell);
                    let row = self.row(lane, contender.strategy(), Phase::Startup);
                    self.results.rows.write_all(rows::stages(&row, &stages))?;
                }
                Err(ended) => self.drop_out(lane, contender, &ended)?,
            }
        }
        Ok(())
    }

    /// The CPU of a launch's children; `None` where the scheduler chooses.
    fn cpu(&self, lane: &Lane<'_>) -> Option<usize> {
        self.stage.pinning.of_launch(lane.launch, lane.workload.threads)
    }

    /// Whole traces that make a turn where one takes so many nanoseconds.
    pub(super) fn passes(&self, trace: u64) -> Result<u32> {
        let turn = u64::try_from(self.plan.effort.turn.as_nanos())?;
        Ok(u32::try_from(turn.div_ceil(trace))?.clamp(1, MAX_PASSES))
    }

    /// The timing pass: rounds over all contenders until the time is up, besides those that are there already. Their numbers
    /// follow those that steps can have: what a seed draws for them does not depend on how long anybody was on its way.
    pub(super) fn rounds(
        &mut self,
        lane: &Lane<'_>,
        contenders: &mut [Contender<'a>],
        steady: &Steady,
        until: Instant,
    ) -> Result<()> {
        let mut order = self.order(lane, Drawn::Rounds);
        let place = format!("{}: launch {}", lane.workload.name, lane.launch + 1);
        let (fewest, most) = self.plan.effort.rounds;
        for (round, done) in (MOST..).zip(steady.kept..most) {
            if done >= fewest && Instant::now() >= until {
                break;
            }
            self.stage.progress.say(&format!("{place}, round {}", done + 1));
            for (order, index) in (0..).zip(order.shuffled(contenders.len())) {
                if self.stage.stopped() {
                    return Ok(());
                }
                self.round(lane, &mut contenders[index], round, order, steady.passes)?;
            }
        }
        Ok(())
    }

    /// A contender's turn in a round; returns what its blocks took.
    pub(super) fn round(
        &mut self,
        lane: &Lane<'_>,
        contender: &mut Contender<'a>,
        round: u32,
        order: u32,
        passes: u32,
    ) -> Result<Duration> {
        let timed: Option<Timed> = self.ask(lane, contender, &Request::Time { passes })?;
        timed.map_or(Ok(Duration::ZERO), |timed| self.keep(lane, contender, round, order, timed))
    }

    /// Writes what a contender took in a round; returns what its blocks took.
    pub(super) fn keep(
        &mut self,
        lane: &Lane<'_>,
        contender: &mut Contender<'a>,
        round: u32,
        order: u32,
        timed: Timed,
    ) -> Result<Duration> {
        let cycles = timed.cycles();
        let took = Duration::from_nanos(cycles.iter().sum());
        let cpu = self.cpu(lane).and_then(|cpu| u32::try_from(cpu).ok());
        let time = |phase, samples| {
            let row = self.row(lane, contender.strategy(), phase);
            let row = Row { round: Some(round), cpu, order: Some(order), ..row };
            rows::sampled(Row { metric: "time".into(), unit: Unit::Nanoseconds, ..row }, samples)
        };
        let times = [
            time(Phase::Execute, timed.execute),
            time(Phase::Reset, timed.reset),
            time(Phase::Cycle, cycles),
        ];
        if let Some(value) = times[2].value.filter(|_| contender.settled) {
            contender.cycles.insert((lane.launch, round), Round { value, blocks: Vec::new(), cpu });
        }
        self.results.rows.write_all(times)?;
        Ok(took)
    }

    /// The counter pass of those whose turn it is: faults, system calls and interrupts per block, in one pass of the trace after
    /// a pass that warms up.
    pub(super) fn count(
        &mut self,
        lane: &Lane<'_>,
        contenders: &mut [Contender<'a>],
        is_due: impl Fn(&Contender<'a>) -> bool,
    ) -> Result<()> {
        for contender in contenders.iter_mut().filter(|contender| is_due(contender)) {
            if self.stage.stopped() {
                return Ok(());
            }
            let counts: Option<Vec<Count>> = self.ask(lane, contender, &Request::Count { passes: 1 })?;
            for Count { phase, metric, unit, samples } in counts.into_iter().flatten() {
                contender.learns |= phase == Phase::Reset && Learned::has(&metric);
                let row = Row { metric, unit, ..self.row(lane, contender.strategy(), phase) };
                self.write(rows::sampled(row, samples))?;
            }
        }
        Ok(())
    }

    /// The memory pass: each contender runs alone while its residency is sampled from here, and is then read exactly while it
    /// waits between blocks.
    pub(super) fn memory(&mut self, lane: &Lane<'_>, contenders: &mut [Contender<'a>]) -> Result<()> {
        let millis = u64::try_from(self.plan.effort.memory_pass.as_millis())?;
        for contender in contenders {
            if self.stage.stopped() {
                return Ok(());
            }
            let Some(cell) = &contender.cell else { continue };
            self.stage.progress.say(&format!("{}: memory of {}", lane.workload.name, contender.strategy()));
            let sampler = Sampler::start(cell.pid(), SAMPLE_EVERY);
            let ran: Option<u64> = self.ask(lane, contender, &Request::Run { millis, blocks: 0 })?;
            let samples = sampler.map(Sampler::stop);
            // Who dropped out is written already.
            if ran.is_none() {
                continue;
            }
            let row = Row { unit: Unit::Bytes, ..self.row(lane, contender.strategy(), Phase::Memory) };
            match samples {
                Ok(samples) => self.results.rows.write_all(rows::residency(&row, &samples))?,
                Err(error) => {
                    let (status, error) = (Status::Failed, Some(error));
                    self.write(Row { metric: RSS.into(), status, error, ..row.clone() })?;
                }
            }
            let of = |metric: &str| Row { metric: metric.into(), ..row.clone() };
            match self.at_rest(lane, contender)? {
                Some(Ok((all, files))) => {
                    self.write(rows::sampled(of(REST_RSS), all))?;
                    self.write(rows::sampled(of(FILE_RSS), files))?;
                }
                Some(Err(error)) => {
                    self.write(Row { status: Status::Failed, error: Some(error), ..of(REST_RSS) })?;
                }
                None => {}
            }
        }
        Ok(())
    }

    /// What is resident after each of some traces, as many as there is time for in another memory pass, and one at least; `None`
    /// where the contender ended, which is written already.
    fn at_rest(
        &mut self,
        lane: &Lane<'_>,
        contender: &mut Contender<'a>,
    ) -> Result<Option<Result<Readings, String>>> {
        let until = Instant::now() + self.plan.effort.memory_pass;
        let mut readings = Vec::new();
        while readings.is_empty() || readings.len() < READINGS && Instant::now() < until {
            let ran: Option<u64> = self.ask(lane, contender, &Request::Run { millis: 0, blocks: 1 })?;
            let Some(cell) = contender.cell.as_ref().filter(|_| ran.is_some()) else { return Ok(None) };
            let pid = cell.pid();
            match sampler::resident(pid).and_then(|all| Ok((all, sampler::of_files(pid)?))) {
                Ok(reading) => readings.push(reading),
                Err(why) => return Ok(Some(Err(why))),
            }
        }
        Ok(Some(Ok(readings.into_iter().unzip())))
    }
}
