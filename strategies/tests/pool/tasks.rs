//! Callers that are tasks: they wait in the same queue as threads, and may go at any time.

use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::thread;

use reset_strategies::{Hooks, Limits, Options, Plan, Pool, Resets, registry};
use wasmtime::{Linker, Module};

use crate::host::{Parts, block_on, until, view};

#[path = "../common/guests.rs"]
mod guests;
#[path = "../common/once.rs"]
mod once;

use once::Once;

/// Polls once.
fn poll<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

#[test]
fn threads_and_tasks_are_served_in_the_order_in_which_they_came() {
    let pool = Parts::of("copy/full").pool(Limits::most(1)).unwrap();
    let served = Mutex::new(Vec::new());
    let first = pool.checkout().unwrap();
    thread::scope(|scope| {
        for caller in 0..8 {
            let (pool, served) = (&pool, &served);
            scope.spawn(move || {
                let lease = if caller % 2 == 0 { pool.checkout() } else { block_on(pool.checkout_async()) };
                served.lock().unwrap().push(caller);
                drop(lease.unwrap());
            });
            until(pool, |now| now.waiting == caller + 1);
        }
        drop(first);
    });
    assert_eq!(*served.lock().unwrap(), (0..8).collect::<Vec<_>>());
}

#[test]
fn a_task_that_goes_leaves_the_queue_to_those_behind_it() {
    let pool = Parts::of("copy/full").pool(Limits::most(1)).unwrap();
    let lease = pool.checkout().unwrap();
    let mut stays = pin!(pool.checkout_async());
    {
        let mut goes = pin!(pool.checkout_async());
        assert!(poll(goes.as_mut()).is_none() && poll(stays.as_mut()).is_none());
        assert_eq!(pool.metrics().waiting, 2);
    }
    assert_eq!(pool.metrics().waiting, 1);
    drop(lease);
    let lease = poll(stays.as_mut()).expect("it is its turn").unwrap();
    // Given a place, and gone before it came to take it: the next has it.
    let mut last = pin!(pool.checkout_async());
    {
        let mut goes = pin!(pool.checkout_async());
        assert!(poll(goes.as_mut()).is_none() && poll(last.as_mut()).is_none());
        drop(lease);
        assert!(poll(last.as_mut()).is_none(), "who came first is first");
    }
    drop(poll(last.as_mut()).expect("it is its turn").unwrap());
    assert_eq!((pool.metrics().places, pool.metrics().idle), (1, 1));
}

#[test]
fn a_session_given_back_in_a_task_is_ready_for_the_next() {
    let parts = Parts::of("copy/full");
    let pool = parts.pool(Limits::most(1).resets(Resets::AtCheckout)).unwrap();
    let mut lease = block_on(pool.checkout_async()).unwrap();
    view(&mut lease, 3, true).unwrap_err();
    block_on(lease.give_back()).unwrap();
    assert_eq!((pool.metrics().resets, pool.metrics().idle), (1, 1));
    assert_eq!(view(&mut pool.checkout().unwrap(), 2, false).unwrap(), parts.answers(3)[2]);
    assert_eq!(pool.metrics().resets, 1, "it had been reset");
}

/// Its start function waits in the host, so that instances can be made in futures only.
const WAITS: &str = r#"(module
  (import "host" "wait" (func $wait))
  (memory (export "memory") 1)
  (func (export "_start"))
  (func $begin (call $wait) (i32.store (i32.const 8) (i32.const 7)))
  (func (export "view") (param i32 i32) (result i32)
    (call $wait)
    (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (local.get 0)))
    (i32.load (i32.const 8)))
  (start $begin))"#;

fn that_waits(limits: Limits) -> Pool<()> {
    let wasm = wat::parse_str(WAITS).unwrap();
    let configure = &|config: &mut wasmtime::Config| guests::allow_futures(config);
    let options = Options { configure, ..Options::default() };
    let plan = Plan::new(registry::find("fresh/on-demand-copy").unwrap(), &wasm, options).unwrap();
    let engine = plan.engine().unwrap();
    let module = Module::new(&engine, plan.wasm()).unwrap();
    let mut linker = Linker::new(&engine);
    linker.func_wrap_async("host", "wait", |_, ()| Box::new(Once::default())).unwrap();
    Pool::new(plan, &module, &linker, || (), Hooks::default(), limits).unwrap()
}

#[test]
fn a_task_may_go_in_the_middle_of_a_start_or_of_a_reset() {
    let pool = that_waits(Limits::most(1).resets(Resets::AtCheckout));
    assert!(poll(pin!(pool.checkout_async())).is_none(), "the start function waits");
    assert_eq!((pool.metrics().places, pool.metrics().bytes), (0, 0));
    let mut lease = block_on(pool.checkout_async()).unwrap();
    assert_eq!(block_on(lease.call_async::<_, i32>("view", (4, 0))).unwrap(), 11);
    drop(lease);
    assert_eq!(pool.metrics().resets, 0);
    assert!(poll(pin!(pool.checkout_async())).is_none(), "the start function of the new instance waits");
    let mut lease = block_on(pool.checkout_async()).unwrap();
    assert_eq!(block_on(lease.call_async::<_, i32>("view", (5, 0))).unwrap(), 12);
    let now = pool.metrics();
    assert_eq!((now.started, now.replaced, now.places), (1, 0, 1));
}

#[test]
fn what_gives_a_session_back_may_be_dropped() {
    let pool = that_waits(Limits::most(1).resets(Resets::AtCheckout));
    let mut lease = block_on(pool.checkout_async()).unwrap();
    block_on(lease.call_async::<_, i32>("view", (4, 0))).unwrap();
    assert!(poll(pin!(lease.give_back())).is_none(), "the start function of the new instance waits");
    assert_eq!((pool.metrics().places, pool.metrics().idle), (1, 1));
    let mut lease = block_on(pool.checkout_async()).unwrap();
    assert_eq!(block_on(lease.call_async::<_, i32>("view", (5, 0))).unwrap(), 12);
}
