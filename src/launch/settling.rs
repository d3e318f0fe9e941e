//! The way of one child to its steady state: whole traces, step by step, until it [is steady](steady_from) or has reached
//! its limits.
//!
//! Whoever drives the child asks for the steps: a run those of all contenders in lock-step, a bench those of one process
//! after another. What blocks took on the way is written as a figure of its own. A child that does not become steady within
//! its limits says that in a row, and its launch does not count.

use std::time::{Duration, Instant};

use super::rows;
use crate::analyse::evidence::{SETTLED, SETTLING, UNSETTLED};
use crate::analyse::quantile::median;
use crate::analyse::steady::{Step, steady_from};
use crate::measure::row::{Row, Unit};
use crate::protocol::Timed;

/// Steps that a child may take, whatever the time: enough for huge pages, of which a reset makes an eighth.
const FEWEST: usize = 16;

/// Most steps that a child takes.
pub const MOST: u32 = 64;

/// Steps of a single trace; later ones are longer where a trace is short, so that the clock matters less.
const SINGLE: usize = 4;

/// Most traces of a step.
const MOST_PASSES: u32 = 16;

/// The time that a longer step should take.
const LONG: Duration = Duration::from_micros(500);

/// The time that a child which is on its way alone may take; it may take the fewest steps whatever they take.
const ALONE: Duration = Duration::from_secs(1);

/// A child on its way.
#[derive(Debug, Default)]
pub struct Approach {
    steps: Vec<Step>,
    turns: Vec<Turn>,
    steady: Option<usize>,
}

/// What a child did in a step.
#[derive(Debug)]
pub struct Turn {
    /// Its place in the order of all children that took this step; 0 where it was alone.
    pub order: u32,
    /// Whole traces.
    pub passes: u32,
    pub timed: Timed,
}

impl Approach {
    /// The way of a child that is asked for nothing else meanwhile; `time` has it run so many whole traces.
    ///
    /// # Errors
    /// Those of `time`.
    pub fn alone<E>(mut time: impl FnMut(u32) -> Result<Timed, E>) -> Result<Self, E> {
        let until = Instant::now() + ALONE;
        let mut approach = Self::default();
        while !approach.is_over(until) {
            let passes = approach.passes();
            approach.add(Turn { order: 0, passes, timed: time(passes)? });
        }
        Ok(approach)
    }

    /// Whole traces of the next step.
    pub fn passes(&self) -> u32 {
        let trace = self.trace().unwrap_or(u64::MAX).max(1);
        let long = u32::try_from(LONG.as_nanos() as u64 / trace).unwrap_or(u32::MAX);
        if self.steps.len() < SINGLE { 1 } else { long.clamp(1, MOST_PASSES) }
    }

    /// Takes up a step. It is as long as its typical trace: one that was disturbed is no change.
    pub fn add(&mut self, turn: Turn) {
        let cycles = turn.timed.cycles();
        let trace = (cycles.len() / turn.passes.max(1) as usize).max(1);
        let mut traces: Vec<u64> = cycles.chunks(trace).map(|blocks| blocks.iter().sum()).collect();
        self.steps.push(Step { ns: median(&mut traces).unwrap_or(0), learning: turn.timed.learning });
        self.turns.push(turn);
        self.steady = steady_from(&self.steps);
    }

    /// What a trace took in the last step, in nanoseconds; `None` before the first.
    pub fn trace(&self) -> Option<u64> {
        self.steps.last().map(|step| step.ns)
    }

    /// The step from which on the child is steady, if it has become so.
    pub fn steady(&self) -> Option<usize> {
        self.steady
    }

    /// Whether there is no further step: the child is steady, or has had all steps that it may take, or those that it may take
    /// whatever the time, which is up.
    pub fn is_over(&self, until: Instant) -> bool {
        let steps = self.steps.len();
        self.steady.is_some() || steps >= MOST as usize || steps >= FEWEST && Instant::now() >= until
    }

    /// The steps so far.
    pub fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// The steps, to be kept.
    pub fn into_turns(self) -> Vec<Turn> {
        self.turns
    }

    /// What each block took on the way, and how many came before the steady state; all of them where it did not come. The
    /// row says of which launch.
    pub fn rows(&self, row: &Row) -> [Row; 2] {
        let all = self.cycles(self.turns.len());
        let metric = if self.steady.is_some() { SETTLED } else { UNSETTLED };
        let before = self.steady.map_or(all.len(), |from| self.cycles(from).len());
        let times = Row { metric: SETTLING.into(), unit: Unit::Nanoseconds, ..row.clone() };
        let end = Row { metric: metric.into(), unit: Unit::Count, value: Some(before as u64), ..row.clone() };
        [rows::sampled(times, all), end]
    }

    /// What each block took in the first so many steps.
    fn cycles(&self, steps: usize) -> Vec<u64> {
        let all = |turn: &Turn| [turn.timed.lead_in.clone(), turn.timed.cycles()].concat();
        self.turns[..steps].iter().flat_map(all).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::learning::Learning;
    use crate::measure::row::{Params, Phase};

    fn turn(cycles: &[u64], passes: u32) -> Turn {
        let timed = Timed { execute: cycles.to_vec(), reset: vec![0; cycles.len()], ..Timed::default() };
        Turn { order: 0, passes, timed }
    }

    /// A child that makes a huge page in each of its first so many steps of two blocks, taken to the end of its way.
    fn learner(learns: usize, until: Instant) -> Approach {
        let mut approach = Approach::default();
        while !approach.is_over(until) {
            let mut turn = turn(&[30, 10], 1);
            let huge_pages = u64::from(approach.turns().len() < learns);
            turn.timed.learning = Learning { huge_pages, ..Learning::default() };
            approach.add(turn);
        }
        approach
    }

    fn rows(approach: &Approach) -> [(String, Option<u64>, usize); 2] {
        let row = Row::new("a run", "a/strategy", "a/workload", &Params::new(), Phase::Cycle);
        approach.rows(&row).map(|row| (row.metric, row.value, row.samples.len()))
    }

    #[test]
    fn a_step_is_as_long_as_its_typical_trace() {
        let mut approach = Approach::default();
        approach.add(turn(&[10, 20, 10, 20, 900, 20], 3));
        assert_eq!((approach.trace(), approach.cycles(1).len()), (Some(30), 6));
    }

    #[test]
    fn a_lead_in_is_on_the_way_and_in_no_step() {
        let mut approach = Approach::default();
        let mut turn = turn(&[10, 10], 2);
        turn.timed.lead_in = vec![50, 20];
        approach.add(turn);
        assert_eq!((approach.trace(), approach.cycles(1)), (Some(10), vec![50, 20, 10, 10]));
    }

    #[test]
    fn short_traces_make_longer_steps_after_the_first_ones() {
        let passes = |ns: u64| {
            let mut approach = Approach::default();
            let passes: Vec<u32> = (0..=SINGLE)
                .map(|_| {
                    let passes = approach.passes();
                    approach.add(turn(&[ns], 1));
                    passes
                })
                .collect();
            (passes[0], passes[SINGLE])
        };
        assert_eq!(passes(50_000_000), (1, 1));
        assert_eq!(passes(100_000), (1, 5));
        assert_eq!(passes(10), (1, MOST_PASSES));
    }

    #[test]
    fn a_child_is_on_its_way_for_as_long_as_it_learns() {
        let now = Instant::now();
        for (learns, blocks) in [(0, 4), (6, 12), (12, 24)] {
            let approach = learner(learns, now);
            assert_eq!(approach.steady(), Some(blocks / 2), "it learns in {learns} steps");
            let [(way, _, all), end] = rows(&approach);
            assert_eq!((way.as_str(), all), (SETTLING, blocks + 4), "and two steady steps more");
            assert_eq!(end, (SETTLED.into(), Some(blocks as u64), 0));
        }
    }

    #[test]
    fn a_child_that_never_becomes_steady_ends_at_its_limits_and_says_so() {
        let (now, later) = (Instant::now(), Instant::now() + Duration::from_secs(1_000));
        for (until, steps) in [(now, FEWEST), (later, MOST as usize)] {
            let approach = learner(usize::MAX, until);
            assert_eq!((approach.steady(), approach.turns().len()), (None, steps));
            let [(way, ..), end] = rows(&approach);
            assert_eq!((way.as_str(), end), (SETTLING, (UNSETTLED.into(), Some(2 * steps as u64), 0)));
        }
    }
}
