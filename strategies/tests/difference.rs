//! What the comparison with a fresh instance sees, kind by kind, and that it sees nothing where there is nothing.

#[path = "common/guests.rs"]
mod guests;

use std::io;

use guests::options;
use reset_strategies::contract::{Edges, State};
use reset_strategies::in_place::InPlace;
use reset_strategies::module::{Facts, instrument};
use reset_strategies::restore::{Copy, Restoration, Restorer};
use reset_strategies::{Plan, Session, Strategy, registry};
use wasmtime::{Config, Engine, Linker, Module, Store};

fn linker(engine: &Engine) -> Linker<()> {
    let mut linker = Linker::new(engine);
    linker.func_wrap("host", "give", || 7_i32).unwrap();
    linker
}

/// The state of a fresh instance in a store of its own, of the module as it is or instrumented.
fn fresh(facts: &Facts, wasm: &[u8]) -> State {
    let mut config = Config::new();
    guests::allow_heap(&mut config);
    let engine = Engine::new(&config).unwrap();
    let module = Module::new(&engine, wasm).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker(&engine).instantiate(&mut store, &module).unwrap();
    State::read(facts, instance, &mut store)
}

fn start(strategy: &'static Strategy, wasm: &[u8]) -> Session<()> {
    let plan = Plan::new(strategy, wasm, options()).unwrap();
    let engine = plan.engine().unwrap();
    let module = Module::new(&engine, plan.wasm()).unwrap();
    plan.start(&module, &linker(&engine), || ()).unwrap()
}

/// The difference that one block makes under a strategy that resets nothing.
fn difference(guest: &str) -> Option<String> {
    let wasm = wat::parse_str(guest).unwrap();
    let facts = Facts::read(&wasm).unwrap();
    let fresh = fresh(&facts, &instrument(&wasm, &facts).unwrap());
    let mut session = start(registry::find("control/none").unwrap(), &wasm);
    let instance = session.instance().unwrap();
    assert_eq!(fresh.first_difference_in(&facts, instance, session.store_mut().unwrap()), None, "{guest}");
    session.execute().unwrap();
    session.reset().unwrap();
    let in_place = fresh.first_difference_in(&facts, instance, session.store_mut().unwrap());
    let read = fresh.first_difference(&State::read(&facts, instance, session.store_mut().unwrap()));
    assert_eq!(in_place, read, "{guest}");
    in_place.map(|difference| difference.to_string())
}

#[test]
fn each_kind_of_state_is_compared_and_the_place_named() {
    for (guest, expected) in [
        ("(func)", None),
        (
            "(memory 1) (func (i32.store8 (i32.const 5) (i32.const 7)))",
            Some("memory 0 at 0x5 holds 0x07 instead of 0x00"),
        ),
        (
            r#"(memory 1) (memory 2) (data (memory 1) (i32.const 70000) "abc")
               (func (i32.store8 1 (i32.const 70002) (i32.const 0)))"#,
            Some("memory 1 at 0x11172 holds 0x00 instead of 0x63"),
        ),
        (
            "(memory 1) (func (drop (memory.grow (i32.const 1))))",
            Some("memory 0 has 131072 bytes where a fresh instance has 65536"),
        ),
        (
            "(global (mut i32) (i32.const 3)) (func (global.set 0 (i32.const 4)))",
            Some("global 0 is 4 instead of 3"),
        ),
        ("(global (mut f64) (f64.const nan)) (func (global.set 0 (f64.const nan)))", None),
        (
            "(global (mut v128) (v128.const i64x2 1 0)) (func (global.set 0 (v128.const i64x2 2 0)))",
            Some("global 0 is 2 instead of 1"),
        ),
        (
            "(global (mut funcref) (ref.func 0)) (func (global.set 0 (ref.func 1))) (elem declare func 1) (func)",
            Some("global 0 is function 1 instead of function 0"),
        ),
        (
            "(global (mut anyref) (ref.null any)) (func (global.set 0 (ref.i31 (i32.const 1))))",
            Some("global 0 is a reference to something else instead of null"),
        ),
        (
            "(table 3 funcref) (func (table.set (i32.const 2) (ref.func 1))) (elem declare func 1) (func)",
            Some("table 0 holds function 1 instead of null in slot 2"),
        ),
        (
            r#"(import "host" "give" (func $give (result i32))) (table 3 funcref) (elem (i32.const 1) $give)
               (func (table.set (i32.const 1) (ref.null func)))"#,
            Some("table 0 holds null instead of function 0 in slot 1"),
        ),
        (
            r#"(import "host" "give" (func $give (result i32))) (table 3 funcref) (elem (i32.const 1) $give)
               (func (table.set (i32.const 1) (table.get (i32.const 1))))"#,
            None,
        ),
        (r#"(data "x") (func (data.drop 0))"#, Some("data segment 0 is dropped, unlike in a fresh instance")),
        (
            "(elem func 0) (elem func 0) (func (elem.drop 1))",
            Some("element segment 1 is dropped, unlike in a fresh instance"),
        ),
    ] {
        let entry = if guest.contains("import") { 1 } else { 0 };
        let guest = format!(r#"(module {guest} (export "_start" (func {entry})))"#);
        assert_eq!(difference(&guest).as_deref(), expected, "{guest}");
    }
}

#[test]
fn a_module_that_is_not_instrumented_is_compared_in_what_it_exports() {
    let wasm = wat::parse_str(
        r#"(module
          (memory (export "memory") 1)
          (global (mut i32) (i32.const 1))
          (table (export "table") 2 funcref)
          (elem (i32.const 0) $hidden)
          (func $hidden))"#,
    )
    .unwrap();
    let facts = Facts::read(&wasm).unwrap();
    let plain = fresh(&facts, &wasm);
    let instrumented = fresh(&facts, &instrument(&wasm, &facts).unwrap());
    assert_eq!(plain.first_difference(&instrumented), None);
    assert_eq!(instrumented.first_difference(&plain), None);
}

/// Restores nothing beyond the initial size, where the next growth will find it again.
#[derive(Default)]
struct ForgetsGrown;

impl Restorer for ForgetsGrown {
    fn restore(&mut self, Restoration { pages, image, runs, done }: Restoration<'_, '_>) -> io::Result<()> {
        let runs: Vec<_> = runs.iter().map(|run| run.start..run.end.min(image.size())).collect();
        Copy::default().restore(Restoration { pages, image, runs: &runs, done })
    }
}

static FORGETS_GROWN: Strategy = Strategy::control(
    "control/forgets-grown",
    "shrinks, but leaves old bytes for the next growth",
    &[],
    InPlace::BASE.restoring::<ForgetsGrown>(),
);

#[test]
fn what_lies_beyond_the_size_is_compared_from_inside() {
    let wasm = wat::parse_str(
        r#"(module
          (memory 2 6)
          (memory i64 1 4)
          (func (export "_start")
            (drop (memory.grow (i32.const 3)))
            (drop (memory.grow 1 (i64.const 1)))
            (i64.store8 1 (i64.const 100000) (i64.const 5))
            (i32.store8 (i32.const 200007) (i32.const 9))))"#,
    )
    .unwrap();
    let facts = Facts::read(&wasm).unwrap();
    let fresh = fresh(&facts, &instrument(&wasm, &facts).unwrap());
    for (strategy, pages, expected) in [
        (registry::find("copy/full").unwrap(), 1_000, None),
        (
            registry::find("control/none").unwrap(),
            1,
            Some("memory 0 has 327680 bytes where a fresh instance has 131072"),
        ),
        (&FORGETS_GROWN, 1, Some("memory 1 at 0x186a0 holds 0x05 instead of 0x00")),
        (&FORGETS_GROWN, 3, Some("memory 0 at 0x30d47 holds 0x09 instead of 0x00")),
    ] {
        let mut session = start(strategy, &wasm);
        let instance = session.instance().unwrap();
        let edges = Edges::of(&facts, instance, session.store_mut().unwrap()).unwrap();
        session.execute().unwrap();
        session.reset().unwrap();
        let difference = edges.first_difference(&fresh, session.store_mut().unwrap(), pages).unwrap();
        assert_eq!(difference.map(|difference| difference.to_string()).as_deref(), expected, "{strategy}");
    }
}
