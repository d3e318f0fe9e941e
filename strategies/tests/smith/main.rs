//! Random modules by wasm-smith and random calls: fresh against reset, for every in-place strategy.
//!
//! `RESET_SMITH_MODULES` says how many modules, `RESET_SMITH_SEED` where to start; the fuzz target in `fuzz/` looks for
//! inputs by coverage instead.

#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "async")]
mod dropped;
#[cfg(feature = "async")]
#[path = "../common/polled.rs"]
mod polled;
mod property;

use std::collections::BTreeMap;
use std::env;

use property::{Checked, Random, check};

/// How many modules have to hold in an ordinary run: some seconds' worth.
const MODULES: u64 = 300;

/// Random bytes that a module is made from: what is left over is ignored.
const BYTES: usize = 8192;

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

/// The bytes of a seed.
fn bytes(seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    (0..BYTES / 8).flat_map(|_| random.next().to_le_bytes()).collect()
}

#[test]
fn after_random_calls_a_reset_instance_is_as_a_fresh_one() {
    let strategies = common::sound_in_place();
    let modules = number("RESET_SMITH_MODULES", MODULES);
    let (mut held, mut calls, mut inert) = (0, 0, 0);
    let mut refused = BTreeMap::<String, u32>::new();
    let mut seed = number("RESET_SMITH_SEED", 0);
    while held < modules {
        match check(&bytes(seed), &strategies)
            .unwrap_or_else(|difference| panic!("seed {seed}: {difference}"))
        {
            Checked::Held { calls: made } => (held, calls) = (held + 1, calls + made),
            Checked::Refused { reason } => *refused.entry(common::kind(&reason)).or_default() += 1,
            Checked::Inert => inert += 1,
        }
        seed += 1;
    }
    println!("{held} modules held under {} strategies, {calls} calls each", strategies.len());
    println!("{inert} could not be instantiated or called; refused:");
    for (reason, modules) in refused {
        println!("{modules:>6}  {reason}");
    }
}

#[cfg(feature = "async")]
#[test]
fn after_calls_that_were_dropped_a_reset_instance_is_as_a_fresh_one() {
    let strategies = common::sound_in_place();
    let modules = number("RESET_SMITH_MODULES", MODULES) / 2;
    let (mut held, mut calls) = (0, 0);
    let mut seed = number("RESET_SMITH_SEED", 0);
    while held < modules {
        let dropped = dropped::check(&bytes(seed), &strategies);
        if let Some(dropped) = dropped.unwrap_or_else(|difference| panic!("seed {seed}: {difference}")) {
            (held, calls) = (held + 1, calls + dropped);
        }
        seed += 1;
    }
    println!("{held} modules held under {} strategies, {calls} calls were dropped", strategies.len());
    assert!(calls > 0, "none of them waited");
}
