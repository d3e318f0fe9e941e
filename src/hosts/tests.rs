use reset_strategies::module::Facts;
use wasmtime::{Engine, Instance, Module, Store};

use super::*;

/// What was read of the hosts: name, calls, settings, and the strategy that makes an instance as they do.
const READ: [(&str, Calls, &str, &str); 8] = [
    (
        "metashrew",
        Calls::Futures,
        "cranelift_nan_canonicalization=true relaxed_simd_deterministic=true memory_reservation=4294967296 \
         memory_guard_size=65536 memory_init_cow=false",
        "fresh/relink",
    ),
    ("metashrew-2025-11", Calls::Futures, "wasmtime's defaults", "fresh/relink"),
    (
        "metashrew-2025-06",
        Calls::Blocking,
        "cranelift_nan_canonicalization=true relaxed_simd_deterministic=true memory_reservation=4294967296 \
         memory_guard_size=65536 memory_init_cow=false",
        "fresh/relink",
    ),
    (
        "metashrew-view",
        Calls::Futures,
        "cranelift_nan_canonicalization=true relaxed_simd_deterministic=true memory_reservation=4294967296 \
         memory_guard_size=65536 memory_init_cow=false wasm_threads=true consume_fuel=true, \
         fuel_async_yield_interval=10000, at most 268435456 bytes of memory",
        "fresh/new-linker",
    ),
    (
        "qubitcoin",
        Calls::Futures,
        "cranelift_nan_canonicalization=true relaxed_simd_deterministic=true memory_reservation=4294967296 \
         memory_guard_size=65536 memory_init_cow=true",
        "fresh/new-linker",
    ),
    (
        "graph-node",
        Calls::Futures,
        "cranelift_nan_canonicalization=true max_wasm_stack=524288",
        "fresh/on-demand-cow",
    ),
    ("substreams", Calls::Blocking, "wasmtime's defaults", "fresh/new-linker"),
    ("plain", Calls::Blocking, "wasmtime's defaults", "fresh/relink"),
];

#[test]
fn each_host_is_what_was_read_of_it() {
    let files: Vec<_> = all()
        .iter()
        .map(|host| {
            let settings = host.settings();
            let (_, settings) = settings.split_once(", ").unwrap();
            (host.name.clone(), host.calls, settings.to_owned(), host.baseline().name().to_owned())
        })
        .collect();
    let read: Vec<_> =
        READ.iter().map(|&(name, calls, of, own)| (name.into(), calls, of.into(), own.into())).collect();
    assert_eq!(files, read);
    assert!(all().iter().all(|host| !host.baseline().is_control()));
}

/// The sum of a NaN with a payload and one, as bits.
fn sum_of_a_nan(engine: &Engine) -> u32 {
    const GUEST: &str = r#"(module (func (export "sum") (param i32) (result i32)
        (i32.reinterpret_f32 (f32.add (f32.reinterpret_i32 (local.get 0)) (f32.const 1)))))"#;
    let module = Module::new(engine, wat::parse_str(GUEST).unwrap()).unwrap();
    let mut store = Store::new(engine, ());
    store.set_epoch_deadline(1);
    // An error where the engine counts none.
    let _ = store.set_fuel(u64::MAX);
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let sum = instance.get_typed_func::<i32, i32>(&mut store, "sum").unwrap();
    sum.call(&mut store, 0x7fc1_2345).unwrap().cast_unsigned()
}

#[test]
fn what_a_host_sets_takes_effect_under_its_own_strategy() {
    for host in all() {
        let config = host.baseline().config(&Facts::default(), &host.options());
        let engine = Engine::new(&config).unwrap();
        let set = &host.engine;
        let canonical = set.cranelift_nan_canonicalization == Some(true);
        assert_eq!(sum_of_a_nan(&engine) == 0x7fc0_0000, canonical, "{host}");
        let counts_fuel = Store::new(&engine, ()).set_fuel(1).is_ok();
        assert_eq!(counts_fuel, set.consume_fuel == Some(true), "{host}");
        assert_eq!(engine.get_memory_init_cow(), set.memory_init_cow.unwrap_or(true), "{host}");
        assert_eq!(engine.get_memory_reservation(), 1 << 32, "{host}");
        assert_eq!(engine.get_memory_guard_size(), set.memory_guard_size.unwrap_or(32 << 20), "{host}");
        assert!(engine.get_pooling_config().is_none() && engine.get_epoch_interruption(), "{host}");
    }
}

#[test]
fn a_strategy_that_says_how_memory_begins_is_not_overruled() {
    let host = find("metashrew").unwrap();
    for (strategy, cow) in [("fresh/relink", false), ("fresh/on-demand-cow", true), ("fresh/pooling", true)] {
        let config = registry::find(strategy).unwrap().config(&Facts::default(), &host.options());
        assert_eq!(Engine::new(&config).unwrap().get_memory_init_cow(), cow, "{strategy}");
    }
}

#[test]
fn an_unknown_host_is_told_with_the_nearest() {
    assert!(find("metashrw").unwrap_err().contains("did you mean `metashrew`?"));
    let told = find("wasmer").unwrap_err();
    assert!(told.contains("there are `metashrew`, ") && told.ends_with("and `plain`"), "{told}");
}

#[test]
fn nothing_in_a_file_is_passed_over() {
    for ((name, text), host) in FILES.iter().zip(all()) {
        let file: toml::Table = toml::from_str(text).unwrap();
        let read = toml::Table::try_from(host).unwrap();
        let (of_file, of_host) =
            (file.get("engine"), read.get("engine").filter(|set| *set != &toml::Table::new().into()));
        assert_eq!(of_file, of_host, "{name}");
        assert!(file.keys().all(|key| read.contains_key(key)), "{name}: {file}");
    }
}
