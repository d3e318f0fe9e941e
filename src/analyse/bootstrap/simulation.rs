//! Simulated comparisons, with fixed seeds: the promises of [`super`] hold for the noise that it names.

use std::f64::consts::TAU;

use rand::RngExt;

use super::super::MARGIN;
use super::super::ending::{are_narrow, ending};
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
    let paired = Paired::from_logs(launches);
    let preview = verdict(&preview(&paired).unwrap().ratio);
    if !matches!(preview, Verdict::Faster | Verdict::Slower) {
        return preview;
    }
    verdict(&estimate(&paired, Seed(1), &["simulated"]).unwrap().ratio)
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
fn few_rounds_keep_the_promise_without_the_bootstrap() {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for (launches, rounds) in [(3, 3), (4, 3), (6, 3), (6, 6), (8, 3)] {
        let (mut wrong, mut worst, mut total) = (0, 0.0_f64, 0);
        for launch_sd in [0.0, 0.005, 0.01, 0.02] {
            for round_sd in [0.01, 0.03, 0.1] {
                for kind in KINDS {
                    let noise = Noise { launch_sd, round_sd, rounds: kind };
                    let few = comparisons(300);
                    let differ = (0..few)
                        .filter(|_| is_told_apart(simulate(&mut random, launches, rounds, noise, 0.0)))
                        .count();
                    wrong += differ;
                    worst = worst.max(differ as f64 * 100.0 / few as f64);
                    total += few;
                }
            }
        }
        println!("{launches} x {rounds}: {:.2} %, worst {worst:.1} %", wrong as f64 * 100.0 / total as f64);
        assert!(wrong * 100 <= total, "{launches} x {rounds}: {wrong} of {total}");
    }
}

/// A ratio that differs from CPU to CPU, as that of a strategy that reads memory and one that faults does.
#[test]
fn what_a_cpu_does_to_a_ratio_is_no_noise() {
    let mut random = ChaCha8Rng::seed_from_u64(8);
    for (launches, cpus) in [(6, 2), (7, 2), (9, 2), (9, 3), (12, 4)] {
        let (mut missed, mut total, mut narrower) = (0, 0, 0.0);
        for kind in KINDS {
            let noise = Noise { launch_sd: 0.01, round_sd: 0.03, rounds: kind };
            for _ in 0..comparisons(300) {
                let mut ratios = simulate(&mut random, launches, 5, noise, 0.0);
                let of_launch = |launch: usize| u32::try_from(launch % cpus).ok();
                let centre = (cpus - 1) as f64 / 2.0;
                for (launch, rounds) in ratios.iter_mut().enumerate() {
                    let shift = 0.14 * ((launch % cpus) as f64 - centre);
                    rounds.iter_mut().for_each(|log| *log += shift);
                }
                let alike = Paired::from_logs(ratios.clone());
                let known = Paired::from_logs(ratios).on((0..launches).map(of_launch).collect());
                let [alike, known] = [alike, known].map(|paired| preview(&paired).unwrap().ratio);
                missed += usize::from(known.low > 1.0 || known.high < 1.0);
                narrower += (alike.high.ln() - alike.low.ln()) / (known.high.ln() - known.low.ln());
                total += 1;
            }
        }
        let narrower = narrower / total as f64;
        println!(
            "{launches} launches on {cpus} CPUs: {missed} of {total} missed, {narrower:.1} times narrower"
        );
        assert!(missed * 100 <= 2 * total && narrower > 2.0, "{launches} on {cpus}: {missed}, {narrower}");
    }
}

#[test]
fn the_bootstrap_alone_would_not_keep_that_promise() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let noise = Noise { launch_sd: 0.02, round_sd: 0.01, rounds: Rounds::Normal };
    let total = 40;
    let wrong = (0..total)
        .filter(|_| {
            let launches = simulate(&mut random, 3, 10, noise, 0.0);
            let Interval { low, high } = percentiles(&Paired::from_logs(launches).by_cpu(), &mut random);
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

/// Log ratios, one inner list per launch.
type Ratios = Vec<Vec<f64>>;

/// Fewest and most launches of the quick and of the full profile.
const LIMITS: [(u32, u32); 2] = [(6, 12), (8, 24)];

/// The floor takes half the time of the baseline.
const FLOOR: f64 = -std::f64::consts::LN_2;

/// Measures contenders as a run does: launch by launch, until each has ended by the rule of [`ending`]. Returns their log
/// ratios to the baseline; effects are such ratios, too.
fn adaptive<const N: usize>(
    random: &mut ChaCha8Rng,
    limits: (u32, u32),
    rounds: usize,
    noise: Noise,
    effects: [f64; N],
) -> [Ratios; N] {
    let mut to_baseline = effects.map(|_| Vec::new());
    let mut to_floor = effects.map(|_| Vec::new());
    let mut going = [true; N];
    for done in 1..=limits.1 {
        let baseline = launch(random, rounds, noise, 0.0);
        let floor = launch(random, rounds, noise, FLOOR);
        for index in 0..N {
            if !going[index] {
                continue;
            }
            let own = launch(random, rounds, noise, effects[index]);
            to_baseline[index].push(differences(&own, &baseline));
            to_floor[index].push(differences(&own, &floor));
            let both = [&to_baseline, &to_floor]
                .map(|ratios| (Paired::from_logs(ratios[index].clone()), ["simulated"; 4]));
            let narrow = || are_narrow(&both, Seed(1));
            going[index] = ending(limits, done, || false, narrow, false).is_none();
        }
    }
    to_baseline
}

/// Log times of one contender in one launch.
fn launch(random: &mut ChaCha8Rng, rounds: usize, noise: Noise, effect: f64) -> Vec<f64> {
    let (level, mut last) = (effect + noise.launch_sd * normal(random), 0.0);
    (0..rounds).map(|_| level + noise.round_sd * disturbance(random, noise.rounds, &mut last)).collect()
}

fn differences(above: &[f64], below: &[f64]) -> Vec<f64> {
    above.iter().zip(below).map(|(above, below)| above - below).collect()
}

fn is_told_apart(launches: Ratios) -> bool {
    matches!(judge(launches), Verdict::Faster | Verdict::Slower)
}

/// Comparisons of each kind: a few, unless `RESETBENCH_SIMULATIONS` asks for as many as stand behind the figures in
/// [`super`], which takes minutes.
fn comparisons(few: usize) -> usize {
    std::env::var("RESETBENCH_SIMULATIONS").ok().and_then(|number| number.parse().ok()).unwrap_or(few)
}

/// Two contenders that are the same: how often the first is told apart from a baseline that is the same as well, or the
/// one from the other, both taking a little longer than the floor. Asserts what is promised, and prints the figures.
fn told_apart(seed: u64, effect: f64, pick: fn([Ratios; 2]) -> Ratios) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let share = |wrong: usize, total: usize| wrong as f64 * 100.0 / total as f64;
    for limits in LIMITS {
        let (mut wrong, mut worst, mut total, mut ran) = (0, 0, 0, 0);
        for launch_sd in [0.0, 0.005, 0.01, 0.02] {
            for (round_sd, kind) in [0.01, 0.03, 0.1].into_iter().flat_map(|sd| KINDS.map(|kind| (sd, kind)))
            {
                let noise = Noise { launch_sd, round_sd, rounds: kind };
                let told = (0..comparisons(5)).filter(|_| {
                    let launches = pick(adaptive(&mut random, limits, 10, noise, [effect; 2]));
                    ran += launches.len();
                    is_told_apart(launches)
                });
                let here = told.count();
                (wrong, worst, total) = (wrong + here, worst.max(here), total + comparisons(5));
            }
        }
        println!(
            "{limits:?}: {:.2} % of {total}, worst {:.1} %; {:.1} launches",
            share(wrong, total),
            share(worst, comparisons(5)),
            ran as f64 / total as f64,
        );
        assert!(wrong * 100 <= total, "{limits:?}: {wrong} of {total}");
    }
}

#[test]
fn stopping_at_a_width_keeps_the_promise() {
    told_apart(5, 0.0, |[first, _]| first);
}

#[test]
fn contenders_that_stop_each_at_its_own_width_can_be_compared() {
    told_apart(6, FLOOR + 0.05, |[first, second]| {
        first.iter().zip(&second).map(|(first, second)| differences(first, second)).collect()
    });
}

#[test]
fn stopping_at_a_width_finds_a_slow_down_of_the_margin() {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for (limits, launch_sd, at_least) in
        [(LIMITS[0], 0.005, 90), (LIMITS[1], 0.005, 95), (LIMITS[1], 0.01, 90)]
    {
        let noise = Noise { launch_sd, round_sd: 0.01, rounds: Rounds::Normal };
        let (total, mut ran) = (comparisons(40), 0);
        let found = (0..total).filter(|_| {
            let [launches] = adaptive(&mut random, limits, 10, noise, [(1.0 + MARGIN).ln()]);
            ran += launches.len();
            judge(launches) == Verdict::Slower
        });
        let found = found.count();
        println!(
            "{limits:?}, launch sd {launch_sd}: {found} of {total}, {:.1} launches",
            ran as f64 / total as f64
        );
        assert!(found * 100 >= total * at_least, "{limits:?}: {found} of {total}");
    }
}
