//! The reset contract, for every strategy on guests that change everything that they can.

#[path = "common/guests.rs"]
mod guests;

#[allow(unused_imports, reason = "of use with an older wasmtime only")]
use guests::OlderStore;
use guests::options;
use reset_strategies::contract::{Difference, Edges, State};
use reset_strategies::module::Facts;
use reset_strategies::{Availability, Lifecycle, Options, Plan, Session, Strategy, registry};
use wasmtime::{Linker, Module};

/// Writes to its data segment, to untouched pages, to grown pages, to hidden globals and to tables, and drops segments.
const GUEST: &str = r#"
(module
  (memory (export "memory") 3)
  (memory $second 1)
  (data (i32.const 70000) "initial")
  (data $bytes "passive")
  (global $hidden (mut i64) (i64.const 42))
  (global $vector (mut v128) (v128.const i64x2 1 2))
  (global $function (mut funcref) (ref.func $one))
  (global $object (mut anyref) (ref.null any))
  (table $t 4 funcref)
  (table $typed 2 (ref null $answer))
  (table $objects 2 anyref)
  (type $answer (func (result i32)))
  (elem (i32.const 0) $one $one)
  (elem $functions func $two)
  (func $one (type $answer) i32.const 1)
  (func $two (type $answer) i32.const 2)
  (elem declare func $one $two)
  (func (export "_start")
    (local $page i32)
    (memory.init $bytes (i32.const 160000) (i32.const 0) (i32.const 7))
    (data.drop $bytes)
    (table.init $t $functions (i32.const 2) (i32.const 0) (i32.const 1))
    (elem.drop $functions)
    (i32.store $second (i32.const 4) (i32.const 5))
    (drop (memory.grow $second (i32.const 1)))
    (global.set $vector (v128.const i64x2 3 4))
    (global.set $function (ref.func $two))
    (global.set $object (ref.i31 (i32.const 7)))
    (table.set $typed (i32.const 1) (ref.func $two))
    (table.set $objects (i32.const 0) (global.get $object))
    (table.set $t (i32.const 1) (ref.func $two))
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
    start_with(strategy, wasm, options())
}

fn start_with(strategy: &'static Strategy, wasm: &[u8], options: Options) -> (Session<()>, State) {
    let plan = Plan::new(strategy, wasm, options).unwrap();
    let engine = plan.engine().unwrap();
    let module = Module::new(&engine, plan.wasm()).unwrap();
    let mut session = plan.start(&module, &Linker::new(&engine), || ()).unwrap();
    let instance = session.instance().unwrap();
    let fresh = State::read(plan.facts(), instance, session.store_mut().unwrap());
    (session, fresh)
}

fn state(session: &mut Session<()>, wasm: &[u8]) -> State {
    let facts = Facts::read(wasm).unwrap();
    let instance = session.instance().unwrap();
    State::read(&facts, instance, session.store_mut().unwrap())
}

fn difference(fresh: &State, session: &mut Session<()>, wasm: &[u8]) -> Option<Difference> {
    let facts = Facts::read(wasm).unwrap();
    let instance = session.instance().unwrap();
    fresh.first_difference_in(&facts, instance, session.store_mut().unwrap())
}

fn call(session: &mut Session<()>, name: &str) -> Option<i32> {
    let instance = session.instance().unwrap();
    let store = &mut session.store_mut().unwrap();
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
    let sound_controls = ["control/oracle", "control/second-core"];
    let sound =
        available(false).chain(available(true).filter(|control| sound_controls.contains(&control.name())));
    for strategy in sound {
        let (mut session, fresh) = start(strategy, &wasm);
        for block in 0..5 {
            session.expect(0);
            session.execute().unwrap_or_else(|e| panic!("{strategy}, block {block}: {e}"));
            assert_eq!(call(&mut session, "size"), Some(8), "{strategy}, block {block}");
            session.reset().unwrap_or_else(|e| panic!("{strategy}, block {block}: {e}"));
            let found = state(&mut session, &wasm);
            assert_eq!(fresh.first_difference(&found), None, "{strategy}, block {block}");
            assert_eq!(difference(&fresh, &mut session, &wasm), None, "{strategy}, block {block}");
            assert_eq!(call(&mut session, "size"), Some(3), "{strategy}, block {block}");
            assert_eq!(call(&mut session, "beyond"), None, "{strategy} reads beyond its memory");
        }
        if let Lifecycle::InPlace(_) = strategy.lifecycle() {
            let facts = Facts::read(&wasm).unwrap();
            for _ in 0..2 {
                let instance = session.instance().unwrap();
                let edges = Edges::of(&facts, instance, session.store_mut().unwrap()).unwrap();
                assert_eq!(
                    edges.first_difference(&fresh, session.store_mut().unwrap(), 7).unwrap(),
                    None,
                    "{strategy}"
                );
                assert_eq!(call(&mut session, "size"), Some(10), "{strategy}");
                session.reset().unwrap();
                assert_eq!(difference(&fresh, &mut session, &wasm), None, "{strategy}, after growing");
            }
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
        (r#"(import "m" "t" (table 1 funcref))"#, "table 0 is imported"),
        (r#"(import "m" "g" (global (mut i32)))"#, "global 0 is imported"),
        (
            r#"(import "m" "g" (global $g externref)) (global (mut externref) (global.get $g))"#,
            "global 1 is mutable and begins with a reference",
        ),
        (
            r#"(import "m" "g" (global $g externref)) (table 1 externref (global.get $g))
               (func (table.set (i32.const 0) (ref.null extern)))"#,
            "table 0 can be written and begins with references",
        ),
        (r#"(import "m" "f" (func $f)) (start $f)"#, "start function 0 may call m.f"),
        (
            r#"(import "m" "f" (func $f)) (elem func $f) (table 1 funcref)
               (func $go (call_indirect (i32.const 0))) (start $go)"#,
            "start function 1 may call m.f",
        ),
        (r#"(import "m" "m" (memory 1))"#, "memory 0 is imported"),
        ("(memory 1 2 shared)", "memory 0 is shared"),
        ("(memory i64 1)", "memory 0 has 64-bit addresses and no maximum"),
        (
            "(memory 65536) (memory 1)",
            "memory 1 brings the initial size to 65537 pages of 64 KiB, and a snapshot is taken of 65536 at most",
        ),
        ("(memory 40000) (memory 40000)", "memory 1 brings the initial size to 80000 pages"),
        (
            "(table 10000000 funcref) (table 1 funcref)
             (func (table.set 0 (i32.const 0) (ref.null func)) (table.set 1 (i32.const 0) (ref.null func)))",
            "table 1 brings the elements to write back to 10000001",
        ),
        (
            r#"(type $a (array i8)) (data $d "x")
               (func (drop (array.new_data $a $d (i32.const 0) (i32.const 1))) (data.drop $d))"#,
            "data segment 0 is dropped by data.drop and read by array.new_data",
        ),
        (
            "(type $s (struct (field (mut i32)))) (global (ref $s) (struct.new $s (i32.const 1)))",
            "type 0 lives on a heap that cannot be brought back, and a constant expression allocates there",
        ),
        (
            "(type (func)) (type $a (array (mut anyref)))",
            "type 1 lives on a heap where type 1 can make circles",
        ),
        (
            "(type $s (struct)) (func $go) (start $go)",
            "type 0 lives on a heap that cannot be brought back, and the start function may allocate there",
        ),
    ] {
        let guest = format!(r#"(module {guest} (memory (export "memory") 1) (func (export "_start")))"#);
        let wasm = wat::parse_str(guest).unwrap();
        let error = Plan::new(registry::find("copy/full").unwrap(), &wasm, options()).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        let fresh = Plan::new(registry::find("fresh/relink").unwrap(), &wasm, options());
        assert_eq!(
            fresh.is_ok(),
            !reason.contains("is shared"),
            "a fresh instance has what it can be made with"
        );
    }
}

#[test]
fn what_a_block_put_on_the_heap_is_gone_after_the_reset() {
    if !guests::has_exceptions() {
        return;
    }
    let options = Options { configure: &guests::allow_exceptions, ..options() };
    let wasm = wat::parse_str(
        r#"(module
          (type $bytes (array (mut i8)))
          (type $chain (struct (field (ref null $chain)) (field (ref $bytes))))
          (tag $overflow (param (ref $chain)))
          (global $last (mut (ref null $chain)) (ref.null $chain))
          (func (export "_start")
            (local $left i32)
            (local.set $left (i32.const 100))
            (loop $more
              (global.set $last (struct.new $chain (global.get $last) (array.new_default $bytes (i32.const 10000))))
              (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            (throw $overflow (ref.as_non_null (global.get $last)))))"#,
    )
    .unwrap();
    for strategy in available(false).filter(|strategy| strategy.family() != "fresh") {
        let (mut session, fresh) = start_with(strategy, &wasm, options);
        for block in 0..20 {
            assert!(session.execute().is_err());
            let done = session.reset().unwrap();
            // A heap that has grown is not brought back: the instance is made anew.
            assert_eq!(done.instances, 1, "{strategy}, block {block}");
            assert_eq!(difference(&fresh, &mut session, &wasm), None, "{strategy}, block {block}");
            assert!(!session.store_mut().unwrap().has_pending_exception(), "{strategy}, block {block}");
        }
    }
}
