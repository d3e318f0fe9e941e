//! Threads that reset sessions behind their callers' backs, and who keeps them.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::limits::Resets;
use super::shared::Shared;
use crate::error::Error;

/// A share in a pool: with the last one its threads end.
pub(super) struct Owner<T: Send + 'static> {
    pub(super) shared: Arc<Shared<T>>,
    /// None where the pool has no threads.
    threads: Option<Arc<Threads<T>>>,
}

impl<T: Send + 'static> Owner<T> {
    /// # Errors
    /// When a thread cannot be started.
    pub(super) fn new(shared: Shared<T>) -> Result<Self, Error> {
        let shared = Arc::new(shared);
        let threads = match shared.limits.resets {
            Resets::Behind(threads) => Some(Arc::new(Threads::start(&shared, threads)?)),
            Resets::Inline | Resets::AtCheckout => None,
        };
        Ok(Self { shared, threads })
    }
}

// Derived, it would ask the same of `T`.
impl<T: Send + 'static> Clone for Owner<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), threads: self.threads.clone() }
    }
}

struct Threads<T: Send + 'static> {
    shared: Arc<Shared<T>>,
    all: Vec<JoinHandle<()>>,
}

impl<T: Send + 'static> Threads<T> {
    fn start(shared: &Arc<Shared<T>>, threads: usize) -> Result<Self, Error> {
        // One that cannot be started ends those that were.
        let mut this = Self { shared: shared.clone(), all: Vec::new() };
        for _ in 0..threads {
            let shared = shared.clone();
            let thread = thread::Builder::new().name("reset-behind".into()).spawn(move || shared.clean_all());
            this.all.push(thread.map_err(Error::kernel("cannot start a thread that resets"))?);
        }
        Ok(this)
    }
}

impl<T: Send + 'static> Drop for Threads<T> {
    fn drop(&mut self) {
        self.shared.close();
        // The host's state may hold the pool, so that one of them can be here.
        let others = self.all.drain(..).filter(|thread| thread.thread().id() != thread::current().id());
        for thread in others {
            // What panics in one is caught there; there is nothing to add while a pool is dropped.
            let _ = thread.join();
        }
    }
}
