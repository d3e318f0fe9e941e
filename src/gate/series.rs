//! What is followed from run to run: a metric of a strategy on a workload, as a ratio to the baseline of the same run.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::analyse::MARGIN;
use crate::analyse::counterpart::split;
use crate::analyse::summary::{Cell, Ratio, Summary, Verdict};
use crate::measure::row::{Params, canonical};

/// What a ratio is of.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Execute and reset.
    Cycle,
    /// Resident memory of the process while blocks run.
    Rss,
}

impl Metric {
    /// Changes below this share are never reported, however quiet the history.
    pub fn floor(self) -> f64 {
        match self {
            Self::Cycle => MARGIN,
            // The process around the instance is part of it, and how many pages of code are resident differs.
            Self::Rss => 0.10,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cycle => "cycle",
            Self::Rss => "resident memory",
        })
    }
}

/// The name of a series within its machine class.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    pub workload: String,
    /// The parameters as JSON, keys sorted: one text per set of values.
    pub params: String,
    pub strategy: String,
    pub metric: Metric,
}

impl Series {
    fn of(cell: &Cell, metric: Metric) -> Self {
        Self {
            workload: cell.workload.clone(),
            params: canonical(&cell.params),
            strategy: cell.strategy.clone(),
            metric,
        }
    }

    /// `workload name=value ...`.
    pub fn place(&self) -> String {
        place(&self.workload, &serde_json::from_str(&self.params).unwrap_or_default())
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` on `{}`, {}", self.strategy, self.place(), self.metric)
    }
}

/// A workload with its parameters, for readers.
pub fn place(workload: &str, params: &Params) -> String {
    params.iter().fold(workload.to_owned(), |place, (name, value)| format!("{place} {name}={value}"))
}

/// The ratios of a summary; the baseline itself has none.
///
/// A ratio of memory has no interval: its ends are the value. Contenders of an old build have none either: they are there to
/// be held against those of the new one, within their run.
pub fn ratios(summary: &Summary) -> BTreeMap<Series, Ratio> {
    let mut ratios = BTreeMap::new();
    let told = |cell: &&Cell| cell.verdict != Verdict::Baseline && split(&cell.strategy).is_none();
    for cell in summary.cells.iter().filter(told) {
        if let Some(ratio) = cell.ratio_to_baseline {
            ratios.insert(Series::of(cell, Metric::Cycle), ratio);
        }
        let baseline = summary.cells.iter().find(|other| {
            other.verdict == Verdict::Baseline
                && other.workload == cell.workload
                && other.params == cell.params
        });
        let steady = |cell: &Cell| Some(cell.rss_bytes?.steady).filter(|&bytes| bytes > 0);
        if let (Some(own), Some(baseline)) = (steady(cell), baseline.and_then(steady)) {
            let value = own as f64 / baseline as f64;
            ratios.insert(Series::of(cell, Metric::Rss), Ratio { value, low: value, high: value });
        }
    }
    ratios
}

/// A change between two ratios, with the intervals of both: independent errors add up in quadrature, on logarithms.
pub fn change(before: &Ratio, after: &Ratio) -> Ratio {
    let log = |ratio: &Ratio| [ratio.low, ratio.value, ratio.high].map(f64::ln);
    let ([before_low, before, before_high], [after_low, after, after_high]) = (log(before), log(after));
    let change = after - before;
    Ratio {
        value: change.exp(),
        low: (change - (after - after_low).hypot(before_high - before)).exp(),
        high: (change + (after_high - after).hypot(before - before_low)).exp(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_a_ratio_of_ratios_with_both_intervals() {
        let exact = |value: f64| Ratio { value, low: value, high: value };
        let doubled = change(&exact(0.4), &exact(0.8));
        assert!((doubled.value - 2.0).abs() < 1e-12 && (doubled.low - 2.0).abs() < 1e-12, "{doubled:?}");
        let wide = |value: f64, half: f64| Ratio { value, low: value / half, high: value * half };
        let change = change(&wide(1.0, 3_f64.exp()), &wide(1.0, 4_f64.exp()));
        assert!(
            (change.high.ln() - 5.0).abs() < 1e-12 && (change.low.ln() + 5.0).abs() < 1e-12,
            "{change:?}"
        );
    }

    #[test]
    fn a_series_is_named_for_readers() {
        let params = Params::from([("dirty".into(), 256.into()), ("shape".into(), 2.into())]);
        let series = Series {
            workload: "stress/touch".into(),
            params: canonical(&params),
            strategy: "copy/full".into(),
            metric: Metric::Rss,
        };
        assert_eq!(series.to_string(), "`copy/full` on `stress/touch dirty=256 shape=2`, resident memory");
    }
}
