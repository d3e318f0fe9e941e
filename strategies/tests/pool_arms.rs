//! What the pool's settings do, seen by the pool's own metrics and by where slots lie: a setting without its effect fails
//! here.

#[path = "common/reach.rs"]
mod reach;

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

use reset_strategies::module::Facts;
use reset_strategies::{Availability, Options, Strategy, registry};
use wasmtime::{
    Config, Engine, Instance, InstanceAllocationStrategy, Module, PoolingAllocationConfig,
    PoolingAllocatorMetrics, Store,
};

/// A memory and a table: two regions to give back.
const GUEST: &str = r#"
(module
  (memory (export "memory") 1)
  (table 1 funcref)
  (func (export "read") (result i32) (i32.load (i32.const 8)))
  (func (export "beyond") (result i32) (i32.load (i32.const 65536)))
  (func (export "_start") (i32.store (i32.const 8) (i32.const 7))))
"#;

/// Address space of a slot, at least.
const SLOT: usize = 1 << 32;

/// The engine of a strategy for so many instances at once; `None` where the machine does not have what it needs.
fn engine(name: &str, sessions: u32) -> Option<Engine> {
    let strategy: &'static Strategy = registry::find(name).unwrap();
    if let Availability::Unavailable { reason } = strategy.availability() {
        eprintln!("NOT TESTED HERE: {strategy}: {reason}");
        return None;
    }
    let facts = Facts::read(&wat::parse_str(GUEST).unwrap()).unwrap();
    let options = Options { sessions, ..Options::default() };
    Some(Engine::new(&strategy.config(&facts, &options)).unwrap())
}

fn module(engine: &Engine) -> Module {
    Module::new(engine, wat::parse_str(GUEST).unwrap()).unwrap()
}

fn metrics(engine: &Engine) -> PoolingAllocatorMetrics {
    engine.pooling_allocator_metrics().expect("a pool")
}

/// An instance that has written to its memory. Fails where it finds what another one wrote.
fn written(module: &Module) -> (Store<()>, Instance) {
    let mut store = Store::new(module.engine(), ());
    let instance = Instance::new(&mut store, module, &[]).unwrap();
    let read = instance.get_typed_func::<(), i32>(&mut store, "read").unwrap();
    assert_eq!(read.call(&mut store, ()).unwrap(), 0, "a slot was not reset");
    instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap().call(&mut store, ()).unwrap();
    (store, instance)
}

/// The address of a fresh instance's memory.
fn base(module: &Module) -> usize {
    let (mut store, instance) = written(module);
    instance.get_memory(&mut store, "memory").unwrap().data_ptr(&store).addr()
}

/// So many instances, one after the other: how many slots are ready for another one after each.
fn ready_after_each(name: &str, instances: usize) -> Vec<u32> {
    let engine = engine(name, 1).unwrap();
    let guest = module(&engine);
    let ready = |_| {
        drop(written(&guest));
        metrics(&engine).unused_warm_memories()
    };
    (0..instances).map(ready).collect()
}

#[test]
fn a_batch_waits_until_it_is_full_and_is_given_back_at_once() {
    assert_eq!(ready_after_each("fresh/pooling", 9), [1; 9]);
    // Sixteen regions are eight memories and eight tables. The ninth instance takes one of these slots and waits in it.
    assert_eq!(ready_after_each("fresh/pooling-batch", 9), [0, 0, 0, 0, 0, 0, 0, 8, 7]);
}

#[test]
fn what_waits_is_given_back_where_no_slot_is_left() {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_memories(1).total_tables(1).total_core_instances(1).decommit_batch_size(1000);
    let mut config = Config::new();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config).unwrap();
    let guest = module(&engine);
    let bases: BTreeSet<_> = (0..5).map(|_| base(&guest)).collect();
    assert_eq!(bases.len(), 1);
    assert_eq!(metrics(&engine).unused_warm_memories(), 0, "the last one waits");
}

/// Slots that were used, after two modules have taken turns.
fn used_by_two(name: &str, second: impl Fn(&Module) -> Module) -> u32 {
    let engine = engine(name, 1).unwrap();
    let first = module(&engine);
    let second = second(&first);
    // One thread, so that one list of slots is asked.
    for guest in [&first, &second, &first, &second] {
        drop(written(guest));
    }
    metrics(&engine).unused_warm_memories()
}

#[test]
fn two_modules_share_a_slot_only_where_no_used_one_may_lie_idle() {
    let another = |first: &Module| {
        Module::new(first.engine(), wat::parse_str(GUEST.replace("7", "9")).unwrap()).unwrap()
    };
    assert_eq!(used_by_two("fresh/pooling-sharded", another), 2);
    assert_eq!(used_by_two("fresh/pooling-warm", another), 1);
}

#[test]
fn a_slot_is_kept_for_a_module_and_not_for_its_bytes() {
    let compiled_again = |first: &Module| module(first.engine());
    assert_eq!(used_by_two("fresh/pooling-sharded", compiled_again), 2);
    assert_eq!(used_by_two("fresh/pooling-sharded", Module::clone), 1);
    // What a single module uses does not depend on the setting.
    assert_eq!(used_by_two("fresh/pooling-warm", Module::clone), 1);
}

/// How many slots lie between the first and the last of eight threads' instances, all of which live at once.
fn spread(name: &str) -> usize {
    const THREADS: usize = 8;
    let engine = engine(name, THREADS as u32).unwrap();
    let guest = module(&engine);
    let all_live = Barrier::new(THREADS);
    let live = || {
        let (mut store, instance) = written(&guest);
        all_live.wait();
        instance.get_memory(&mut store, "memory").unwrap().data_ptr(&store).addr()
    };
    let bases: BTreeSet<usize> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(live)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(bases.len(), THREADS);
    (bases.last().unwrap() - bases.first().unwrap()) / SLOT
}

#[test]
fn a_large_pool_is_divided_among_threads() {
    assert!(spread("fresh/pooling") < 16);
    if thread::available_parallelism().is_ok_and(|cpus| cpus.get() == 1) {
        return eprintln!("NOT TESTED HERE: one CPU has one list of slots");
    }
    // Of at most 16 lists, each is of 62 slots or more.
    assert!(spread("fresh/pooling-sharded") > 50);
}

#[test]
fn tables_stay_resident_where_the_pool_is_told_to_keep_them() {
    let kept = |name: &str| {
        let engine = engine(name, 1)?;
        drop(written(&module(&engine)));
        Some(metrics(&engine).unused_table_bytes_resident())
    };
    assert_eq!(kept("fresh/pooling"), Some(0));
    if let (Some(scan), Some(tables)) = (kept("fresh/pooling-scan"), kept("fresh/pooling-tables")) {
        assert!(scan == 0 && tables > 0, "{scan} and {tables} bytes");
    }
}

/// Whether what an instance has grown its memory by is accessible after the next one has been made in its slot, which the
/// guest is kept from.
fn stays_accessible(name: &str) -> Option<bool> {
    let engine = engine(name, 1)?;
    let guest = module(&engine);
    let (mut store, instance) = written(&guest);
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    let beyond = memory.data_ptr(&store).addr() + memory.data_size(&store);
    assert!(!reach::is_accessible(beyond), "{name}: not grown yet");
    memory.grow(&mut store, 1).unwrap();
    assert!(reach::is_accessible(beyond), "{name}: grown");
    drop(store);
    let (mut store, instance) = written(&guest);
    assert_eq!(
        instance.get_memory(&mut store, "memory").unwrap().data_ptr(&store).addr(),
        beyond - (1 << 16)
    );
    let read = instance.get_typed_func::<(), i32>(&mut store, "beyond").unwrap();
    assert!(read.call(&mut store, ()).is_err(), "{name}: a guest reads beyond its memory");
    Some(reach::is_accessible(beyond))
}

#[test]
fn a_slot_is_closed_behind_a_memory_unless_compiled_code_checks_bounds() {
    assert_eq!(stays_accessible("fresh/pooling"), Some(false));
    assert!(matches!(stays_accessible("fresh/pooling-checked"), None | Some(true)));
}

/// Stores take the keys in turn, and so does what a single session makes one after the other.
#[test]
fn striped_slots_are_taken_in_turn() {
    let Some(striped) = engine("fresh/pooling-mpk", 1) else { return };
    let guest = module(&striped);
    let bases: Vec<_> = (0..4).map(|_| base(&guest)).collect();
    assert!(bases[0] != bases[1] && bases[..2] == bases[2..], "{bases:?}");
}
