//! What people are told to paste compiles, and does what the strategy does.

use reset_strategies::module::Facts;
use reset_strategies::{Availability, Options, Plan, registry};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, Linker, Module, PoolingAllocationConfig};

macro_rules! recipe {
    ($module:ident, $file:literal) => {
        mod $module {
            include!(concat!("../src/", $file));
            pub const TEXT: &str = include_str!(concat!("../src/", $file));
            pub fn make() -> wasmtime::Config {
                config()
            }
        }
    };
}

recipe!(relink, "fresh/recipes/relink.rs");
recipe!(new_linker, "fresh/recipes/new_linker.rs");
recipe!(on_demand_copy, "fresh/recipes/on_demand_copy.rs");
recipe!(on_demand_cow, "fresh/recipes/on_demand_cow.rs");
recipe!(pooling, "fresh/recipes/pooling.rs");
recipe!(pooling_resident, "fresh/recipes/pooling_resident.rs");
recipe!(pooling_scan, "fresh/recipes/pooling_scan.rs");
recipe!(pooling_batch, "fresh/recipes/pooling_batch.rs");
recipe!(pooling_sharded, "fresh/recipes/pooling_sharded.rs");
recipe!(pooling_warm, "fresh/recipes/pooling_warm.rs");
#[cfg(feature = "mpk")]
recipe!(pooling_mpk, "fresh/recipes/pooling_mpk.rs");
recipe!(pooling_tables, "fresh/recipes/pooling_tables.rs");
recipe!(pooling_checked, "fresh/recipes/pooling_checked.rs");

mod in_place {
    include!("../src/in_place/recipe.rs");
    pub fn two_blocks(wasm: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
        let mut blocks = 2;
        run(
            wasm,
            |_| Ok(()),
            || {
                blocks -= 1;
                (blocks >= 0).then_some(())
            },
            || (),
        )
    }
}

#[cfg(feature = "async")]
mod in_place_async {
    include!("../src/in_place/recipe_async.rs");
    pub const TEXT: &str = include_str!("../src/in_place/recipe_async.rs");
    pub async fn no_blocks(wasm: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
        run(wasm, |_| Ok(()), || None, || ()).await
    }
}

#[cfg(feature = "async")]
#[test]
fn an_in_place_recipe_for_futures_differs_in_nothing_else() {
    let wasm = wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start")))"#).unwrap();
    let mut future = std::pin::pin!(in_place_async::no_blocks(&wasm));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(matches!(future.as_mut().poll(&mut context), std::task::Poll::Ready(Ok(()))));
    let blocking =
        in_place_async::TEXT.replace("async fn", "fn").replace("_async(", "(").replace(".await", "");
    let lines = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&blocking), lines(include_str!("../src/in_place/recipe.rs")));
    let strategy = registry::find("dirty/pagemap").unwrap();
    assert!(strategy.recipe_async().contains("find(\"dirty/pagemap\")"));
    for strategy in registry::all().iter().filter(|strategy| strategy.family() == "fresh") {
        assert!(strategy.recipe_async().contains("instantiate_async"), "{strategy}");
    }
}

/// A strategy's name, the text that is pasted, and the text compiled.
type Recipe = (&'static str, &'static str, fn() -> Config);

/// What an engine says of its configuration, as far as the strategies set it.
fn effective(config: &Config) -> (bool, Option<[String; 8]>) {
    let engine = Engine::new(config).expect("an engine");
    let pool = engine.get_pooling_config().map(|pool| {
        [
            format!("keep_resident={}", pool.get_memory_keep_resident()),
            format!("pagemap_scan={:?}", pool.get_pagemap_scan()),
            format!("max_memory={}", pool.get_max_memory_size()),
            format!("memories={}", pool.get_total_memories()),
            format!("tables={}", pool.get_total_tables()),
            format!("table_keep_resident={}", pool.get_table_keep_resident()),
            format!("batch={}", pool.get_decommit_batch_size()),
            format!("unused_warm={}", pool.get_max_unused_warm_slots()),
        ]
    });
    (engine.get_memory_init_cow(), pool)
}

#[test]
fn a_recipe_configures_what_its_strategy_does() {
    let recipes: &[Recipe] = &[
        ("fresh/relink", relink::TEXT, relink::make),
        ("fresh/new-linker", new_linker::TEXT, new_linker::make),
        ("fresh/on-demand-copy", on_demand_copy::TEXT, on_demand_copy::make),
        ("fresh/on-demand-cow", on_demand_cow::TEXT, on_demand_cow::make),
        ("fresh/pooling", pooling::TEXT, pooling::make),
        ("fresh/pooling-resident", pooling_resident::TEXT, pooling_resident::make),
        ("fresh/pooling-scan", pooling_scan::TEXT, pooling_scan::make),
        ("fresh/pooling-batch", pooling_batch::TEXT, pooling_batch::make),
        ("fresh/pooling-sharded", pooling_sharded::TEXT, pooling_sharded::make),
        ("fresh/pooling-warm", pooling_warm::TEXT, pooling_warm::make),
        #[cfg(feature = "mpk")]
        ("fresh/pooling-mpk", pooling_mpk::TEXT, pooling_mpk::make),
        ("fresh/pooling-tables", pooling_tables::TEXT, pooling_tables::make),
        ("fresh/pooling-checked", pooling_checked::TEXT, pooling_checked::make),
    ];
    // Without its feature, wasmtime has no such setting for a recipe to name.
    let built = |name: &str| cfg!(feature = "mpk") || name != "fresh/pooling-mpk";
    let fresh = registry::all().iter().filter(|strategy| strategy.family() == "fresh");
    for strategy in fresh.filter(|strategy| built(strategy.name())) {
        let found = recipes.iter().find(|(name, ..)| *name == strategy.name());
        let (_, text, config) = found.unwrap_or_else(|| panic!("{strategy} has no recipe here"));
        assert_eq!(strategy.recipe(), *text);
        if strategy.name() == "fresh/pooling-mpk" && strategy.availability() != Availability::Available {
            eprintln!("NOT TESTED HERE: {strategy}: no engine has its configuration");
            continue;
        }
        let own = strategy.config(&Facts::default(), &Options::default());
        assert_eq!(effective(&config()), effective(&own), "{strategy}");
    }
}

#[test]
fn an_in_place_recipe_runs_and_names_its_strategy() {
    let wasm = wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start")))"#).unwrap();
    in_place::two_blocks(&wasm).unwrap();
    for strategy in registry::all().iter().filter(|strategy| strategy.family() != "fresh") {
        assert!(strategy.recipe().contains(&format!("find(\"{strategy}\")")), "{strategy}");
    }
}

#[test]
fn a_host_that_configures_a_pool_gets_what_the_strategy_is() {
    let options = Options {
        configure: &|config| {
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(PoolingAllocationConfig::new()));
        },
        ..Options::default()
    };
    let wasm = wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start")))"#).unwrap();
    for strategy in
        registry::all().iter().filter(|s| !s.is_control() && s.availability() == Availability::Available)
    {
        let plan = Plan::new(strategy, &wasm, options).unwrap();
        let engine = plan.engine().unwrap();
        let pooled = engine.get_pooling_config().is_some();
        assert_eq!(pooled, strategy.name().starts_with("fresh/pooling"), "{strategy}");
        let module = Module::new(&engine, plan.wasm()).unwrap();
        let mut session = plan.start(&module, &Linker::new(&engine), || ()).unwrap();
        for _ in 0..2 {
            session.expect(0);
            session.execute().unwrap_or_else(|error| panic!("{strategy}: {error}"));
            session.reset().unwrap();
        }
    }
}
