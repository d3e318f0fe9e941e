//! A memory of 4 GiB of which a block writes a few pages: what it begins with is no reason to hold it, nor to go through it.

#[path = "common/sound.rs"]
mod sound;

use procfs::process::Process;
use reset_strategies::{Options, Plan};
use sound::sound_in_place;
use wasmtime::{Linker, Module};

/// Writes to the first page, to one of the image in the middle, and to the last, and traps where it finds what it has written.
const GUEST: &str = r#"(module
  (memory (export "memory") 65536)
  (data (i32.const 2147483648) "\05")
  (func $go (param $at i32) (param $before i32)
    (if (i32.ne (i32.load8_u (local.get $at)) (local.get $before)) (then unreachable))
    (i32.store8 (local.get $at) (i32.const 9)))
  (func (export "_start")
    (call $go (i32.const 0) (i32.const 0))
    (call $go (i32.const 2147483648) (i32.const 5))
    (call $go (i32.const 4294967295) (i32.const 0))))"#;

/// What the process may hold at most, with page tables of its own for each strategy in turn.
const MOST_RESIDENT: u64 = 256 << 20;

#[test]
fn four_gibibytes_are_forgotten_and_never_held() {
    let wasm = wat::parse_str(GUEST).unwrap();
    for strategy in sound_in_place() {
        // It writes all of it in each reset, which is what it is for.
        if strategy.name() == "copy/full" {
            continue;
        }
        let plan = Plan::new(strategy, &wasm, Options::default()).unwrap();
        let engine = plan.engine().unwrap();
        let module = Module::new(&engine, plan.wasm()).unwrap();
        let mut session = plan.start(&module, &Linker::new(&engine), || ()).unwrap();
        for block in 0..20 {
            session.execute().unwrap_or_else(|error| panic!("{strategy}, block {block}: {error}"));
            let done = session.reset().unwrap();
            assert!(done.bytes_restored < 1 << 20, "{strategy}, block {block}: {done:?}");
        }
        let peak = Process::myself().unwrap().status().unwrap().vmhwm.unwrap() << 10;
        assert!(peak < MOST_RESIDENT, "{strategy}: {peak} bytes have been resident");
    }
}
