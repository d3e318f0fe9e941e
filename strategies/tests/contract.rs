//! The reset contract, for every strategy on guests that change everything that they can.

use reset_strategies::contract::State;
use reset_strategies::{Availability, Options, Plan, Session, Strategy, registry};
use wasmtime::{Linker, Module};

/// Writes to its data segment, to untouched pages, to grown pages, to a hidden global and to a table.
const GUEST: &str = r#"
(module
  (memory (export "memory") 3)
  (data (i32.const 70000) "initial")
  (global $hidden (mut i64) (i64.const 42))
  (table $t 4 funcref)
  (elem (i32.const 0) $one $one)
  (func $one (result i32) i32.const 1)
  (elem declare func $one)
  (func (export "_start")
    (local $page i32)
    (i32.store (i32.const 70000) (i32.const -1))
    (i32.store (i32.const 8) (i32.const 7))
    (i32.store (i32.const 150000) (i32.add (i32.load (i32.const 150000)) (i32.const 1)))
    (global.set $hidden (i64.add (global.get $hidden) (i64.const 1)))
    (table.set $t (i32.const 0) (ref.null func))
    (table.set $t (i32.const 3) (ref.func $one))
    (local.set $page (memory.grow (i32.const 5)))
    (i32.store (i32.mul (local.get $page) (i32.const 65536)) (i32.const 99))
    (i32.store (i32.add (i32.mul (local.get $page) (i32.const 65536)) (i32.const 300000)) (i32.const 99)))
  (func (export "size") (result i32) memory.size)
  (func (export "beyond") (result i32) (i32.load (i32.const 196608))))
"#;

fn start(strategy: &'static Strategy, wasm: &[u8]) -> (Session<()>, State) {
    let plan = Plan::new(strategy, wasm, Options::default()).unwrap();
    let engine = plan.engine().unwrap();
    let module = Module::new(&engine, plan.wasm()).unwrap();
    let mut session = plan.start(&module, &Linker::new(&engine), || ()).unwrap();
    let instance = session.instance();
    let fresh = State::read(plan.facts(), instance, session.store_mut());
    (session, fresh)
}

fn state(session: &mut Session<()>, wasm: &[u8]) -> State {
    let facts = reset_strategies::module::Facts::read(wasm).unwrap();
    let instance = session.instance();
    State::read(&facts, instance, session.store_mut())
}

fn call(session: &mut Session<()>, name: &str) -> Option<i32> {
    let instance = session.instance();
    let store = session.store_mut();
    instance.get_typed_func::<(), i32>(&mut *store, name).unwrap().call(store, ()).ok()
}

/// The strategies whose mechanisms are here; says which are not.
fn available(control: bool) -> impl Iterator<Item = &'static Strategy> {
    registry::all().iter().copied().filter(move |strategy| {
        if strategy.is_control() != control {
            return false;
        }
        match strategy.availability() {
            Availability::Available => true,
            Availability::Unavailable { reason } => {
                eprintln!("not tested here: {strategy}: {reason}");
                false
            }
        }
    })
}

#[test]
fn every_sound_strategy_brings_everything_back() {
    let wasm = wat::parse_str(GUEST).unwrap();
    let mut tested = 0;
    for strategy in available(false).chain(registry::find("control/oracle")) {
        let (mut session, fresh) = start(strategy, &wasm);
        for block in 0..5 {
            session.expect(0);
            session.execute().unwrap_or_else(|e| panic!("{strategy}, block {block}: {e}"));
            assert_eq!(call(&mut session, "size"), Some(8), "{strategy}, block {block}");
            session.reset().unwrap_or_else(|e| panic!("{strategy}, block {block}: {e}"));
            let found = state(&mut session, &wasm);
            assert_eq!(fresh.first_difference(&found), None, "{strategy}, block {block}");
            assert_eq!(call(&mut session, "size"), Some(3), "{strategy}, block {block}");
            assert_eq!(call(&mut session, "beyond"), None, "{strategy} reads beyond its memory");
        }
        tested += 1;
    }
    assert!(tested >= 10, "only {tested} strategies could be tested");
}

#[test]
fn controls_that_leak_are_seen_to_leak() {
    let wasm = wat::parse_str(GUEST).unwrap();
    for (name, difference) in [
        ("control/none", "memory 0 has 524288 bytes where a fresh instance has 196608"),
        ("control/zero-all", "memory 0 has 524288 bytes where a fresh instance has 196608"),
    ] {
        let (mut session, fresh) = start(registry::find(name).unwrap(), &wasm);
        session.execute().unwrap();
        session.reset().unwrap();
        let found = fresh.first_difference(&state(&mut session, &wasm)).expect("a leak");
        assert_eq!(found.to_string(), difference, "{name}");
    }
}

#[test]
fn a_reset_says_what_it_did() {
    let wasm = wat::parse_str(GUEST).unwrap();
    let page = reset_strategies::sys::page::size() as u64;
    for strategy in available(false) {
        let (mut session, _) = start(strategy, &wasm);
        session.execute().unwrap();
        let done = session.reset().unwrap();
        if strategy.family() == "fresh" {
            assert_eq!(done.instances, 1, "{strategy}");
        } else {
            assert!(done.bytes_restored + done.bytes_returned >= 5 * page, "{strategy}: {done:?}");
            assert_eq!(done.bytes_restored % page, 0, "{strategy}: {done:?}");
        }
    }
}

#[test]
fn in_place_strategies_refuse_what_they_cannot_restore_and_name_it() {
    for (guest, reason) in [
        ("(table 1 funcref) (func (drop (table.grow (ref.null func) (i32.const 1))))", "table 0 is grown"),
        (r#"(data "x") (func (data.drop 0))"#, "data segment 0 is dropped"),
        ("(elem funcref) (func (elem.drop 0))", "element segment 0 is dropped"),
        ("(global (mut funcref) (ref.null func))", "global 0 is a mutable reference"),
        (r#"(import "m" "g" (global (mut i32)))"#, "global 0 is imported"),
        (r#"(import "m" "f" (func $f)) (start $f)"#, "start function 0 may call m.f"),
        ("(memory 1 2 shared)", "memory 1 is shared"),
    ] {
        let guest = format!(r#"(module {guest} (memory (export "memory") 1) (func (export "_start")))"#);
        // Memories are numbered in order: the shared one comes first.
        let reason = reason.replace("memory 1", "memory 0");
        let wasm = wat::parse_str(guest).unwrap();
        let error = Plan::new(registry::find("copy/full").unwrap(), &wasm, Options::default()).unwrap_err();
        assert!(error.to_string().contains(&reason), "{error}");
        assert!(Plan::new(registry::find("fresh/relink").unwrap(), &wasm, Options::default()).is_ok());
    }
}
