//! Wrong pools: each breaks the promise that it is there to break.

use reset_strategies::Pool;
use reset_strategies::mutants::pools;

use crate::host::Parts;
use crate::promises::PROMISES;

/// The promise that each mutant breaks.
const BROKEN: [(&str, &str); 7] = [
    ("pool/never-resets", "answers"),
    ("pool/before-its-reset", "answers"),
    ("pool/after-trap", "answers"),
    ("pool/after-panic", "after panic"),
    ("pool/loses-places", "keeps places"),
    ("pool/last-come-first", "in turn"),
    ("pool/shrinks", "keeps places"),
];

#[test]
fn every_wrong_pool_is_caught() {
    let parts = Parts::of("copy/full");
    let named: Vec<_> = pools().iter().map(|mutant| mutant.name()).collect();
    assert_eq!(named, BROKEN.map(|(mutant, _)| mutant));
    for (mutant, (_, broken)) in pools().iter().zip(BROKEN) {
        if mutant.name() == "pool/loses-places" && cfg!(not(feature = "async")) {
            eprintln!("NOT TESTED HERE: {}: no futures", mutant.name());
            continue;
        }
        let (_, promise) = PROMISES.into_iter().find(|(name, _)| *name == broken).unwrap();
        let make = |limits| {
            let (plan, module, linker) = parts.compiled();
            Pool::mutant(mutant, plan, &module, &linker, || (), limits).unwrap()
        };
        let caught = promise(&parts, &make);
        assert!(caught.is_err(), "{} keeps the promise {broken:?}: {}", mutant.name(), mutant.summary());
    }
}
