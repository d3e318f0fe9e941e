//! A new store and `Linker::instantiate` for every block: what indexers ship today, and the default baseline. Or with a new linker,
//! as some hosts do for views.
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

/// `fresh/new-linker`.
pub static NEW_LINKER: Strategy = Strategy::fresh(
    "fresh/new-linker",
    "a new store and a new linker per block, with all functions of the host defined in it, on demand",
    &[&memfd::PRIVATE_IMAGE],
    Fresh {
        link: Link::NewLinker,
        configure: |config, _, _| {
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        },
        recipe: include_str!("recipes/new_linker.rs"),
        ..Fresh::BASE
    },
)
.must_not(&[&condition::PINNED_PAGES])
.an_arm_of(&STRATEGY);
