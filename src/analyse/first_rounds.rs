//! Whether the first rounds that were kept are like those that followed: did the warm-up end too early?
//!
//! In each launch, the log ratio to the baseline of the first round is held against the median of the later ones; for the
//! baseline itself it is its own log time. Over launches that has Student's interval. A cell is marked if the whole
//! interval lies beyond the margin of a difference. All cells of a run share one error rate (Bonferroni), so that of a
//! hundred runs in which nothing is wrong one has a mark at most.

use std::fmt;

use serde::Serialize;

use super::evidence::Group;
use super::paired::{Paired, Rounds};
use super::quantile::median;
use super::student::mean_and_half;
use super::{Facts, LEVEL, MARGIN, bootstrap};
use crate::measure::row::{Params, Phase};

/// A cell whose first rounds differ from its later ones.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Transient {
    pub workload: String,
    pub params: Params,
    pub strategy: String,
    /// What the first round takes of the later ones.
    pub ratio: f64,
    pub launches: usize,
}

impl fmt::Display for Transient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workload, strategy, ratio, launches, .. } = self;
        write!(
            f,
            "the first round of `{strategy}` on `{workload}` that was kept takes {ratio:.2} times the later ones in \
             {launches} launches: it was not steady yet"
        )
    }
}

/// The cells of a run whose first rounds differ.
pub fn transients(groups: &[Group], facts: &Facts) -> Vec<Transient> {
    let cells: usize = groups.iter().map(|group| group.strategies.len()).sum();
    let level = 1.0 - (1.0 - LEVEL) / cells.max(1) as f64;
    let mut found = Vec::new();
    for group in groups {
        let rounds = |strategy: &str| Some(&group.strategies.get(strategy)?.times(Phase::Cycle)?.rounds);
        let Some(baseline) = rounds(&facts.baseline) else { continue };
        for strategy in group.strategies.keys() {
            let Some(own) = rounds(strategy) else { continue };
            let paired = if *strategy == facts.baseline { alone(own) } else { Paired::new(own, baseline) };
            if let Some((ratio, launches)) = transient(&paired, level) {
                let (workload, params) = (group.workload.clone(), group.params.clone());
                found.push(Transient { workload, params, strategy: strategy.clone(), ratio, launches });
            }
        }
    }
    found
}

/// The log times of one contender.
fn alone(rounds: &Rounds) -> Paired {
    let one = rounds
        .keys()
        .map(|at| (*at, super::paired::Round { value: 1, ..super::paired::Round::default() }))
        .collect();
    Paired::new(rounds, &one)
}

/// What the first rounds take of the later ones, and the launches that say so, if that is measurably beyond the margin.
fn transient(paired: &Paired, level: f64) -> Option<(f64, usize)> {
    let paired = paired.with_at_least(bootstrap::MIN_ROUNDS);
    let logs: Vec<f64> = (paired.launches().iter())
        .filter_map(|rounds| Some(rounds.first()? - median(&mut rounds[1..].to_vec())?))
        .collect();
    if logs.len() < bootstrap::MIN_LAUNCHES {
        return None;
    }
    let launches = logs.len();
    let (mean, half) = mean_and_half(&[logs], level);
    (mean.abs() - half > (1.0 + MARGIN).ln()).then(|| (mean.exp(), launches))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<L: AsRef<[f64]>>(launches: &[L]) -> Option<(f64, usize)> {
        let logs =
            launches.iter().map(|launch| launch.as_ref().iter().map(|ratio| ratio.ln()).collect()).collect();
        transient(&Paired::from_logs(logs), 1.0 - 0.01 / 80.0)
            .map(|(ratio, n)| ((10.0 * ratio).round() / 10.0, n))
    }

    #[test]
    fn a_slow_first_round_in_each_launch_is_found() {
        let slow: [[f64; 3]; 6] = [
            [2.5, 1.0, 1.01],
            [2.4, 1.0, 0.99],
            [2.6, 1.02, 1.0],
            [2.5, 1.0, 1.0],
            [2.4, 0.98, 1.0],
            [2.5, 1.0, 1.01],
        ];
        assert_eq!(of(&slow), Some((2.5, 6)));
    }

    #[test]
    fn noise_and_what_is_within_the_margin_are_not() {
        let noisy: [[f64; 3]; 6] = [
            [1.2, 1.0, 1.01],
            [0.9, 1.0, 0.99],
            [1.1, 1.02, 1.0],
            [0.8, 1.0, 1.0],
            [1.3, 0.98, 1.0],
            [1.0, 1.0, 1.01],
        ];
        assert_eq!(of(&noisy), None);
        assert_eq!(of(&[[1.01, 1.0, 1.0]; 6]), None, "1 %, for certain");
        assert_eq!(of(&[[2.5, 1.0, 1.0]]), None, "one launch has no interval");
        assert_eq!(of(&[[2.5, 1.0]; 6]), None, "nor have launches of two rounds");
    }
}
