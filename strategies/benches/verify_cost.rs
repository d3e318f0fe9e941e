//! What a full verification costs, against a memcmp of the same memory: at most five times as much is the aim.
//!
//! `cargo bench -p reset-strategies --bench verify_cost`. The guest is shaped like an indexer between two blocks: some
//! megabytes of memory of which a part has content, a stack pointer and a few more globals, a table that is written.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use reset_strategies::contract::State;
use reset_strategies::{Options, Plan, registry};
use wasmtime::{Linker, Module};

/// A memory of so many pages, the first `filled` of them with content.
fn guest(pages: usize, filled: usize) -> Vec<u8> {
    let content = "\\2a".repeat(65536);
    let data: String =
        (0..filled).map(|page| format!(r#"(data (i32.const {}) "{content}")"#, page * 65536)).collect();
    let globals = "(global (mut i32) (i32.const 1048576))".repeat(8);
    let text = format!(
        r#"(module
          (memory (export "memory") {pages}) {data} {globals}
          (table 100 funcref) (elem (i32.const 0) $start $start $start)
          (func $start (export "_start")
            (i32.store (i32.const 8) (i32.const 1))
            (table.set (i32.const 50) (ref.func $start))))"#
    );
    wat::parse_str(text).expect("a valid guest")
}

fn verify_cost(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("verify_cost");
    for (pages, filled) in [(22, 22), (256, 32), (256, 256), (1024, 64)] {
        let wasm = guest(pages, filled);
        let plan = Plan::new(registry::find("copy/full").expect("registered"), &wasm, Options::default());
        let plan = plan.expect("a supported module");
        let engine = plan.engine().expect("an engine");
        let module = Module::new(&engine, plan.wasm()).expect("a valid module");
        let mut session = plan.start(&module, &Linker::new(&engine), || ()).expect("a session");
        let instance = session.instance().unwrap();
        let fresh = State::read(plan.facts(), instance, session.store_mut().unwrap());
        session.execute().expect("a block");
        session.reset().expect("a reset");
        let store = &mut session.store_mut().unwrap();
        let memory = instance.get_memory(&mut *store, "memory").expect("exported");
        let copy = memory.data(&*store).to_vec();

        let name = format!("{} MiB, {} filled", pages as f64 / 16.0, filled as f64 / 16.0);
        group.throughput(Throughput::Bytes(copy.len() as u64));
        group.bench_function(BenchmarkId::new("memcmp", &name), |bencher| {
            bencher.iter(|| assert!(black_box(&copy[..]) == memory.data(black_box(&*store))));
        });
        group.bench_function(BenchmarkId::new("verify", &name), |bencher| {
            bencher.iter(|| {
                assert_eq!(fresh.first_difference_in(plan.facts(), instance, black_box(&mut *store)), None)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, verify_cost);
criterion_main!(benches);
