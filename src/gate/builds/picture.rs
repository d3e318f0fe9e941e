//! Old and new side by side, in characters: where findings are read, no picture file can be shown.

use super::finding::{Finding, Ground};
use super::times::{Series, Times, signed};
use crate::analyse::summary::Ratio;

/// Most findings that are drawn, two lines each.
const DRAWN: usize = 5;

/// Columns between the ends of the axis.
const WIDTH: usize = 48;

/// A logarithmic axis of ratios.
struct Axis {
    from: f64,
    to: f64,
}

impl Axis {
    fn column(&self, ratio: f64) -> usize {
        let share = (ratio.ln() - self.from) / (self.to - self.from);
        (share * (WIDTH - 1) as f64).round() as usize
    }

    /// A mark with its interval.
    fn line(&self, Ratio { value, low, high }: Ratio) -> String {
        let (low, value, high) = (self.column(low), self.column(value), self.column(high));
        let mark = |column| match column {
            _ if column == value => '●',
            _ if column == low => '├',
            _ if column == high => '┤',
            _ if column > low && column < high => '─',
            _ => ' ',
        };
        (0..WIDTH).map(mark).collect()
    }
}

/// The times of the first of these findings, as a ratio to the old build: on the line of the old one the A/A pair of the
/// workload, which is how far one build is from itself. `None` where none is of times.
pub fn of<'a>(findings: impl Iterator<Item = &'a Finding>, times: &Times) -> Option<String> {
    let series = |finding: &Finding| -> Option<(&Series, Ratio)> {
        let is_it =
            |series: &&Series| series.strategy == finding.strategy && series.workload == finding.workload;
        let series = times.series.iter().find(is_it)?;
        let pair = times.places.iter().find(|place| place.workload == finding.workload)?.pair;
        Some((series, pair.unwrap_or(Ratio { value: 1.0, low: 1.0, high: 1.0 })))
    };
    let drawn: Vec<_> =
        findings.filter(|finding| finding.ground == Ground::Time).filter_map(series).take(DRAWN).collect();
    let ends = || drawn.iter().flat_map(|(series, pair)| [series.change().ratio, *pair]);
    let from = ends().map(|ratio| ratio.low).min_by(f64::total_cmp)?.ln();
    let to = ends().map(|ratio| ratio.high).max_by(f64::total_cmp)?.ln();
    let axis = Axis { from, to: to.max(from + f64::EPSILON) };
    let label = |series: &Series| {
        let part = if series.by_reset { ", reset" } else { "" };
        format!("{} on {}{part}", series.strategy, series.workload)
    };
    let longest = drawn.iter().map(|(series, _)| label(series).chars().count()).max()?;
    let rows = drawn.iter().map(|(series, pair)| {
        let new = series.change().ratio;
        let old = axis.line(*pair);
        format!(
            "{:longest$}  old  {}\n{:longest$}  new  {}  {}\n",
            label(series),
            old.trim_end(),
            "",
            axis.line(new),
            signed(new.value)
        )
    });
    Some(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::super::finding::Finding;
    use super::super::times::{Kind, Place};
    use super::*;
    use crate::analyse::summary::Change;

    fn change(value: f64, low: f64, high: f64) -> Change {
        Change { ratio: Ratio { value, low, high }, launches: 8, rounds: 80 }
    }

    fn series(strategy: &str, cycle: Change) -> Series {
        Series {
            strategy: strategy.into(),
            workload: "stress/touch".into(),
            cycle,
            execute: None,
            reset: None,
            kind: Kind::Dearer,
            resolution: 0.02,
            cell: 0,
            by_reset: false,
            build: "old".into(),
        }
    }

    fn finding(strategy: &str, ground: Ground) -> Finding {
        Finding {
            strategy: strategy.into(),
            workload: "stress/touch".into(),
            ground,
            sentence: String::new(),
            command: String::new(),
            acknowledged: None,
            size: 1.0,
        }
    }

    fn times(series: Vec<Series>, pair: Option<Ratio>) -> Times {
        let places = vec![Place { workload: "stress/touch".into(), pair, resolution: 0.02 }];
        Times { resolution: None, typical: None, places, series, unjudged: Vec::new() }
    }

    #[test]
    fn both_builds_stand_on_one_axis() {
        let reset = Some(change(1.16, 1.1, 1.21));
        let by_reset =
            Series { by_reset: true, reset, ..series("dirty/pagemap-scan", change(1.01, 0.99, 1.03)) };
        let times = times(
            vec![series("dirty/pagemap", change(1.05, 1.03, 1.07)), by_reset],
            Some(Ratio { value: 1.0, low: 0.98, high: 1.02 }),
        );
        let findings = [finding("dirty/pagemap", Ground::Time), finding("dirty/pagemap-scan", Ground::Time)];
        let picture = of(findings.iter(), &times).unwrap();
        let expected = "\
dirty/pagemap on stress/touch              old  ├────●───┤
                                           new             ├───●────┤                             +5.0 %
dirty/pagemap-scan on stress/touch, reset  old  ├────●───┤
                                           new                            ├───────────●────────┤  +16 %
";
        assert_eq!(picture, expected, "\n{picture}");
    }

    #[test]
    fn what_is_exact_or_unsound_is_not_drawn_and_five_are_enough() {
        let names: Vec<String> = (0..9).map(|number| format!("a/{number}")).collect();
        let all = times(names.iter().map(|name| series(name, change(1.05, 1.0, 1.1))).collect(), None);
        let found: Vec<_> = names.iter().map(|name| finding(name, Ground::Time)).collect();
        let picture = of(found.iter(), &all).unwrap();
        assert_eq!(picture.lines().count(), 2 * DRAWN, "{picture}");
        assert!(picture.starts_with("a/0 on stress/touch  old  ●\n"), "{picture}");
        let others = [Ground::Soundness, Ground::Counts, Ground::Memory].map(|ground| finding("a/0", ground));
        assert_eq!(of(others.iter(), &all), None);
    }
}
