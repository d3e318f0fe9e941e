//! Every strategy, one line each. A new one is a file with its `static` and a line here. Every mechanism likewise.

use crate::strategy::Strategy;
use crate::sys::{self, Mechanism};
use crate::{commit, control, fresh, in_place, restore, track};

/// The strategy that hosts use today, and that others are compared with.
pub const BASELINE: &str = "fresh/relink";

/// The strategy whose cycle is the floor.
pub const FLOOR: &str = "control/oracle";

static ALL: &[&Strategy] = &[
    &fresh::relink::STRATEGY,
    &fresh::relink::NEW_LINKER,
    &fresh::on_demand::COPY,
    &fresh::on_demand::COW,
    &fresh::pooling::DEFAULT,
    &fresh::pooling::RESIDENT,
    #[cfg(feature = "pool-scan")]
    &fresh::pooling_scan::STRATEGY,
    #[cfg(feature = "pool-arms")]
    &fresh::pool_arms::BATCHED,
    #[cfg(feature = "pool-arms")]
    &fresh::pool_arms::SHARDED,
    #[cfg(feature = "pool-arms")]
    &fresh::pool_arms::WARM,
    #[cfg(feature = "pool-arms")]
    &fresh::pool_arms::STRIPED,
    #[cfg(feature = "pool-arms")]
    &fresh::pool_arms::TABLES,
    #[cfg(feature = "pool-arms")]
    &fresh::pool_arms::CHECKED,
    &restore::FULL,
    &track::mincore::STRATEGY,
    &track::pagemap::STRATEGY,
    &track::soft_dirty::STRATEGY,
    &track::pagemap_scan::STRATEGY,
    &track::uffd_wp::STRATEGY,
    &restore::MADVISE,
    &restore::MADVISE_COW,
    &track::hot_cold::STRATEGY,
    &track::hot_cold::CHECKED,
    &control::NONE,
    &control::ORACLE,
    &control::SECOND_CORE,
    &control::ZERO_ALL,
    &control::MADV_FREE,
];

/// Every mechanism that some strategy or commit policy needs or makes use of, in the order in which `doctor` lists them.
pub static MECHANISMS: [&Mechanism; 23] = [
    &sys::code::EXECUTABLE,
    &in_place::SHRINK,
    &in_place::BOUNDS_CHECKS,
    &in_place::SECOND_CORE,
    &sys::page::PROTECT,
    &sys::page::DISCARD,
    &sys::page::FREE,
    &sys::page::COLLAPSE,
    &sys::memfd::PRIVATE_IMAGE,
    &sys::mincore::MINCORE,
    &sys::pagemap::PAGEMAP,
    &sys::soft_dirty::SOFT_DIRTY,
    &sys::pagemap_scan::PAGEMAP_SCAN,
    &sys::pagemap_scan::WRITE_PROTECT,
    &sys::pool_scan::POOL_SCAN,
    &sys::pkeys::PROTECTION_KEYS,
    &sys::pkeys::STRIPES,
    &sys::faults::COUNT,
    &commit::populate::POPULATE_WRITE,
    &commit::lock::LOCK,
    &commit::grown::RESERVED,
    &sys::swap::ABSENT,
    &sys::ksm::NOT_ASKED,
];

/// All strategies, families together, controls last.
pub fn all() -> &'static [&'static Strategy] {
    ALL
}

/// The strategy of that name.
pub fn find(name: &str) -> Option<&'static Strategy> {
    ALL.iter().copied().find(|strategy| strategy.name() == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_have_a_family() {
        let names: HashSet<_> = ALL.iter().map(|strategy| strategy.name()).collect();
        assert_eq!(names.len(), ALL.len());
        for strategy in ALL.iter() {
            let (family, variant) = strategy.name().split_once('/').expect("family/variant");
            assert!(!family.is_empty() && !variant.is_empty(), "{strategy}");
            assert_eq!(strategy.is_control(), family == "control", "{strategy}");
        }
    }

    #[test]
    fn baseline_and_floor_are_registered() {
        assert!(!find(BASELINE).unwrap().is_control());
        assert!(find(FLOOR).unwrap().is_control());
    }

    #[test]
    fn an_arm_is_of_a_strategy_that_runs_by_itself() {
        let arms: Vec<_> = ALL.iter().filter_map(|strategy| Some((strategy, strategy.arm_of()?))).collect();
        assert!(!arms.is_empty());
        for (arm, of) in arms {
            assert!(arm.family() == of.family() && of.arm_of().is_none(), "{arm} of {of}");
            assert!(find(of.name()).is_some() && !arm.is_control(), "{arm} of {of}");
        }
        assert!([BASELINE, FLOOR].iter().all(|name| find(name).unwrap().arm_of().is_none()));
    }

    #[test]
    fn a_range_ends_before_the_kernel_that_works_again() {
        let fault = |mechanism: &Mechanism, kernel: &str, swap| {
            mechanism.fault(kernel.parse().unwrap(), swap).is_some()
        };
        let tracker = &sys::pagemap_scan::WRITE_PROTECT;
        for (kernel, with_swap) in
            [("6.6", false), ("6.7", true), ("6.8", true), ("6.9", false), ("7.3", false)]
        {
            assert_eq!(fault(tracker, kernel, true), with_swap, "{kernel}");
            assert!(!fault(tracker, kernel, false), "{kernel} without swap");
        }
        let pool = &sys::pool_scan::POOL_SCAN;
        for (kernel, broken) in [("6.7", false), ("7.2", false), ("7.3", true), ("8.0", true)] {
            assert_eq!(fault(pool, kernel, false), broken, "{kernel}");
        }
        assert!(pool.broken[0].to_string().starts_with("broken on Linux 7.3 and later: "));
        assert!(tracker.broken[0].to_string().starts_with("broken on Linux 6.7 to 6.8 with swap: "));
    }
}
