/// Instantiate each block from one `linker.instantiate_pre(&module)`; drop the old store first.
fn config() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    let mut pool = wasmtime::PoolingAllocationConfig::new();
    // Room for each store that lives at once, and for a memory that grows to all that 32-bit addresses reach.
    // And 15 slots for each thread, in which memories and tables wait to be given back.
    pool.total_core_instances(1).total_memories(16).total_tables(16).max_memory_size(1 << 32);
    pool.table_elements(20_000).max_core_instance_size(1 << 28);
    pool.decommit_batch_size(16);
    config.memory_init_cow(true);
    config.allocation_strategy(wasmtime::InstanceAllocationStrategy::Pooling(pool));
    config
}
