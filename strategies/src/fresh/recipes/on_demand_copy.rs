/// Instantiate each block from one `linker.instantiate_pre(&module)`, in a new store.
fn config() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config.memory_init_cow(false);
    config
}
