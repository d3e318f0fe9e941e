//! The course of a series over the nights, and where it changed.
//!
//! A change point is what [`check`](super::check) would have reported, had it judged each night as it came: the first
//! quiet night is the accepted one, every later quiet night is held against it with the [`threshold`](super::threshold) of
//! the nights before, and the night of a change is the accepted one from then on. As a suspect is run again before it is
//! believed, so a change counts only if the next quiet night shows it too; the last night has no next one and says so.

use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};

use super::check::{Kind, Report, judge};
use super::history::{History, Night};
use super::series::{Metric, Series, change};
use super::threshold::threshold;
use crate::analyse::summary::Ratio;
use crate::launch::saved::Saved;

/// A series on one night.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stop {
    /// When the night began, in seconds since 1970.
    pub at: u64,
    /// To the baseline strategy of the same night.
    pub ratio: f64,
    /// Of the ratio; lines of the history that are older than this key have none.
    pub interval: Option<[f64; 2]>,
    /// Whether the A/A pair moved: such a night is shown and judged by nobody.
    pub noisy: bool,
}

/// A night on which a series changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChangePoint {
    /// Its place among the nights.
    pub night: usize,
    /// Its ratio over that of the night accepted before.
    pub change: Ratio,
    /// Whether it was seen again; the last night can only be run again.
    pub twice: bool,
}

/// A series over the nights.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    pub series: Series,
    /// Oldest first.
    pub nights: Vec<Stop>,
    pub changes: Vec<ChangePoint>,
}

impl Stop {
    /// The ratio with its interval; an unknown one is as wide as can be.
    fn told(&self) -> Ratio {
        let [low, high] = self.interval.unwrap_or([0.0, f64::INFINITY]);
        Ratio { value: self.ratio, low, high }
    }
}

impl Course {
    /// A course with its change points. `rerun` is whether a second run of the last night showed the same, if there was one.
    pub fn new(series: Series, nights: Vec<Stop>, rerun: Option<bool>) -> Self {
        let changes = change_points(series.metric, &nights, rerun);
        Self { series, nights, changes }
    }
}

/// Where the quiet nights change for good.
fn change_points(metric: Metric, nights: &[Stop], rerun: Option<bool>) -> Vec<ChangePoint> {
    let quiet: Vec<usize> = (0..nights.len()).filter(|&night| !nights[night].noisy).collect();
    let ratios: Vec<f64> = quiet.iter().map(|&night| nights[night].ratio).collect();
    let Some(mut accepted) = quiet.first().copied() else { return Vec::new() };
    let mut changes = Vec::new();
    for (past, &night) in quiet.iter().enumerate().skip(1) {
        let threshold = threshold(metric, &ratios[..past]);
        let since = |night: usize| change(&nights[accepted].told(), &nights[night].told());
        let kind = |night: usize| judge(&since(night), &threshold);
        if !matches!(kind(night), Kind::Regression | Kind::Improvement) {
            continue;
        }
        let again = quiet.get(past + 1).map(|&next| kind(next) == kind(night)).or(rerun);
        if again != Some(false) {
            changes.push(ChangePoint { night, change: since(night), twice: again.is_some() });
            accepted = night;
        }
    }
    changes
}

/// The courses of the strategies' cycles up to a night that was judged, without controls and the A/A pair.
///
/// # Errors
/// When a night has no date.
pub fn courses(night: &Saved, report: &Report, history: &History) -> Result<Vec<Course>> {
    let tonight = Night::of(night, report.noisy);
    let controls: Vec<&str> =
        night.summary.cells.iter().filter(|cell| cell.control).map(|cell| cell.strategy.as_str()).collect();
    let contender = |series: &Series| {
        series.metric == Metric::Cycle
            && night.record.again.as_ref() != Some(&series.strategy)
            && !controls.contains(&series.strategy.as_str())
    };
    let mut courses = Vec::new();
    for point in tonight.ratios.iter().filter(|point| contender(&point.series)) {
        let mut nights = Vec::new();
        for (night, point) in history.course(night, &point.series).chain([(&tonight, point)]) {
            nights.push(Stop {
                at: seconds(night)?,
                ratio: point.ratio,
                interval: point.interval,
                noisy: night.noisy,
            });
        }
        nights.sort_by_key(|stop| stop.at);
        let finding = report.findings.iter().find(|finding| finding.series == point.series);
        let rerun = finding.filter(|_| report.confirmed).and_then(|finding| match finding.kind {
            Kind::Regression => Some(true),
            Kind::NotSeenAgain => Some(false),
            Kind::Improvement | Kind::WithinNoise | Kind::Unsure | Kind::Steady => None,
        });
        courses.push(Course::new(point.series.clone(), nights, rerun));
    }
    Ok(courses)
}

fn seconds(night: &Night) -> Result<u64> {
    let no_date = || format!("night `{}` began at `{}`, which is no date", night.run, night.started);
    let started = humantime::parse_rfc3339(&night.started).with_context(no_date)?;
    Ok(started.duration_since(UNIX_EPOCH).with_context(no_date)?.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet(ratio: f64) -> Stop {
        Stop { at: 0, ratio, interval: Some([ratio * 0.995, ratio * 1.005]), noisy: false }
    }

    fn changes(nights: &[Stop]) -> Vec<(usize, f64, bool)> {
        let changes = change_points(Metric::Cycle, nights, None).into_iter();
        changes.map(|c| (c.night, (c.change.value * 1e3).round() / 1e3, c.twice)).collect()
    }

    #[test]
    fn a_step_is_one_change_and_its_way_back_another() {
        let mut nights = [quiet(0.4); 12];
        nights[4..9].fill(quiet(0.44));
        assert_eq!(changes(&nights), [(4, 1.1, true), (9, 0.909, true)]);
        assert_eq!(changes(&nights[..5]), [(4, 1.1, false)], "the last night is seen once");
        assert_eq!(change_points(Metric::Cycle, &nights[..5], Some(false)), []);
    }

    #[test]
    fn a_single_night_is_no_change_whether_it_was_noisy_or_not() {
        let mut nights = [quiet(0.4); 12];
        nights[5].ratio = 0.8;
        assert_eq!(changes(&nights), []);
        nights[5..8].fill(Stop { noisy: true, ..quiet(0.8) });
        assert_eq!(changes(&nights), []);
    }

    #[test]
    fn slow_drift_is_a_change_once_it_leaves_the_threshold() {
        let nights: Vec<Stop> = (0..16).map(|night| quiet(0.4 * 1.002_f64.powi(night))).collect();
        assert_eq!(changes(&nights), [(10, 1.02, true)]);
    }

    #[test]
    fn without_intervals_only_a_history_decides() {
        let bare = |ratio| Stop { interval: None, ..quiet(ratio) };
        let mut nights = [bare(0.4); 14];
        nights[3..].fill(bare(0.44));
        assert_eq!(changes(&nights[..6]), []);
        assert_eq!(changes(&nights), [(9, 1.1, true)], "told as soon as nine nights are known");
    }
}
