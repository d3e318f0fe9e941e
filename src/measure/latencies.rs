//! Latencies in an HDR histogram: exact to a hundredth wherever a value lies, so that the tail is as exact as the middle.
//!
//! A third digit would take ten times as much memory for each caller, in the very process whose memory is measured.

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Significant digits of a recorded value.
const DIGITS: u8 = 2;

/// A century: no call takes longer.
const LONGEST: u64 = 1 << 61;

/// Nanoseconds that calls took. Written down as pairs of a value and how often it came, in rising order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Latencies(Histogram<u32>);

/// Latencies, in nanoseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct Percentiles {
    pub p50: u64,
    pub p95: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
    pub mean: u64,
    /// Calls measured.
    pub n: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new(DIGITS).expect("so many digits are allowed"))
    }
}

impl Latencies {
    /// Counts one call.
    pub fn record(&mut self, ns: u64) {
        self.record_often(ns, 1);
    }

    fn record_often(&mut self, ns: u64, count: u64) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        // It grows as values do, up to half of all 64-bit numbers of nanoseconds.
        self.0.record_n(ns.min(LONGEST), count).expect("it grows by itself");
    }

    /// Adds what others have recorded.
    pub fn add(&mut self, other: &Self) {
        for (ns, count) in other.pairs() {
            self.record_often(ns, count);
        }
    }

    /// Calls recorded.
    pub fn calls(&self) -> u64 {
        self.0.len()
    }

    /// The sum, in nanoseconds, as exactly as values are kept.
    pub fn total_ns(&self) -> u64 {
        self.pairs().map(|(ns, count)| ns.saturating_mul(count)).fold(0, u64::saturating_add)
    }

    /// What readers ask for; nothing, where there was no call.
    pub fn percentiles(&self) -> Option<Percentiles> {
        let n = self.calls();
        let at = |percent| self.0.value_at_percentile(percent);
        (n > 0).then(|| Percentiles {
            p50: at(50.0),
            p95: at(95.0),
            p99: at(99.0),
            p999: at(99.9),
            max: self.0.max(),
            mean: self.total_ns() / n,
            n,
        })
    }

    /// Each value that came, and how often.
    pub fn pairs(&self) -> impl Iterator<Item = (u64, u64)> {
        let steps = self.0.iter_recorded();
        steps.map(|step| (step.value_iterated_to(), step.count_since_last_iteration()))
    }
}

impl From<Vec<(u64, u64)>> for Latencies {
    fn from(pairs: Vec<(u64, u64)>) -> Self {
        let mut all = Self::default();
        pairs.into_iter().for_each(|(ns, count)| all.record_often(ns, count));
        all
    }
}

impl From<Latencies> for Vec<(u64, u64)> {
    fn from(latencies: Latencies) -> Self {
        latencies.pairs().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Latencies {
        let mut all = Latencies::default();
        values.into_iter().for_each(|ns| all.record(ns));
        all
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let found = of(1..=1_000).percentiles().unwrap();
        let close =
            |found: u64, expected: u64| assert!(found.abs_diff(expected) * 100 <= expected, "{found}");
        let Percentiles { p50, p95, p99, p999, max, mean, n } = found;
        for (found, expected) in
            [(p50, 500), (p95, 950), (p99, 990), (p999, 999), (max, 1_000), (mean, 500), (n, 1_000)]
        {
            close(found, expected);
        }
        assert_eq!(Latencies::default().percentiles(), None);
    }

    #[test]
    fn a_second_is_as_exact_as_a_microsecond() {
        for value in [1_234, 1_234_567, 1_234_567_890] {
            let found = of([value]).percentiles().unwrap().p50;
            assert!(found.abs_diff(value) * 100 <= value, "{value}: {found}");
        }
    }

    #[test]
    fn what_is_written_down_is_read_again_and_adds_up() {
        let (a, b) = (of([10, 10, 2_000_000]), of([10, 77]));
        let text = serde_json::to_string(&a).unwrap();
        let mut sum: Latencies = serde_json::from_str(&text).unwrap();
        assert_eq!(sum, a);
        sum.add(&b);
        assert_eq!(sum.calls(), 5);
        assert_eq!(sum.pairs().next(), Some((10, 3)));
        assert_eq!(sum.percentiles().unwrap().p50, 10);
    }
}
