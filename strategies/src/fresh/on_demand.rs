//! `InstancePre` on the on-demand allocator: memory is mapped and unmapped for each block.

use wasmtime::InstanceAllocationStrategy;

use super::Fresh;
use crate::condition;
use crate::strategy::Strategy;
use crate::sys::memfd;

/// `fresh/on-demand-copy`.
pub static COPY: Strategy = Strategy::fresh(
    "fresh/on-demand-copy",
    "InstancePre, memory mapped per block, data segments copied in",
    &[],
    Fresh {
        configure: |config, _, _| {
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand).memory_init_cow(false);
        },
        recipe: include_str!("recipes/on_demand_copy.rs"),
        ..Fresh::BASE
    },
)
.must_not(&[&condition::PINNED_PAGES]);

/// `fresh/on-demand-cow`.
pub static COW: Strategy = Strategy::fresh(
    "fresh/on-demand-cow",
    "InstancePre, memory mapped per block, data image mapped copy-on-write",
    &[&memfd::PRIVATE_IMAGE],
    Fresh {
        configure: |config, _, _| {
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand).memory_init_cow(true);
        },
        recipe: include_str!("recipes/on_demand_cow.rs"),
        ..Fresh::BASE
    },
)
.must_not(&[&condition::PINNED_PAGES]);
