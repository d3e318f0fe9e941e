//! Shares where nothing can be sampled: what blocks cause, as they are counted, times what one of it costs on this machine.
//!
//! It tells less than samples: guest and host are one, and what has no count is in the rest.

use std::hint::black_box;
use std::io;
use std::os::unix::process::parent_id;
use std::time::Instant;

use memmap2::MmapMut;

use super::report::{Basis, Part, Profile, UnitCost};
use super::rules::Share;
use super::shares::thousandths;
use crate::measure::row::Phase;
use crate::protocol::{Count, Timed};

/// Bytes that costs are tried on: more than the caches nearest to a core hold.
const TRIED: usize = 4 << 20;

/// Repetitions; the fastest counts, since noise only ever adds.
const ROUNDS: usize = 5;

/// What one of something costs here, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// The first touch of a page: the fault, and the page's zeroing.
    pub fault_ns: f64,
    /// Copying a byte.
    pub byte_ns: f64,
    /// Asking the kernel for next to nothing.
    pub call_ns: f64,
}

impl Costs {
    /// Measures them, in some milliseconds.
    ///
    /// # Errors
    /// When there is no memory to try them on.
    pub fn here() -> io::Result<Self> {
        let page = procfs::page_size() as usize;
        let mut least = [f64::MAX; 3];
        let from = vec![1_u8; TRIED];
        for _ in 0..ROUNDS {
            let mut pages = MmapMut::map_anon(TRIED)?;
            let touched =
                timed(TRIED / page, || pages.iter_mut().step_by(page).for_each(|byte| *byte = black_box(1)));
            let copied = timed(TRIED, || black_box(&mut pages).copy_from_slice(black_box(&from)));
            let called = timed(64, || {
                for _ in 0..64 {
                    black_box(parent_id());
                }
            });
            for (least, now) in least.iter_mut().zip([touched, copied, called]) {
                *least = least.min(now);
            }
        }
        let [fault_ns, byte_ns, call_ns] = least;
        Ok(Self { fault_ns, byte_ns, call_ns })
    }
}

/// Nanoseconds for one of so many.
fn timed(times: usize, act: impl FnOnce()) -> f64 {
    let started = Instant::now();
    act();
    started.elapsed().as_nanos() as f64 / times as f64
}

/// What a block causes, on average.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Caused {
    execute_faults: f64,
    reset_faults: f64,
    bytes: f64,
    calls: f64,
}

impl Caused {
    fn of(counts: &[Count]) -> Self {
        let mean = |metric: &str, phase| {
            let count = counts.iter().find(|count| count.metric == metric && count.phase == phase);
            let samples = count.map_or(&[][..], |count| &count.samples);
            samples.iter().sum::<u64>() as f64 / samples.len().max(1) as f64
        };
        Self {
            execute_faults: mean("minor_faults", Phase::Execute),
            reset_faults: mean("minor_faults", Phase::Reset),
            bytes: mean("bytes_restored", Phase::Reset),
            calls: mean("syscalls", Phase::Reset),
        }
    }
}

/// Divides times by counts.
pub fn estimate(timed: &Timed, counts: &[Count], costs: Costs) -> Profile {
    let mean = |times: &[u64]| times.iter().sum::<u64>() as f64 / times.len().max(1) as f64;
    let (execute_ns, reset_ns) = (mean(&timed.execute), mean(&timed.reset));
    let caused = Caused::of(counts);
    let Caused { execute_faults, reset_faults, bytes, calls } = caused;
    let execute = divided(execute_ns, &[(Share::OtherFaults, execute_faults * costs.fault_ns)]);
    let reset = divided(
        reset_ns,
        &[
            (Share::OtherFaults, reset_faults * costs.fault_ns),
            (Share::Copying, bytes * costs.byte_ns),
            (Share::Mapping, calls * costs.call_ns),
        ],
    );
    let both = |(one, other): (&(Share, f64), &(Share, f64))| (one.0, one.1 + other.1);
    let cycle: Vec<_> = execute.iter().zip(&reset).map(both).collect();
    let cost = |what: &str, ns, per_block| UnitCost { what: what.into(), ns, per_block };
    Profile {
        blocks: timed.execute.len() as u64,
        execute_ns,
        reset_ns,
        basis: Basis::Counts {
            costs: vec![
                cost("page fault, with its page zeroed", costs.fault_ns, execute_faults + reset_faults),
                cost("byte restored", costs.byte_ns, bytes),
                cost("system call of the reset", costs.call_ns, calls),
            ],
            guest_samples: 0,
        },
        cycle: parts(&cycle),
        execute: parts(&execute),
        reset: parts(&reset),
        files: Vec::new(),
    }
}

/// All shares of a time, of which some are known and the rest is the rest. Where they come to more than there is, they are made
/// smaller alike: unit costs are those of an idle machine.
fn divided(ns: f64, known: &[(Share, f64)]) -> Vec<(Share, f64)> {
    let sum: f64 = known.iter().map(|(_, ns)| ns).sum();
    let fits = if sum > ns { ns / sum } else { 1.0 };
    let of = |share| match share {
        Share::Rest => (ns - sum * fits).max(0.0),
        _ => known.iter().find(|(known, _)| *known == share).map_or(0.0, |(_, ns)| ns * fits),
    };
    Share::ALL.map(|share| (share, of(share))).to_vec()
}

fn parts(divided: &[(Share, f64)]) -> Vec<Part> {
    // In thousandths of a nanosecond, so that short times are divided well, too.
    let whole: Vec<u64> = divided.iter().map(|(_, ns)| (ns * 1_000.0) as u64).collect();
    let part = |(&(share, ns), thousandths)| Part { share, thousandths, ns, samples: None, interval: None };
    divided.iter().zip(thousandths(&whole)).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::row::Unit;

    const COSTS: Costs = Costs { fault_ns: 500.0, byte_ns: 0.1, call_ns: 100.0 };

    fn count(metric: &str, phase: Phase, samples: &[u64]) -> Count {
        Count { phase, metric: metric.into(), unit: Unit::Count, samples: samples.to_vec() }
    }

    fn of(parts: &[Part], share: Share) -> f64 {
        parts.iter().find(|part| part.share == share).expect("all are there").ns
    }

    #[test]
    fn counts_are_priced_and_the_rest_is_named() {
        let timed = Timed { execute: vec![9_000, 11_000], reset: vec![2_000, 4_000], ..Timed::default() };
        let counts = [
            count("minor_faults", Phase::Execute, &[2, 4]),
            count("bytes_restored", Phase::Reset, &[4_096, 4_096]),
            count("syscalls", Phase::Reset, &[1, 1]),
        ];
        let profile = estimate(&timed, &counts, COSTS);
        assert_eq!((profile.execute_ns, profile.reset_ns, profile.blocks), (10_000.0, 3_000.0, 2));
        assert_eq!(of(&profile.execute, Share::OtherFaults), 1_500.0);
        assert_eq!(of(&profile.execute, Share::Rest), 8_500.0);
        assert!((of(&profile.reset, Share::Copying) - 409.6).abs() < 1e-6);
        assert_eq!(of(&profile.reset, Share::Mapping), 100.0);
        for parts in [&profile.cycle, &profile.execute, &profile.reset] {
            assert_eq!(parts.iter().map(|part| part.thousandths).sum::<u32>(), 1_000);
        }
    }

    #[test]
    fn what_would_take_more_than_there_is_takes_all_of_it() {
        let timed = Timed { execute: vec![1_000], reset: vec![0], ..Timed::default() };
        let profile = estimate(&timed, &[count("minor_faults", Phase::Execute, &[9])], COSTS);
        assert_eq!(of(&profile.execute, Share::OtherFaults), 1_000.0);
        assert_eq!(of(&profile.execute, Share::Rest), 0.0);
    }

    #[test]
    fn costs_are_measured() {
        let Costs { fault_ns, byte_ns, call_ns } = Costs::here().expect("some megabytes");
        assert!(fault_ns > 0.0 && byte_ns > 0.0 && call_ns > 0.0);
    }
}
