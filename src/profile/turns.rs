//! A child that runs in turns, sampled and not: the two together tell what sampling costs, and times are of those that were not.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::sampling::Sampling;
use crate::analyse::quantile::median;
use crate::launch::process::Cell;
use crate::launch::settling::Approach;
use crate::launch::stage::Stage;
use crate::protocol::{Request, Timed};

/// How long a turn is: short against what a machine does to a child over the seconds, long against a request.
const TURN: Duration = Duration::from_millis(200);

/// Most whole traces of a turn.
const MOST_PASSES: u32 = 20_000;

/// Of so many turns, one is not sampled.
const ONE_IN: u32 = 4;

/// Fewest pairs of turns, one of them sampled, that say what sampling costs.
const FEWEST_PAIRS: usize = 8;

/// What the turns came to.
#[derive(Debug, Default)]
pub struct Turns {
    /// Blocks that were run, sampled or not.
    pub blocks: u64,
    /// What each took that was not.
    pub timed: Timed,
    /// Whether each turn was sampled, and its median cycle.
    cycles: Vec<(bool, u64)>,
}

impl Turns {
    /// Runs whole traces until the time is up or somebody stops it: one turn with samples at least, and one without.
    ///
    /// # Errors
    /// When the child ends, or the kernel does not let go of its clock.
    pub fn run(
        cell: &mut Cell,
        passes: u32,
        sampling: &Sampling,
        time: Duration,
        stage: &Stage,
    ) -> Result<Self> {
        let mut turns = Self::default();
        let began = Instant::now();
        for turn in 0.. {
            if turn > 1 && (began.elapsed() >= time || stage.stopped()) {
                break;
            }
            let sampled = turn % ONE_IN != 0;
            sampling.switch(sampled)?;
            turns.add(sampled, cell.ask(&Request::Time { passes })?);
        }
        sampling.switch(false)?;
        Ok(turns)
    }

    fn add(&mut self, sampled: bool, mut timed: Timed) {
        self.blocks += (timed.lead_in.len() + timed.execute.len()) as u64;
        self.cycles.extend(median(&mut timed.cycles()).map(|cycle| (sampled, cycle)));
        if !sampled {
            self.timed.execute.append(&mut timed.execute);
            self.timed.reset.append(&mut timed.reset);
        }
    }

    /// What sampling makes of a cycle: the median over neighbours of which one was sampled, so that what the machine does over
    /// the seconds is in both. `None` where there are too few.
    pub fn overhead(&self) -> Option<f64> {
        let ratio = |pair: &[(bool, u64)]| match *pair {
            [(true, sampled), (false, plain)] | [(false, plain), (true, sampled)] if plain > 0 => {
                Some(sampled as f64 / plain as f64)
            }
            _ => None,
        };
        let mut ratios: Vec<f64> = self.cycles.windows(2).filter_map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        (ratios.len() >= FEWEST_PAIRS).then(|| ratios[ratios.len() / 2])
    }
}

/// Whole traces that fill a turn of a child that is steady.
pub fn passes(approach: &Approach) -> u32 {
    let trace = u128::from(approach.trace().unwrap_or(u64::MAX).max(1));
    u32::try_from(TURN.as_nanos().div_ceil(trace)).unwrap_or(MOST_PASSES).clamp(1, MOST_PASSES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(ns: u64) -> Timed {
        Timed { lead_in: vec![ns], execute: vec![ns; 3], reset: vec![ns; 3], ..Timed::default() }
    }

    #[test]
    fn times_are_of_turns_without_samples_and_blocks_of_all() {
        let mut turns = Turns::default();
        turns.add(false, timed(10));
        turns.add(true, timed(11));
        assert_eq!((turns.blocks, turns.timed.execute, turns.timed.reset), (8, vec![10; 3], vec![10; 3]));
    }

    #[test]
    fn what_sampling_costs_is_seen_between_neighbours_whatever_drifts() {
        let mut turns = Turns::default();
        for turn in 0..40_u64 {
            let drift = 1_000 + turn * 100;
            let sampled = turn % 4 != 0;
            turns.add(sampled, timed(if sampled { drift * 102 / 100 } else { drift }));
        }
        let overhead = turns.overhead().expect("there are enough");
        assert!((overhead - 1.02).abs() < 0.03, "{overhead}");
        let mut few = Turns::default();
        few.add(false, timed(10));
        few.add(true, timed(11));
        assert_eq!(few.overhead(), None);
    }
}
