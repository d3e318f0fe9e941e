/// Runs every block on one instance, which `reset_async` brings back in between; with the feature `async`.
async fn run<T: Send + 'static>(
    wasm: &[u8],
    link: impl FnOnce(&mut wasmtime::Linker<T>) -> wasmtime::Result<()>,
    mut next_block: impl FnMut() -> Option<T>,
    fresh_state: fn() -> T,
) -> Result<(), Box<dyn std::error::Error>> {
    let strategy = reset_strategies::registry::find("copy/full").expect("a registered name");
    let plan = reset_strategies::Plan::new(strategy, wasm, reset_strategies::Options::default())?;
    let engine = plan.engine()?;
    let module = wasmtime::Module::new(&engine, plan.wasm())?;
    let mut linker = wasmtime::Linker::new(&engine);
    link(&mut linker)?;
    let mut session = plan.start_async(&module, &linker, fresh_state).await?;
    while let Some(state) = next_block() {
        *session.store_mut()?.data_mut() = state;
        session.execute_async().await?;
        session.reset_async().await?;
    }
    Ok(())
}
