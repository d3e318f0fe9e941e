/// For each block, define the functions in a new `Linker`, and instantiate with `linker.instantiate(&mut store, &module)`, in a new store.
fn config() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config.memory_init_cow(true);
    config
}
