//! Who is best in a workload, and who cannot be told apart from the best.
//!
//! The best is whom no other is ahead of within the same rounds ([`super::cells`]). That alone crowns whoever was lucky in a
//! close race. So it is named together with all that are not measurably slower: those whose paired ratio to it has the verdict
//! *same* or *unsure*, by the rule and at the level of every other [`verdict()`], or that have no interval at all.
//!
//! How small a difference could have been told is part of the answer ([`resolution`]).
//!
//! A median does not see what is rare. So whoever takes measurably less over whole traces than the best is named beside
//! it, by the same rule.

use super::cells::ITSELF;
use super::summary::{ByMean, Cell, Ratio, Standing, Verdict};
use super::verdict::{self, verdict};

impl ByMean {
    /// What there is to say beside `chosen`, whose mean cycle is `ratio` times that of `strategy`; nothing where the ratio
    /// is not measurably above 1, or has no interval.
    pub fn beside(chosen: &str, strategy: &str, ratio: Option<Ratio>) -> Option<Self> {
        let ratio = ratio.filter(|ratio| !ties(Some(ratio)))?;
        let sentence = verdict::over_traces(chosen, strategy, &ratio);
        Some(Self { strategy: strategy.to_owned(), ratio, sentence })
    }
}

/// Whether a ratio to the best leaves open that the strategy is as good; `None` stands for a ratio without interval.
pub fn ties(regret: Option<&Ratio>) -> bool {
    regret.is_none_or(|ratio| verdict(ratio) != Verdict::Slower)
}

/// How far behind the best a strategy has to be to be told apart from it, as a share: the widest upper half of an interval
/// among the ratios of those that are near, or of the nearest where none is. `None` without any ratio.
pub fn resolution(ratios: impl Iterator<Item = Ratio>) -> Option<f64> {
    /// What counts as near, as a ratio to the best.
    const NEAR: f64 = 1.5;
    let mut ratios: Vec<Ratio> = ratios.collect();
    ratios.sort_by(|a, b| a.value.total_cmp(&b.value));
    let near = ratios.iter().take_while(|ratio| ratio.value <= NEAR).count().max(1);
    let widths = ratios.iter().take(near).map(|ratio| ratio.value / ratio.low - 1.0);
    widths.max_by(f64::total_cmp)
}

/// The standing of each workload in which something may be recommended, in the order of the cells.
pub fn standings(cells: &[Cell]) -> Vec<Standing> {
    let mut standings: Vec<Standing> = Vec::new();
    for (at, first) in cells.iter().enumerate() {
        let same = |cell: &&Cell| cell.workload == first.workload && cell.params == first.params;
        if cells[..at].iter().any(|cell| same(&cell)) {
            continue;
        }
        let group = cells[at..].iter().filter(same);
        let mut timed: Vec<&Cell> = group.filter(|cell| !cell.control && cell.cycle_ns.is_some()).collect();
        timed.sort_by_key(|cell| (cell.cycle_ns.map(|cycle| cycle.p50), cell.strategy.clone()));
        let best = timed.iter().find(|cell| cell.regret == Some(ITSELF)).or(timed.first());
        if let Some(&best) = best {
            let others = timed.iter().filter(|cell| cell.strategy != best.strategy);
            let tied = others.clone().filter(|cell| ties(cell.regret.as_ref()));
            let least =
                timed.iter().min_by_key(|cell| (cell.cycle_ns.map(|cycle| cycle.mean), &cell.strategy));
            standings.push(Standing {
                workload: best.workload.clone(),
                params: best.params.clone(),
                best: best.strategy.clone(),
                tied: tied.map(|cell| cell.strategy.clone()).collect(),
                resolution: resolution(others.filter_map(|cell| cell.regret)),
                by_mean: least
                    .and_then(|least| ByMean::beside(&best.strategy, &least.strategy, best.regret_by_mean)),
            });
        }
    }
    standings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tie(value: f64, low: f64, high: f64) -> bool {
        ties(Some(&Ratio { value, low, high }))
    }

    #[test]
    fn the_resolution_is_the_widest_of_those_that_are_near() {
        let ratio =
            |value: f64, half: f64| Ratio { value, low: value / (1.0 + half), high: value * (1.0 + half) };
        let of = |ratios: &[Ratio]| resolution(ratios.iter().copied()).map(|share| (share * 100.0).round());
        assert_eq!(of(&[ratio(1.1, 0.04), ratio(1.4, 0.07), ratio(3.0, 0.5)]), Some(7.0));
        assert_eq!(of(&[ratio(2.0, 0.2), ratio(3.0, 0.5)]), Some(20.0), "the nearest");
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn only_who_is_measurably_slower_is_beaten() {
        assert!(tie(1.01, 0.99, 1.04), "the interval holds 1");
        assert!(tie(1.01, 1.005, 1.015), "the same within the margin, though measurably slower");
        assert!(tie(0.9, 0.85, 0.95), "faster than the shortest median");
        assert!(!tie(1.05, 1.025, 1.076));
        assert!(!tie(1.02, 1.001, 1.04), "slower, and perhaps by more than the margin");
        assert!(ties(None), "what cannot be computed cannot be told apart");
    }
}
