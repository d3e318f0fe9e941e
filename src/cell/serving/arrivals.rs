//! When requests arrive in an open loop: at times of their own, whether or not the last ones are answered.
//!
//! A caller that waits for its answer before it sends the next request sends none while the server is slow, and so never
//! sees how slow it was ("coordinated omission", a term of G. Tene's). Here arrivals are drawn beforehand, and a latency is
//! counted from the arrival, however late a caller comes to it.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// The arrivals of a slice of time, which callers take in order.
pub(super) struct Arrivals {
    began: Instant,
    /// In the order of time.
    all: Vec<Arrival>,
    next: AtomicUsize,
}

/// A request that arrives by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    /// Since the beginning.
    pub at: Duration,
    /// Which of the workload's requests it is.
    pub request: usize,
}

impl Arrivals {
    /// Those of a Poisson process of so many arrivals in a second: times between two of them are exponential. Each is any of so
    /// many requests.
    pub fn draw(per_second: f64, length: Duration, seed: u64, requests: usize) -> Vec<Arrival> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let end = length.as_secs_f64();
        let mut since = 0.0;
        let next = || {
            // In (0, 1], so that the logarithm is finite.
            since += -(1.0 - random.random::<f64>()).ln() / per_second;
            let request = random.random_range(0..requests);
            (since < end).then(|| Arrival { at: Duration::from_secs_f64(since), request })
        };
        std::iter::from_fn(next).collect()
    }

    /// Arrivals that begin then.
    pub fn starting(began: Instant, all: Vec<Arrival>) -> Self {
        Self { began, all, next: AtomicUsize::new(0) }
    }

    /// Waits for the next request that nobody has taken, and says which it is and when it arrived; nothing, when all are taken
    /// or `until` is over.
    pub fn take(&self, until: Instant) -> Option<(usize, Instant)> {
        if Instant::now() >= until {
            return None;
        }
        let Arrival { at, request } = *self.all.get(self.next.fetch_add(1, Ordering::Relaxed))?;
        let arrives = self.began + at;
        wait(arrives);
        Some((request, arrives))
    }

    /// Requests that nobody has taken.
    pub fn left(&self) -> usize {
        self.all.len().saturating_sub(self.next.load(Ordering::Relaxed))
    }
}

/// How long before a request arrives a caller is awake: being woken takes longer than a short call, and comes out of what the
/// callers could serve.
const AWAKE: Duration = Duration::from_micros(200);

/// Sleeps until shortly before, and looks at the clock from then on.
fn wait(until: Instant) {
    if let Some(early) =
        until.checked_duration_since(Instant::now()).and_then(|early| early.checked_sub(AWAKE))
    {
        thread::sleep(early);
    }
    while Instant::now() < until {
        spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(micros: u64, request: usize) -> Arrival {
        Arrival { at: Duration::from_micros(micros), request }
    }

    #[test]
    fn arrivals_rise_and_are_as_many_as_asked_for() {
        let all = Arrivals::draw(10_000.0, SECOND, 7, 3);
        assert!(
            all.is_sorted_by_key(|arrival| arrival.at) && all.last().is_some_and(|last| last.at < SECOND)
        );
        // Four standard deviations of a Poisson count of 10,000.
        assert!(all.len().abs_diff(10_000) < 400, "{}", all.len());
        for request in 0..3 {
            let asked = all.iter().filter(|arrival| arrival.request == request).count();
            assert!(asked.abs_diff(all.len() / 3) < 200, "{asked}");
        }
        assert_eq!(all, Arrivals::draw(10_000.0, SECOND, 7, 3));
        assert_ne!(all, Arrivals::draw(10_000.0, SECOND, 8, 3));
    }

    #[test]
    fn times_between_arrivals_are_exponential() {
        let all = Arrivals::draw(1_000.0, 100 * SECOND, 1, 1);
        let gap = |pair: &[Arrival]| (pair[1].at - pair[0].at).as_secs_f64() * 1_000.0;
        let gaps: Vec<f64> = all.windows(2).map(gap).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let longer = gaps.iter().filter(|gap| **gap > 2.0).count() as f64 / gaps.len() as f64;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        assert!((longer - (-2.0_f64).exp()).abs() < 0.01, "{longer}");
    }

    #[test]
    fn each_request_is_taken_once_and_from_when_it_arrived() {
        let arrivals = Arrivals::starting(Instant::now(), vec![at(0, 5), at(10, 6)]);
        let until = Instant::now() + 60 * SECOND;
        let (first, second) = (arrivals.take(until).unwrap(), arrivals.take(until).unwrap());
        assert_eq!((first.0, second.0), (5, 6));
        assert_eq!(second.1 - first.1, Duration::from_micros(10));
        assert!(Instant::now() >= second.1, "nobody answers before it has arrived");
        assert_eq!(arrivals.take(until), None);
        assert_eq!(arrivals.left(), 0);
        let late = Arrivals::starting(Instant::now(), vec![at(0, 0); 3]);
        assert_eq!((late.take(Instant::now()), late.left()), (None, 3));
    }
}
