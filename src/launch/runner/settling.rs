//! The first pass over running children: whole traces, one step after another, until each contender is steady.
//!
//! What the steps take is written as a figure of its own; samples are only those last steps in which all were steady. Each contender leaves as soon as it [is steady](steady_from); who does not become so
//! within the limits says that in a row, and the launch does not count for it.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Contender, Lane, Runner};
use crate::analyse::evidence::{SETTLED, SETTLING, UNSETTLED};
use crate::analyse::quantile::median;
use crate::analyse::steady::{Step, steady_from};
use crate::launch::plan::Drawn;
use crate::launch::rows;
use crate::measure::row::{Phase, Row, Unit};
use crate::protocol::{Request, Timed};

/// Steps that a contender may take, whatever the time: enough for huge pages, of which a reset makes a quarter.
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
    /// What was timed in each step.
    turns: Vec<Turn>,
    done: bool,
}

/// What a contender did in a step.
struct Turn {
    /// Its place in the shuffled order.
    order: u32,
    passes: u32,
    timed: Timed,
}

/// How a launch has become steady.
pub(super) struct Steady {
    /// What a trace takes: the median over contenders, in nanoseconds.
    pub trace: u64,
    /// Rounds that are there already: the last steps, where all were steady in them.
    pub kept: u32,
}

impl Course {
    fn add(&mut self, turn: Turn) {
        let cycles = turn.timed.cycles();
        let trace = (cycles.len() / turn.passes.max(1) as usize).max(1);
        let mut traces: Vec<u64> = cycles.chunks(trace).map(|blocks| blocks.iter().sum()).collect();
        self.steps.push(Step { ns: median(&mut traces).unwrap_or(0), learning: turn.timed.learning });
        self.turns.push(turn);
    }

    /// What each block took in the first so many steps.
    fn cycles(&self, steps: usize) -> Vec<u64> {
        self.turns[..steps].iter().flat_map(|turn| turn.timed.cycles()).collect()
    }

    /// Traces of the next step.
    fn passes(&self) -> u32 {
        let trace = self.steps.last().map_or(u64::MAX, |step| step.ns.max(1));
        let long = u32::try_from(LONG.as_nanos() as u64 / trace).unwrap_or(u32::MAX);
        if self.steps.len() < SINGLE { 1 } else { long.clamp(1, MOST_PASSES) }
    }
}

/// The steps in which all of these were steady, each by the step from which on it was.
fn common<'c>(courses: impl Iterator<Item = (&'c Course, usize)>) -> Range<usize> {
    let all = courses.map(|(course, from)| from..course.steps.len());
    all.reduce(|a, b| a.start.max(b.start)..a.end.min(b.end))
        .filter(|steps| !steps.is_empty())
        .unwrap_or(0..0)
}

impl<'a> Runner<'a> {
    /// Takes the contenders to their steady states. The last steps are rounds where all contenders have run them, were
    /// steady, and ran as much as they would in a round.
    pub(super) fn settle(
        &mut self,
        lane: &Lane<'_>,
        contenders: &mut [Contender<'a>],
        until: Instant,
    ) -> Result<Steady> {
        let mut order = self.order(lane, Drawn::Steps);
        let place = format!("{}: launch {}", lane.workload.name, lane.launch + 1);
        let mut courses: Vec<Course> = contenders.iter().map(|_| Course::default()).collect();
        for step in 0..MOST {
            self.stage.progress.say(&format!("{place}, settling, step {}", step + 1));
            for (order, index) in (0..).zip(order.shuffled(contenders.len())) {
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
                course.add(Turn { order, passes, timed });
                course.done = steady_from(&course.steps).is_some();
            }
            let spent = step + 1 >= FEWEST && Instant::now() >= until;
            if self.stage.stopped() || spent || courses.iter().all(|course| course.done) {
                break;
            }
        }
        let mut traces: Vec<u64> =
            courses.iter().filter_map(|course| course.steps.last()).map(|step| step.ns).collect();
        let trace = median(&mut traces).unwrap_or(0).max(1);
        let passes = self.passes(trace)?;
        // Who dropped out is written already.
        let mut there: Vec<(&mut Contender<'a>, Course)> = contenders.iter_mut().zip(courses).collect();
        there.retain(|(contender, course)| contender.cell.is_some() && !course.steps.is_empty());
        if self.stage.stopped() {
            there.clear();
        }
        let steady = there.iter().filter_map(|(_, course)| Some((course, steady_from(&course.steps)?)));
        let alike = |step: &usize| {
            let mut turns = there.iter().filter_map(|(_, course)| course.turns.get(*step));
            turns.all(|turn| turn.passes == passes)
        };
        let kept: Vec<usize> = common(steady).filter(alike).collect();
        for (contender, course) in there {
            self.settled(lane, contender, course, &kept)?;
        }
        Ok(Steady { trace, kept: u32::try_from(kept.len())? })
    }

    /// Writes what a contender's way took, and the steps that are kept as rounds.
    fn settled(
        &mut self,
        lane: &Lane<'_>,
        contender: &mut Contender<'a>,
        course: Course,
        kept: &[usize],
    ) -> Result<()> {
        let row = self.row(lane, contender.strategy(), Phase::Cycle);
        let (metric, unit) = (SETTLING.into(), Unit::Nanoseconds);
        let all = course.steps.len();
        self.write(rows::sampled(Row { metric, unit, ..row.clone() }, course.cycles(all)))?;
        let from = steady_from(&course.steps);
        contender.settled = from.is_some();
        let blocks = course.cycles(from.unwrap_or(all)).len() as u64;
        let metric = if contender.settled { SETTLED } else { UNSETTLED };
        self.write(Row { metric: metric.into(), unit: Unit::Count, value: Some(blocks), ..row })?;
        for (step, turn) in course.turns.into_iter().enumerate() {
            if let Some(round) = kept.iter().position(|kept| *kept == step) {
                self.keep(lane, contender, u32::try_from(round)?, turn.order, turn.timed)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(cycles: &[u64], passes: u32) -> Turn {
        let timed = Timed { execute: cycles.to_vec(), reset: vec![0; cycles.len()], ..Timed::default() };
        Turn { order: 0, passes, timed }
    }

    #[test]
    fn steps_are_rounds_where_all_were_there_and_steady() {
        let course = |steps: usize| {
            let mut course = Course::default();
            (0..steps).for_each(|_| course.add(turn(&[10], 1)));
            course
        };
        let (four, six) = (course(4), course(6));
        assert_eq!(common([(&four, 2), (&four, 2)].into_iter()), 2..4);
        assert_eq!(common([(&six, 3), (&four, 2)].into_iter()), 3..4);
        assert_eq!(common([(&six, 4), (&four, 2)].into_iter()), 0..0);
        assert_eq!(common([].into_iter()), 0..0);
    }

    #[test]
    fn a_step_is_as_long_as_its_typical_trace() {
        let mut course = Course::default();
        course.add(turn(&[10, 20, 10, 20, 900, 20], 3));
        assert_eq!((course.steps[0].ns, course.cycles(1).len()), (30, 6));
    }

    #[test]
    fn short_traces_make_longer_steps_after_the_first_ones() {
        let passes = |ns: u64| {
            let mut course = Course::default();
            let passes: Vec<u32> = (0..=SINGLE)
                .map(|_| {
                    let passes = course.passes();
                    course.add(turn(&[ns], 1));
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
