//! What hosts do around an instance, under every strategy: it is the same for all of them, or it is an error.

#[path = "common/guests.rs"]
mod guests;
#[path = "common/sound.rs"]
mod sound;

use std::sync::atomic::{AtomicU32, Ordering};

#[allow(unused_imports, reason = "of use with an older wasmtime only")]
use guests::OlderConfig;
use guests::allow_heap;
use reset_strategies::contract::State;
use reset_strategies::{Availability, Configure, Error, Hooks, Options, Plan, Session, Strategy, registry};
use sound::{Sound, sound_in_place};
use wasmtime::{Caller, Collector, Engine, Linker, Module, ResourceLimiter, Trap, UpdateDeadline};

/// Every strategy that claims to be sound and is available here, the fresh ones too, while no other test has any; says which
/// are not.
fn sound() -> (Sound, Vec<&'static Strategy>) {
    let alone = sound_in_place();
    let strategies = registry::all().iter().copied().filter(|strategy| {
        !strategy.is_control() || ["control/oracle", "control/second-core"].contains(&strategy.name())
    });
    let available = strategies.filter(|strategy| match strategy.availability() {
        Availability::Available => true,
        Availability::Unavailable { reason } => {
            eprintln!("NOT TESTED HERE: {strategy}: {reason}");
            false
        }
    });
    let available: Vec<_> = available.collect();
    assert!(available.len() >= 10, "only {} strategies could be tested", available.len());
    (alone, available)
}

fn start_with<T: 'static>(
    strategy: &'static Strategy,
    guest: &str,
    options: Options,
    link: impl FnOnce(&mut Linker<T>),
    state: impl FnMut() -> T + Send + 'static,
    hooks: Hooks<T>,
) -> Result<Session<T>, Error> {
    let wasm = wat::parse_str(guest).unwrap();
    let plan = Plan::new(strategy, &wasm, options)?;
    let engine = plan.engine()?;
    let module = Module::new(&engine, plan.wasm()).unwrap();
    let mut linker = Linker::new(&engine);
    link(&mut linker);
    plan.start_with(&module, &linker, state, hooks)
}

fn start(strategy: &'static Strategy, guest: &str, options: Options) -> Session<()> {
    let session = start_with(strategy, guest, options, |_| (), || (), Hooks::default());
    session.unwrap_or_else(|error| panic!("{strategy}: {error}"))
}

/// Adds one to a byte of a page, which begins as 5, and traps where it finds another.
const COUNTER: &str = r#"(module
  (memory (export "memory") 2)
  (data (i32.const 70000) "\05")
  (func (export "_start")
    (if (i32.ne (i32.load8_u (i32.const 70000)) (i32.const 5)) (then unreachable))
    (i32.store8 (i32.const 70000) (i32.const 6))
    (i32.store8 (i32.const 4) (i32.const 7))))"#;

#[test]
fn a_forked_child_cannot_reset_and_the_parent_goes_on() {
    let (_alone, strategies) = sound();
    for strategy in strategies {
        let mut session = start(strategy, COUNTER, Options::default());
        for _ in 0..3 {
            session.expect(0);
            session.execute().unwrap_or_else(|error| panic!("{strategy}: {error}"));
            // SAFETY: the child resets and ends; it runs no destructor and no test.
            let child = unsafe { libc::fork() };
            if child == 0 {
                let forked = matches!(session.reset(), Err(Error::Forked));
                let poisoned =
                    matches!(session.reset(), Err(Error::Poisoned(_))) && session.execute().is_err();
                // SAFETY: ends the child.
                unsafe { libc::_exit(i32::from(!(forked && poisoned))) }
            }
            let mut status = 0;
            // SAFETY: the kernel writes one integer, which outlives the call.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            assert_eq!(status, 0, "{strategy}: a reset in a forked child is no error, or is forgotten");
            session.reset().unwrap_or_else(|error| panic!("{strategy}: {error}"));
        }
    }
}

#[test]
fn each_block_has_the_deadline_and_the_fuel_of_the_options() {
    const GUEST: &str = r#"(module
      (import "host" "tick" (func $tick))
      (memory (export "memory") 1)
      (func (export "_start") (call $tick) (call $tick) (loop)))"#;
    let options = Options {
        configure: &|config| {
            config.epoch_interruption(true).consume_fuel(true);
        },
        deadline: 3,
        fuel: 1_000,
        ..Options::default()
    };
    let link = |linker: &mut Linker<()>| {
        linker.func_wrap("host", "tick", |caller: Caller<'_, ()>| caller.engine().increment_epoch()).unwrap();
    };
    let (_alone, strategies) = sound();
    for strategy in strategies {
        let mut session = start_with(strategy, GUEST, options, link, || (), Hooks::default()).unwrap();
        let mut left = Vec::new();
        for block in 0..6 {
            session.expect(0);
            session.execute().unwrap_or_else(|error| panic!("{strategy}, block {block}: {error}"));
            left.push(session.store_mut().unwrap().get_fuel().unwrap());
            session.reset().unwrap();
        }
        assert!(left[0] < 1_000 && left.iter().all(|fuel| *fuel == left[0]), "{strategy}: {left:?}");
    }
}

/// Counts what it has been asked.
#[derive(Default)]
struct Counts {
    asked: Vec<(usize, usize)>,
    late: u32,
}

impl ResourceLimiter for Counts {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.asked.push((current, desired));
        Ok(desired <= 5 << 16)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.asked.push((current, desired));
        Ok(true)
    }
}

#[test]
fn a_limiter_and_a_callback_are_asked_the_same_in_every_block() {
    const GUEST: &str = r#"(module
      (import "host" "tick" (func $tick))
      (memory (export "memory") 2)
      (memory 1)
      (table 7 funcref)
      (func (export "_start")
        (call $tick)
        (if (i32.ne (memory.grow (i32.const 2)) (i32.const 2)) (then unreachable))
        (if (i32.ne (memory.grow (i32.const 2)) (i32.const -1)) (then unreachable))
        (loop)))"#;
    let options = Options {
        configure: &|config| {
            config.epoch_interruption(true);
        },
        deadline: 1,
        ..Options::default()
    };
    let hooks = Hooks::<Counts> {
        limiter: Some(|counts| counts),
        epoch: Some(|mut store| {
            store.data_mut().late += 1;
            Ok(UpdateDeadline::Continue(1))
        }),
        ..Hooks::default()
    };
    let link = |linker: &mut Linker<Counts>| {
        linker
            .func_wrap("host", "tick", |caller: Caller<'_, Counts>| caller.engine().increment_epoch())
            .unwrap();
    };
    let mut expected = None;
    let (_alone, strategies) = sound();
    for strategy in strategies {
        let mut session = start_with(strategy, GUEST, options, link, Counts::default, hooks).unwrap();
        for block in 0..4 {
            session.expect(0);
            session.execute().unwrap_or_else(|error| panic!("{strategy}, block {block}: {error}"));
            let store = session.store_mut().unwrap();
            let told = (store.data().asked.clone(), store.data().late);
            assert!(told.1 > 0, "{strategy}, block {block}: the callback was not called");
            assert_eq!(*expected.get_or_insert(told.clone()), told, "{strategy}, block {block}");
            session.reset().unwrap();
        }
    }
}

/// Puts something on the heap in every block.
const HEAP: &str = r#"(module
  (type $bytes (array (mut i8)))
  (global $last (mut (ref null $bytes)) (ref.null $bytes))
  (func (export "_start") (global.set $last (array.new_default $bytes (i32.const 20000)))))"#;

#[test]
fn the_host_defines_its_functions_anew_for_the_strategy_that_makes_linkers_and_for_no_other() {
    static DEFINED: AtomicU32 = AtomicU32::new(0);
    const GUEST: &str = r#"(module (import "host" "tick" (func $tick)) (memory (export "memory") 1)
        (func (export "_start") (call $tick)))"#;
    fn define(linker: &mut Linker<u32>, _: &Module) -> wasmtime::Result<()> {
        DEFINED.fetch_add(1, Ordering::Relaxed);
        linker.func_wrap("host", "tick", |mut caller: Caller<'_, u32>| *caller.data_mut() += 1)?;
        Ok(())
    }
    let given = |linker: &mut Linker<u32>| {
        linker.func_wrap("host", "tick", |mut caller: Caller<'_, u32>| *caller.data_mut() += 10).unwrap();
    };
    let (_alone, strategies) = sound();
    for strategy in strategies {
        let anew = strategy.name() == "fresh/new-linker";
        for (hooks, by_block) in [
            (Hooks { define: Some(&define), ..Hooks::default() }, if anew { 1 } else { 10 }),
            (Hooks::default(), 10),
        ] {
            DEFINED.store(0, Ordering::Relaxed);
            let mut session =
                start_with(strategy, GUEST, Options::default(), given, u32::default, hooks).unwrap();
            for _ in 0..3 {
                session.execute().unwrap();
                assert_eq!(*session.store_mut().unwrap().data(), by_block, "{strategy}");
                session.reset().unwrap();
            }
            let asked = if anew && by_block == 1 { 4 } else { 0 };
            assert_eq!(DEFINED.load(Ordering::Relaxed), asked, "{strategy}");
        }
    }
}

#[test]
fn the_heap_of_a_block_is_gone_whichever_collector_there_is() {
    let collectors: [Configure; 2] = [
        &|config| {
            allow_heap(config);
            config.collector(Collector::Null).gc_heap_initial_size(1 << 16);
        },
        &|config| {
            allow_heap(config);
            config.collector(Collector::DeferredReferenceCounting);
        },
    ];
    let hooks = Hooks::<Counts> { limiter: Some(|counts| counts), ..Hooks::default() };
    let (_alone, strategies) = sound();
    for configure in collectors {
        let options = Options { configure, ..Options::default() };
        let mut expected = None;
        for &strategy in &strategies {
            let mut session = start_with(strategy, HEAP, options, |_| (), Counts::default, hooks).unwrap();
            for block in 0..40 {
                session.expect(0);
                session.execute().unwrap_or_else(|error| panic!("{strategy}, block {block}: {error:?}"));
                let asked = session.store_mut().unwrap().data().asked.clone();
                assert_eq!(*expected.get_or_insert(asked.clone()), asked, "{strategy}, block {block}");
                session.reset().unwrap();
            }
            // The same without a limiter.
            let mut session = start(strategy, HEAP, options);
            for block in 0..40 {
                session.execute().unwrap_or_else(|error| panic!("{strategy}, block {block}: {error:?}"));
                session.reset().unwrap();
            }
        }
    }
}

#[test]
fn a_start_function_that_calls_abort_is_refused_and_one_that_only_may_is_not() {
    // Another signature than AssemblyScript's, and it returns.
    let guest = |really: i32| {
        format!(
            r#"(module
              (import "env" "abort" (func $abort (param i64) (result i32)))
              (memory (export "memory") 1)
              (global $g (mut i32) (i32.const 0))
              (func $go
                (if (i32.const {really}) (then (global.set $g (call $abort (i64.const 1))))))
              (start $go)
              (func (export "_start") (global.set $g (i32.const 9))))"#
        )
    };
    let link = |linker: &mut Linker<u32>| {
        linker
            .func_wrap("env", "abort", |mut caller: Caller<'_, u32>, _: i64| {
                *caller.data_mut() += 1;
                *caller.data()
            })
            .unwrap();
    };
    for strategy in sound_in_place() {
        let refused = start_with(strategy, &guest(1), Options::default(), link, || 0, Hooks::default()).err();
        let refused = refused.unwrap_or_else(|| panic!("{strategy} takes it")).to_string();
        assert!(refused.contains("start function calls env.abort"), "{strategy}: {refused}");
        let mut session =
            start_with(strategy, &guest(0), Options::default(), link, || 0, Hooks::default()).unwrap();
        session.execute().unwrap();
        session.reset().unwrap();
        assert_eq!(*session.store_mut().unwrap().data(), 0, "{strategy}");
    }
}

#[test]
fn a_reset_that_panics_poisons_the_session() {
    let (_alone, strategies) = sound();
    for strategy in strategies {
        let mut states = 0;
        // Two sessions share the states of `control/second-core`.
        let most = if strategy.name() == "control/second-core" { 3 } else { 2 };
        let state = move || {
            states += 1;
            assert!(states <= most, "no more states");
        };
        let mut session =
            start_with(strategy, COUNTER, Options::default(), |_| (), state, Hooks::default()).unwrap();
        session.expect(0);
        session.execute().unwrap();
        session.reset().unwrap();
        session.execute().unwrap();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| session.reset()));
        assert!(panicked.is_err(), "{strategy}");
        let reasons = [
            session.reset().unwrap_err().to_string(),
            session.execute().unwrap_err().to_string(),
            session.instance().unwrap_err().to_string(),
            session.store_mut().map(drop).unwrap_err().to_string(),
        ];
        for reason in reasons {
            assert!(reason.contains("cannot be used again"), "{strategy}: {reason}");
        }
    }
}

#[test]
fn a_module_of_other_bytes_or_of_another_engine_is_no_module_of_the_plan() {
    let counting = wat::parse_str(
        r#"(module (memory (export "memory") 1) (global $n (mut i32) (i32.const 0))
            (func (export "_start") (global.set $n (i32.add (global.get $n) (i32.const 1)))))"#,
    )
    .unwrap();
    let other = wat::parse_str(COUNTER).unwrap();
    for strategy in sound_in_place() {
        let plan = Plan::new(strategy, &counting, Options::default()).unwrap();
        let theirs = Plan::new(strategy, &other, Options::default()).unwrap();
        let engine = plan.engine().unwrap();
        for (bytes, what) in [(&counting[..], "as it was"), (theirs.wasm(), "another plan's")] {
            let module = Module::new(&engine, bytes).unwrap();
            let refused = plan.start(&module, &Linker::new(&engine), || ()).err();
            assert!(matches!(refused, Some(Error::Foreign(_))), "{strategy}, {what}: {refused:?}");
        }
        let module = Module::new(&engine, plan.wasm()).unwrap();
        let refused = plan.start(&module, &Linker::new(&plan.engine().unwrap()), || ()).err();
        assert!(matches!(refused, Some(Error::Foreign(_))), "{strategy}: {refused:?}");
        // An engine of the host's own, whose memories are not ours.
        let engine = Engine::default();
        let module = Module::new(&engine, plan.wasm()).unwrap();
        let refused = plan.start(&module, &Linker::new(&engine), || ()).err();
        let refused = refused.map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains("another configuration"), "{strategy}: {refused}");
        plan.start(&Module::new(&plan.engine().unwrap(), plan.wasm()).unwrap(), &Linker::new(&engine), || ())
            .map(drop)
            .unwrap_err();
    }
}

#[test]
fn more_globals_than_can_be_exported_are_refused_beforehand() {
    let globals = "(global (mut i32) (i32.const 0))".repeat(1_000_000);
    let wasm = wat::parse_str(format!(r#"(module (memory 1) {globals} (func (export "_start")))"#)).unwrap();
    let error = Plan::new(registry::find("copy/full").unwrap(), &wasm, Options::default()).unwrap_err();
    assert!(error.to_string().contains("1000000 of each are the most"), "{error}");
    Plan::new(registry::find("fresh/relink").unwrap(), &wasm, Options::default()).unwrap();
}

#[test]
fn sizes_just_above_the_most_are_told_apart_from_it() {
    let wasm = wat::parse_str("(module (memory 65536) (memory 1))").unwrap();
    let error = Plan::new(registry::find("copy/full").unwrap(), &wasm, Options::default()).unwrap_err();
    let message =
        "memory 1 brings the initial size to 65537 pages of 64 KiB, and a snapshot is taken of 65536 at most";
    assert!(error.to_string().ends_with(message), "{error}");
}

#[test]
fn what_a_start_function_grows_is_refused_where_a_limiter_would_be_asked_again() {
    const GUEST: &str = r#"(module
      (memory (export "memory") 1)
      (func $go (drop (memory.grow (i32.const 1))))
      (start $go)
      (func (export "_start") (i32.store (i32.const 70000) (i32.const 7))))"#;
    let hooks = Hooks::<Counts> { limiter: Some(|counts| counts), ..Hooks::default() };
    for strategy in sound_in_place() {
        let refused = start_with(strategy, GUEST, Options::default(), |_| (), Counts::default, hooks).err();
        let refused = refused.map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains("start function grows memory 0"), "{strategy}: {refused}");
        let mut session = start(strategy, GUEST, Options::default());
        let facts = reset_strategies::module::Facts::read(&wat::parse_str(GUEST).unwrap()).unwrap();
        let instance = session.instance().unwrap();
        let fresh = State::read(&facts, instance, session.store_mut().unwrap());
        session.execute().unwrap();
        session.reset().unwrap();
        let instance = session.instance().unwrap();
        let difference = fresh.first_difference_in(&facts, instance, session.store_mut().unwrap());
        assert_eq!(difference, None, "{strategy}");
    }
}

#[test]
fn a_block_out_of_fuel_leaves_the_next_one_with_all_of_it() {
    const GUEST: &str = r#"(module
      (memory (export "memory") 1)
      (func (export "_start")
        (if (i32.load8_u (i32.const 9)) (then unreachable))
        (i32.store8 (i32.const 9) (i32.const 1))
        (loop $for_ever (br $for_ever))))"#;
    let options = Options {
        configure: &|config| {
            config.consume_fuel(true);
        },
        fuel: 500,
        ..Options::default()
    };
    let (_alone, strategies) = sound();
    for strategy in strategies {
        let mut session = start(strategy, GUEST, options);
        for block in 0..3 {
            session.expect(0);
            let error = session.execute().unwrap_err();
            assert_eq!(error.downcast_ref(), Some(&Trap::OutOfFuel), "{strategy}, block {block}: {error:?}");
            session.reset().unwrap();
        }
    }
}
