//! Simulated nights, with fixed seeds: how often a night without any change has a finding, and how often one is found.

use std::f64::consts::TAU;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::times::{Kind, Question, decide};
use crate::analyse::bootstrap::{Seed, estimate, preview};
use crate::analyse::paired::Paired;
use crate::analyse::summary::{Change, Ratio};

const WORKLOADS: usize = 5;
const STRATEGIES: usize = 15;
const LAUNCHES: usize = 8;

/// The strategy that changes are planted in.
const LAST: usize = WORKLOADS * STRATEGIES - 1;

/// Noise of one contender: the sd of launches and of rounds, and whether its tails are heavy.
#[derive(Clone, Copy)]
struct Noise {
    launch: f64,
    round: f64,
    rounds: usize,
    heavy: bool,
    /// How many times as noisy the first strategy of each workload is.
    first: f64,
}

/// Box and Muller (1958).
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (radius, angle): (f64, f64) = (1.0 - random.random::<f64>(), random.random());
    (-2.0 * radius.ln()).sqrt() * (TAU * angle).cos()
}

/// Student's t with three degrees of freedom, scaled to a variance of 1, or normal.
fn noise(random: &mut ChaCha8Rng, heavy: bool) -> f64 {
    let value = normal(random);
    if !heavy {
        return value;
    }
    let chi_square: f64 = (0..3).map(|_| normal(random).powi(2)).sum();
    value / chi_square.sqrt()
}

/// Both builds of a strategy in the same rounds, the new one taking `effect` longer.
fn both(random: &mut ChaCha8Rng, noise_of: Noise, effect: f64) -> Paired {
    let Noise { launch, round, rounds, heavy, .. } = noise_of;
    let launches = (0..LAUNCHES).map(|_| {
        let level = effect + launch * (noise(random, heavy) - noise(random, heavy));
        let rounds = (0..rounds).map(|_| level + round * (noise(random, heavy) - noise(random, heavy)));
        rounds.collect()
    });
    Paired::from_logs(launches.collect())
}

/// The estimate as the summary has it. The bootstrap only widens it, so that it is left out where nothing is found without.
fn change(paired: &Paired) -> Change {
    let quick = preview(paired).unwrap();
    let whole = (quick.ratio.low > 1.0).then(|| estimate(paired, Seed(1), &["simulated"]).unwrap());
    let estimate = whole.unwrap_or(quick);
    Change { ratio: estimate.ratio, launches: estimate.launches, rounds: estimate.rounds }
}

/// A night, with a change planted in its last strategy; says which strategies are findings.
///
/// Without A/A pairs, which could only take findings away.
fn night(random: &mut ChaCha8Rng, noise: Noise, effect: f64) -> Vec<usize> {
    let question = |index: usize| {
        let effect = if index == LAST { effect } else { 0.0 };
        let times = if index.is_multiple_of(STRATEGIES) { noise.first } else { 1.0 };
        let noise = Noise { launch: noise.launch * times, round: noise.round * times, ..noise };
        Question {
            cycle: change(&both(random, noise, effect)),
            reset: Some(change(&both(random, noise, effect))),
            workload: index / STRATEGIES,
            reset_share: 1.0,
            reach: 1.0,
            reset_reach: 1.0,
        }
    };
    let questions: Vec<Question> = (0..WORKLOADS * STRATEGIES).map(question).collect();
    let answers = decide(&questions);
    (0..).zip(answers).filter(|(_, answer)| answer.kind == Kind::Dearer).map(|(index, _)| index).collect()
}

#[test]
fn of_clean_nights_at_most_one_in_a_hundred_has_a_finding() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut all = 0;
    for (heavy, first) in [(false, 1.0), (false, 5.0), (true, 1.0)] {
        for (launch, round) in [(0.005, 0.03), (0.03, 0.01)] {
            let noise = Noise { launch, round, rounds: 10, heavy, first };
            let nights = 200;
            let found = (0..nights).filter(|_| !night(&mut random, noise, 0.0).is_empty()).count();
            println!(
                "launch sd {launch}, round sd {round}, heavy {heavy}, first {first}: {found} of {nights}"
            );
            assert!(found <= 4, "launch sd {launch}, round sd {round}, heavy {heavy}: {found} of {nights}");
            all += found;
        }
    }
    assert!(all <= 12, "{all} of 1,200");
}

#[test]
fn five_per_cent_are_found_where_rounds_differ_by_three() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    for heavy in [false, true] {
        let noise = Noise { launch: 0.01, round: 0.03, rounds: 10, heavy, first: 1.0 };
        let found = (0..20).filter(|_| night(&mut random, noise, 1.05_f64.ln()) == [LAST]).count();
        println!("heavy {heavy}: {found} of 20");
        assert!(found >= 19, "heavy {heavy}: {found} of 20");
    }
}

/// At 99 % each, every second night would have a finding: the correction is not for show.
#[test]
fn without_the_correction_half_of_the_nights_would_have_one() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let noise = Noise { launch: 0.01, round: 0.01, rounds: 10, heavy: false, first: 1.0 };
    let above = |ratio: Ratio| ratio.low > 1.0;
    let alarms = |random: &mut ChaCha8Rng| {
        (0..WORKLOADS * STRATEGIES).any(|_| above(preview(&both(random, noise, 0.0)).unwrap().ratio))
    };
    let nights = (0..50).filter(|_| alarms(&mut random)).count();
    assert!(nights >= 10, "{nights} of 50");
}
