//! What a pool promises, as properties that hold for it and fail for each mutant.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::Duration;

use reset_strategies::{Availability, Limits, Pool, Resets, Strategy, registry};

use crate::host::{Parts, until, view};
use crate::sound::sound_in_place;

/// Makes the pool that is examined.
pub type Make<'a> = &'a dyn Fn(Limits) -> Pool<()>;

/// A promise: nothing, or how it was broken.
pub type Promise = fn(&Parts, Make<'_>) -> Result<(), String>;

/// All of them, by name.
pub const PROMISES: [(&str, Promise); 4] = [
    ("answers", answers),
    ("in turn", in_turn),
    ("after panic", after_panic),
    ("keeps places", keeps_places),
];

const PLACES: usize = 3;
const THREADS: usize = 6;
const CALLS: usize = 40;

/// Where a session may be reset.
const RESETS: [Resets; 3] = [Resets::Inline, Resets::Behind(1), Resets::AtCheckout];

/// However many callers there are, each answer is that of a fresh instance, and those that fail fail.
fn answers(parts: &Parts, make: Make<'_>) -> Result<(), String> {
    let expected = parts.answers((THREADS * CALLS) as i32 + 1);
    for resets in RESETS {
        let places = if parts.strategy.is_process_wide() { 1 } else { PLACES };
        let pool = make(Limits::most(places).resets(resets));
        let begin = Barrier::new(THREADS);
        let call = |seed: usize| -> Result<(), String> {
            let mut lease = pool.checkout().map_err(|error| error.to_string())?;
            let fails = seed.is_multiple_of(5);
            match view(&mut lease, seed as i32, fails) {
                Ok(answer) if !fails && answer == expected[seed] => Ok(()),
                Err(_) if fails => Ok(()),
                other => Err(format!("{resets:?}: {other:?} to {seed}, and not {}", expected[seed])),
            }
        };
        let run = |thread: usize| {
            begin.wait();
            (1..=CALLS).try_for_each(|turn| call(thread * CALLS + turn))
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || run(thread))).collect();
            threads.into_iter().try_for_each(|thread| thread.join().unwrap())
        })?;
        // A thread behind it may not have come to the last one yet, or be at it still.
        until(&pool, |now| now.in_use == 0 && (now.to_reset == 0 || resets == Resets::AtCheckout));
        let done = pool.metrics();
        if (done.in_use, done.waiting, done.replaced, done.started) != (0, 0, 0, done.places as u64) {
            return Err(format!("{resets:?}: it has not come to rest: {done:?}"));
        }
    }
    Ok(())
}

/// Who came first is served first.
fn in_turn(_: &Parts, make: Make<'_>) -> Result<(), String> {
    let pool = make(Limits::most(1));
    let served = Mutex::new(Vec::new());
    let first = pool.checkout().unwrap();
    thread::scope(|scope| {
        for caller in 0..THREADS {
            let (pool, served) = (&pool, &served);
            scope.spawn(move || {
                let _lease = pool.checkout().unwrap();
                served.lock().unwrap().push(caller);
            });
            until(pool, |now| now.waiting == caller + 1);
        }
        drop(first);
    });
    let served = served.into_inner().unwrap();
    if served.iter().copied().eq(0..THREADS) {
        Ok(())
    } else {
        Err(format!("served in the order {served:?}"))
    }
}

/// A session whose caller panicked is not used again, and the pool goes on.
fn after_panic(parts: &Parts, make: Make<'_>) -> Result<(), String> {
    let pool = make(Limits::most(1));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut lease = pool.checkout().unwrap();
        view(&mut lease, 3, false).unwrap();
        // Without a message on the terminal.
        std::panic::resume_unwind(Box::new("the caller panics"));
    }));
    assert!(panicked.is_err());
    let mut lease = pool.checkout_within(Duration::ZERO).map_err(|error| error.to_string())?;
    assert_eq!(view(&mut lease, 1, false).unwrap(), parts.answers(2)[1]);
    let done = pool.metrics();
    if (done.replaced, done.started, done.places) == (1, 2, 1) { Ok(()) } else { Err(format!("{done:?}")) }
}

/// However leases and waiting end, there are as many places as before.
fn keeps_places(_: &Parts, make: Make<'_>) -> Result<(), String> {
    let pool = make(Limits::most(PLACES));
    for _ in 0..2 * PLACES {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _lease = pool.checkout_within(Duration::ZERO).unwrap();
            std::panic::resume_unwind(Box::new("the caller panics"));
        }));
        assert!(panicked.is_err());
    }
    let all: Vec<_> = (0..PLACES).map_while(|_| pool.checkout_within(Duration::ZERO).ok()).collect();
    if all.len() < PLACES {
        return Err(format!("{} places are left after panics", all.len()));
    }
    #[cfg(feature = "async")]
    gone_before_its_turn(&pool, all)?;
    Ok(())
}

/// A future that was given a place and is dropped before it is polled leaves it to the next.
#[cfg(feature = "async")]
fn gone_before_its_turn(pool: &Pool<()>, all: Vec<reset_strategies::Lease<()>>) -> Result<(), String> {
    use std::task::{Context, Waker};
    let mut turns: Vec<_> = (0..2).map(|_| Box::pin(pool.checkout_async())).collect();
    for turn in &mut turns {
        assert!(turn.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    // Both are given one.
    drop(all);
    assert_eq!(pool.metrics().waiting, 0);
    drop(turns);
    let all: Vec<_> = (0..PLACES).map_while(|_| pool.checkout_within(Duration::ZERO).ok()).collect();
    if all.len() < PLACES {
        return Err(format!("{} places are left after futures that were dropped", all.len()));
    }
    Ok(())
}

/// Strategies whose mechanisms are here: fresh ones and those in place.
fn fresh() -> impl Iterator<Item = &'static Strategy> {
    let fresh = registry::all().iter().copied().filter(|strategy| strategy.family() == "fresh");
    fresh.filter(|strategy| match strategy.availability() {
        Availability::Available => true,
        Availability::Unavailable { reason } => {
            eprintln!("NOT TESTED HERE: {strategy}: {reason}");
            false
        }
    })
}

#[test]
fn under_every_strategy_many_callers_get_the_answers_of_fresh_instances() {
    let in_place = sound_in_place();
    for strategy in in_place.iter().copied().chain(fresh()) {
        let parts = Parts::new(strategy);
        let make = |limits| parts.pool(limits).unwrap_or_else(|error| panic!("{strategy}: {error}"));
        answers(&parts, &make).unwrap_or_else(|broken| panic!("{strategy}: {broken}"));
    }
}

#[test]
fn a_pool_keeps_what_it_promises() {
    for strategy in ["copy/full", "fresh/on-demand-copy"] {
        let parts = Parts::of(strategy);
        for (name, promise) in PROMISES {
            promise(&parts, &|limits| parts.pool(limits).unwrap())
                .unwrap_or_else(|broken| panic!("{strategy}: {name}: {broken}"));
        }
    }
}
