//! How noisy the machine is at this moment: the same short piece of work again and again, and how unevenly it
//! runs.
//!
//! The work is a chain of dependent integer operations in registers: no memory, no system call. Whatever
//! makes one turn slower than another comes from outside: other processes, interrupts, a changing clock, or
//! the host taking the CPU away (`steal` in `/proc/stat`, proc(5)).

use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::{Files, System};

/// How long one spin should take. Long against the clock's own cost (about 25 ns), short against a
/// scheduler's time slice (milliseconds), so that an interruption lands in few spins and shows in the tail.
const SPIN: Duration = Duration::from_micros(50);

/// Tail ratios up to which a machine is called quiet, and beyond which noisy. Ours, by judgement: a virtual
/// machine on its own stays below 1.1, and at 1.5 one spin in a hundred loses half its length to somebody
/// else.
const QUIET: f64 = 1.1;
const NOISY: f64 = 1.5;
/// Stolen share of CPU time from which the host is busy enough to be named.
const STOLEN: f64 = 0.01;

/// The outcome of [`noise`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Noise {
    /// How often the work was done.
    pub spins: u64,
    /// Median duration of a spin in nanoseconds.
    pub p50_ns: u64,
    /// The 99th percentile over the median; 1 is perfectly even.
    pub p99_over_p50: f64,
    /// Standard deviation over the mean. One long interruption weighs heavily here.
    pub cv: f64,
    /// Share of all CPU time that the host gave to others meanwhile; absent when `/proc/stat` does not tell
    /// or when too little time passed for its clock ticks of 10 ms.
    pub stolen: Option<f64>,
}

/// [`Noise`] in one word.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    Quiet,
    Uneven,
    Noisy,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Quiet => "quiet",
            Level::Uneven => "uneven",
            Level::Noisy => "noisy",
        })
    }
}

/// Spins on this thread for about `duration` and reports how evenly that went. At least one spin is done; a
/// second gives about 20,000, and enough of them for a steady 99th percentile.
pub fn noise(duration: Duration) -> Noise {
    let turns = calibrate();
    let before = cpu_times(&System);
    let start = Instant::now();
    // Room for a minute; growing it once in a longer measurement costs one uneven spin.
    let expected = duration.min(Duration::from_secs(60)).as_micros() / SPIN.as_micros() + 1;
    let mut spins = Vec::with_capacity(expected as usize);
    loop {
        spins.push(spin(turns));
        if start.elapsed() >= duration {
            break;
        }
    }
    let stolen = before.zip(cpu_times(&System)).and_then(|(before, after)| after.stolen_since(before));
    summarise(&mut spins, stolen)
}

impl Noise {
    /// How the machine is to be called.
    pub fn level(&self) -> Level {
        let stolen = self.stolen.unwrap_or(0.0);
        if self.p99_over_p50 > NOISY || stolen > STOLEN {
            Level::Noisy
        } else if self.p99_over_p50 > QUIET {
            Level::Uneven
        } else {
            Level::Quiet
        }
    }

    /// The measurement in words.
    pub fn sentence(&self) -> String {
        let stolen = match self.stolen {
            Some(share) => format!("the host took {:.1} % of the CPU time", share * 100.0),
            None => "how much CPU time the host took is not known".to_owned(),
        };
        format!(
            "{}: {} spins of {:.1} us, one in a hundred at least {:.2} times as long, coefficient of variation {:.1} %; \
             {stolen}",
            self.level(),
            self.spins,
            self.p50_ns as f64 / 1000.0,
            self.p99_over_p50,
            self.cv * 100.0,
        )
    }
}

/// Does the work once and returns the nanoseconds that it took.
fn spin(turns: u64) -> u64 {
    let start = Instant::now();
    let mut state: u64 = black_box(1);
    for _ in 0..turns {
        // Each step needs the one before (a 64-bit linear congruence, Knuth's multiplier).
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    }
    black_box(state);
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The number of turns that take [`SPIN`], once the clock has come up to speed.
fn calibrate() -> u64 {
    /// Beyond any machine's speed; ends the search should the clock stand still.
    const MOST: u64 = 1 << 32;
    let wanted = SPIN.as_nanos() as u64;
    let warm = Instant::now();
    while warm.elapsed() < Duration::from_millis(10) {
        black_box(spin(1000));
    }
    let mut turns: u64 = 1 << 10;
    while turns < MOST {
        // The best of a few, so that one interruption does not halve the work.
        let best = (0..5).map(|_| spin(turns)).min().unwrap_or(0);
        if best >= wanted {
            return (turns as f64 * wanted as f64 / best as f64).max(1.0) as u64;
        }
        turns *= 2;
    }
    turns
}

/// The maths of [`noise`]; `spins` is sorted in place. No spins give zeros and ratios of 1 and 0.
fn summarise(spins: &mut [u64], stolen: Option<f64>) -> Noise {
    spins.sort_unstable();
    let (p50, p99) = (quantile(spins, 0.50), quantile(spins, 0.99));
    let n = spins.len().max(1) as f64;
    let mean = spins.iter().map(|ns| *ns as f64).sum::<f64>() / n;
    let variance = spins.iter().map(|ns| (*ns as f64 - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    Noise {
        spins: spins.len() as u64,
        p50_ns: p50,
        p99_over_p50: if p50 > 0 { p99 as f64 / p50 as f64 } else { 1.0 },
        cv: if mean > 0.0 { variance.sqrt() / mean } else { 0.0 },
        stolen,
    }
}

/// The nearest-rank quantile of sorted values; 0 for none.
fn quantile(sorted: &[u64], q: f64) -> u64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

/// Clock ticks of all CPUs since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CpuTimes {
    total: u64,
    steal: u64,
}

impl CpuTimes {
    /// The stolen share between two readings; `None` when no tick passed.
    fn stolen_since(self, before: Self) -> Option<f64> {
        let total = self.total.checked_sub(before.total).filter(|ticks| *ticks > 0)?;
        // The counters of a CPU that goes offline may step back.
        Some(self.steal.saturating_sub(before.steal) as f64 / total as f64)
    }
}

fn cpu_times(files: &dyn Files) -> Option<CpuTimes> {
    parse_cpu_times(&files.text("/proc/stat").ok()?)
}

/// The line `cpu user nice system idle iowait irq softirq steal guest guest_nice`; guest time is part of user
/// time.
fn parse_cpu_times(text: &str) -> Option<CpuTimes> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Option<Vec<u64>> = line.split_whitespace().take(8).map(|word| word.parse().ok()).collect();
    let ticks = ticks?;
    let total = ticks.iter().try_fold(0u64, |sum, ticks| sum.checked_add(*ticks))?;
    Some(CpuTimes { total, steal: *ticks.get(7)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_spins_are_quiet() {
        let noise = summarise(&mut [100; 50], Some(0.0));
        assert_eq!((noise.spins, noise.p50_ns, noise.p99_over_p50, noise.cv), (50, 100, 1.0, 0.0));
        assert_eq!(noise.level(), Level::Quiet);
        assert_eq!(
            noise.sentence(),
            "quiet: 50 spins of 0.1 us, one in a hundred at least 1.00 times as long, coefficient of variation 0.0 %; \
             the host took 0.0 % of the CPU time"
        );
    }

    #[test]
    fn a_tail_is_noise_and_a_single_outlier_only_variation() {
        let mut tail = vec![100; 97];
        tail.extend([200; 3]);
        assert_eq!(summarise(&mut tail, None).level(), Level::Noisy);

        let mut outlier = vec![100; 199];
        outlier.push(100_000);
        let noise = summarise(&mut outlier, None);
        assert_eq!(noise.level(), Level::Quiet);
        assert!(noise.cv > 5.0, "{noise:?}");
        assert!(noise.sentence().ends_with("is not known"));
    }

    #[test]
    fn a_busy_host_is_noise_even_where_spins_are_even() {
        assert_eq!(summarise(&mut [100; 50], Some(0.05)).level(), Level::Noisy);
    }

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        let noise = summarise(&mut [2, 4, 4, 4, 5, 5, 7, 9], None);
        // Sum of squares 32 over n - 1 = 7, mean 5.
        assert!((noise.cv - (32.0f64 / 7.0).sqrt() / 5.0).abs() < 1e-12);
        assert_eq!((noise.p50_ns, noise.p99_over_p50), (4, 2.25));
    }

    #[test]
    fn one_spin_and_none_have_no_spread() {
        assert_eq!(summarise(&mut [7], None).cv, 0.0);
        let none = summarise(&mut [], None);
        assert_eq!((none.spins, none.p50_ns, none.p99_over_p50, none.cv), (0, 0, 1.0, 0.0));
    }

    #[test]
    fn steal_is_the_eighth_column() {
        let text = "cpu  10 0 20 60 0 0 0 10 5 0\ncpu0 10 0 20 60 0 0 0 10 5 0\n";
        let before = parse_cpu_times(text);
        assert_eq!(before, Some(CpuTimes { total: 100, steal: 10 }));
        let after = CpuTimes { total: 200, steal: 15 };
        assert_eq!(before.and_then(|before| after.stolen_since(before)), Some(0.05));
        assert_eq!(after.stolen_since(after), None, "no tick passed");
        for odd in ["", "cpu 1 2 3", "cpu a b c d e f g h", "cpu 18446744073709551615 1 0 0 0 0 0 0"] {
            assert_eq!(parse_cpu_times(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn a_real_measurement_has_spins() {
        let noise = noise(Duration::from_millis(5));
        assert!(noise.spins >= 1 && noise.p50_ns > 0 && noise.p99_over_p50 >= 1.0, "{noise:?}");
    }
}
