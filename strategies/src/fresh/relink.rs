//! A new store and `Linker::instantiate` for every block: what indexers ship today, and the default baseline.
//!
//! wasmtime's own defaults: on-demand allocation, and the data image mapped copy-on-write.

use wasmtime::InstanceAllocationStrategy;

use super::{Fresh, Link};
use crate::condition;
use crate::strategy::Strategy;
use crate::sys::memfd;

/// `fresh/relink`.
pub static STRATEGY: Strategy = Strategy::fresh(
    "fresh/relink",
    "a new store and Linker::instantiate per block, on demand, with copy-on-write images",
    &[&memfd::PRIVATE_IMAGE],
    Fresh {
        link: Link::PerBlock,
        configure: |config, _, _| {
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand).memory_init_cow(true);
        },
        recipe: include_str!("recipes/relink.rs"),
        ..Fresh::BASE
    },
)
.must_not(&[&condition::PINNED_PAGES]);
