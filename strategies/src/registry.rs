//! Every strategy, one line each. A new one is a file with its `static` and a line here.

use crate::strategy::Strategy;
use crate::{control, fresh, restore, track};

/// The strategy that hosts use today, and that others are compared with.
pub const BASELINE: &str = "fresh/relink";

/// The strategy whose cycle is the floor.
pub const FLOOR: &str = "control/oracle";

static ALL: [&Strategy; 20] = [
    &fresh::relink::STRATEGY,
    &fresh::on_demand::COPY,
    &fresh::on_demand::COW,
    &fresh::pooling::DEFAULT,
    &fresh::pooling::RESIDENT,
    &fresh::pooling::SCAN,
    &restore::FULL,
    &track::mincore::STRATEGY,
    &track::pagemap::STRATEGY,
    &track::soft_dirty::STRATEGY,
    &track::pagemap_scan::STRATEGY,
    &track::uffd_wp::STRATEGY,
    &restore::MADVISE,
    &restore::MADVISE_COW,
    &track::hot_cold::STRATEGY,
    &control::NONE,
    &control::ORACLE,
    &control::SECOND_CORE,
    &control::ZERO_ALL,
    &control::MADV_FREE,
];

/// All strategies, families together, controls last.
pub fn all() -> &'static [&'static Strategy] {
    &ALL
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
        for strategy in ALL {
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
}
