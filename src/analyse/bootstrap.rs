//! The interval of a ratio: launches are the unit, and few of them are treated as few.
//!
//! # Estimate
//! With `x[l][r]` the log ratio in round `r` of launch `l` and `m[l]` the median over the rounds of launch `l`, the
//! ratio is `exp(mean over l of m[l])`. The median shrugs off single disturbed rounds; the mean over launches gives
//! every launch, and so every memory layout, the same weight, however many rounds it ran.
//!
//! Launches are kept on the CPUs in turn, and the ratio of a strategy that reads memory to one that faults may differ from
//! CPU to CPU: by 14 % on `indexer/blocktracker` on a virtual machine of two. That is the same in each launch of a CPU, and no
//! chance. Where each CPU has three launches, the ratio is that of the mean over CPUs of their own means, and the spread
//! is that within them ([`Paired::by_cpu`]). Drawn at random, CPUs would make intervals three times as wide there, and each
//! run would say that it knows less than it does: of 6,000 such comparisons of which the truth is known, 53 to 71 missed it.
//!
//! # Interval
//! At [`LEVEL`], the wider of two at each end; Student's alone where a launch has fewer than [`RESAMPLED_ROUNDS`] rounds:
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
//! they show: with three of them the standard error is short by `sqrt(2/3)`, and a normal quantile (2.6) stands where
//! Student's (9.9) is due. The table counts simulated comparisons of a contender with itself that [`super::verdict`]
//! calls faster or slower, in per cent, as the mean over 48 kinds of noise and the worst kind (launch sd 0 to 2 %,
//! round sd 1 to 10 %, normal, heavy-tailed, spiked, autocorrelated; 1,000 comparisons each, so that a true 1.0 may
//! show as 1.7). One per cent is allowed.
//!
//! | launches x rounds | bootstrap | Student's t | both |
//! |---|---|---|---|
//! | 3 x 10 | 5.5, worst 20.7 | 0.74, worst 1.6 | 0.36, worst 1.3 |
//! | 3 x 40 | 6.5, worst 22.0 | 0.59, worst 1.6 | 0.39, worst 1.6 |
//! | 5 x 10 | 2.5, worst 9.0 | 0.76, worst 1.5 | 0.45, worst 1.3 |
//! | 5 x 20 | 2.6, worst 9.4 | 0.77, worst 1.9 | 0.47, worst 1.6 |
//! | 8 x 20 | 1.6, worst 6.1 | 0.83, worst 1.7 | 0.51, worst 1.6 |
//! | 10 x 20 | 1.2, worst 4.3 | 0.72, worst 1.8 | 0.50, worst 1.7 |
//!
//! Of the kinds that looked worst, 20,000 comparisons each gave at most 1.03 for Student's t and 0.97 for both.
//! Adding the bootstrap makes intervals 2 % wider on average, and 18 % where the noise of the rounds is everything. With three
//! rounds in a launch it would make them up to eleven times as wide: one that was struck is the median of a quarter of all
//! draws. Student's t alone keeps the promise there as well (1,500 comparisons each, so that a true 1.0 may show as 1.6):
//! 3 x 3 0.73, worst 1.5; 4 x 3 0.76, worst 1.3; 6 x 3 0.79, worst 1.4; 6 x 6 0.68, worst 1.4; 8 x 3 0.76, worst 1.5.
//!
//! Rejected besides: degrees of freedom after Satterthwaite from separate components of variance (mean 2.7, worst 7.3
//! with three launches, since between-launch spread is judged from three values all the same); Student's quantile on
//! the bootstrap's standard error (mean below 0.4, but the noise of the rounds enters twice: intervals a third wider
//! on average, up to double with three launches); a level of 95 % for the bootstrap (mean 9.1, worst 23).
//! Hodges-Lehmann medians or trimmed means within a launch would make intervals up to a sixth narrower where the
//! noise of the rounds dominates; the plain median is what readers take a typical round to be.
//!
//! # What it cannot do
//! Three launches know little. With a launch sd of 0.5 % and a round sd of 1 %, a slow-down of 2 % is found in 14 of
//! 100 comparisons with 3 x 10, 73 with 5 x 20, and 98 with 8 x 20; with a round sd of 3 %, in 2, 27 and 69. Further
//! launches help more than further rounds.
//!
//! No method sees a layout that it has not drawn. Where half of all launches are 4 % slower than the others, three
//! launches agree by chance and mislead in 3 of 100 comparisons; five or more keep to the 1 %. From eight launches
//! on, all of them falling on one side by chance has a probability below 1 % whatever the noise (`2 * 2^-8`, the sign
//! test): see [`ADVISED_LAUNCHES`].
//!
//! # When the data decides the number of launches
//! Who looks after each launch, up to 15, and stops at the first verdict has more chances to be wrong: up to 5.0 % from
//! three launches on, 4.1 % from five, 2.9 % from eight (20,000 runs with Student's t alone, launch sd 0.5 to 2 %). A width
//! does not know on which side of 1 its interval lies. Stopping at one, by the rule of [`super::ending`] as it runs and with
//! ten rounds per launch, calls a contender different that is not, in per cent, over the same 48 kinds of noise with 200
//! comparisons each (so that a true 1.0 may show as 3.0):
//!
//! | launches | to the baseline | to another that stops by itself, both near the floor |
//! |---|---|---|
//! | 6 to 12 | 0.38, worst 2.5 | 0.30, worst 2.0 |
//! | 8 to 24 | 0.33, worst 2.0 | 0.26, worst 1.0 |
//!
//! At a launch sd of 0.5 % and a round sd of 1 %, a slow-down of 2 % is found in 199 of 200 with 6 to 12 launches, 9.5 on
//! average; at a launch sd of 1 % in 200 of 200 with 8 to 24, 18.6 on average. With `RESETBENCH_SIMULATIONS=200`, the
//! tests in `bootstrap/simulation.rs` make these figures, and print them under `--nocapture`.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

use super::LEVEL;
use super::paired::Paired;
use super::quantile::{median, sort};
use super::student::mean_and_half;
use super::summary::Ratio;

/// Resamples of the bootstrap. At a level of 99 % the ends are then the 10th smallest and the 10th largest result:
/// `(R+1)a` is whole, so that nothing is interpolated, and ten are enough for an end that seldom decides.
pub const RESAMPLES: usize = 1_999;

/// Launches below which there is no interval: one launch cannot tell its layout from its strategy.
pub const MIN_LAUNCHES: usize = 2;

/// Paired rounds that a launch needs to count: the fewest whose median survives one disturbed round.
pub const MIN_ROUNDS: usize = 3;

/// Paired rounds from which on a launch is resampled: of fewer, one that was struck is drawn as their median too often.
pub const RESAMPLED_ROUNDS: usize = 10;

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
    let student = preview(paired)?;
    let paired = paired.with_at_least(MIN_ROUNDS);
    if paired.launches().iter().any(|launch| launch.len() < RESAMPLED_ROUNDS) {
        return Some(student);
    }
    let bootstrap = percentiles(&paired.by_cpu(), &mut seed.stream(comparison));
    let Ratio { value, low, high } = student.ratio;
    let ratio =
        Ratio { value, low: low.min(written(bootstrap.low)), high: high.max(written(bootstrap.high)) };
    Some(Estimate { ratio, ..student })
}

/// The estimate with Student's interval alone, which the whole one contains: quick to have, and enough to know that an
/// interval is too wide.
pub fn preview(paired: &Paired) -> Option<Estimate> {
    let paired = paired.with_at_least(MIN_ROUNDS);
    let launches = paired.launches();
    if launches.len() < MIN_LAUNCHES {
        return None;
    }
    let (center, Interval { low, high }) = student(&paired.by_cpu());
    Some(Estimate {
        ratio: Ratio { value: written(center), low: written(low), high: written(high) },
        launches: u32::try_from(launches.len()).unwrap_or(u32::MAX),
        rounds: u32::try_from(paired.rounds()).unwrap_or(u32::MAX),
    })
}

/// Estimates a ratio of which every launch has one value, such as that of the sums over two whole launches: Student's
/// interval over the log ratios of the launches.
///
/// `None` for fewer than [`MIN_LAUNCHES`].
pub fn over_launches(logs: &Paired) -> Option<Ratio> {
    if logs.launches().len() < MIN_LAUNCHES {
        return None;
    }
    let (center, t) = student(&logs.by_cpu());
    Some(Ratio { value: written(center), low: written(t.low), high: written(t.high) })
}

/// The ratio of a log ratio as it is written down: finite, and with the ten digits that are the same on every machine
/// (logarithms are not, in the last bit) and survive a file.
fn written(log: f64) -> f64 {
    let ratio = log.exp().clamp(1e-300, 1e300);
    format!("{ratio:.9e}").parse().unwrap_or(ratio)
}

/// An interval of log ratios.
#[derive(Clone, Copy, Debug)]
struct Interval {
    low: f64,
    high: f64,
}

/// The mean over CPUs of the mean of the launches' medians, and Student's interval around it; each CPU given by its launches.
fn student(cpus: &[Vec<&[f64]>]) -> (f64, Interval) {
    let medians = |launches: &Vec<&[f64]>| -> Vec<f64> {
        launches.iter().filter_map(|launch| median(&mut launch.to_vec())).collect()
    };
    let (mean, half) = mean_and_half(&cpus.iter().map(medians).collect::<Vec<_>>(), LEVEL);
    (mean, Interval { low: mean - half, high: mean + half })
}

/// The percentile interval of the two-stage bootstrap, which draws from each CPU as many launches as it has.
fn percentiles(cpus: &[Vec<&[f64]>], random: &mut ChaCha8Rng) -> Interval {
    let mut drawn = Vec::new();
    let mut of_cpu = |launches: &Vec<&[f64]>| -> f64 {
        let medians = (0..launches.len()).filter_map(|_| {
            let launch = draw(launches, random);
            drawn.clear();
            drawn.extend((0..launch.len()).map(|_| *draw(launch, random)));
            median(&mut drawn)
        });
        medians.sum::<f64>() / launches.len() as f64
    };
    let mut results: Vec<f64> =
        (0..RESAMPLES).map(|_| cpus.iter().map(&mut of_cpu).sum::<f64>() / cpus.len() as f64).collect();
    sort(&mut results);
    let tail = (((RESAMPLES + 1) as f64 * (1.0 - LEVEL) / 2.0).round() as usize).max(1);
    Interval { low: results[tail - 1], high: results[RESAMPLES - tail] }
}

/// One of the values, each with the same probability but for `n / 2^32`.
///
/// Multiply and shift (Lemire 2019) on the generator's own output: as the output of ChaCha is fixed for good, so are
/// the figures made from a file of rows, whichever version of `rand` is in use.
fn draw<'a, T>(values: &'a [T], random: &mut ChaCha8Rng) -> &'a T {
    let index = (u64::from(random.next_u32()) * values.len() as u64) >> 32;
    &values[index as usize]
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
        let logs = [-0.01_f64, 0.0, 0.04];
        let half = 9.924_843 * (0.000_7_f64 / 3.0).sqrt();
        let [a, b, c] = logs.map(f64::exp);
        for ratio in [
            of(&[&[a; 5], &[b; 5], &[c; 5]]).unwrap().ratio,
            over_launches(&Paired::from_logs(logs.map(|log| vec![log]).to_vec())).unwrap(),
        ] {
            close(ratio.value, 0.01_f64.exp());
            assert!((ratio.high.ln() - (0.01 + half)).abs() < 1e-6, "{ratio:?}");
            assert!((ratio.low.ln() - (0.01 - half)).abs() < 1e-6, "{ratio:?}");
            assert_eq!(verdict(&ratio), Verdict::Unsure);
        }
        assert_eq!(over_launches(&Paired::from_logs(vec![vec![1.0]])), None);
    }

    /// Five launches with these rounds, each on a level of its own.
    fn five(rounds: &[f64]) -> Ratio {
        let launches =
            [1.0, 1.002, 0.998, 1.001, 0.999].map(|shift| rounds.iter().map(|ratio| ratio * shift).collect());
        of(&launches.each_ref().map(|launch: &Vec<f64>| &launch[..])).unwrap().ratio
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
        let ratio = five(&[1.028, 1.033, 1.030, 1.026, 1.031, 1.029, 1.034]);
        assert!((1.028..1.032).contains(&ratio.value), "{ratio:?}");
        assert_eq!(verdict(&ratio), Verdict::Slower);
    }

    #[test]
    fn a_heavy_tail_in_the_rounds_is_not_a_slow_down() {
        let ratio = five(&[0.995, 1.4, 1.002, 1.0, 3.0, 0.998, 1.001, 0.999, 1.8, 1.003, 0.997]);
        assert!((0.995..1.005).contains(&ratio.value), "{ratio:?}");
        assert_ne!(verdict(&ratio), Verdict::Slower);
        assert!(ratio.high - ratio.value > ratio.value - ratio.low, "it leans to the tail: {ratio:?}");
    }

    #[test]
    fn launches_that_agree_by_chance_leave_the_noise_of_the_rounds() {
        let noisy = [0.9, 1.1, 0.95, 1.05, 1.0, 0.92, 1.08, 0.97, 1.03, 1.0];
        let ratio = of(&[&noisy, &noisy, &noisy]).unwrap().ratio;
        assert!(ratio.low < 0.97 && ratio.high > 1.03, "{ratio:?}");
        let few = &noisy[..RESAMPLED_ROUNDS - 1];
        let ratio = of(&[few, few, few]).unwrap().ratio;
        assert_eq!(ratio.low, ratio.high, "too few of them to say how far their median may lie off");
    }

    #[test]
    fn the_seed_and_the_name_pick_the_numbers() {
        let logs = Paired::from_logs(vec![vec![-0.1, 0.0, 0.3, 0.05, -0.2]; 3]);
        let with = |seed, name: &[&str]| estimate(&logs, Seed(seed), name).unwrap().ratio;
        assert_eq!(with(1, &["a", "b"]), with(1, &["a", "b"]));
        let first = |seed: u64, name: &[&str]| Seed(seed).stream(name).next_u64();
        assert_ne!(first(1, &["a", "b"]), first(2, &["a", "b"]));
        assert_ne!(first(1, &["a", "b"]), first(1, &["b", "a"]));
        assert_ne!(first(1, &["ab", ""]), first(1, &["a", "b"]));
    }

    #[test]
    fn what_overflows_stays_a_number() {
        let ratio = of(&[&[1e-200; 3], &[1e200; 3]]).unwrap().ratio;
        assert!(ratio.low > 0.0 && ratio.high.is_finite(), "{ratio:?}");
    }
}
