//! Bounds: bytes, places, and what the kernel allows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use reset_strategies::{Error, Hooks, Limits, Resets, Scarce};

use crate::child;
use crate::host::{INITIAL, Parts, SESSIONS, until, view};

#[test]
fn places_hold_no_more_bytes_than_they_may() {
    for strategy in ["copy/full", "fresh/on-demand-copy"] {
        let parts = Parts::of(strategy);
        let one = {
            let pool = parts.pool(Limits::most(1)).unwrap();
            let mut lease = pool.checkout().unwrap();
            assert_eq!(lease.memory_bytes(), pool.metrics().bytes, "{strategy}");
            pool.metrics().bytes
        };
        assert!((INITIAL..2 * INITIAL).contains(&one), "{strategy}: {one}");
        let pool = parts.pool(Limits::most(10).most_bytes(3 * one)).unwrap();
        let leases: Vec<_> = (0..3).map(|_| pool.checkout_within(Duration::ZERO).unwrap()).collect();
        let error = pool.checkout_within(Duration::ZERO).unwrap_err();
        assert!(error.to_string().contains("Limits::most_bytes"), "{error}");
        let Error::NoSession { scarce: Scarce::Bytes { most, held, place }, .. } = error else {
            panic!("{strategy}: {error}");
        };
        assert_eq!((most, held, place), (3 * one, 3 * one, one), "{strategy}");
        drop(leases);
        pool.checkout_within(Duration::ZERO).unwrap();
    }
}

#[test]
fn a_session_that_has_grown_beyond_the_bound_is_dropped_where_it_would_keep_that() {
    for (strategy, keeps) in [("copy/full", true), ("remap/madvise", false), ("fresh/on-demand-copy", false)]
    {
        let pool = Parts::of(strategy).pool(Limits::most(4).most_bytes(4 * INITIAL)).unwrap();
        let mut lease = pool.checkout().unwrap();
        let one = pool.metrics().bytes;
        lease.call::<_, i32>("grow", 8).unwrap();
        drop(lease);
        let now = pool.metrics();
        let left = if keeps { (0, 0, 1) } else { (1, one, 0) };
        assert_eq!((now.places, now.bytes, now.shed), left, "{strategy}");
        // What is within the bound stays.
        let mut lease = pool.checkout().unwrap();
        lease.call::<_, i32>("grow", 1).unwrap();
        drop(lease);
        let now = pool.metrics();
        assert_eq!(now.places, 1, "{strategy}");
        assert_eq!(now.bytes, if keeps { one + (1 << 16) } else { one }, "{strategy}");
    }
}

#[test]
fn a_session_that_waits_for_its_reset_is_within_the_bound_too() {
    for strategy in ["copy/full", "remap/madvise", "fresh/on-demand-copy"] {
        let limits = Limits::most(4).most_bytes(4 * INITIAL).resets(Resets::AtCheckout);
        let pool = Parts::of(strategy).pool(limits).unwrap();
        let mut lease = pool.checkout().unwrap();
        lease.call::<_, i32>("grow", 8).unwrap();
        drop(lease);
        let now = pool.metrics();
        assert_eq!((now.places, now.bytes, now.shed), (0, 0, 1), "{strategy}");
    }
}

#[test]
fn who_waits_for_bytes_is_served_as_soon_as_a_start_takes_less_than_it_might_have() {
    let (stops, gate) = (Arc::new(AtomicBool::new(true)), Arc::new(Barrier::new(2)));
    let (stopped, barrier) = (stops.clone(), gate.clone());
    let state = move || {
        if stopped.swap(false, Ordering::Relaxed) {
            barrier.wait();
            barrier.wait();
        }
    };
    // Less than two memories with snapshots as large as they might be, and more than they are.
    let limits = Limits::most(2).most_bytes(3 * INITIAL);
    let pool = Parts::of("copy/full").pool_with(limits, Hooks::default(), state).unwrap();
    thread::scope(|scope| {
        let first = scope.spawn(|| pool.checkout().unwrap());
        gate.wait();
        let second = scope.spawn(|| pool.checkout().unwrap());
        until(&pool, |now| now.waiting == 1);
        gate.wait();
        let _both = (first.join().unwrap(), second.join().unwrap());
        assert_eq!(pool.metrics().in_use, 2);
    });
}

#[test]
fn a_pool_of_the_engine_s_has_room_for_as_many_as_were_announced() {
    let parts = Parts::of("fresh/pooling");
    let refused = parts.pool(Limits::most(SESSIONS as usize + 1)).unwrap_err();
    assert!(refused.to_string().contains("Options::sessions"), "{refused}");
    let pool = parts.pool(Limits::most(SESSIONS as usize)).unwrap();
    for _ in 0..3 {
        let mut all: Vec<_> = (0..SESSIONS).map(|_| pool.checkout().unwrap()).collect();
        all.iter_mut().for_each(|lease| assert!(view(lease, 3, false).is_ok()));
    }
    assert_eq!(pool.metrics().started, SESSIONS.into());
}

#[test]
fn a_start_that_the_kernel_refuses_names_the_limit() {
    if !child::is("bounds::a_start_that_the_kernel_refuses_names_the_limit") {
        return;
    }
    let pool = Parts::of("copy/full").pool(Limits::most(2)).unwrap();
    let _first = pool.checkout().unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let taken = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let taken = taken.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024;
    let limit = libc::rlimit { rlim_cur: taken + (1 << 30), rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the kernel reads one `struct rlimit`, which outlives the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
    let error = pool.checkout().unwrap_err();
    assert!(matches!(error, Error::NoRoom { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("RLIMIT_AS") && text.contains("ulimit -v") && text.contains("Limits::most"),
        "{text}"
    );
    assert_eq!(pool.metrics().places, 1);
}
