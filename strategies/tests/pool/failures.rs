//! What fails in one session is the end of that one, and of nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use reset_strategies::{Error, Hooks, Limits, Pool, Resets};
use wasmtime::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};

use crate::host::{Parts, until, view};

/// A switch that a host's code looks at.
#[derive(Clone, Default)]
struct Switch(Arc<AtomicBool>);

impl Switch {
    fn on(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was on; it is off then.
    fn taken(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

const RESETS: [Resets; 3] = [Resets::Inline, Resets::Behind(1), Resets::AtCheckout];

#[test]
fn a_session_whose_reset_failed_is_replaced() {
    let parts = Parts::of("copy/full");
    for resets in RESETS {
        let refuses = Switch::default();
        let asked = refuses.clone();
        let hooks = Hooks {
            limiter: Some(|limits: &mut StoreLimits| -> &mut dyn ResourceLimiter { limits }),
            ..Hooks::default()
        };
        let state = move || {
            let bytes = if asked.taken() { 0 } else { usize::MAX };
            StoreLimitsBuilder::new().memory_size(bytes).build()
        };
        let pool = parts.pool_with(Limits::most(1).resets(resets), hooks, state).unwrap();
        let mut lease = pool.checkout().unwrap();
        view(&mut lease, 1, false).unwrap();
        refuses.on();
        drop(lease);
        let mut next = pool.checkout().unwrap();
        assert_eq!(view(&mut next, 2, false).unwrap(), parts.answers(3)[2], "{resets:?}");
        let now = pool.metrics();
        assert_eq!((now.started, now.replaced, now.places, now.resets), (2, 1, 1, 1), "{resets:?}");
    }
}

#[test]
fn a_start_that_fails_leaves_its_place_to_the_next() {
    let parts = Parts::of("fresh/on-demand-copy");
    let refuses = Switch::default();
    let asked = refuses.clone();
    let hooks = Hooks {
        limiter: Some(|limits: &mut StoreLimits| -> &mut dyn ResourceLimiter { limits }),
        ..Hooks::default()
    };
    let state =
        move || StoreLimitsBuilder::new().memory_size(if asked.taken() { 0 } else { usize::MAX }).build();
    let pool = parts.pool_with(Limits::most(1), hooks, state).unwrap();
    refuses.on();
    assert!(matches!(pool.checkout(), Err(Error::Engine { .. })));
    let now = pool.metrics();
    assert_eq!((now.places, now.bytes, now.started), (0, 0, 0));
    view(&mut pool.checkout().unwrap(), 1, false).unwrap();
}

/// A host's state that panics when it is dropped, if it is told to.
struct Bomb(Switch);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0.taken() {
            // Without a message on the terminal.
            resume_unwind(Box::new("the host's state panics"));
        }
    }
}

#[test]
fn a_host_that_panics_in_a_reset_leaves_the_pool_usable() {
    for strategy in ["copy/full", "fresh/on-demand-copy"] {
        let parts = Parts::of(strategy);
        for resets in RESETS {
            let panics = Switch::default();
            let bomb = panics.clone();
            let pool = parts
                .pool_with(Limits::most(1).resets(resets), Hooks::default(), move || Bomb(bomb.clone()))
                .unwrap();
            let mut lease = pool.checkout().unwrap();
            view(&mut lease, 1, false).unwrap();
            panics.on();
            drop(lease);
            let mut next = pool.checkout().unwrap();
            assert_eq!(view(&mut next, 2, false).unwrap(), parts.answers(3)[2], "{strategy}");
            let now = pool.metrics();
            assert_eq!((now.replaced, now.started, now.places), (1, 2, 1), "{strategy}, {resets:?}");
        }
    }
}

#[test]
fn a_thread_that_resets_outlives_a_panic() {
    let panics = Switch::default();
    let bomb = panics.clone();
    let limits = Limits::most(1).resets(Resets::Behind(1));
    let pool =
        Parts::of("copy/full").pool_with(limits, Hooks::default(), move || Bomb(bomb.clone())).unwrap();
    for round in 1..4 {
        panics.on();
        view(&mut pool.checkout().unwrap(), 1, false).unwrap();
        until(&pool, |now| now.replaced == round && now.places == 0);
    }
}

#[test]
fn a_call_that_traps_leaves_a_session_for_the_next() {
    let parts = Parts::of("copy/full");
    let pool = parts.pool(Limits::most(1)).unwrap();
    assert!(view(&mut pool.checkout().unwrap(), 3, true).is_err());
    assert_eq!(view(&mut pool.checkout().unwrap(), 2, false).unwrap(), parts.answers(3)[2]);
    assert_eq!((pool.metrics().started, pool.metrics().replaced), (1, 0));
}

/// A host's state that looks at its pool when it is dropped.
struct Witness {
    pool: Arc<OnceLock<Pool<Self>>>,
    seen: Arc<Mutex<Vec<usize>>>,
}

impl Drop for Witness {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.get() {
            self.seen.lock().unwrap().push(pool.metrics().places);
        }
    }
}

#[test]
fn a_session_is_gone_before_its_place_is_another_s() {
    let (itself, seen) = (Arc::new(OnceLock::new()), Arc::new(Mutex::new(Vec::new())));
    let (of, sees) = (itself.clone(), seen.clone());
    let state = move || Witness { pool: of.clone(), seen: sees.clone() };
    let pool = Parts::of("copy/full").pool_with(Limits::most(1), Hooks::default(), state).unwrap();
    itself.set(pool.clone()).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _lease = pool.checkout().unwrap();
        resume_unwind(Box::new("the caller panics"));
    }));
    assert!(panicked.is_err());
    assert_eq!(*seen.lock().unwrap(), [1], "its place was free while it was still there");
    assert_eq!(pool.metrics().places, 0);
}
