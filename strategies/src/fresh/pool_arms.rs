//! The settings of the pooling allocator that decide which slot is reset when and how, one arm each. What each does in
//! wasmtime 48 is in docs/STRATEGIES.md, with the places in its source.

use wasmtime::{Config, Enabled, PoolingAllocationConfig};

use super::Fresh;
use super::pooling::{self, pool};
use super::pooling_scan;
use crate::condition;
use crate::module::Facts;
use crate::options::Options;
use crate::strategy::Strategy;
use crate::sys::{memfd, pkeys};

/// Regions that a thread gathers before it gives them back: a memory is one, and so is each table.
const BATCH: usize = 16;

/// From 128 slots on wasmtime divides its lists of slots among threads. So many it makes where a host says nothing.
const MANY: u32 = 1000;

/// `fresh/pooling-batch`.
pub static BATCHED: Strategy = Strategy::fresh(
    "fresh/pooling-batch",
    "pooling allocator that gives 16 regions back at once, with one process_madvise where the kernel has it",
    &[&memfd::PRIVATE_IMAGE],
    Fresh {
        configure: |config, facts, options| {
            pool(config, facts, options, |pool| {
                // What waits is in no instance's way: a thread has at most 15 regions waiting, and each may be a slot.
                multiply(pool, BATCH as u32);
                pool.decommit_batch_size(BATCH);
            });
        },
        recipe: include_str!("recipes/pooling_batch.rs"),
        ..Fresh::POOLED
    },
)
.must_not(&[&condition::PINNED_PAGES])
.an_arm_of(&pooling::DEFAULT);

/// `fresh/pooling-sharded`.
pub static SHARDED: Strategy = Strategy::fresh(
    "fresh/pooling-sharded",
    "pooling allocator with 1000 slots, whose lists wasmtime divides among threads",
    &[&memfd::PRIVATE_IMAGE],
    Fresh {
        configure: |config, facts, options| {
            pool(config, facts, options, |pool| at_least(pool, MANY));
        },
        recipe: include_str!("recipes/pooling_sharded.rs"),
        ..Fresh::POOLED
    },
)
.must_not(&[&condition::PINNED_PAGES])
.an_arm_of(&pooling::DEFAULT);

/// `fresh/pooling-warm`.
pub static WARM: Strategy = Strategy::fresh(
    "fresh/pooling-warm",
    "pooling allocator with 1000 slots that takes a new one only where no used one is free",
    &[&memfd::PRIVATE_IMAGE],
    Fresh {
        configure: |config, facts, options| {
            pool(config, facts, options, |pool| {
                at_least(pool, MANY);
                pool.max_unused_warm_slots(0);
            });
        },
        recipe: include_str!("recipes/pooling_warm.rs"),
        ..Fresh::POOLED
    },
)
.must_not(&[&condition::PINNED_PAGES])
.an_arm_of(&pooling::DEFAULT);

/// `fresh/pooling-mpk`.
pub static STRIPED: Strategy = Strategy::fresh(
    "fresh/pooling-mpk",
    "pooling allocator whose slots have two protection keys in turn, so that one is the other's guard",
    &[&memfd::PRIVATE_IMAGE, &pkeys::PROTECTION_KEYS, &pkeys::STRIPES],
    Fresh {
        configure: |config, facts, options| {
            pool(config, facts, options, |pool| {
                // Stores take the two keys in turn, and all that live at once may have the same.
                multiply(pool, 2);
                #[cfg(feature = "mpk")]
                pool.memory_protection_keys(Enabled::Yes);
            });
        },
        recipe: include_str!("recipes/pooling_mpk.rs"),
        ..Fresh::POOLED
    },
)
.must_not(&[&condition::PINNED_PAGES])
.an_arm_of(&pooling::DEFAULT);

/// `fresh/pooling-tables`.
pub static TABLES: Strategy = Strategy::fresh(
    "fresh/pooling-tables",
    "the tuned peer that keeps tables resident, too, so that a reset need not call the kernel for them",
    pooling_scan::NEEDS,
    Fresh { configure: keep_all, recipe: include_str!("recipes/pooling_tables.rs"), ..Fresh::POOLED },
)
.diverges_when_swapped(pooling_scan::SWAPPED)
.must_not(&[&condition::PINNED_PAGES, &condition::MERGED_MEMORY])
.an_arm_of(&pooling_scan::STRATEGY);

/// Keeps memories and tables resident, and finds what to clean by a scan.
fn keep_all(config: &mut Config, facts: &Facts, options: &Options) {
    pool(config, facts, options, |pool| {
        pool.linear_memory_keep_resident(options.keep_resident);
        pool.table_keep_resident(options.keep_resident);
        pool.pagemap_scan(Enabled::Yes);
    });
}

/// `fresh/pooling-checked`.
pub static CHECKED: Strategy = Strategy::fresh(
    "fresh/pooling-checked",
    "the tuned peer that keeps tables resident under compiled bounds checks, so that what blocks grow by stays accessible",
    pooling_scan::NEEDS,
    Fresh {
        configure: |config, facts, options| {
            keep_all(config, facts, options);
            // Without a guard alone, a slot is still closed behind a memory's initial size.
            config.signals_based_traps(false).memory_guard_size(0);
        },
        recipe: include_str!("recipes/pooling_checked.rs"),
        ..Fresh::POOLED
    },
)
.diverges_when_swapped(pooling_scan::SWAPPED)
.must_not(&[&condition::PINNED_PAGES, &condition::MERGED_MEMORY])
.an_arm_of(&pooling_scan::STRATEGY);

/// More slots than instances, in proportion.
fn multiply(pool: &mut PoolingAllocationConfig, by: u32) {
    let (memories, tables) = (pool.get_total_memories(), pool.get_total_tables());
    pool.total_memories(memories.saturating_mul(by)).total_tables(tables.saturating_mul(by));
}

/// More slots than instances, up to a number.
fn at_least(pool: &mut PoolingAllocationConfig, slots: u32) {
    let (memories, tables) = (pool.get_total_memories(), pool.get_total_tables());
    pool.total_memories(memories.max(slots)).total_tables(tables.max(slots));
}
