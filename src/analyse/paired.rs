//! Pairs two contenders by launch and round.
//!
//! In a round every contender runs, one after another, within a few milliseconds. What the machine does meanwhile (a
//! clock that drops, a neighbour that wakes) is therefore common to them, and cancels in the ratio within that round.
//! It does not cancel when two pools of samples are compared, one taken after the other.
//!
//! The work is done on natural logarithms of the ratios: a ratio of 2 and one of 1/2 are then equally far from 1, and
//! exchanging the two contenders only changes the sign.

use std::collections::BTreeMap;

/// One contender's share of a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// The sample: the median over the blocks of the round.
    pub value: u64,
    /// The single blocks, in block order; may be empty when only the median was kept.
    pub blocks: Vec<u64>,
}

/// One contender's rounds, by launch and round number.
pub type Rounds = BTreeMap<(u32, u32), Round>;

/// Log ratios of two contenders, grouped by launch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Paired {
    launches: Vec<Vec<f64>>,
}

impl Paired {
    /// Pairs `numerator` with `denominator` in every round that both have.
    ///
    /// A round that only one of them has says nothing about their ratio and is left out; so is one where either took
    /// zero, which is below the clock's resolution and has no logarithm.
    pub fn new(numerator: &Rounds, denominator: &Rounds) -> Self {
        let mut launches = BTreeMap::<u32, Vec<f64>>::new();
        for (&(launch, round), above) in numerator {
            if let Some(below) = denominator.get(&(launch, round))
                && above.value > 0
                && below.value > 0
            {
                let log = (above.value as f64).ln() - (below.value as f64).ln();
                launches.entry(launch).or_default().push(log);
            }
        }
        Self { launches: launches.into_values().collect() }
    }

    /// Log ratios that were computed elsewhere, one inner list per launch.
    pub fn from_logs(launches: Vec<Vec<f64>>) -> Self {
        Self { launches }
    }

    /// The log ratios of each launch, in the order of launches and rounds.
    pub fn launches(&self) -> &[Vec<f64>] {
        &self.launches
    }

    /// Pairs in all launches.
    pub fn rounds(&self) -> usize {
        self.launches.iter().map(Vec::len).sum()
    }

    /// Only the launches with at least `rounds` pairs.
    pub fn with_at_least(&self, rounds: usize) -> Self {
        Self { launches: self.launches.iter().filter(|launch| launch.len() >= rounds).cloned().collect() }
    }
}

/// The log ratio of each launch's sum over all blocks of the rounds that both have; of launches with at least `rounds`
/// of these.
///
/// A sum and not a median over rounds: where a trace is one block, a slow block is a rare round. A round whose blocks
/// one contender did not keep is left out, as is one in which they did not run equally many.
pub fn totals(numerator: &Rounds, denominator: &Rounds, rounds: usize) -> Vec<f64> {
    let sum = |blocks: &[u64]| blocks.iter().map(|&ns| u128::from(ns)).sum::<u128>();
    let mut launches = BTreeMap::<u32, (usize, u128, u128)>::new();
    for (at @ (launch, _), above) in numerator {
        if let Some(below) = denominator.get(at)
            && above.blocks.len() == below.blocks.len()
            && !above.blocks.is_empty()
        {
            let (paired, over, under) = launches.entry(*launch).or_default();
            *paired += 1;
            *over += sum(&above.blocks);
            *under += sum(&below.blocks);
        }
    }
    let counts = |(paired, over, under): &(usize, u128, u128)| *paired >= rounds && *over > 0 && *under > 0;
    let logs = launches.into_values().filter(counts);
    logs.map(|(_, over, under)| (over as f64).ln() - (under as f64).ln()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(values: &[((u32, u32), u64)]) -> Rounds {
        values.iter().map(|&(at, value)| (at, Round { value, blocks: Vec::new() })).collect()
    }

    #[test]
    fn a_round_is_compared_with_itself_only() {
        let a = rounds(&[((0, 0), 200), ((0, 1), 400), ((1, 0), 50)]);
        let b = rounds(&[((0, 0), 100), ((0, 1), 200), ((1, 0), 100)]);
        let paired = Paired::new(&a, &b);
        let two = 2_f64.ln();
        let close = |log: f64, expected: f64| assert!((log - expected).abs() < 1e-12, "{log} {expected}");
        assert_eq!(paired.launches().len(), 2);
        close(paired.launches()[0][0], two);
        close(paired.launches()[0][1], two);
        close(paired.launches()[1][0], -two);
    }

    #[test]
    fn rounds_that_one_contender_lacks_are_left_out() {
        let a = rounds(&[((0, 0), 10), ((0, 1), 10), ((0, 2), 10), ((3, 0), 10)]);
        let b = rounds(&[((0, 1), 10), ((2, 0), 10)]);
        let paired = Paired::new(&a, &b);
        assert_eq!(paired.launches(), [vec![0.0]]);
        assert_eq!(paired.rounds(), 1);
    }

    #[test]
    fn a_time_of_zero_has_no_ratio() {
        let a = rounds(&[((0, 0), 0), ((0, 1), 10)]);
        assert_eq!(Paired::new(&a, &a).rounds(), 1);
    }

    /// The total of one launch in per cent, from the blocks of its rounds.
    fn total(above: &[&[u64]], below: &[&[u64]], at_least: usize) -> Option<f64> {
        let rounds = |blocks: &[&[u64]]| -> Rounds {
            let round = |blocks: &&[u64]| Round { value: 1, blocks: blocks.to_vec() };
            (0..).map(|number| (0, number)).zip(blocks.iter().map(round)).collect()
        };
        totals(&rounds(above), &rounds(below), at_least).first().map(|log| (100.0 * log.exp()).round())
    }

    #[test]
    fn a_rare_slow_block_counts_in_a_total_however_rounds_divide_the_blocks() {
        assert_eq!(total(&[&[1, 1, 1, 1], &[1, 1, 1, 57]], &[&[2, 2, 2, 2], &[2, 2, 2, 2]], 2), Some(400.0));
        assert_eq!(total(&[&[1], &[1], &[13], &[1]], &[&[2], &[2], &[2], &[2]], 2), Some(200.0));
    }

    #[test]
    fn a_total_is_over_what_both_have_run() {
        assert_eq!(total(&[&[1], &[13]], &[&[2]], 1), Some(50.0), "one lacks the round");
        assert_eq!(total(&[&[4], &[13, 13]], &[&[1], &[1]], 1), Some(400.0), "these are not the same blocks");
        assert_eq!(total(&[&[1]], &[&[2]], 2), None, "too few rounds");
        assert_eq!(total(&[&[]], &[&[]], 1), None, "only the medians were kept");
        assert_eq!(total(&[&[0]], &[&[2]], 1), None, "zero has no logarithm");
    }

    #[test]
    fn short_launches_can_be_dropped() {
        let paired = Paired::from_logs(vec![vec![0.0; 2], vec![0.0; 5]]);
        assert_eq!(paired.with_at_least(3).launches(), [vec![0.0; 5]]);
    }
}
