/// Instantiate each block from one `linker.instantiate_pre(&module)`; drop the old store first.
fn config() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    let mut pool = wasmtime::PoolingAllocationConfig::new();
    // Room for each store that lives at once, and for a memory that grows to all that 32-bit addresses reach.
    pool.total_core_instances(1).total_memories(1).total_tables(1).max_memory_size(1 << 32);
    pool.table_elements(20_000).max_core_instance_size(1 << 28);
    pool.linear_memory_keep_resident(64 << 20).table_keep_resident(64 << 20);
    // Not on a machine with swap: a page that is swapped out keeps what the last block wrote (wasmtime #14357).
    pool.pagemap_scan(wasmtime::Enabled::Yes);
    // Compiled code compares each access with the memory's size, and no slot is closed behind it.
    config.signals_based_traps(false).memory_guard_size(0);
    config.memory_init_cow(true);
    config.allocation_strategy(wasmtime::InstanceAllocationStrategy::Pooling(pool));
    config
}
