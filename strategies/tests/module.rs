//! Rewriting a module changes nothing that its guest can see, and no bytes that it need not.

use std::fs;
use std::path::Path;

use reset_strategies::Error;
use reset_strategies::module::{Facts, instrument};
use wasmparser::{Parser, Payload};
use wasmtime::{Engine, Instance, Module, Store, Trap, Val};

fn prebuilt() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/prebuilt");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let modules = files.filter(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    let mut guests: Vec<_> = modules
        .map(|path| (path.file_stem().unwrap().display().to_string(), fs::read(path).unwrap()))
        .collect();
    guests.sort();
    assert!(guests.len() >= 11, "{} guests", guests.len());
    guests
}

fn bodies(wasm: &[u8]) -> Vec<&[u8]> {
    let payloads = Parser::new(0).parse_all(wasm).map(Result::unwrap);
    let bodies = payloads.filter_map(|payload| match payload {
        Payload::CodeSectionEntry(body) => Some(&wasm[body.range()]),
        _ => None,
    });
    bodies.collect()
}

fn instrumented(wasm: &[u8]) -> Vec<u8> {
    instrument(wasm, &Facts::read(wasm).unwrap()).unwrap()
}

#[test]
fn function_bodies_stay_as_they_are_unless_they_use_a_segment_that_is_dropped() {
    for (name, wasm) in prebuilt() {
        let rewritten = instrumented(&wasm);
        let (before, after) = (bodies(&wasm), bodies(&rewritten));
        let changed: Vec<_> = (0..before.len()).filter(|&index| before[index] != after[index]).collect();
        let expected: &[usize] = if name == "passive" { &[1] } else { &[] };
        assert_eq!((before.len(), changed.as_slice()), (after.len(), expected), "{name}");
        wasmparser::validate(&rewritten).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// Copies from segments and drops them, in plain code, in unreachable code, in loops, and in the start function.
const SEGMENTS: &str = r#"
(module
  (memory $narrow (export "memory") 1 1)
  (memory $wide i64 1 1)
  (table $narrow 4 funcref)
  (table $wide i64 4 8 funcref)
  (table $typed 4 (ref null $answer))
  (type $answer (func (result i32)))
  (data $first "first")
  (data $active (i32.const 100) "active")
  (data $second "second")
  (data $early "early")
  (data $kept "kept")
  (elem $functions func $one $two)
  (elem $initial (table $narrow) (i32.const 0) func $one)
  (elem $typed (ref null $answer) (ref.func $two) (ref.null $answer))
  (elem $declared declare func $one)
  (global $order (mut i32) (i32.const 0))
  (func $one (type $answer) i32.const 1)
  (func $two (type $answer) i32.const 2)
  (func $start (data.drop $early))
  (start $start)
  ;; Notes that it was evaluated: operands have to be, each once and in order.
  (func $note (param $value i32) (result i32)
    (global.set $order (i32.add (i32.mul (global.get $order) (i32.const 10)) (i32.const 1)))
    (local.get $value))
  (func (export "order") (result i32) (global.get $order))
  (func (export "drop first") (data.drop $first))
  (func (export "drop second") (loop $again (data.drop $second) (br_if $again (i32.const 0))))
  (func (export "drop active") (data.drop $active))
  (func (export "drop functions") (elem.drop $functions))
  (func (export "drop typed") (block (br 0) (elem.drop $functions)) (elem.drop $typed))
  (func (export "drop initial") (elem.drop $initial) (elem.drop $declared))
  (func (export "first") (param i32 i32 i32)
    (memory.init $first (call $note (local.get 0)) (call $note (local.get 1)) (call $note (local.get 2))))
  (func (export "second") (param i32 i32 i32)
    (block (memory.init $second (local.get 0) (local.get 1) (local.get 2)) (br 0)))
  (func (export "wide second") (param i32 i32 i32)
    (memory.init $wide $second (i64.extend_i32_u (local.get 0)) (local.get 1) (local.get 2)))
  (func (export "active") (param i32 i32 i32)
    (memory.init $active (local.get 0) (local.get 1) (local.get 2)))
  (func (export "early") (param i32 i32 i32)
    (memory.init $early (local.get 0) (local.get 1) (local.get 2)))
  (func (export "kept") (param i32 i32 i32)
    (memory.init $kept (local.get 0) (local.get 1) (local.get 2)))
  (func (export "functions") (param i32 i32 i32)
    (table.init $narrow $functions (local.get 0) (local.get 1) (local.get 2)))
  (func (export "wide functions") (param i32 i32 i32)
    (table.init $wide $functions (i64.extend_i32_u (local.get 0)) (local.get 1) (local.get 2)))
  (func (export "typed") (param i32 i32 i32)
    (table.init $typed $typed (local.get 0) (local.get 1) (local.get 2)))
  (func (export "declared") (param i32 i32 i32)
    (table.init $narrow $declared (local.get 0) (local.get 1) (local.get 2)))
  (func (export "unreachable") (param i32 i32 i32)
    (unreachable) (memory.init $first) (table.init $typed $typed) (data.drop $first))
  (func (export "call") (param i32) (result i32) (call_indirect $narrow (type $answer) (local.get 0))))
"#;

struct Guest {
    store: Store<()>,
    instance: Instance,
}

impl Guest {
    fn new(engine: &Engine, wasm: &[u8]) -> Self {
        let module = Module::new(engine, wasm).unwrap();
        let mut store = Store::new(engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        Self { store, instance }
    }

    /// The results of a call or its trap, and the memory that it leaves.
    fn call(&mut self, name: &str, args: &[i32]) -> (Result<Vec<i32>, Trap>, Vec<u8>) {
        let function = self.instance.get_func(&mut self.store, name).unwrap();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        let args: Vec<_> = args.iter().map(|&arg| Val::I32(arg)).collect();
        let answer = function.call(&mut self.store, &args, &mut results);
        let answer = answer.map_err(|error| *error.downcast_ref().unwrap());
        let memory = self.instance.get_memory(&mut self.store, "memory").unwrap();
        let numbers = results.iter().map(Val::unwrap_i32).collect();
        (answer.map(|()| numbers), memory.data(&self.store).to_vec())
    }
}

#[test]
fn a_dropped_segment_behaves_as_before_at_every_edge() {
    let wasm = wat::parse_str(SEGMENTS).unwrap();
    let engine = Engine::default();
    let mut original = Guest::new(&engine, &wasm);
    let mut rewritten = Guest::new(&engine, &instrumented(&wasm));
    let drops =
        ["", "drop first", "drop second", "drop active", "drop functions", "drop typed", "drop initial"];
    let inits = [
        "first",
        "second",
        "wide second",
        "active",
        "early",
        "kept",
        "functions",
        "wide functions",
        "typed",
        "declared",
        "unreachable",
    ];
    let destinations = [0, 2, 3, 4, 5, 65531, 65535, 65536, 65537, -1];
    let within = [0, 1, 2, 5, 6, -1];
    let cases = destinations.len() * within.len() * within.len();
    let mut trapped = 0;
    for drop in drops {
        if !drop.is_empty() {
            assert_eq!(original.call(drop, &[]), rewritten.call(drop, &[]), "{drop}");
        }
        for init in inits {
            for case in 0..cases {
                let (source, length) =
                    (within[case % within.len()], within[case / within.len() % within.len()]);
                let args = [destinations[case / within.len().pow(2)], source, length];
                let expected = original.call(init, &args);
                trapped += u32::from(expected.0.is_err());
                assert_eq!(expected, rewritten.call(init, &args), "{init} {args:?} after {drop}");
            }
        }
        for slot in 0..4 {
            assert_eq!(
                original.call("call", &[slot]),
                rewritten.call("call", &[slot]),
                "slot {slot} after {drop}"
            );
        }
        assert_eq!(original.call("order", &[]), rewritten.call("order", &[]), "after {drop}");
    }
    assert!(trapped > 10_000, "only {trapped} calls trapped");
}

#[test]
fn what_is_no_module_is_an_error() {
    let component = wat::parse_str("(component)").unwrap();
    assert!(matches!(Facts::read(&component), Err(Error::Component)));
    for bytes in [&b""[..], b"\0asm", b"no module at all", b"\0asm\x01\0\0\0\x0a\xff\xff\xff\xff\x0f"] {
        assert!(Facts::read(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn damaged_modules_are_refused_or_rewritten_but_never_crash() {
    let segments = wat::parse_str(SEGMENTS).unwrap();
    let mut small: Vec<_> = prebuilt().into_iter().filter(|(_, wasm)| wasm.len() < 2_000).collect();
    small.push(("segments".into(), segments));
    for (name, wasm) in small {
        for at in 0..wasm.len() {
            for damage in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                let mut damaged = wasm.clone();
                damaged[at] = damage;
                damaged.truncate(if damage == 0x80 { at } else { wasm.len() });
                let Ok(facts) = Facts::read(&damaged) else { continue };
                for strategy in ["copy/full", "fresh/relink"] {
                    reset_strategies::registry::find(strategy).unwrap().judge(&facts);
                }
                let Ok(rewritten) = instrument(&damaged, &facts) else { continue };
                let valid = wasmparser::validate(&damaged).is_ok();
                assert_eq!(valid, wasmparser::validate(&rewritten).is_ok(), "{name}: {damage:#x} at {at:#x}");
            }
        }
    }
}
