//! The instance's state after a reset, held against that of a fresh instance. The one place that knows the contract's
//! [`State`].

use std::collections::BTreeMap;

use reset_strategies::contract::{Difference, Edges, Looker, State};
use reset_strategies::module::{Facts, instrument};
use reset_strategies::{Error, Lifecycle, Session, Strategy};
use wasmtime::{Config, Engine, Extern, Linker, Memory, Store};

use super::cache;
use crate::hosts::Calls;
use crate::protocol::Spec;
use crate::workload::host::{BlockState, Shared};

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
    pub fn of(spec: &Spec, wasm: &[u8]) -> anyhow::Result<Self> {
        let facts = Facts::read(wasm)?;
        let options = spec.host.options();
        let mut config = Config::new();
        (options.configure)(&mut config);
        // Plainer still, and a memfd is not to be had everywhere.
        config.memory_init_cow(false);
        let engine = Engine::new(&config)?;
        let (module, _) = cache::module(&spec.cache, &engine, &instrument(wasm, &facts)?)?;
        let mut linker = Linker::new(&engine);
        // Nobody waits for a start function here.
        spec.abi.link(&mut linker, &module, Calls::Blocking)?;
        let mut store = Store::new(&engine, BlockState::new(Shared::default()));
        store.set_epoch_deadline(options.deadline);
        if spec.host.engine.consume_fuel == Some(true) {
            store.set_fuel(options.fuel)?;
        }
        let instance = linker.instantiate(&mut store, &module)?;
        let state = State::read(&facts, instance, &mut store);
        Ok(Self { facts, state })
    }

    /// The first difference of a session between two blocks, in words. Reads every page of its memories.
    pub fn difference(&self, session: &mut Session<BlockState>) -> Option<String> {
        said(|| {
            let instance = session.instance()?;
            Ok(self.state.first_difference_in(&self.facts, instance, session.store_mut()?).map(in_words))
        })
    }

    /// Looks behind the memories of a session that was reset, where the guest has to trap, and into the page by which
    /// each grows. The session has to be reset again.
    pub fn beyond(&self, session: &mut Session<BlockState>) -> Option<String> {
        said(|| {
            let instance = session.instance()?;
            let mut store = session.store_mut()?;
            // A pool has no room for the instance that looks: its memories are wasmtime's own.
            let Ok(edges) = Edges::of(&self.facts, instance, &mut store) else { return Ok(None) };
            Ok(edges.first_difference(&self.state, store, 1)?.map(in_words))
        })
    }

    /// What looks behind memories again and again, for as long as a session lives.
    pub fn lookers(&self) -> Lookers<'_> {
        Lookers { fresh: self, looker: None, edges: BTreeMap::new() }
    }

    /// Grows the memories of a session that was reset back to `sizes`, and looks for old bytes in what was grown. The
    /// session has to be reset again.
    pub fn old_bytes(&self, session: &mut Session<BlockState>, sizes: &[usize]) -> Option<String> {
        said(|| {
            let memories = memories(session)?;
            let store = &mut session.store_mut()?;
            for (index, (memory, &largest)) in memories.iter().zip(sizes).enumerate() {
                let size = memory.data_size(&*store);
                let pages = largest.saturating_sub(size) as u64 / memory.page_size(&*store);
                if pages == 0 || memory.grow(&mut *store, pages).is_err() {
                    continue;
                }
                let grown = memory.data(&*store).get(size..).unwrap_or_default();
                if let Some(at) = grown.iter().position(|&byte| byte != 0) {
                    let (byte, offset) = (grown[at], size + at);
                    return Ok(Some(format!(
                        "memory {index} grows by a page with {byte:#04x} at {offset:#x}"
                    )));
                }
            }
            Ok(None)
        })
    }
}

/// Looks behind the memories of one session after each of many resets. It is compiled once.
pub struct Lookers<'a> {
    fresh: &'a Fresh,
    looker: Option<Looker>,
    /// For instances that are kept, by where their first memory begins: one store has room for so many instances.
    edges: BTreeMap<usize, Edges>,
}

impl Lookers<'_> {
    /// Looks behind the memories of a session that was reset, where the guest has to trap. Leaves everything as it is but
    /// the store's epoch deadline.
    pub fn beyond(&mut self, strategy: &Strategy, session: &mut Session<BlockState>) -> Option<String> {
        said(|| {
            let facts = &self.fresh.facts;
            let Some(first) = memories(session)?.first().copied() else { return Ok(None) };
            let instance = session.instance()?;
            let mut store = session.store_mut()?;
            let base = first.data_ptr(&store).addr();
            // A fresh instance may begin where another did that is gone.
            if let Lifecycle::Fresh(_) = strategy.lifecycle() {
                self.edges.clear();
            }
            if !self.edges.contains_key(&base) {
                // A pool has no room for the instance that looks: its memories are wasmtime's own.
                if self.looker.is_none() {
                    self.looker = Looker::of(facts, instance, &mut store).ok();
                }
                let Some(looker) = &self.looker else { return Ok(None) };
                let Ok(edges) = looker.at(facts, instance, &mut store) else { return Ok(None) };
                self.edges.insert(base, edges);
            }
            Ok(self.edges[&base].first_beyond(&self.fresh.state, store, BEYOND)?.map(in_words))
        })
    }
}

/// How many pages behind a memory are looked at.
const BEYOND: u64 = 16;

/// What was found, or why nothing could be looked at.
fn said(look: impl FnOnce() -> Result<Option<String>, Error>) -> Option<String> {
    look().unwrap_or_else(|error| Some(format!("{:#}", anyhow::Error::from(error))))
}

fn in_words(difference: Difference) -> String {
    difference.to_string()
}

/// The memories of a session that can be reached, each once.
///
/// # Errors
/// When an earlier reset failed.
pub fn memories(session: &mut Session<BlockState>) -> Result<Vec<Memory>, Error> {
    let instance = session.instance()?;
    let store = &mut session.store_mut()?;
    let exports: Vec<_> = instance.exports(&mut *store).map(wasmtime::Export::into_extern).collect();
    let mut memories: Vec<Memory> = Vec::new();
    for memory in exports.into_iter().filter_map(Extern::into_memory) {
        // The same memory may be exported by several names.
        let base = memory.data_ptr(&*store);
        if memories.iter().all(|known| known.data_ptr(&*store) != base) {
            memories.push(memory);
        }
    }
    Ok(memories)
}
