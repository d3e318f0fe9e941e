//! What a host installs on a store, whichever store that is.

use wasmtime::{Linker, Module, ResourceLimiter, Store, StoreContextMut, UpdateDeadline};

/// Defines a host's functions in a linker.
pub type Define<T> = &'static (dyn Fn(&mut Linker<T>, &Module) -> wasmtime::Result<()> + Send + Sync);

/// What a host has called back on a store. It applies to each store that a session runs in: a fresh strategy makes one for
/// every block, an in-place one keeps its own, and `control/second-core` has two.
///
/// They are functions, not closures: whatever they remember belongs into the host's state `T`, which each reset makes anew.
pub struct Hooks<T: 'static> {
    /// Where the host's state has what decides on growth (`Store::limiter`).
    pub limiter: Option<fn(&mut T) -> &mut dyn ResourceLimiter>,
    /// What happens when the epoch deadline passes (`Store::epoch_deadline_callback`); without it, the guest traps.
    pub epoch: Option<fn(StoreContextMut<'_, T>) -> wasmtime::Result<UpdateDeadline>>,
    /// How the host defines its functions, for a strategy that makes a new linker for each block. All others, and this one where
    /// it is not said, take the functions of the linker that the session is started with.
    pub define: Option<Define<T>>,
}

impl<T: 'static> Hooks<T> {
    /// Installs them on a store that has just been made.
    pub(crate) fn install(self, store: &mut Store<T>) {
        if let Some(limiter) = self.limiter {
            store.limiter(limiter);
        }
        if let Some(epoch) = self.epoch {
            store.epoch_deadline_callback(epoch);
        }
    }
}

impl<T: 'static> Default for Hooks<T> {
    fn default() -> Self {
        Self { limiter: None, epoch: None, define: None }
    }
}

// Derived, they would ask the same of `T`.
impl<T: 'static> Clone for Hooks<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: 'static> Copy for Hooks<T> {}

impl<T: 'static> std::fmt::Debug for Hooks<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooks")
            .field("limiter", &self.limiter.is_some())
            .field("epoch", &self.epoch.is_some())
            .field("define", &self.define.is_some())
            .finish()
    }
}
