//! Wrong about many calls at once: pools that keep a part of their promise only.

use crate::pool::Rules;

/// A wrong pool, for [`Pool::mutant`](crate::Pool::mutant).
#[derive(Debug)]
pub struct PoolMutant {
    name: &'static str,
    summary: &'static str,
    rules: Rules,
}

impl PoolMutant {
    /// `pool/variant`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What is wrong with it, in a line.
    pub fn summary(&self) -> &'static str {
        self.summary
    }

    pub(crate) fn rules(&self) -> Rules {
        self.rules
    }
}

/// All of them.
pub fn pools() -> &'static [PoolMutant] {
    &POOLS
}

static POOLS: [PoolMutant; 7] = [
    // An instance cache that hands out what it was given (CosmWasm/cosmwasm#389).
    PoolMutant {
        name: "pool/never-resets",
        summary: "lends sessions as they came back",
        rules: Rules { resets: false, ..Rules::ALL },
    },
    // A reset behind the caller's back is a race with the next caller, unless somebody waits.
    PoolMutant {
        name: "pool/before-its-reset",
        summary: "lends a session whose reset is still to come",
        rules: Rules { before_it_is_lent: false, ..Rules::ALL },
    },
    // The way out by an error has no line that resets (paritytech/substrate#2967 was about such a guest).
    PoolMutant {
        name: "pool/after-trap",
        summary: "forgets the reset where the call failed",
        rules: Rules { after_failure: false, ..Rules::ALL },
    },
    // A guard's destructor runs in a panic, too, and the host's state is in the middle of something then.
    PoolMutant {
        name: "pool/after-panic",
        summary: "goes on with a session whose caller panicked",
        rules: Rules { drops_after_panic: false, ..Rules::ALL },
    },
    // A future that is dropped between being woken and being polled has been given something.
    PoolMutant {
        name: "pool/loses-places",
        summary: "loses the place that was meant for a caller who has gone",
        rules: Rules { hands_on: false, ..Rules::ALL },
    },
    // A stack of waiters starves the first of them.
    PoolMutant {
        name: "pool/last-come-first",
        summary: "serves who came last",
        rules: Rules { in_turn: false, ..Rules::ALL },
    },
    // Each failure takes a place with it, until there is none.
    PoolMutant {
        name: "pool/shrinks",
        summary: "has one place less after each session that it had to drop",
        rules: Rules { replaces: false, ..Rules::ALL },
    },
];
