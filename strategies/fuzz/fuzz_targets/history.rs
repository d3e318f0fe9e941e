//! Several sessions and what a host does around them leave nothing behind: `scripts/fuzz history`, or
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run history --sanitizer none` in `strategies/`.

#![no_main]

// The test uses more of it.
#[allow(dead_code)]
#[path = "../../tests/history/property/mod.rs"]
mod property;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    property::check(bytes)
        .unwrap_or_else(|difference| panic!("{difference}\n{}", property::described(bytes)));
});
