//! What it takes a strategy to become steady, and when it has paid for that.
//!
//! The blocks of a launch come in two parts: those before its steady state, one by one ([`Way`]), and the rounds, whose
//! mean is taken for every block that would have followed. What a host has spent after so many blocks is the sum: exact at
//! the beginning, a straight line from there on ([`Spent`]).

use super::evidence::Evidence;
use super::quantile::median;
use super::settling::{Settling, Way};
use crate::measure::row::Phase;

/// What a host has spent after so many blocks: the median over launches.
#[derive(Clone, Debug, PartialEq)]
pub struct Spent {
    /// After each of the first blocks, in nanoseconds.
    first: Vec<f64>,
    /// For each block that follows.
    steady: f64,
}

impl Spent {
    /// Of a cell; `None` unless a launch became steady and was timed.
    pub fn of(cell: &Evidence) -> Option<Self> {
        let launches: Vec<(&Way, f64)> = settled(cell);
        let length = launches.iter().map(|(way, _)| way.cycles.len()).min()?;
        let mut steady: Vec<f64> = launches.iter().map(|(_, steady)| *steady).collect();
        let sum = |way: &Way, blocks| way.cycles[..blocks].iter().map(|&ns| ns as f64).sum::<f64>();
        let first = (1..=length).filter_map(|blocks| {
            median(&mut launches.iter().map(|(way, _)| sum(way, blocks)).collect::<Vec<f64>>())
        });
        Some(Self { first: first.collect(), steady: median(&mut steady)? })
    }

    /// Nanoseconds after so many blocks.
    pub fn after(&self, blocks: u64) -> f64 {
        let first = usize::try_from(blocks).unwrap_or(usize::MAX).min(self.first.len());
        let begun = first.checked_sub(1).map_or(0.0, |last| self.first[last]);
        begun + (blocks - first as u64) as f64 * self.steady
    }

    /// Blocks from which on this has cost less than another, 1 if it has from the first; `None` if that never comes.
    pub fn pays_after(&self, other: &Self) -> Option<u64> {
        let known = self.first.len().max(other.first.len()) as u64;
        let gain = other.steady - self.steady;
        let behind = self.after(known) - other.after(known);
        if behind > 0.0 {
            return (gain > 0.0).then(|| known + (behind / gain).floor() as u64 + 1);
        }
        let last_behind = (1..=known).rev().find(|&blocks| self.after(blocks) > other.after(blocks));
        (gain >= 0.0).then(|| last_behind.map_or(1, |blocks| blocks + 1))
    }
}

/// The launches that became steady, each with its mean steady block.
fn settled(cell: &Evidence) -> Vec<(&Way, f64)> {
    let Some(times) = cell.times(Phase::Cycle) else { return Vec::new() };
    let steady = |launch: u32| {
        let rounds = times.rounds.range((launch, 0)..=(launch, u32::MAX));
        let means = rounds.map(|(_, round)| match round.blocks.len() {
            0 => round.value as f64,
            blocks => round.blocks.iter().map(|&ns| ns as f64).sum::<f64>() / blocks as f64,
        });
        median(&mut means.collect::<Vec<f64>>())
    };
    let ways = cell.ways.iter().filter(|(_, way)| way.settled);
    ways.filter_map(|(&launch, way)| Some((way, steady(launch)?))).collect()
}

/// How a cell settles; `None` unless a launch became steady and was timed.
pub fn settling(cell: &Evidence, baseline: Option<&Evidence>) -> Option<Settling> {
    let launches = settled(cell);
    let before = |way: &Way| usize::try_from(way.blocks).unwrap_or(usize::MAX).min(way.cycles.len());
    let over = |of: &dyn Fn(&Way, f64) -> f64| {
        median(&mut launches.iter().map(|(way, steady)| of(way, *steady)).collect::<Vec<f64>>())
    };
    let sum = |way: &Way| way.cycles[..before(way)].iter().map(|&ns| ns as f64).sum::<f64>();
    Some(Settling {
        blocks: over(&|way, _| before(way) as f64)?.round() as u64,
        ns: over(&|way, _| sum(way))?.round() as u64,
        beyond_ns: over(&|way, steady| sum(way) - steady * before(way) as f64)?.round() as i64,
        longest_ns: over(&|way, _| way.cycles[..before(way)].iter().max().map_or(0.0, |&ns| ns as f64))?
            .round() as u64,
        pays_after: baseline.and_then(|baseline| Spent::of(cell)?.pays_after(&Spent::of(baseline)?)),
        unsettled: cell.unsettled().0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(first: &[f64], steady: f64) -> Spent {
        let mut sum = 0.0;
        let first = first.iter().map(|ns| {
            sum += ns;
            sum
        });
        Spent { first: first.collect(), steady }
    }

    #[test]
    fn what_is_spent_is_exact_at_first_and_a_line_from_there_on() {
        let spent = spent(&[90.0, 30.0], 10.0);
        assert_eq!([0, 1, 2, 3, 12].map(|blocks| spent.after(blocks)), [0.0, 90.0, 120.0, 130.0, 220.0]);
    }

    #[test]
    fn settling_is_paid_for_where_the_curves_cross_for_good() {
        let other = spent(&[20.0, 20.0], 20.0);
        assert_eq!(spent(&[90.0, 30.0], 10.0).pays_after(&other), Some(11), "even after 10");
        assert_eq!(spent(&[10.0, 10.0], 10.0).pays_after(&other), Some(1));
        assert_eq!(spent(&[30.0, 5.0], 10.0).pays_after(&other), Some(2));
        assert_eq!(
            spent(&[10.0, 10.0], 30.0).pays_after(&other),
            None,
            "ahead at first, and behind for ever"
        );
        assert_eq!(spent(&[90.0, 30.0], 20.0).pays_after(&other), None);
        assert_eq!(other.pays_after(&other), Some(1));
    }
}
