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

    #[test]
    fn short_launches_can_be_dropped() {
        let paired = Paired::from_logs(vec![vec![0.0; 2], vec![0.0; 5]]);
        assert_eq!(paired.with_at_least(3).launches(), [vec![0.0; 5]]);
    }
}
