//! A new store and `Linker::instantiate` for every block: what indexers ship today, and the default baseline.
//!
//! On demand, as wasmtime does by itself. Whether the data image is mapped copy-on-write is the host's to say: it is by
//! wasmtime's defaults, and some hosts turn it off.

use wasmtime::InstanceAllocationStrategy;

use super::{Fresh, Link};
use crate::condition;
use crate::strategy::Strategy;
use crate::sys::memfd;

/// `fresh/relink`.
pub static STRATEGY: Strategy = Strategy::fresh(
    "fresh/relink",
    "a new store and Linker::instantiate per block, on demand",
    &[&memfd::PRIVATE_IMAGE],
    Fresh {
        link: Link::PerBlock,
        configure: |config, _, _| {
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        },
        recipe: include_str!("recipes/relink.rs"),
        ..Fresh::BASE
    },
)
.must_not(&[&condition::PINNED_PAGES]);
