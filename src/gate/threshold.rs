//! How much a series may move before anyone is told: what it did on its own last nights decides.
//!
//! The threshold is the upper fence of Tukey's box plot for far outliers, `Q3 + 3 IQR`, over the absolute changes from one
//! night to the next, as rustc-perf has it: a series that always wobbles by 5 % is not reported for 5 %, and one that never
//! moves is reported for little. Below the metric's floor nothing is ever reported.

use serde::Serialize;

use super::series::Metric;
use crate::analyse::quantile::{quantile, sort};

/// Nights that count: a month, so that what a machine was like last year is forgotten.
pub const NIGHTS: usize = 30;

/// Changes from night to night below which quartiles mean nothing: four quarters of two.
pub const FEWEST: usize = 8;

/// A threshold and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Threshold {
    /// The largest change, as a share, that passes.
    pub share: f64,
    /// Nights behind it; with too few of them the floor stands in, and only intervals that do not overlap count.
    pub nights: usize,
    /// Whether the history was long enough.
    pub from_history: bool,
}

/// The threshold of a series from its ratios on past quiet nights, oldest first.
pub fn threshold(metric: Metric, history: &[f64]) -> Threshold {
    let history = &history[history.len().saturating_sub(NIGHTS)..];
    let mut changes: Vec<f64> = history.windows(2).map(|pair| (pair[1] / pair[0]).ln().abs()).collect();
    sort(&mut changes);
    let from_history = changes.len() >= FEWEST;
    let fence = || {
        let (q1, q3) = (quantile(&changes, 25)?, quantile(&changes, 75)?);
        Some((q3 + 3.0 * (q3 - q1)).exp() - 1.0)
    };
    let share = from_history.then(fence).flatten().map_or(metric.floor(), |fence| fence.max(metric.floor()));
    Threshold { share, nights: history.len(), from_history }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_history_there_is_the_floor() {
        for history in [&[][..], &[1.0], &[1.0, 1.5, 1.0]] {
            let threshold = threshold(Metric::Cycle, history);
            assert_eq!((threshold.share, threshold.from_history), (0.02, false));
            assert_eq!(threshold.nights, history.len());
        }
    }

    #[test]
    fn a_steady_series_has_the_floor_of_its_metric() {
        let steady = [0.5; 12];
        assert_eq!(threshold(Metric::Cycle, &steady).share, 0.02);
        assert_eq!(threshold(Metric::Rss, &steady).share, 0.10);
        assert!(threshold(Metric::Cycle, &steady).from_history);
    }

    #[test]
    fn the_fence_is_the_third_quartile_and_three_times_the_range() {
        // Changes of 1, 2, 3, 4, 5, 6, 7 and 8 per cent: Q1 is the second, Q3 the sixth.
        let steps = [0.01, -0.02, 0.03, -0.04, 0.05, -0.06, 0.07, -0.08_f64];
        let mut log = 0.0;
        let nights: Vec<f64> = std::iter::once(1.0)
            .chain(steps.iter().map(|step| {
                log += step;
                f64::exp(log)
            }))
            .collect();
        let expected = (0.06_f64 + 3.0 * (0.06 - 0.02)).exp() - 1.0;
        let found = threshold(Metric::Cycle, &nights).share;
        assert!((found - expected).abs() < 1e-9, "{found} {expected}");
    }

    #[test]
    fn only_the_last_month_counts() {
        let mut nights: Vec<f64> = (0..40).map(|n| if n % 2 == 0 { 1.0 } else { 2.0 }).collect();
        nights.extend([1.0; NIGHTS]);
        assert_eq!(threshold(Metric::Cycle, &nights).share, 0.02);
    }
}
