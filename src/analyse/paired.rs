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
    /// The CPU that its launch was kept on, where there was one.
    pub cpu: Option<u32>,
}

/// One contender's rounds, by launch and round number.
pub type Rounds = BTreeMap<(u32, u32), Round>;

/// Log ratios of two contenders, grouped by launch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Paired {
    launches: Vec<Vec<f64>>,
    /// The CPU of each launch.
    cpus: Vec<Option<u32>>,
}

/// Launches that a CPU needs to be told from the others: with fewer, the spread within CPUs is known worse than one that
/// holds their differences as well.
const LAUNCHES_OF_A_CPU: usize = 3;

impl Paired {
    /// Pairs `numerator` with `denominator` in every round that both have.
    ///
    /// A round that only one of them has says nothing about their ratio and is left out; so is one where either took
    /// zero, which is below the clock's resolution and has no logarithm.
    pub fn new(numerator: &Rounds, denominator: &Rounds) -> Self {
        let mut launches = BTreeMap::<u32, (Vec<f64>, Option<u32>)>::new();
        for (at @ (launch, _), above) in numerator {
            if let Some(below) = denominator.get(at)
                && above.value > 0
                && below.value > 0
            {
                let log = (above.value as f64).ln() - (below.value as f64).ln();
                let (logs, cpu) = launches.entry(*launch).or_default();
                logs.push(log);
                *cpu = above.cpu;
            }
        }
        let (launches, cpus) = launches.into_values().unzip();
        Self { launches, cpus }
    }

    /// Log ratios that were computed elsewhere, one inner list per launch.
    pub fn from_logs(launches: Vec<Vec<f64>>) -> Self {
        Self { cpus: vec![None; launches.len()], launches }
    }

    /// The same, where it is known on which CPU each launch was kept.
    #[must_use]
    pub fn on(self, cpus: Vec<Option<u32>>) -> Self {
        Self { cpus, ..self }
    }

    /// The log ratios of each launch, in the order of launches and rounds.
    pub fn launches(&self) -> &[Vec<f64>] {
        &self.launches
    }

    /// The launches of each CPU, where every CPU has three at least; all together elsewhere.
    ///
    /// Launches take CPUs in turn, and both contenders of a ratio are on the same one. What a CPU does to a ratio is therefore
    /// no chance: it is the same in all of its launches, and the mean over CPUs has no error by it.
    pub fn by_cpu(&self) -> Vec<Vec<&[f64]>> {
        let mut groups = BTreeMap::<Option<u32>, Vec<&[f64]>>::new();
        for (launch, cpu) in self.launches.iter().zip(&self.cpus) {
            groups.entry(*cpu).or_default().push(launch);
        }
        if groups.values().all(|launches| launches.len() >= LAUNCHES_OF_A_CPU) {
            groups.into_values().collect()
        } else {
            vec![self.launches.iter().map(Vec::as_slice).collect()]
        }
    }

    /// Pairs in all launches.
    pub fn rounds(&self) -> usize {
        self.launches.iter().map(Vec::len).sum()
    }

    /// Only the launches with at least `rounds` pairs.
    pub fn with_at_least(&self, rounds: usize) -> Self {
        let both = self.launches.iter().cloned().zip(self.cpus.iter().copied());
        let (launches, cpus) = both.filter(|(launch, _)| launch.len() >= rounds).unzip();
        Self { launches, cpus }
    }
}

/// The log ratio of each launch's sum over all blocks of the rounds that both have; of launches with at least `rounds`
/// of these.
///
/// A sum and not a median over rounds: where a trace is one block, a slow block is a rare round. A round whose blocks
/// one contender did not keep is left out, as is one in which they did not run equally many.
pub fn totals(numerator: &Rounds, denominator: &Rounds, rounds: usize) -> Paired {
    let sum = |blocks: &[u64]| blocks.iter().map(|&ns| u128::from(ns)).sum::<u128>();
    let mut launches = BTreeMap::<u32, (usize, u128, u128, Option<u32>)>::new();
    for (at @ (launch, _), above) in numerator {
        if let Some(below) = denominator.get(at)
            && above.blocks.len() == below.blocks.len()
            && !above.blocks.is_empty()
        {
            let (paired, over, under, cpu) = launches.entry(*launch).or_default();
            *paired += 1;
            *cpu = above.cpu;
            *over += sum(&above.blocks);
            *under += sum(&below.blocks);
        }
    }
    let counts = |(paired, over, under, _): &(usize, u128, u128, Option<u32>)| {
        *paired >= rounds && *over > 0 && *under > 0
    };
    let of_launch = |(_, over, under, cpu)| (vec![(over as f64).ln() - (under as f64).ln()], cpu);
    let (launches, cpus) = launches.into_values().filter(counts).map(of_launch).unzip();
    Paired { launches, cpus }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(values: &[((u32, u32), u64)]) -> Rounds {
        values.iter().map(|&(at, value)| (at, Round { value, ..Round::default() })).collect()
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
            let round = |blocks: &&[u64]| Round { value: 1, blocks: blocks.to_vec(), cpu: None };
            (0..).map(|number| (0, number)).zip(blocks.iter().map(round)).collect()
        };
        let totals = totals(&rounds(above), &rounds(below), at_least);
        totals.launches().first().map(|logs| (100.0 * logs[0].exp()).round())
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

    #[test]
    fn launches_are_grouped_by_cpu_if_there_are_enough_of_each() {
        let all = |launches: u32, cpus: u32| {
            let at = (0..launches).map(|launch| {
                (
                    (launch, 0),
                    Round { value: 100 + u64::from(launch), blocks: vec![1], cpu: Some(launch % cpus) },
                )
            });
            at.collect::<Rounds>()
        };
        let groups = |launches, cpus| -> Vec<usize> {
            let (rounds, one) = (all(launches, cpus), all(launches, 1));
            let groups = [Paired::new(&rounds, &one), totals(&rounds, &one, 1)]
                .map(|paired| paired.with_at_least(1).by_cpu().iter().map(Vec::len).collect::<Vec<_>>());
            assert_eq!(groups[0], groups[1]);
            groups[0].clone()
        };
        assert_eq!(groups(7, 2), [4, 3]);
        assert_eq!(groups(5, 2), [5], "the second has two only");
        assert_eq!(groups(12, 64), [12]);
        assert_eq!(Paired::from_logs(vec![vec![0.0]; 8]).by_cpu().len(), 1, "nobody knows");
    }
}
