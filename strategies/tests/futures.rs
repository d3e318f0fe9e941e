//! Blocks that are futures: whatever becomes of one, the next block finds a fresh instance.

#[path = "common/guests.rs"]
mod guests;
#[path = "common/once.rs"]
mod once;
#[path = "common/polled.rs"]
mod polled;
#[path = "common/sound.rs"]
mod sound;

use std::pin::pin;
use std::thread;

use once::Once;
use polled::{poll, wait};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use reset_strategies::contract::State;
use reset_strategies::module::Facts;
use reset_strategies::{Error, Options, Plan, Session, Strategy, registry};
use sound::sound_in_place;
use wasmtime::{Linker, Module};

/// Dropped futures over all in-place strategies, at least.
const DROPPED: usize = 10_000;

/// Waits in the host while all that a reset brings back is changed: memory, its size, globals, a table and a dropped segment.
const GUEST: &str = r#"(module
  (import "host" "wait" (func $wait))
  (type $word (func (result i32)))
  (memory (export "memory") 2 8)
  (table $t (export "table") 3 3 funcref)
  (global $n (mut i32) (i32.const 5))
  (data $once "once")
  (elem (i32.const 0) $one $two)
  (func $one (type $word) (i32.const 1))
  (func $two (type $word) (i32.const 2))
  (func $work (param $page i32)
    (local $at i32)
    (local.set $at (i32.shl (local.get $page) (i32.const 12)))
    (loop $bytes
      (i32.store (local.get $at) (i32.add (global.get $n) (i32.load (local.get $at))))
      (global.set $n (i32.add (global.get $n) (i32.const 3)))
      (local.set $at (i32.add (local.get $at) (i32.const 64)))
      (br_if $bytes (i32.and (local.get $at) (i32.const 4095)))))
  (func (export "_start")
    (call $work (i32.const 1))
    (call $wait)
    (memory.init $once (i32.const 9) (i32.const 0) (i32.const 4))
    (data.drop $once)
    (call $wait)
    (call $work (i32.const 17))
    (drop (memory.grow (i32.const 3)))
    (call $wait)
    (call $work (i32.const 70))
    (table.set $t (i32.const 0) (ref.func $two))
    (table.set $t (i32.const 2) (ref.func $one))
    (call $wait)
    (call $work (i32.const 2)))
  (func (export "sum") (param $more i32) (result i32)
    (call $wait)
    (i32.add (local.get $more)
      (i32.add (global.get $n) (call_indirect $t (type $word) (i32.const 0)))))
  (elem declare func $one $two))"#;

/// Fuel after which the guest gives way: several times in each part of a block.
const FUEL: u64 = 300;

fn options() -> Options {
    Options {
        configure: &|config| {
            guests::allow_futures(config.consume_fuel(true));
        },
        fuel_async_yield_interval: Some(FUEL),
        ..Options::default()
    }
}

/// A session of the guest; the state counts the host's calls.
fn start(strategy: &'static Strategy, guest: &str, options: Options) -> Result<Session<u32>, Error> {
    let wasm = wat::parse_str(guest).unwrap();
    let plan = Plan::new(strategy, &wasm, options)?;
    let engine = plan.engine()?;
    let module = Module::new(&engine, plan.wasm()).unwrap();
    let mut linker = Linker::new(&engine);
    linker
        .func_wrap_async("host", "wait", |mut caller, ()| {
            *caller.data_mut() += 1;
            Box::new(Once::default())
        })
        .unwrap();
    wait(plan.start_async(&module, &linker, || 0))
}

fn facts(guest: &str) -> Facts {
    Facts::read(&wat::parse_str(guest).unwrap()).unwrap()
}

fn state(facts: &Facts, session: &mut Session<u32>) -> State {
    let instance = session.instance().unwrap();
    State::read(facts, instance, session.store_mut().unwrap())
}

/// The first difference from what the instance began with, in words.
fn difference(facts: &Facts, fresh: &State, session: &mut Session<u32>) -> Option<String> {
    let instance = session.instance().unwrap();
    let found = fresh.first_difference_in(facts, instance, session.store_mut().unwrap());
    found.map(|difference| difference.to_string())
}

#[test]
fn a_block_that_is_dropped_anywhere_leaves_nothing_behind() {
    let facts = facts(GUEST);
    let strategies = sound_in_place();
    let each = DROPPED.div_ceil(strategies.len());
    let (mut dropped, mut waited) = (0, 0);
    for &strategy in &strategies {
        let mut session = start(strategy, GUEST, options()).unwrap_or_else(|e| panic!("{strategy}: {e}"));
        let fresh = state(&facts, &mut session);
        let mut random = ChaCha8Rng::seed_from_u64(29);
        let mut polls = 0;
        let after = {
            let mut block = pin!(session.execute_async());
            while poll(block.as_mut(), 1).is_none() {
                polls += 1;
            }
            polls
        };
        assert!(after > 10, "{strategy}: a block waits {after} times only");
        let written = state(&facts, &mut session);
        session.reset().unwrap();
        for round in 0..each {
            session.expect(0);
            {
                let mut block = Box::pin(session.execute_async());
                let polls = random.random_range(0..=after);
                assert!(poll(block.as_mut(), polls).is_none(), "{strategy}: it is over after {polls} polls");
                dropped += 1;
                waited += usize::from(polls > 0);
            }
            wait(session.reset_async()).unwrap_or_else(|error| panic!("{strategy}, {round}: {error}"));
            assert_eq!(*session.store_mut().unwrap().data(), 0, "{strategy}, {round}: the host's state");
            if let Some(difference) = difference(&facts, &fresh, &mut session) {
                panic!("{strategy}, dropped future {round}: {difference}");
            }
            // Now and then a block that nobody drops; it does what the first did.
            if round % 16 == 0 {
                session.expect(0);
                wait(session.execute_async()).unwrap();
                assert_eq!(difference(&facts, &written, &mut session), None, "{strategy}, {round}");
                session.reset().unwrap();
            }
        }
    }
    println!("{dropped} dropped futures over {} strategies, {waited} of them in a block", strategies.len());
    assert!(dropped >= DROPPED && waited > dropped / 2);
}

#[test]
fn a_block_goes_on_in_another_thread() {
    let facts = facts(GUEST);
    let strategies = sound_in_place().into_iter().chain(registry::find("fresh/relink"));
    for (strategy, writes_on_calling_thread) in
        strategies.flat_map(|strategy| [false, true].map(|one| (strategy, one)))
    {
        let options = Options { writes_on_calling_thread, ..options() };
        let mut session = start(strategy, GUEST, options).unwrap();
        let fresh = state(&facts, &mut session);
        for block in 0..20 {
            session.expect(0);
            let mut execute = Box::pin(session.execute_async());
            let done = (0..1_000).find_map(|_| {
                let execute = execute.as_mut();
                thread::scope(|scope| scope.spawn(|| poll(execute, 1)).join().unwrap())
            });
            done.expect("it ends").unwrap_or_else(|error| panic!("{strategy}, {block}: {error}"));
            drop(execute);
            thread::scope(|scope| scope.spawn(|| wait(session.reset_async())).join().unwrap()).unwrap();
            assert_eq!(difference(&facts, &fresh, &mut session), None, "{strategy}, {block}");
        }
    }
}

#[test]
fn an_export_with_parameters_is_called_like_a_block() {
    for strategy in sound_in_place().into_iter().chain(registry::find("fresh/relink")) {
        let mut session = start(strategy, GUEST, options()).unwrap();
        let sum = |session: &mut Session<u32>| {
            session.expect(0);
            wait(session.call_async::<i32, i32>("sum", 100)).unwrap()
        };
        assert_eq!(sum(&mut session), 106, "{strategy}");
        wait(session.execute_async()).unwrap();
        assert_ne!(sum(&mut session), 106, "{strategy}: the block has changed nothing");
        wait(session.reset_async()).unwrap();
        assert_eq!(sum(&mut session), 106, "{strategy}");
        for wrong in [
            wait(session.call_async::<(), ()>("nothing", ())).unwrap_err().to_string(),
            wait(session.call_async::<i64, i32>("sum", 1)).unwrap_err().to_string(),
        ] {
            assert!(wrong.contains("nothing") || wrong.contains("type"), "{strategy}: {wrong}");
        }
        wait(session.reset_async()).unwrap();
    }
}

/// Its start function gives way by fuel, and so does a reset that makes an instance.
const SLOW_START: &str = r#"(module
  (import "host" "wait" (func $wait))
  (memory (export "memory") 1)
  (func $begin (local $n i32)
    (loop $again
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $n) (i32.const 2000))))
    (i32.store (i32.const 8) (local.get $n)))
  (start $begin)
  (func (export "_start") (call $wait) (i32.store (i32.const 8) (i32.const 1))))"#;

#[test]
fn a_reset_that_is_dropped_has_to_be_made_again() {
    let facts = facts(SLOW_START);
    let strategy = registry::find("fresh/relink").unwrap();
    let mut session = start(strategy, SLOW_START, options()).unwrap();
    let fresh = state(&facts, &mut session);
    for block in 0..20 {
        wait(session.execute_async()).unwrap();
        assert!(poll(pin!(session.reset_async()), 1 + block % 5).is_none(), "the start function waits");
        let told = wait(session.execute_async()).unwrap_err().to_string();
        assert!(told.contains("reset again"), "{told}");
        wait(session.reset_async()).unwrap();
        assert_eq!(difference(&facts, &fresh, &mut session), None, "{block}");
    }
    for strategy in sound_in_place() {
        let wasm = wat::parse_str(SLOW_START).unwrap();
        let plan = Plan::new(strategy, &wasm, options()).unwrap();
        let engine = plan.engine().unwrap();
        let module = Module::new(&engine, plan.wasm()).unwrap();
        let mut linker = Linker::new(&engine);
        linker.func_wrap_async("host", "wait", |_, ()| Box::new(Once::default())).unwrap();
        for polls in 1..5 {
            assert!(poll(pin!(plan.start_async(&module, &linker, || 0_u32)), polls).is_none(), "{strategy}");
        }
        let mut session = wait(plan.start_async(&module, &linker, || 0_u32)).unwrap();
        assert_eq!(difference(&facts, &fresh, &mut session), None, "{strategy}");
    }
}

#[test]
fn a_session_whose_guest_gives_way_does_not_block() {
    let mut session = start(registry::find("copy/full").unwrap(), GUEST, options()).unwrap();
    assert!(session.execute().is_err(), "the host waits");
    session.reset().unwrap();
    // Without fuel that is counted there is nothing to give way by.
    let uncounted = Options { configure: &guests::allow_futures, ..options() };
    let refused = start(registry::find("copy/full").unwrap(), GUEST, uncounted).err().unwrap();
    assert!(refused.to_string().contains("give way by fuel"), "{refused}");
}
