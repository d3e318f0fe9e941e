//! Any bytes are judged and rewritten, or refused: `scripts/fuzz module`, or
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run module --sanitizer none` in `strategies/`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reset_strategies::module::{Facts, instrument};
use reset_strategies::registry;

fuzz_target!(|bytes: &[u8]| {
    let Ok(facts) = Facts::read(bytes) else { return };
    for strategy in registry::all() {
        strategy.judge(&facts);
    }
    let Ok(rewritten) = instrument(bytes, &facts) else { return };
    assert_eq!(wasmparser::validate(bytes).is_ok(), wasmparser::validate(&rewritten).is_ok());
});
