//! Waiting: deadlines, who may wait, and where resets are.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use reset_strategies::{Error, Hooks, Lease, Limits, Pool, Resets, Scarce};

use crate::host::{Parts, until, view};

/// How a checkout was refused.
fn refused(checkout: Result<Lease<()>, Error>) -> (Scarce, Duration, String) {
    let error = checkout.expect_err("there is no place");
    let text = error.to_string();
    let Error::NoSession { scarce, waited } = error else { panic!("{text}") };
    (scarce, waited, text)
}

#[test]
fn a_deadline_that_passes_says_what_ran_out_and_what_to_do() {
    let pool = Parts::of("copy/full").pool(Limits::most(1).within(Duration::from_millis(2))).unwrap();
    let lease = pool.checkout().unwrap();
    let (scarce, waited, text) = refused(pool.checkout());
    assert_eq!(scarce, Scarce::Places { most: 1 });
    assert!(waited >= Duration::from_millis(2) && text.contains("Limits::most"), "{text}");
    let (scarce, _, _) = refused(pool.checkout_within(Duration::ZERO));
    assert_eq!(scarce, Scarce::Places { most: 1 });
    assert_eq!(pool.metrics().waiting, 0, "whoever gave up waits no more");
    drop(lease);
    pool.checkout_within(Duration::ZERO).expect("it has come back");
    // Longer than there is time: as good as no deadline.
    pool.checkout_within(Duration::MAX).unwrap();
}

#[test]
fn one_too_many_who_would_wait_is_told_at_once() {
    let pool = Parts::of("copy/full").pool(Limits::most(1).most_waiting(1)).unwrap();
    let lease = pool.checkout().unwrap();
    thread::scope(|scope| {
        let waits = scope.spawn(|| pool.checkout().map(drop));
        until(&pool, |now| now.waiting == 1);
        let (scarce, _, text) = refused(pool.checkout());
        assert_eq!(scarce, Scarce::Waiting { most: 1 });
        assert!(text.contains("Limits::most_waiting"), "{text}");
        drop(lease);
        waits.join().unwrap().unwrap();
    });
}

#[test]
fn a_session_that_nobody_touched_is_not_reset() {
    let pool = Parts::of("copy/full").pool(Limits::most(1)).unwrap();
    drop(pool.checkout().unwrap());
    pool.checkout().unwrap().instance().unwrap();
    assert_eq!(pool.metrics().resets, 0);
    view(&mut pool.checkout().unwrap(), 1, false).unwrap();
    assert_eq!(pool.metrics().resets, 1);
}

#[test]
fn resets_are_where_they_were_asked_for_and_metrics_add_up() {
    for (resets, after_return, after_next) in
        [(Resets::Inline, 1, 2), (Resets::AtCheckout, 0, 1), (Resets::Behind(1), 1, 2)]
    {
        let pool = Parts::of("copy/full").pool(Limits::most(2).resets(resets)).unwrap();
        let mut lease = pool.checkout().unwrap();
        view(&mut lease, 1, false).unwrap();
        let now = pool.metrics();
        assert_eq!((now.places, now.in_use, now.idle, now.resets), (1, 1, 0, 0), "{resets:?}");
        drop(lease);
        if let Resets::Behind(_) = resets {
            until(&pool, |now| now.resets == 1 && now.idle == 1);
        }
        let now = pool.metrics();
        assert_eq!((now.places, now.in_use, now.idle), (1, 0, 1), "{resets:?}");
        assert_eq!((now.resets, now.to_reset), (after_return, 1 - after_return as usize), "{resets:?}");
        view(&mut pool.checkout().unwrap(), 2, false).unwrap();
        if let Resets::Behind(_) = resets {
            until(&pool, |now| now.resets == 2 && now.idle == 1);
        }
        let now = pool.metrics();
        assert_eq!(now.resets, after_next, "{resets:?}");
        assert_eq!((now.started, now.replaced, now.shed), (1, 0, 0), "{resets:?}");
        assert!(now.bytes > 0 && !now.reset_time.is_zero(), "{now:?}");
    }
}

/// A pool whose resets wait at a barrier, once it is closed.
fn that_stops(resets: Resets) -> (Pool<()>, Arc<AtomicBool>, Arc<Barrier>) {
    let (stops, barrier) = (Arc::new(AtomicBool::new(false)), Arc::new(Barrier::new(2)));
    let (stopped, gate) = (stops.clone(), barrier.clone());
    let state = move || {
        if stopped.swap(false, Ordering::Relaxed) {
            gate.wait();
            gate.wait();
        }
    };
    let pool = Parts::of("copy/full").pool_with(Limits::most(2).resets(resets), Hooks::default(), state);
    (pool.unwrap(), stops, barrier)
}

#[test]
fn while_a_session_is_reset_others_come_and_go() {
    for resets in [Resets::Inline, Resets::Behind(1)] {
        let (pool, stops, barrier) = that_stops(resets);
        let mut lease = pool.checkout().unwrap();
        view(&mut lease, 1, false).unwrap();
        let other = pool.checkout().unwrap();
        stops.store(true, Ordering::Relaxed);
        thread::scope(|scope| {
            scope.spawn(move || drop(lease));
            // In the middle of the reset.
            barrier.wait();
            drop(other);
            drop(pool.checkout().unwrap());
            let now = pool.metrics();
            assert_eq!((now.places, now.in_use, now.idle), (2, 1, 1), "{resets:?}");
            barrier.wait();
        });
        until(&pool, |now| now.idle == 2);
    }
}

#[test]
fn a_pool_ends_with_its_last_handle_whatever_its_threads_are_at() {
    let (pool, stops, barrier) = that_stops(Resets::Behind(1));
    let mut lease = pool.checkout().unwrap();
    view(&mut lease, 1, false).unwrap();
    stops.store(true, Ordering::Relaxed);
    drop(lease);
    barrier.wait();
    let ends = thread::spawn(move || drop(pool));
    barrier.wait();
    ends.join().unwrap();
    // Nobody makes states any more: the sessions are gone, too.
    assert_eq!(Arc::strong_count(&stops), 1);
}
