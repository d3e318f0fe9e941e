//! What every lifecycle does around a block: a store with its allowances, the entry point, and an account of the reset.

use wasmtime::{Engine, Instance, Store, TypedFunc, format_err};

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
pub(crate) fn store<T: 'static>(engine: &Engine, state: T, options: &Options, hooks: Hooks<T>) -> Store<T> {
    let mut store = Store::new(engine, state);
    hooks.install(&mut store);
    allow(&mut store, options);
    store
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
pub(crate) fn call<T: 'static>(
    entry: Option<&TypedFunc<(), ()>>,
    store: &mut Store<T>,
) -> wasmtime::Result<()> {
    entry.ok_or_else(|| format_err!("the session was started without an entry point"))?.call(store, ())
}
