//! The instance's state after a reset, held against that of a fresh instance. The one place that knows the contract's
//! [`State`].

use std::path::Path;

use anyhow::Result;
use reset_strategies::Session;
use reset_strategies::contract::{Edges, State};
use reset_strategies::module::{Facts, instrument};
use wasmtime::{Config, Engine, Extern, Linker, Memory, Store};

use crate::launch::{cache, child};
use crate::workload::host::{self, BlockState};

/// What a fresh instance of a module looks like.
#[derive(Debug)]
pub struct Fresh {
    facts: Facts,
    state: State,
}

impl Fresh {
    /// Makes a fresh instance by plain wasmtime and none of our strategies, and reads its state.
    ///
    /// # Errors
    /// When the module cannot be compiled or instantiated.
    pub fn of(wasm: &[u8], compiled: &Path) -> Result<Self> {
        let facts = Facts::read(wasm)?;
        let options = child::options();
        let mut config = Config::new();
        (options.configure)(&mut config);
        let engine = Engine::new(&config).map_err(anyhow::Error::from)?;
        let (module, _) = cache::module(compiled, &engine, &instrument(wasm, &facts)?)?;
        let mut linker = Linker::new(&engine);
        host::link(&mut linker).map_err(anyhow::Error::from)?;
        let mut store = Store::new(&engine, BlockState::new(host::Shared::default()));
        store.set_epoch_deadline(options.deadline);
        let instance = linker.instantiate(&mut store, &module).map_err(anyhow::Error::from)?;
        let state = State::read(&facts, instance, &mut store);
        Ok(Self { facts, state })
    }

    /// The first difference of a session between two blocks, in words. Reads every page of its memories.
    pub fn difference(&self, session: &mut Session<BlockState>) -> Option<String> {
        let instance = session.instance();
        let difference = self.state.first_difference_in(&self.facts, instance, session.store_mut());
        difference.map(|difference| difference.to_string())
    }

    /// Looks behind the memories of a session that was reset, where the guest has to trap, and into the page by which
    /// each grows. The session has to be reset again.
    pub fn beyond(&self, session: &mut Session<BlockState>) -> Option<String> {
        let instance = session.instance();
        let store = session.store_mut();
        // A pool has no room for the instance that looks: its memories are wasmtime's own.
        let edges = Edges::of(&self.facts, instance, store).ok()?;
        match edges.first_difference(&self.state, store, 1) {
            Ok(difference) => difference.map(|difference| difference.to_string()),
            Err(error) => Some(format!("{:#}", anyhow::Error::from(error))),
        }
    }

    /// Grows the memories of a session that was reset back to `sizes`, and looks for old bytes in what was grown. The
    /// session has to be reset again.
    pub fn old_bytes(&self, session: &mut Session<BlockState>, sizes: &[usize]) -> Option<String> {
        let memories = memories(session);
        let store = session.store_mut();
        for (index, (memory, &largest)) in memories.iter().zip(sizes).enumerate() {
            let size = memory.data_size(&*store);
            let pages = largest.saturating_sub(size) as u64 / memory.page_size(&*store);
            if pages == 0 || memory.grow(&mut *store, pages).is_err() {
                continue;
            }
            let grown = memory.data(&*store).get(size..).unwrap_or_default();
            if let Some(at) = grown.iter().position(|&byte| byte != 0) {
                let (byte, offset) = (grown[at], size + at);
                return Some(format!("memory {index} grows by a page with {byte:#04x} at {offset:#x}"));
            }
        }
        None
    }
}

/// The memories of a session that can be reached, each once.
pub fn memories(session: &mut Session<BlockState>) -> Vec<Memory> {
    let instance = session.instance();
    let store = session.store_mut();
    let exports: Vec<_> = instance.exports(&mut *store).map(wasmtime::Export::into_extern).collect();
    let mut memories: Vec<Memory> = Vec::new();
    for memory in exports.into_iter().filter_map(Extern::into_memory) {
        // The same memory may be exported by several names.
        let base = memory.data_ptr(&*store);
        if memories.iter().all(|known| known.data_ptr(&*store) != base) {
            memories.push(memory);
        }
    }
    memories
}
