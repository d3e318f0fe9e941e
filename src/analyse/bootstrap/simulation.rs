//! Simulated comparisons, with fixed seeds: the promises of [`super`] hold for the noise that it names.

use std::f64::consts::TAU;

use rand::RngExt;

use super::super::MARGIN;
use super::super::summary::Verdict;
use super::super::verdict::verdict;
use super::*;

/// What the rounds of a contender look like, as log times around the launch's level.
#[derive(Clone, Copy, Debug)]
enum Rounds {
    Normal,
    /// Student's t with three degrees of freedom, which has barely a variance.
    HeavyTail,
    /// One round in ten waits for something else.
    Spikes,
    /// Each round resembles the one before.
    Autocorrelated,
}

const KINDS: [Rounds; 4] = [Rounds::Normal, Rounds::HeavyTail, Rounds::Spikes, Rounds::Autocorrelated];

#[derive(Clone, Copy)]
struct Noise {
    launch_sd: f64,
    round_sd: f64,
    rounds: Rounds,
}

/// Two contenders of which the first takes `effect` (as a log ratio) longer, under a drift that both suffer.
fn simulate(
    random: &mut ChaCha8Rng,
    launches: usize,
    rounds: usize,
    noise: Noise,
    effect: f64,
) -> Vec<Vec<f64>> {
    (0..launches)
        .map(|_| {
            let [mut a, mut b] = [0.0, 0.0];
            let level = noise.launch_sd * (normal(random) - normal(random));
            let mut drift = 0.0;
            (0..rounds)
                .map(|_| {
                    drift += 0.01;
                    let above = drift + noise.round_sd * disturbance(random, noise.rounds, &mut a);
                    let below = drift + noise.round_sd * disturbance(random, noise.rounds, &mut b);
                    effect + level + above - below
                })
                .collect()
        })
        .collect()
}

fn disturbance(random: &mut ChaCha8Rng, rounds: Rounds, last: &mut f64) -> f64 {
    match rounds {
        Rounds::Normal => normal(random),
        Rounds::HeavyTail => {
            let chi_square: f64 = (0..3).map(|_| normal(random).powi(2)).sum();
            // Scaled to a variance of one.
            normal(random) / chi_square.sqrt()
        }
        Rounds::Spikes => {
            let spike =
                if random.random::<f64>() < 0.1 { -3.0 * random.random::<f64>().max(1e-9).ln() } else { 0.0 };
            0.6 * normal(random) + spike
        }
        Rounds::Autocorrelated => {
            *last = 0.8 * *last + 0.6 * normal(random);
            *last
        }
    }
}

/// Box and Muller (1958).
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (radius, angle): (f64, f64) = (1.0 - random.random::<f64>(), random.random());
    (-2.0 * radius.ln()).sqrt() * (TAU * angle).cos()
}

/// The verdict of a whole estimate. Student's interval is part of it, so what that leaves unsettled needs no bootstrap.
fn judge(launches: Vec<Vec<f64>>) -> Verdict {
    let (center, student) = student(&launches).unwrap();
    let preview = verdict(&Ratio { value: center.exp(), low: student.low.exp(), high: student.high.exp() });
    if !matches!(preview, Verdict::Faster | Verdict::Slower) {
        return preview;
    }
    verdict(&estimate(&Paired::from_logs(launches), Seed(1), &["simulated"]).unwrap().ratio)
}

#[test]
fn a_contender_compared_with_itself_is_called_different_in_at_most_one_of_a_hundred() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let (mut wrong, mut total) = (0, 0);
    for (launches, rounds) in [(3, 10), (3, 40), (5, 10), (5, 20)] {
        for launch_sd in [0.0, 0.005, 0.01, 0.02] {
            for round_sd in [0.01, 0.03, 0.1] {
                for kind in KINDS {
                    let noise = Noise { launch_sd, round_sd, rounds: kind };
                    for _ in 0..12 {
                        let verdict = judge(simulate(&mut random, launches, rounds, noise, 0.0));
                        wrong += usize::from(matches!(verdict, Verdict::Faster | Verdict::Slower));
                        total += 1;
                    }
                }
            }
        }
    }
    assert!(wrong * 100 <= total, "{wrong} of {total}");
}

#[test]
fn the_bootstrap_alone_would_not_keep_that_promise() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let noise = Noise { launch_sd: 0.02, round_sd: 0.01, rounds: Rounds::Normal };
    let total = 40;
    let wrong = (0..total)
        .filter(|_| {
            let launches = simulate(&mut random, 3, 10, noise, 0.0);
            let Interval { low, high } = percentiles(&launches, &mut random);
            let verdict = verdict(&Ratio { value: 1.0, low: low.exp(), high: high.exp() });
            matches!(verdict, Verdict::Faster | Verdict::Slower)
        })
        .count();
    assert!(wrong * 100 > 10 * total, "{wrong} of {total}");
}

#[test]
fn eight_launches_find_a_slow_down_of_the_margin() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let noise = Noise { launch_sd: 0.005, round_sd: 0.01, rounds: Rounds::Normal };
    let found = (0..40)
        .filter(|_| {
            judge(simulate(&mut random, ADVISED_LAUNCHES, 10, noise, (1.0 + MARGIN).ln())) == Verdict::Slower
        })
        .count();
    assert!(found * 100 >= 40 * 95, "{found} of 40");
}

#[test]
fn three_launches_rather_admit_that_they_do_not_know() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let noise = Noise { launch_sd: 0.01, round_sd: 0.03, rounds: Rounds::Normal };
    let unsure = (0..100)
        .filter(|_| judge(simulate(&mut random, 3, 10, noise, (1.0 + MARGIN).ln())) == Verdict::Unsure)
        .count();
    assert!(unsure > 80, "{unsure} of 100");
}
