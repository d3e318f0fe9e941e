//! A reset instance is as a fresh one: `scripts/fuzz reset`, or
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run reset --sanitizer none` in `strategies/`.

#![no_main]

// The tests use more of it.
#[allow(dead_code)]
#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/smith/property.rs"]
mod property;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let strategies = common::sound_in_place();
    property::check(bytes, &strategies).unwrap_or_else(|difference| panic!("{difference}"));
});
