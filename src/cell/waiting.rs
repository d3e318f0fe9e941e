//! What runs the futures of a host: the executor that such hosts use, on the thread of the session.

use std::io;

use tokio::runtime::{Builder, Runtime};

use crate::hosts::{Calls, Host};

/// A runtime, and whether the host makes one for each call.
pub(super) struct Waiting {
    kept: Runtime,
    anew: bool,
}

impl Waiting {
    /// What the host's calls wait in; nothing, where they block.
    pub(super) fn of(host: &Host) -> io::Result<Option<Self>> {
        match host.calls {
            Calls::Blocking => Ok(None),
            Calls::Futures => Ok(Some(Self { kept: runtime()?, anew: host.new_runtime })),
        }
    }

    /// Waits for the call of a block.
    pub(super) fn call<T>(&self, call: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
        if self.anew { runtime()?.block_on(call) } else { self.kept.block_on(call) }
    }

    /// Waits for what surrounds a call.
    pub(super) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.kept.block_on(future)
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().build()
}
