//! How much slower this machine is than those that limits of time were chosen on, so that a limit which ends something
//! does not end what is only slow: an emulated processor takes ten to fifty times as long.
//!
//! Measured are the two things that blocks and commits are made of: a chain of integer operations, and first touches of
//! pages that were given back. The slower of the two counts.

use std::hint::black_box;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use memmap2::{MmapMut, UncheckedAdvice};
use reset_strategies::sys::page;

/// Steps of the chain: a multiplication and an addition each.
const STEPS: u32 = 100_000;

/// What a step takes on a server of the last ten years, about four cycles: 1 to 2 ns.
const STEP_NS: f64 = 2.0;

/// Bytes that are touched.
const BYTES: usize = 1 << 20;

/// What the first touch of a page takes, with its system call's share, in a virtual machine: 0.5 to 2.5 us for 4 KiB; larger
/// pages are mostly zeroing.
const TOUCH_NS: f64 = 2_500.0;
const ZEROING_NS_PER_KIB: f64 = 100.0;

/// Turns, of which the fastest counts: an interruption is no pace.
const TURNS: usize = 3;

/// Below this a machine is an ordinary one, and limits are what they are said to be.
const ORDINARY: f64 = 2.0;

/// No machine is so slow: the clock is wrong.
const MOST: f64 = 1_000.0;

/// A limit of time that was chosen for ordinary machines, as this machine needs it. Measures at the first call, for a few
/// milliseconds where the machine is not slow.
pub fn patience(ordinary: Duration) -> Duration {
    static SLOWDOWN: OnceLock<f64> = OnceLock::new();
    lengthened(ordinary, *SLOWDOWN.get_or_init(measured))
}

/// The same of whole seconds that a user may have given: those stay as they are.
pub fn seconds(given: Option<u64>, ordinary: u64) -> Duration {
    given.map_or_else(|| patience(Duration::from_secs(ordinary)), Duration::from_secs)
}

fn lengthened(ordinary: Duration, slowdown: f64) -> Duration {
    if slowdown.is_nan() || slowdown < ORDINARY {
        return ordinary;
    }
    ordinary.saturating_mul(slowdown.min(MOST).ceil() as u32)
}

/// How many times as long it takes here.
fn measured() -> f64 {
    let chain = (0..TURNS).map(|_| chain()).min().unwrap_or_default();
    let touch = (0..TURNS).filter_map(|_| touch().ok()).min().unwrap_or_default();
    slowdown(chain, touch, page::size())
}

fn slowdown(chain: Duration, touch: Duration, page: usize) -> f64 {
    let pages = (BYTES / page).max(1) as f64;
    let expected = pages * (TOUCH_NS + (page.saturating_sub(4096) / 1024) as f64 * ZEROING_NS_PER_KIB);
    let by_chain = chain.as_nanos() as f64 / (f64::from(STEPS) * STEP_NS);
    by_chain.max(touch.as_nanos() as f64 / expected)
}

fn chain() -> Duration {
    let started = Instant::now();
    let mut state: u64 = black_box(1);
    for _ in 0..STEPS {
        state = black_box(state).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    }
    black_box(state);
    started.elapsed()
}

fn touch() -> std::io::Result<Duration> {
    let mut map = MmapMut::map_anon(BYTES)?;
    let page = page::size();
    // Huge pages would make one touch of many.
    let _without = map.advise(memmap2::Advice::NoHugePage);
    let write = |map: &mut MmapMut| map.iter_mut().step_by(page).for_each(|byte| *byte = black_box(1));
    // The first time it may be the host that has to find the memory.
    write(&mut map);
    let started = Instant::now();
    // SAFETY: nothing refers to the mapping, whose content is of no interest.
    unsafe { map.unchecked_advise(UncheckedAdvice::DontNeed)? };
    write(&mut map);
    Ok(started.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_longer_where_a_machine_is_slower() {
        let minute = Duration::from_secs(60);
        for (slowdown, seconds) in [(0.5, 60), (1.9, 60), (f64::NAN, 60), (2.0, 120), (19.5, 1_200)] {
            assert_eq!(lengthened(minute, slowdown), Duration::from_secs(seconds), "{slowdown}");
        }
        assert_eq!(lengthened(minute, f64::INFINITY), Duration::from_secs(60_000));
        assert_eq!(lengthened(Duration::MAX, 3.0), Duration::MAX);
    }

    #[test]
    fn the_slower_of_the_two_counts() {
        let of = |chain_us, touch_us, page| {
            slowdown(Duration::from_micros(chain_us), Duration::from_micros(touch_us), page).round()
        };
        assert_eq!(of(200, 640, 4096), 1.0, "both as expected");
        assert_eq!(of(4_000, 640, 4096), 20.0);
        assert_eq!(of(200, 19_200, 4096), 30.0);
        assert_eq!(of(200, 237, 16 << 10), 1.0, "fewer pages, each of which takes longer");
    }

    #[test]
    fn what_a_user_has_given_stays() {
        assert_eq!(seconds(Some(7), 60), Duration::from_secs(7));
        assert!(seconds(None, 60) >= Duration::from_secs(60));
    }
}
