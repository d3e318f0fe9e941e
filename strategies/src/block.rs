//! What every lifecycle does around a block: a store with its allowances, the entry point, and an account of the reset.

use wasmtime::{Engine, Instance, Store, TypedFunc, WasmParams, WasmResults};

use crate::calls::Calls;
use crate::error::Error;
use crate::hooks::Hooks;
use crate::options::Options;

/// What a reset did. A fresh strategy leaves the work to wasmtime, so that only `instances` is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reset {
    /// Instances made.
    pub instances: u64,
    /// Bytes written to make pages clean.
    pub bytes_restored: u64,
    /// Bytes given back to the kernel.
    pub bytes_returned: u64,
    /// Huge pages made of small ones, all of which were resident.
    pub huge_pages: u64,
    /// Contiguous runs of pages that were treated.
    pub regions: u64,
    /// System calls made by the reset itself.
    pub syscalls: u64,
}

/// A store with what the host installs, and as much as an instantiation may take.
///
/// # Errors
/// When the guest is to give way by fuel, which the engine does not count.
pub(crate) fn store<T: 'static>(
    engine: &Engine,
    state: T,
    options: &Options,
    hooks: Hooks<T>,
) -> Result<Store<T>, Error> {
    let mut store = Store::new(engine, state);
    hooks.install(&mut store);
    allow(&mut store, options);
    #[cfg(feature = "async")]
    if let Some(fuel) = options.fuel_async_yield_interval {
        store
            .fuel_async_yield_interval(Some(fuel))
            .map_err(Error::engine("cannot have the guest give way by fuel"))?;
    }
    Ok(store)
}

/// What an instantiation or a block may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    deadline: u64,
    /// Absent where the engine does not count it.
    fuel: Option<u64>,
}

/// Gives what comes next as much as the options say, and returns it, to be given again.
pub(crate) fn allow<T: 'static>(store: &mut Store<T>, options: &Options) -> Allowance {
    store.set_epoch_deadline(options.deadline);
    Allowance {
        deadline: options.deadline,
        fuel: store.set_fuel(options.fuel).is_ok().then_some(options.fuel),
    }
}

impl Allowance {
    /// Gives it to the next block. An engine that counts no fuel is not asked: making its error takes longer than some resets.
    pub(crate) fn give<T: 'static>(self, store: &mut Store<T>) -> Result<(), Error> {
        store.set_epoch_deadline(self.deadline);
        self.fuel.map_or(Ok(()), |fuel| store.set_fuel(fuel)).map_err(Error::engine("cannot set the fuel"))
    }
}

/// Looks the entry point up, if there is to be one.
pub(crate) fn entry<T: 'static>(
    instance: Instance,
    store: &mut Store<T>,
    name: Option<&str>,
) -> Result<Option<TypedFunc<(), ()>>, Error> {
    let found = name.map(|name| instance.get_typed_func(store, name)).transpose();
    found.map_err(Error::engine("the module has no entry point without parameters"))
}

/// Calls the entry point.
pub(crate) async fn execute<T: 'static, C: Calls<T>>(
    entry: Option<&TypedFunc<(), ()>>,
    store: &mut Store<T>,
) -> wasmtime::Result<()> {
    let entry =
        entry.ok_or_else(|| wasmtime::Error::msg("the session was started without an entry point"))?;
    C::call(entry, store, ()).await
}

/// Calls an export.
pub(crate) async fn call<T: 'static, C: Calls<T>, P, R>(
    instance: Instance,
    store: &mut Store<T>,
    export: &str,
    params: P,
) -> wasmtime::Result<R>
where
    P: WasmParams + Sync,
    R: WasmResults + Sync,
{
    let function = instance.get_typed_func::<P, R>(&mut *store, export)?;
    C::call(&function, store, params).await
}
