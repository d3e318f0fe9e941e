//! The pooling allocator that finds what to clean by a scan, which wasmtime has since 37.

use wasmtime::Enabled;

use super::Fresh;
use super::pooling::pool;
use crate::condition;
use crate::strategy::Strategy;
use crate::sys::{Mechanism, ksm, memfd, pagemap_scan, pool_scan, swap};

/// `fresh/pooling-scan`. wasmtime's scan looks for present pages only, so that a slot keeps what was swapped out
/// (bytecodealliance/wasmtime#14357): seen on 48.0.8 by `resetbench verify --schedule paged-out`. Unsound with swap.
pub static STRATEGY: Strategy = Strategy::fresh(
    "fresh/pooling-scan",
    "pooling allocator that keeps 64 MiB resident and finds pages with PAGEMAP_SCAN: the tuned peer",
    NEEDS,
    SCANNING,
)
.diverges_when_swapped(SWAPPED)
.must_not(&[&condition::PINNED_PAGES, &condition::MERGED_MEMORY]);

/// What a pool needs that scans.
pub(super) const NEEDS: &[&Mechanism] = &[
    &memfd::PRIVATE_IMAGE,
    &pagemap_scan::PAGEMAP_SCAN,
    &pool_scan::POOL_SCAN,
    &swap::ABSENT,
    &ksm::NOT_ASKED,
];

/// What the scan makes of swap.
pub(super) const SWAPPED: &str =
    "wasmtime's scan asks for present pages and passes over swapped-out ones (wasmtime #14357)";

/// Keeps pages, and finds them by a scan.
pub(crate) const SCANNING: Fresh = Fresh {
    configure: |config, facts, options| {
        pool(config, facts, options, |pool| {
            pool.linear_memory_keep_resident(options.keep_resident);
            pool.pagemap_scan(Enabled::Yes);
        });
    },
    recipe: include_str!("recipes/pooling_scan.rs"),
    ..Fresh::POOLED
};
