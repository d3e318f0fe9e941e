//! The first pass over running children: whole traces, one step after another, until each contender is steady.
//!
//! What a step takes is written, but not as a sample: the figures of a cell are of its steady state, and what it took to get
//! there is a figure of its own. Each contender leaves as soon as it [is steady](steady_from); who does not become so
//! within the limits says that in a row, and the launch does not count for it.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Contender, Lane, Runner};
use crate::analyse::evidence::{SETTLED, SETTLING, UNSETTLED};
use crate::analyse::quantile::median;
use crate::analyse::steady::{Step, steady_from};
use crate::launch::plan::Order;
use crate::launch::rows;
use crate::measure::row::{Phase, Row, Unit};
use crate::protocol::{Request, Timed};

/// Steps that a contender may take, whatever the time: enough for huge pages, of which a reset makes an eighth.
const FEWEST: usize = 16;

/// Most steps that a contender takes.
const MOST: usize = 64;

/// Steps of a single trace; later ones are longer where a trace is short, so that the clock matters less.
const SINGLE: usize = 4;

/// Most traces of a step.
const MOST_PASSES: u32 = 16;

/// The time that a longer step should take.
const LONG: Duration = Duration::from_micros(500);

/// A contender on its way.
#[derive(Default)]
struct Course {
    steps: Vec<Step>,
    /// Blocks in each step.
    blocks: Vec<usize>,
    /// What each block took.
    cycles: Vec<u64>,
    done: bool,
}

impl Course {
    fn add(&mut self, timed: &Timed, passes: u32) {
        let cycles = timed.cycles();
        let trace = (cycles.len() / passes.max(1) as usize).max(1);
        let mut traces: Vec<u64> = cycles.chunks(trace).map(|blocks| blocks.iter().sum()).collect();
        self.steps.push(Step { ns: median(&mut traces).unwrap_or(0), learning: timed.learning });
        self.blocks.push(cycles.len());
        self.cycles.extend(cycles);
    }

    /// Traces of the next step.
    fn passes(&self) -> u32 {
        let trace = self.steps.last().map_or(u64::MAX, |step| step.ns.max(1));
        let long = u32::try_from(LONG.as_nanos() as u64 / trace).unwrap_or(u32::MAX);
        if self.steps.len() < SINGLE { 1 } else { long.clamp(1, MOST_PASSES) }
    }
}

impl<'a> Runner<'a> {
    /// Takes the contenders to their steady states, and returns what a trace takes then: the median over contenders, in
    /// nanoseconds.
    pub(super) fn settle(
        &mut self,
        lane: &Lane<'_>,
        contenders: &mut [Contender<'a>],
        order: &mut Order,
        until: Instant,
    ) -> Result<u64> {
        let place = format!("{}: launch {}", lane.workload.name, lane.launch + 1);
        let mut courses: Vec<Course> = contenders.iter().map(|_| Course::default()).collect();
        for step in 0..MOST {
            self.stage.progress.say(&format!("{place}, settling, step {}", step + 1));
            for index in order.shuffled(contenders.len()) {
                let course = &mut courses[index];
                if self.stage.stopped() || course.done {
                    continue;
                }
                let passes = course.passes();
                let timed: Option<Timed> =
                    self.ask(lane, &mut contenders[index], &Request::Time { passes })?;
                let Some(timed) = timed else {
                    course.done = true;
                    continue;
                };
                course.add(&timed, passes);
                course.done = steady_from(&course.steps).is_some();
            }
            let spent = step + 1 >= FEWEST && Instant::now() >= until;
            if self.stage.stopped() || spent || courses.iter().all(|course| course.done) {
                break;
            }
        }
        for (contender, course) in contenders.iter_mut().zip(&courses) {
            // Who dropped out is written already.
            if contender.cell.is_some() && !course.steps.is_empty() && !self.stage.stopped() {
                self.settled(lane, contender, course)?;
            }
        }
        let mut traces: Vec<u64> =
            courses.iter().filter_map(|course| course.steps.last()).map(|step| step.ns).collect();
        Ok(median(&mut traces).unwrap_or(0).max(1))
    }

    /// Writes what a contender's way took.
    fn settled(&mut self, lane: &Lane<'_>, contender: &mut Contender<'a>, course: &Course) -> Result<()> {
        let row = self.row(lane, contender.strategy(), Phase::Cycle);
        let (metric, unit) = (SETTLING.into(), Unit::Nanoseconds);
        self.write(rows::sampled(Row { metric, unit, ..row.clone() }, course.cycles.clone()))?;
        let from = steady_from(&course.steps);
        contender.settled = from.is_some();
        let blocks: usize = course.blocks[..from.unwrap_or(course.steps.len())].iter().sum();
        let metric = if contender.settled { SETTLED } else { UNSETTLED };
        self.write(Row { metric: metric.into(), unit: Unit::Count, value: Some(blocks as u64), ..row })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(cycles: &[u64]) -> Timed {
        Timed { execute: cycles.to_vec(), reset: vec![0; cycles.len()], ..Timed::default() }
    }

    #[test]
    fn a_step_is_as_long_as_its_typical_trace() {
        let mut course = Course::default();
        course.add(&timed(&[10, 20, 10, 20, 900, 20]), 3);
        assert_eq!((course.steps[0].ns, course.blocks[0], course.cycles.len()), (30, 6, 6));
    }

    #[test]
    fn short_traces_make_longer_steps_after_the_first_ones() {
        let passes = |ns: u64| {
            let mut course = Course::default();
            let passes: Vec<u32> = (0..=SINGLE)
                .map(|_| {
                    let passes = course.passes();
                    course.add(&timed(&[ns]), 1);
                    passes
                })
                .collect();
            (passes[0], passes[SINGLE])
        };
        assert_eq!(passes(50_000_000), (1, 1));
        assert_eq!(passes(100_000), (1, 5));
        assert_eq!(passes(10), (1, MOST_PASSES));
    }
}
