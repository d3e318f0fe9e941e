//! A cell under criterion's clock: several processes that take its samples in turns, once each is steady.

use anyhow::Result;

use super::{Bench, Course};
use crate::analyse::bootstrap::MIN_ROUNDS;
use crate::launch::plan::Contender;
use crate::launch::process::Cell;
use crate::launch::rows;
use crate::launch::runner::SAMPLE_EVERY;
use crate::launch::settling::Approach;
use crate::measure::row::{Phase, Row, Status, Unit};
use crate::measure::sampler::Sampler;
use crate::protocol::{Answer, Count, Request, Timed};

/// Blocks of one sample that are kept in a row, in whole traces: the last, when caches hold what they need again.
const MOST_KEPT: usize = 512;

/// A verified cell, ready to be timed.
#[derive(Debug)]
pub struct Subject {
    launches: Vec<Launch>,
    /// Blocks that a process runs for each trace.
    trace: usize,
    row: Row,
    /// What was timed last, and by which launch, until it is known whether it was a sample.
    pending: Option<(usize, Timed)>,
    /// Whole traces of what was timed last.
    passes: u32,
    sampler: Option<Sampler>,
}

#[derive(Debug)]
struct Launch {
    cell: Cell,
    number: u32,
    /// The CPU that it is kept on.
    cpu: Option<u32>,
    /// Samples so far, each of which is a round.
    rounds: u32,
    /// How often criterion had it run, its warm-up included.
    asked: u32,
}

impl Subject {
    /// Who has had the fewest samples, and of those who was asked least.
    fn turn(&self) -> usize {
        let least = self.launches.iter().enumerate().min_by_key(|(_, launch)| (launch.rounds, launch.asked));
        least.map_or(0, |(index, _)| index)
    }
}

impl Bench {
    /// Verifies a cell, starts its processes and takes each to its steady state before criterion is told of any block; `None`
    /// where this machine or this module does not allow the strategy. Either is in the rows, and so is what the startups and
    /// the ways to the steady state took.
    ///
    /// # Errors
    /// When it is not equal to a fresh instance: a wrong reset has no time.
    pub fn subject(&mut self, course: &Course, contender: &Contender) -> Result<Option<Subject>> {
        let Some(verified) = self.verify(course, contender)? else { return Ok(None) };
        let mut launches = Vec::new();
        for number in (self.next..).take(self.launches as usize) {
            let (mut cell, stages) = self.start(course, contender, &verified)?;
            let cpu = self.pinning.of_launch(number, course.workload.threads);
            cell.keep_on(cpu)?;
            let row = Row { launch: number, ..self.row(course, contender, Phase::Startup) };
            self.results.rows.write_all(rows::stages(&row, &stages))?;
            self.settle(&mut cell, &Row { phase: Phase::Cycle, ..row })?;
            let cpu = cpu.and_then(|cpu| u32::try_from(cpu).ok());
            launches.push(Launch { cell, number, cpu, rounds: 0, asked: 0 });
        }
        // In one of them, as `run` does: each sampler is a thread that is woken.
        let sampler = launches.first().map(|launch| Sampler::start(launch.cell.pid(), SAMPLE_EVERY));
        let sampler = match sampler.transpose() {
            Ok(sampler) => sampler,
            Err(error) => {
                let (status, error) = (Status::Failed, Some(error));
                let row = self.row(course, contender, Phase::Memory);
                let unit = Unit::Bytes;
                self.results.rows.write(&Row { metric: "rss".into(), unit, status, error, ..row })?;
                None
            }
        };
        let trace = course.workload.trace.len().max(1) * course.workload.threads.max(1) as usize;
        let row = self.row(course, contender, Phase::Cycle);
        Ok(Some(Subject { launches, trace, row, pending: None, passes: 1, sampler }))
    }

    /// Takes a process to its steady state, and writes what the way took. One that does not become steady takes part in
    /// criterion's samples all the same, and its rows say that they do not count.
    fn settle(&mut self, cell: &mut Cell, row: &Row) -> Result<()> {
        let approach = Approach::alone(|passes| {
            let timed = cell.ask(&Request::Time { passes });
            self.told(row, timed)
        })?;
        self.results.rows.write_all(approach.rows(row))
    }

    /// Runs at least so many blocks, in whole traces, in the process whose turn it is.
    ///
    /// # Errors
    /// When the process ends instead of answering, which is in the rows then.
    pub fn time<'a>(&mut self, subject: &'a mut Subject, blocks: u64) -> Result<&'a Timed> {
        subject.passes = u32::try_from(blocks.div_ceil(subject.trace as u64).max(1))?;
        let turn = subject.turn();
        let timed = self.ask(subject, turn, &Request::Time { passes: subject.passes })?;
        subject.launches[turn].asked += 1;
        Ok(&subject.pending.insert((turn, timed)).1)
    }

    /// Writes what was timed last: criterion took it for a sample.
    ///
    /// # Errors
    /// When a row cannot be written.
    pub fn keep(&mut self, subject: &mut Subject) -> Result<()> {
        let Some((turn, timed)) = subject.pending.take() else { return Ok(()) };
        let launch = &mut subject.launches[turn];
        let round = Some(launch.rounds);
        let row = Row { launch: launch.number, round, cpu: launch.cpu, ..subject.row.clone() };
        launch.rounds += 1;
        let kept = (MOST_KEPT / subject.trace).max(1) * subject.trace;
        let times = |phase, samples: Vec<u64>| {
            let samples = samples[samples.len().saturating_sub(kept)..].to_vec();
            let (metric, unit) = ("time".into(), Unit::Nanoseconds);
            rows::sampled(Row { phase, metric, unit, ..row.clone() }, samples)
        };
        let cycles = timed.cycles();
        self.results.rows.write_all([
            times(Phase::Execute, timed.execute),
            times(Phase::Reset, timed.reset),
            times(Phase::Cycle, cycles),
        ])
    }

    /// Ends a cell. Where criterion took samples, but too few for a ratio, those that are missing are taken now, each of as many
    /// blocks as its last one. Then comes what memory was until here, and what blocks cause.
    ///
    /// # Errors
    /// When a process ends instead of answering, or a row cannot be written.
    pub fn finish(&mut self, mut subject: Subject) -> Result<()> {
        let sampled = subject.launches.iter().any(|launch| launch.rounds > 0);
        let blocks = u64::from(subject.passes) * subject.trace as u64;
        while sampled && subject.launches[subject.turn()].rounds < MIN_ROUNDS as u32 && self.launches > 1 {
            self.time(&mut subject, blocks)?;
            self.keep(&mut subject)?;
        }
        let Some(number) = subject.launches.first().map(|launch| launch.number) else { return Ok(()) };
        let row = Row { launch: number, phase: Phase::Memory, ..subject.row.clone() };
        if let Some(sampler) = subject.sampler.take() {
            self.results.rows.write_all(rows::residency(&row, &sampler.stop()))?;
        }
        let counts: Vec<Count> = self.ask(&mut subject, 0, &Request::Count { passes: 1 })?;
        for Count { phase, metric, unit, samples } in counts {
            self.results.rows.write(&rows::sampled(Row { phase, metric, unit, ..row.clone() }, samples))?;
        }
        Ok(())
    }

    fn ask<T: Answer>(&mut self, subject: &mut Subject, turn: usize, request: &Request) -> Result<T> {
        let launch = &mut subject.launches[turn];
        let row = Row { launch: launch.number, ..subject.row.clone() };
        let answer = launch.cell.ask(request);
        self.told(&row, answer)
    }
}
