//! What blocks grow a memory by, where a few of its pages are written so seldom that huge pages are made around them.

#[path = "common/sound.rs"]
mod sound;

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use reset_strategies::sys::page;
use reset_strategies::{Options, Plan};
use wasmtime::{Linker, Module};

/// Grows by 8 MiB, of which some pages in the middle are left out, where there is a huge page however the memory is
/// aligned. Those have to be blank; they are written where the host says -1, and nothing else is that could take a fault.
/// Otherwise the host says which page of the initial ones is written besides, so that the block takes one.
const GUEST: &str = r#"
(module
  (import "env" "page" (func $chosen (result i32)))
  (memory (export "memory") 16)
  (func (export "_start")
    (local $page i32) (local $at i32) (local $chosen i32)
    (local.set $chosen (call $chosen))
    (if (i32.ge_s (local.get $chosen) (i32.const 0))
      (then (i32.store (i32.mul (local.get $chosen) (i32.const 4096)) (i32.const 7))))
    (local.set $page (i32.mul (memory.grow (i32.const 128)) (i32.const 16)))
    (loop $pages
      (local.set $at (i32.mul (local.get $page) (i32.const 4096)))
      (if (i32.or
            (i32.rem_u (local.get $page) (i32.const 100))
            (i32.ge_u (i32.sub (local.get $page) (i32.const 768)) (i32.const 1024)))
        (then (i32.store (local.get $at) (i32.const 7)))
        (else
          (if (i32.load (local.get $at)) (then unreachable))
          (if (i32.lt_s (local.get $chosen) (i32.const 0)) (then (i32.store (local.get $at) (i32.const 7))))))
      (local.set $page (i32.add (local.get $page) (i32.const 1)))
      (br_if $pages (i32.lt_u (local.get $page) (i32.mul (memory.size) (i32.const 16)))))))
"#;

#[test]
fn a_page_that_a_huge_page_was_made_around_is_restored_when_it_is_written_at_last() {
    let wasm = wat::parse_str(GUEST).unwrap();
    let mut huge_pages = 0;
    for strategy in sound::sound_in_place() {
        let plan = Plan::new(strategy, &wasm, Options::default()).unwrap();
        let engine = plan.engine().unwrap();
        let module = Module::new(&engine, plan.wasm()).unwrap();
        let chosen = Arc::new(AtomicI32::new(0));
        let told = Arc::clone(&chosen);
        let mut linker = Linker::new(&engine);
        linker.func_wrap("env", "page", move || told.load(Ordering::Relaxed)).unwrap();
        // Whenever the huge pages are made, the next block is once the one that writes what they were made around.
        for at_last in 1..8 {
            let mut session = plan.start(&module, &linker, || ()).unwrap();
            for block in 0..at_last + 2 {
                chosen.store(if block == at_last { -1 } else { block }, Ordering::Relaxed);
                let executed = session.execute();
                executed.unwrap_or_else(|error| panic!("{strategy}, block {block} of {at_last}: {error:?}"));
                huge_pages += session.reset().unwrap().huge_pages;
            }
        }
    }
    if page::COLLAPSE.available().is_ok() {
        assert!(huge_pages > 0, "no huge pages were made");
    } else {
        println!("not tested here: huge pages: none can be made");
    }
}
