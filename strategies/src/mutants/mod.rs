//! Wrong resets, on purpose: what the verifier has to catch before it may be believed.
//!
//! Each mutant is a sound strategy with one part exchanged for a wrong one, and stands for a bug that somebody had or
//! nearly had; its documentation says whose. They exist under the feature `mutants` only and are in no registry.

mod around;
mod bytes;
mod lifecycle;
mod pages;
mod pool;
mod threads;

pub use lifecycle::open_pagemap_before_fork;
pub use pool::{PoolMutant, pools};
pub use threads::CALLING_THREAD;

use crate::strategy::Strategy;

static ALL: [&Strategy; 38] = [
    &bytes::ZERO_EVERYTHING,
    &bytes::FORGET_IMAGE,
    &bytes::REUSED_MEMORY,
    &bytes::SECOND_MEMORY,
    &bytes::PAGE_TAIL,
    &bytes::MADV_FREE,
    &bytes::LATE_SNAPSHOT,
    &pages::STALE_TAIL,
    &pages::FIRST_32_RUNS,
    &pages::SWAPPED_OUT,
    &pages::POOLING_SCAN,
    &pages::PROTECT_FIRST,
    &pages::PROTECT_NEVER,
    &pages::HOST_WRITES,
    &pages::PARENTS_PAGEMAP,
    &lifecycle::HIDDEN_GLOBALS,
    &lifecycle::STACK_POINTER,
    &lifecycle::TABLES,
    &lifecycle::DROPPED_SEGMENTS,
    &lifecycle::NO_SHRINK,
    &lifecycle::READABLE_TAIL,
    &lifecycle::HOST_STATE,
    &lifecycle::AFTER_FAILURE,
    &lifecycle::ALLOWANCES,
    &lifecycle::AFTER_TRAP,
    &lifecycle::AFTER_DROP,
    &lifecycle::ONE_STORE,
    &around::UNSCANNED_GROWTH,
    &around::FIRST_SIZE,
    &around::OPEN_EXTENT,
    &around::IGNORED_ADVICE,
    &around::PROCESS_WIDE_CLEAR,
    &around::BITS_OF_ALL,
    &around::BITS_TOO_LATE,
    &around::FIRST_SESSION,
    &around::UNCHECKED_FORK,
    &around::ZERO_PAGE,
    &around::HUGE_HEAD,
];

/// All mutants: first those that are wrong about bytes, then about pages, then about everything else of an instance, and
/// last about what is around it.
pub fn all() -> &'static [&'static Strategy] {
    &ALL
}

/// The mutant of that name.
pub fn find(name: &str) -> Option<&'static Strategy> {
    ALL.iter().copied().find(|mutant| mutant.name() == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::registry;

    #[test]
    fn mutants_have_names_of_their_own_and_are_not_registered() {
        let names: HashSet<_> = ALL.iter().map(|mutant| mutant.name()).collect();
        assert_eq!(names.len(), ALL.len());
        for mutant in ALL {
            assert_eq!(mutant.family(), "mutant", "{mutant}");
            assert!(registry::find(mutant.name()).is_none(), "{mutant}");
            // They claim to be sound, so that the verifier has to fail over them.
            assert!(!mutant.is_control(), "{mutant}");
        }
    }
}
