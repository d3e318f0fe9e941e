//! From which step on a launch is steady: the cycle has stopped changing, and the strategy has stopped learning.
//!
//! A launch begins with steps: whole traces, timed one after another. They end when the series of their times and what can be
//! read of the strategy agree that nothing changes any more.
//!
//! | what | it has stopped when |
//! |---|---|
//! | the cycle | the last change point of the launch's own series lies at least [`STEADY`] steps back |
//! | huge pages | none was made in the last [`STEADY`] steps |
//! | hot and cold pages, regions, resident memory | none is at a new extreme in the last [`STEADY`] steps |
//!
//! *New extreme*, and not *changed*: where each block writes other pages these figures move for ever, within limits.
//!
//! # Change points
//! By binary segmentation of the log times: the split that leaves least absolute deviation from the medians before and after it
//! is a change point if these differ by more than [`EVIDENCE`] units of the noise *and* by more than [`CHANGE`]; what follows it
//! is searched again. Medians, since a step that was disturbed is no change. The noise is the median absolute difference of
//! neighbours, over the square root of two, so that a change of level hardly enters it. Of fewer than `FEW` steps it would
//! where each has a level of its own, and no change would be seen: of these, the steady ones have to be within a factor of
//! `ALIKE` of the last. The first [`WARM_UP`] steps never count.
//!
//! How often that is wrong is simulated in the tests: of a steady series (2,000 per kind of noise, normal with a sd of 1 to
//! 20 %, or Student's t with three degrees of freedom) it says in at most 4 of 100 looks that it is not. Such an error costs a
//! step. An early end costs more, and is what [`super::first_rounds`] is for.
//! How warm-ups end, and that some never do: Barrett, Bolz-Tereick, Killick, Mount, Tratt: Virtual machine warmup blows hot
//! and cold, *OOPSLA* 2017; Traini, Cortellessa, Di Pompeo, Tucci: Towards effective assessment of steady state
//! performance in Java software, *Empirical Software Engineering* 28, 2023.

use super::quantile::median;
use crate::measure::learning::Learning;

/// Steps that never count: who learns which blocks come again has not met any of them again before the second.
pub const WARM_UP: usize = 2;

/// Steps without a change that it takes.
pub const STEADY: usize = 2;

/// The distance of two levels from which they differ, in units of the standard error of the difference of means.
pub const EVIDENCE: f64 = 4.5;

/// The least difference that matters: 5 %.
pub const CHANGE: f64 = 0.05;

/// Steps from which on a change is told from noise by themselves.
const FEW: usize = WARM_UP + 2 * STEADY;

/// By what factor two steady steps of few differ at most.
const ALIKE: f64 = 2.0;

/// The least noise that is believed of a few steps: 0.5 %.
const LEAST_NOISE: f64 = 0.005;

/// By how much a figure has to be beyond its earlier range to be at a new extreme: 2 %.
const BEYOND: f64 = 0.02;

/// One step: whole traces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// What a trace took, in nanoseconds.
    pub ns: u64,
    pub learning: Learning,
}

/// The first steady step of a launch, if it has become steady by its last one.
pub fn steady_from(steps: &[Step]) -> Option<usize> {
    let logs: Vec<f64> = steps.iter().map(|step| (step.ns.max(1) as f64).ln()).collect();
    let learnt =
        steps.len() - steps.iter().rev().zip(0..).take_while(|(_, back)| !learns(steps, *back)).count();
    let alike = |log: &&f64| logs.len() >= FEW || (**log - logs[logs.len() - 1]).abs() < ALIKE.ln();
    let unlike = logs.len() - logs.iter().rev().take_while(alike).count();
    let from = last_change(&logs).max(learnt).max(unlike).max(WARM_UP);
    (from + STEADY <= steps.len()).then_some(from)
}

/// Whether the strategy has learnt in the step that lies so many before the last one.
fn learns(steps: &[Step], back: usize) -> bool {
    let (earlier, at) = steps.split_at(steps.len() - 1 - back);
    let now = at[0].learning;
    now.huge_pages > 0
        || now.levels().into_iter().enumerate().any(|(figure, value)| {
            let range = earlier.iter().map(|step| step.learning.levels()[figure]);
            let (least, most) = range.fold((u64::MAX, 0), |(least, most), x| (least.min(x), most.max(x)));
            let beyond = |more: u64, than: u64| more as f64 > than as f64 * (1.0 + BEYOND);
            earlier.is_empty() || beyond(value, most) || beyond(least, value)
        })
}

/// Where the last change point of a series is: the index of the first value after it, 0 if there is none.
fn last_change(values: &[f64]) -> usize {
    let mut start = 0;
    while let Some(split) = change(&values[start..]) {
        start += split;
    }
    start
}

/// The most prominent change point of a series.
fn change(values: &[f64]) -> Option<usize> {
    let noise = noise(values)?;
    let level = |part: &[f64]| median(&mut part.to_vec()).unwrap_or_default();
    let unlike = |part: &[f64]| part.iter().map(|value| (value - level(part)).abs()).sum::<f64>();
    let rest = |split: usize| unlike(&values[..split]) + unlike(&values[split..]);
    let split = (1..values.len()).min_by(|a, b| rest(*a).total_cmp(&rest(*b)))?;
    let (before, after) = values.split_at(split);
    let difference = (level(before) - level(after)).abs();
    let error = noise * (1.0 / before.len() as f64 + 1.0 / after.len() as f64).sqrt();
    (difference / error > EVIDENCE && difference > CHANGE).then_some(split)
}

/// The standard deviation of the values but for changes of level; `None` for fewer than four, of which nothing is known.
fn noise(values: &[f64]) -> Option<f64> {
    /// From the median absolute deviation of normal values to their standard deviation.
    const NORMAL: f64 = 1.4826;
    if values.len() < WARM_UP + STEADY {
        return None;
    }
    let mut steps: Vec<f64> = values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    Some((NORMAL * median(&mut steps)? / 2_f64.sqrt()).max(LEAST_NOISE))
}

#[cfg(test)]
mod tests {
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn timed(times: &[u64]) -> Vec<Step> {
        times.iter().map(|&ns| Step { ns, ..Step::default() }).collect()
    }

    #[test]
    fn a_flat_series_is_steady_after_the_warm_up() {
        assert_eq!(steady_from(&timed(&[100, 101, 99, 100])), Some(2));
        assert_eq!(steady_from(&timed(&[100, 101, 99])), None, "too few to know");
        assert_eq!(steady_from(&[]), None);
    }

    #[test]
    fn a_slow_beginning_does_not_count() {
        assert_eq!(steady_from(&timed(&[900, 101, 99, 100])), Some(2));
        assert_eq!(steady_from(&timed(&[900, 850, 870, 101, 99])), Some(3));
        assert_eq!(steady_from(&timed(&[900, 850, 870, 880, 101, 99, 100])), Some(4));
        assert_eq!(steady_from(&timed(&[900, 850, 870, 400, 390, 410, 101, 99, 100])), Some(6));
        assert_eq!(steady_from(&timed(&[100, 101, 99, 100, 250, 251])), Some(4), "nor does a fast one");
    }

    #[test]
    fn steps_that_have_little_in_common_are_not_steady_however_few_they_are() {
        assert_eq!(steady_from(&timed(&[588, 341, 326, 111])), None);
        assert_eq!(steady_from(&timed(&[588, 341, 326, 111, 110])), Some(3));
    }

    #[test]
    fn one_disturbed_step_is_no_change() {
        assert_eq!(steady_from(&timed(&[100, 101, 99, 400, 100, 101, 99])), Some(2));
    }

    #[test]
    fn who_learns_is_not_steady() {
        let learning = |of: fn(&mut Learning) -> &mut u64, values: &[u64]| {
            let mut steps = timed(&vec![100; values.len()]);
            steps.iter_mut().zip(values).for_each(|(step, value)| *of(&mut step.learning) = *value);
            steady_from(&steps)
        };
        assert_eq!(learning(|l| &mut l.huge_pages, &[0, 0, 2, 2, 0]), None);
        assert_eq!(learning(|l| &mut l.huge_pages, &[0, 0, 2, 2, 0, 0]), Some(4));
        assert_eq!(learning(|l| &mut l.hot, &[0, 10, 20, 30, 40]), None);
        assert_eq!(learning(|l| &mut l.hot, &[0, 10, 20, 20, 20]), Some(3));
        assert_eq!(learning(|l| &mut l.cold, &[90, 80, 70, 60]), None, "nor is it on the way down");
        assert_eq!(learning(|l| &mut l.resident, &[1000, 1010, 1005, 1012]), Some(2), "within its noise");
    }

    #[test]
    fn what_moves_for_ever_within_limits_is_steady() {
        let mut steps = timed(&[100; 12]);
        for (step, hot) in steps.iter_mut().zip([50, 70, 40, 60, 70, 45, 52, 68, 41, 66, 49, 58]) {
            step.learning.hot = hot;
        }
        assert_eq!(steady_from(&steps), Some(3));
    }

    /// How often, of a hundred, a steady series of so many steps is called unsteady.
    fn false_alarms(steps: usize, noise: impl Fn(&mut ChaCha8Rng) -> f64) -> f64 {
        const SERIES: usize = 2_000;
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let unsteady = (0..SERIES).filter(|_| {
            let logs: Vec<f64> = (0..steps).map(|_| noise(&mut random)).collect();
            last_change(&logs) + STEADY > steps
        });
        100.0 * unsteady.count() as f64 / SERIES as f64
    }

    fn normal(random: &mut ChaCha8Rng) -> f64 {
        let (radius, angle) = (1.0 - random.random::<f64>(), random.random::<f64>());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }

    fn student(random: &mut ChaCha8Rng) -> f64 {
        let squares: f64 = (0..3).map(|_| normal(random).powi(2)).sum();
        normal(random) / (squares / 3.0).sqrt()
    }

    #[test]
    fn a_steady_series_is_seldom_called_unsteady() {
        for steps in [4, 6, 12, 40] {
            for sd in [0.01, 0.03, 0.1, 0.2] {
                let (alarms, heavy) =
                    (false_alarms(steps, |r| sd * normal(r)), false_alarms(steps, |r| sd * student(r)));
                println!("{steps} steps, sd {sd}: {alarms:.1} of 100, heavy tails {heavy:.1}");
                assert!(alarms <= 4.0 && heavy <= 4.0, "{steps} steps, sd {sd}: {alarms}, {heavy}");
            }
        }
    }
}
