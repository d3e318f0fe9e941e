//! `InstancePre` on the pooling allocator: slots are kept mapped and cleaned between blocks.

use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::Fresh;
use crate::condition;
use crate::module::Facts;
use crate::options::Options;
use crate::strategy::Strategy;
use crate::sys::memfd;

/// `fresh/pooling`.
pub static DEFAULT: Strategy = Strategy::fresh(
    "fresh/pooling",
    "InstancePre, pooling allocator as it comes: MADV_DONTNEED on the whole slot",
    &[&memfd::PRIVATE_IMAGE],
    Fresh {
        configure: |config, facts, options| pool(config, facts, options, |_| ()),
        recipe: include_str!("recipes/pooling.rs"),
        ..Fresh::POOLED
    },
)
.must_not(&[&condition::PINNED_PAGES]);

/// `fresh/pooling-resident`.
pub static RESIDENT: Strategy = Strategy::fresh(
    "fresh/pooling-resident",
    "pooling allocator that keeps 64 MiB of each slot resident and zeroes it",
    &[&memfd::PRIVATE_IMAGE],
    Fresh {
        configure: |config, facts, options| {
            pool(config, facts, options, |pool| {
                pool.linear_memory_keep_resident(options.keep_resident);
            });
        },
        recipe: include_str!("recipes/pooling_resident.rs"),
        ..Fresh::POOLED
    },
)
.must_not(&[&condition::PINNED_PAGES]);

/// As many elements as wasmtime allows a table in the first place.
const MOST_ELEMENTS: u64 = 10_000_000;

/// More than the own state of any valid module takes: a million globals of 16 bytes, and as much for everything else. The
/// pool compares with it, and reserves nothing.
const MOST_INSTANCE_BYTES: usize = 1 << 28;

/// A pool that is just large enough: wasmtime's defaults reserve room for a thousand instances.
pub(super) fn pool(
    config: &mut Config,
    facts: &Facts,
    options: &Options,
    tune: impl FnOnce(&mut PoolingAllocationConfig),
) {
    let memories = facts.memories.iter().filter(|memory| !memory.imported).count() as u32;
    let tables = facts.tables.iter().filter(|table| !table.imported).count() as u32;
    let elements = facts.tables.iter().map(|table| table.initial).max().unwrap_or(0);
    // The garbage-collected heap of a store takes a memory too.
    let heap = u32::from(facts.may_allocate());
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(options.sessions)
        .total_memories((memories.max(1) + heap) * options.sessions)
        .total_tables(tables.max(1) * options.sessions)
        .max_memories_per_module(memories.max(1))
        .max_tables_per_module(tables.max(1))
        // Room to grow, as the other strategies have.
        .table_elements(elements.clamp(20_000, MOST_ELEMENTS) as usize)
        .max_core_instance_size(MOST_INSTANCE_BYTES)
        .max_memory_size(1 << 32);
    #[cfg(feature = "async")]
    pool.total_stacks(options.sessions);
    tune(&mut pool);
    config.memory_init_cow(true);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
}
