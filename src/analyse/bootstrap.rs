//! The interval of a ratio: launches are the unit, and few of them are treated as few.
//!
//! # Estimate
//! With `x[l][r]` the log ratio in round `r` of launch `l` and `m[l]` the median over the rounds of launch `l`, the
//! ratio is `exp(mean over l of m[l])`. The median shrugs off single disturbed rounds; the mean over launches gives
//! every launch, and so every memory layout, the same weight, however many rounds it ran.
//!
//! # Interval
//! At [`LEVEL`], the wider of two at each end:
//!
//! 1. **Student's t over launches**: `mean ± t(L-1) * s / sqrt(L)`, `s` the standard deviation of the `m[l]` and `L`
//!    the launches. Exact for launches that are normal and alike; conservative when some are noisier or shorter than
//!    others (Bakirov and Székely 2005; Ibragimov and Müller 2010), which is why launches need not be weighted.
//! 2. **Two-stage bootstrap**: draw `L` launches with replacement, in each draw its rounds with replacement, and take
//!    the estimate of what was drawn; [`RESAMPLES`] times. The ends are the `(R+1)a`-th and `(R+1)(1-a)`-th of the
//!    sorted results, `a = (1-LEVEL)/2` (Davison and Hinkley 1997, sections 2.4, 3.8 and 5.3; for the levels of
//!    repetition in benchmarks, Kalibera and Jones 2013). It keeps the rounds' own noise in the interval when a few
//!    launches happen to agree, and follows their skew.
//!
//! # Why both
//! The cluster bootstrap alone, which is the usual advice, resamples `L` launches and so cannot see more spread than
//! they show: with three of them the spread is short by `sqrt(2/3)`, and the normal quantile it implies (2.6) stands where
//! Student's (9.9) is due. Simulated comparisons of a contender with itself, 1,000 for each of 48 kinds of noise
//! (launch sd 0 to 2 %, round sd 1 to 10 %, normal, heavy-tailed, spiked and autocorrelated), counted as faster or
//! slower by [`super::verdict`], mean and worst kind in per cent (at most 1 is wanted):
//!
//! | launches x rounds | bootstrap alone | t alone | both |
//! |---|---|---|---|
//! SIMTABLE
//!
//! Rejected besides: Satterthwaite's degrees of freedom from separate variance components (SATTER), Student's
//! quantile on the bootstrap's standard error (below 0.2 %, but it counts the rounds' noise twice and needs twice the
//! launches), 95 % for the bootstrap (NAIVE95). Trimmed means or Hodges-Lehmann medians within a launch would be up
//! to a sixth narrower where the rounds' noise dominates; the median is what readers expect a "typical round" to be.
//!
//! # What it cannot do
//! Three launches know little: a slow-down of 2 % is found in about one of seven comparisons (launch sd 0.5 %, round
//! sd 1 %), against two of three with five launches and 99 of 100 with eight. And no method sees a memory layout that it has not drawn:
//! where half of all launches are 2 % slower, three launches agree by chance and mislead in 4 % of comparisons. From eight
//! launches on, all falling on one side of 1 by chance alone has a probability below 1 % whatever the noise
//! (`2 * 2^-8`, the sign test): see [`ADVISED_LAUNCHES`].

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::LEVEL;
use super::paired::Paired;
use super::quantile::{median, sort};
use super::student::two_sided;
use super::summary::Ratio;

/// Resamples of the bootstrap. At a level of 99 % the ends are then the 10th smallest and the 10th largest result;
/// Davison and Hinkley (1997, section 5.2) want `(R+1)a` to be whole and at least a handful.
pub const RESAMPLES: usize = 1_999;

/// Launches below which there is no interval: one launch cannot tell its layout from its strategy.
pub const MIN_LAUNCHES: usize = 2;

/// Paired rounds that a launch needs to count: the fewest whose median survives one disturbed round.
pub const MIN_ROUNDS: usize = 3;

/// Launches from which a difference of a few per cent can be relied on, whatever the noise looks like.
pub const ADVISED_LAUNCHES: usize = 8;

/// A ratio, its interval, and what stands behind them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub ratio: Ratio,
    /// Launches that counted.
    pub launches: u32,
    /// Paired rounds in these launches.
    pub rounds: u32,
}

/// The seed of a run's resampling, recorded in the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// The random numbers of one comparison: the same whatever else is compared, and in whatever order.
    fn stream(self, comparison: &[&str]) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.0);
        // FNV-1a, with a byte that no UTF-8 text holds between the parts.
        let bytes = comparison.iter().flat_map(|part| part.bytes().chain([0xff]));
        random.set_stream(bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }));
        random
    }
}

/// Estimates the ratio of the paired contenders; `comparison` names them, to pick the random numbers.
///
/// `None` when fewer than [`MIN_LAUNCHES`] launches have [`MIN_ROUNDS`] paired rounds: what cannot be computed is
/// unknown, not zero.
pub fn estimate(paired: &Paired, seed: Seed, comparison: &[&str]) -> Option<Estimate> {
    let paired = paired.with_at_least(MIN_ROUNDS);
    let launches = paired.launches();
    if launches.len() < MIN_LAUNCHES {
        return None;
    }
    let (center, t) = student(launches)?;
    let bootstrap = percentiles(launches, &mut seed.stream(comparison));
    let finite = |log: f64| log.exp().clamp(f64::MIN_POSITIVE, f64::MAX);
    Some(Estimate {
        ratio: Ratio {
            value: finite(center),
            low: finite(t.low.min(bootstrap.low).min(center)),
            high: finite(t.high.max(bootstrap.high).max(center)),
        },
        launches: u32::try_from(launches.len()).unwrap_or(u32::MAX),
        rounds: u32::try_from(paired.rounds()).unwrap_or(u32::MAX),
    })
}

/// An interval of log ratios.
#[derive(Clone, Copy, Debug)]
struct Interval {
    low: f64,
    high: f64,
}

/// The mean of the launches' medians, and Student's interval around it.
fn student(launches: &[Vec<f64>]) -> Option<(f64, Interval)> {
    let medians: Vec<f64> = launches.iter().filter_map(|launch| median(&mut launch.clone())).collect();
    let n = medians.len() as f64;
    let mean = medians.iter().sum::<f64>() / n;
    let variance = medians.iter().map(|median| (median - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let df = u32::try_from(medians.len().checked_sub(1)?).ok()?;
    let half = two_sided(LEVEL, df) * (variance / n).sqrt();
    Some((mean, Interval { low: mean - half, high: mean + half }))
}

/// The percentile interval of the two-stage bootstrap.
fn percentiles(launches: &[Vec<f64>], random: &mut ChaCha8Rng) -> Interval {
    let mut drawn = Vec::new();
    let mut results: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let sum: f64 = (0..launches.len())
                .filter_map(|_| {
                    let launch = &launches[random.random_range(0..launches.len())];
                    drawn.clear();
                    drawn.extend((0..launch.len()).map(|_| launch[random.random_range(0..launch.len())]));
                    median(&mut drawn)
                })
                .sum();
            sum / launches.len() as f64
        })
        .collect();
    sort(&mut results);
    let tail = (((RESAMPLES + 1) as f64 * (1.0 - LEVEL) / 2.0).round() as usize).max(1);
    Interval { low: results[tail - 1], high: results[RESAMPLES - tail] }
}

#[cfg(test)]
mod simulation;

#[cfg(test)]
mod tests {
    use super::super::summary::Verdict;
    use super::super::verdict::verdict;
    use super::*;

    fn of(launches: &[&[f64]]) -> Option<Estimate> {
        let logs = launches.iter().map(|launch| launch.iter().map(|ratio| ratio.ln()).collect()).collect();
        estimate(&Paired::from_logs(logs), Seed(1), &["literal"])
    }

    fn close(value: f64, expected: f64) {
        assert!((value / expected - 1.0).abs() < 1e-9, "{value}, not {expected}");
    }

    #[test]
    fn one_launch_has_no_interval_however_long() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[&[1.5]]), None);
        assert_eq!(of(&[&[1.5; 100]]), None);
    }

    #[test]
    fn launches_of_too_few_rounds_do_not_count() {
        assert_eq!(of(&[&[1.5; 2], &[1.5; 2], &[1.5; 2]]), None);
        let two_of_three = of(&[&[1.5; 4], &[9.9; 2], &[1.5; 3]]).unwrap();
        assert_eq!((two_of_three.launches, two_of_three.rounds), (2, 7));
        close(two_of_three.ratio.value, 1.5);
    }

    #[test]
    fn zero_spread_has_zero_width() {
        let ratio = of(&[&[1.03; 5], &[1.03; 5]]).unwrap().ratio;
        close(ratio.value, 1.03);
        close(ratio.low, 1.03);
        close(ratio.high, 1.03);
        assert_eq!(verdict(&ratio), Verdict::Slower);
        assert_eq!(of(&[&[1.0; 5], &[1.0; 5]]).unwrap().ratio, Ratio { value: 1.0, low: 1.0, high: 1.0 });
    }

    #[test]
    fn the_interval_is_students_when_launches_differ() {
        // Medians of the logs are -0.01, 0.00 and 0.04: mean 0.01, s = sqrt(0.0007), half = 9.9248 s / sqrt(3).
        let [a, b, c] = [-0.01_f64, 0.0, 0.04].map(f64::exp);
        let ratio = of(&[&[a; 5], &[b; 5], &[c; 5]]).unwrap().ratio;
        close(ratio.value, 0.01_f64.exp());
        let half = 9.924_843 * (0.000_7_f64 / 3.0).sqrt();
        assert!((ratio.high.ln() - (0.01 + half)).abs() < 1e-6, "{ratio:?}");
        assert!((ratio.low.ln() - (0.01 - half)).abs() < 1e-6, "{ratio:?}");
        assert_eq!(verdict(&ratio), Verdict::Unsure);
    }

    #[test]
    fn one_outlier_in_a_launch_moves_nothing_much() {
        let calm = [0.999, 1.0, 1.001, 1.0, 0.999, 1.001, 1.0, 1.002, 0.998, 1.0];
        let mut struck = calm;
        struck[3] = 40.0;
        let ratio = of(&[&calm, &struck, &calm, &calm, &calm]).unwrap().ratio;
        close(ratio.value, 1.0);
        assert_eq!(verdict(&ratio), Verdict::Same);
    }

    #[test]
    fn a_planted_step_of_three_per_cent_is_found() {
        let launch =
            |shift: f64| [1.028, 1.033, 1.030, 1.026, 1.031, 1.029, 1.034].map(|ratio| ratio * shift);
        let ratio = of(&[&launch(1.0), &launch(1.002), &launch(0.998), &launch(1.001), &launch(0.999)])
            .unwrap()
            .ratio;
        assert!((1.028..1.032).contains(&ratio.value), "{ratio:?}");
        assert_eq!(verdict(&ratio), Verdict::Slower);
    }

    #[test]
    fn a_heavy_tail_in_the_rounds_is_not_a_slow_down() {
        let launch = |shift: f64| {
            [0.995, 1.4, 1.002, 1.0, 3.0, 0.998, 1.001, 0.999, 1.8, 1.003, 0.997].map(|ratio| ratio * shift)
        };
        let ratio = of(&[&launch(1.0), &launch(1.002), &launch(0.998), &launch(1.001), &launch(0.999)])
            .unwrap()
            .ratio;
        assert!((0.995..1.005).contains(&ratio.value), "{ratio:?}");
        assert_ne!(verdict(&ratio), Verdict::Slower);
        assert!(
            ratio.high - ratio.value > ratio.value - ratio.low,
            "the interval leans to the tail: {ratio:?}"
        );
    }

    #[test]
    fn launches_that_agree_by_chance_leave_the_noise_of_the_rounds() {
        let noisy = [0.9, 1.1, 0.95, 1.05, 1.0, 0.92, 1.08];
        let ratio = of(&[&noisy, &noisy, &noisy]).unwrap().ratio;
        assert!(ratio.low < 0.97 && ratio.high > 1.03, "{ratio:?}");
    }

    #[test]
    fn the_seed_and_the_name_pick_the_numbers() {
        let logs = Paired::from_logs(vec![vec![-0.1, 0.0, 0.3, 0.05, -0.2]; 3]);
        let with = |seed, name: &[&str]| estimate(&logs, Seed(seed), name).unwrap().ratio;
        assert_eq!(with(1, &["a", "b"]), with(1, &["a", "b"]));
        let draw = |seed: u64, name: &[&str]| Seed(seed).stream(name).random::<u64>();
        assert_ne!(draw(1, &["a", "b"]), draw(2, &["a", "b"]));
        assert_ne!(draw(1, &["a", "b"]), draw(1, &["b", "a"]));
        assert_ne!(draw(1, &["ab", ""]), draw(1, &["a", "b"]));
    }

    #[test]
    fn what_overflows_stays_a_number() {
        let ratio = of(&[&[1e-300; 3], &[1e300; 3]]).unwrap().ratio;
        assert!(ratio.low > 0.0 && ratio.high.is_finite(), "{ratio:?}");
    }
}
