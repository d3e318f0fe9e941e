/// Instantiate each block from one `linker.instantiate_pre(&module)`; drop the old store first.
fn config() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    let mut pool = wasmtime::PoolingAllocationConfig::new();
    // Room for each store that lives at once, and for a memory that grows to all that 32-bit addresses reach.
    // Stores have one of two keys in turn, and each key has slots of its own.
    pool.total_core_instances(1).total_memories(2).total_tables(2).max_memory_size(1 << 32);
    pool.table_elements(20_000).max_core_instance_size(1 << 28);
    // wasmtime has it with the feature `memory-protection-keys`. Make the engine before threads that use it.
    pool.memory_protection_keys(wasmtime::Enabled::Yes);
    config.memory_init_cow(true);
    config.allocation_strategy(wasmtime::InstanceAllocationStrategy::Pooling(pool));
    config
}
