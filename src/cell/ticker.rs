//! The clock by which blocks time out: CPU time of the threads that execute them. What else the machine does makes no block
//! late, and neither does waiting.
//!
//! A thread of its own reads the others' clocks now and then and advances the engine's epoch, so that executing and resetting
//! pay nothing for it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use wasmtime::Engine;

use crate::hosts::TICKS;
use crate::machine::clock::ThreadClock;

/// The threads that execute blocks of one engine.
#[derive(Clone, Debug, Default)]
pub(super) struct Threads(Arc<Mutex<Vec<Arc<Thread>>>>);

#[derive(Debug)]
struct Thread {
    clock: ThreadClock,
    /// Whether it executes: while it waits for its next task, it holds up nobody's time.
    busy: AtomicBool,
}

/// A thread's place among them, until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    threads: Threads,
    thread: Arc<Thread>,
}

impl Threads {
    /// The calling thread executes from now on.
    pub fn join(&self) -> io::Result<Place> {
        let thread = Thread { clock: ThreadClock::of_this_thread()?, busy: AtomicBool::new(true) };
        let thread = Arc::new(thread);
        self.lock().push(thread.clone());
        Ok(Place { threads: self.clone(), thread })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Thread>>> {
        // No invariant spans two writes.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is busy, by an address that is its own while it is here, and its CPU time.
    fn readings(&self) -> Vec<(usize, u64)> {
        let threads = self.lock();
        let busy = threads.iter().filter(|thread| thread.busy.load(Ordering::Relaxed));
        busy.filter_map(|thread| Some((Arc::as_ptr(thread).addr(), thread.clock.ns()?))).collect()
    }
}

impl Place {
    /// Whether the thread executes, or waits to be told what.
    pub fn set_busy(&self, busy: bool) {
        self.thread.busy.store(busy, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.threads.lock().retain(|thread| !Arc::ptr_eq(thread, &self.thread));
    }
}

/// Advances the engine's epoch from a thread that ends with the process: [`TICKS`] ticks are the timeout of CPU time, or a
/// little more. Never less: of the ticks that a block is given, the first may begin before it does.
pub(super) fn start(engine: &Engine, timeout: Duration, threads: &Threads) {
    let mut tick = Tick::new(timeout / (TICKS as u32 - 1));
    let (engine, threads) = (engine.weak(), threads.clone());
    thread::spawn(move || {
        loop {
            thread::sleep(tick.rest());
            let Some(engine) = engine.upgrade() else { break };
            if tick.is_over(threads.readings()) {
                engine.increment_epoch();
            }
        }
    });
}

/// CPU time on its way to the next tick.
#[derive(Debug)]
struct Tick {
    length: Duration,
    /// What every thread that was busy meanwhile has used since the last tick, at least: one epoch is for all of them.
    used: Duration,
    before: Vec<(usize, u64)>,
}

impl Tick {
    fn new(length: Duration) -> Self {
        Self { length: length.max(SHORTEST), used: Duration::ZERO, before: Vec::new() }
    }

    /// How long the tick will last, if the threads go on without a pause.
    fn rest(&self) -> Duration {
        self.length.saturating_sub(self.used).max(self.length / 20).max(SHORTEST)
    }

    /// Whether it is over, by the clocks of those who are busy. What is used beyond it is not carried over: a ticking thread
    /// that comes late must not take it from a block that has just begun.
    fn is_over(&mut self, now: Vec<(usize, u64)>) -> bool {
        let since = |(thread, ns): &(usize, u64)| {
            let before = self.before.iter().find(|(known, _)| known == thread);
            before.map_or(0, |(_, before)| ns.saturating_sub(*before))
        };
        self.used += Duration::from_nanos(now.iter().map(since).min().unwrap_or(0));
        self.before = now;
        let over = self.used >= self.length;
        if over {
            self.used = Duration::ZERO;
        }
        over
    }
}

/// Shorter ticks would keep the ticking thread awake.
const SHORTEST: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn tick() -> Tick {
        Tick::new(Duration::from_millis(50))
    }

    #[test]
    fn a_tick_is_cpu_time() {
        let mut tick = tick();
        assert!(!tick.is_over(vec![(1, 1_000 * MS)]), "what was used before it was known is not counted");
        assert!(!tick.is_over(vec![(1, 1_000 * MS)]), "nothing was used");
        assert!(!tick.is_over(vec![(1, 1_049 * MS)]));
        assert_eq!(tick.rest(), Duration::from_micros(2_500), "soon, but not at once");
        assert!(tick.is_over(vec![(1, 1_051 * MS)]));
        assert_eq!(tick.rest(), Duration::from_millis(50));
        assert!(tick.is_over(vec![(1, 9_000 * MS)]), "however late it is");
        assert!(!tick.is_over(vec![(1, 9_000 * MS)]), "a tick, and not all that would have been");
    }

    #[test]
    fn the_slowest_of_those_who_are_busy_counts() {
        let mut tick = tick();
        assert!(!tick.is_over(vec![(1, 0), (2, 0)]));
        assert!(!tick.is_over(vec![(1, 60 * MS), (2, MS)]), "the second has hardly run");
        assert!(tick.is_over(vec![(1, 120 * MS)]), "the second waits for its next task");
        assert!(!tick.is_over(vec![(1, 130 * MS), (2, 90 * MS)]), "and has a new one");
        assert!(tick.is_over(vec![(1, 190 * MS), (2, 150 * MS)]));
        assert!(!tick.is_over(Vec::new()));
    }

    #[test]
    fn a_place_is_held_until_it_is_dropped() {
        let threads = Threads::default();
        let place = threads.join().unwrap();
        assert_eq!(threads.readings().len(), 1);
        place.set_busy(false);
        assert_eq!(threads.readings(), []);
        place.set_busy(true);
        drop(place);
        assert_eq!(threads.readings(), []);
    }
}
