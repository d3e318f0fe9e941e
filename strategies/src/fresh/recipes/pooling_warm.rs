/// Instantiate each block from one `linker.instantiate_pre(&module)`; drop the old store first.
fn config() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    let mut pool = wasmtime::PoolingAllocationConfig::new();
    // Room for each store that lives at once, and for a memory that grows to all that 32-bit addresses reach.
    pool.total_core_instances(1).total_memories(1000).total_tables(1000).max_memory_size(1 << 32);
    pool.table_elements(20_000).max_core_instance_size(1 << 28);
    // A module never takes a slot that was not used yet while one is free that another module has used.
    pool.max_unused_warm_slots(0);
    config.memory_init_cow(true);
    config.allocation_strategy(wasmtime::InstanceAllocationStrategy::Pooling(pool));
    config
}
