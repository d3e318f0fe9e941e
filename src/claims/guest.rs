//! A module under a strategy in this process: what claims need that are not about blocks of a trace.

use std::sync::Arc;

use anyhow::{Context, Result};
use reset_strategies::{Options, Plan, Session, registry};
use wasmtime::{Linker, Module};

use crate::hosts::Calls;
use crate::workload::host::{BlockState, Outcome, Shared, Spoken};

/// A compiled module, whose sessions have one store.
pub struct Guest {
    pub plan: Plan<'static>,
    pub module: Module,
    pub store: Shared,
}

impl Guest {
    /// Compiles a module for a strategy.
    ///
    /// # Errors
    /// When there is no such strategy, or it cannot run the module here.
    pub fn new(strategy: &str, wasm: &[u8], options: Options) -> Result<Self> {
        let strategy = registry::find(strategy).with_context(|| format!("no strategy `{strategy}`"))?;
        let plan = Plan::new(strategy, wasm, options)?.into_owned();
        let module = Module::new(&plan.engine()?, plan.wasm())?;
        Ok(Self { plan, module, store: Shared::default() })
    }

    /// A linker with the functions of the host.
    ///
    /// # Errors
    /// When wasmtime does not take them.
    pub fn linker(&self) -> Result<Linker<BlockState>> {
        let mut linker = Linker::new(self.module.engine());
        Spoken::default().link(&mut linker, &self.module, Calls::Blocking)?;
        Ok(linker)
    }

    /// What makes the host's state for a block.
    pub fn state(&self) -> impl FnMut() -> BlockState + Send + 'static {
        let store = self.store.clone();
        move || BlockState::new(store.clone())
    }

    /// An instance, whose calls block.
    ///
    /// # Errors
    /// When none can be made.
    pub fn session(&self) -> Result<Session<BlockState>> {
        Ok(self.plan.start(&self.module, &self.linker()?, self.state())?)
    }
}

/// Runs a block and says how it ended, with the digest of what it flushed.
///
/// # Errors
/// When an earlier reset failed.
pub fn block(session: &mut Session<BlockState>, input: &Arc<[u8]>) -> Result<(Outcome, String)> {
    let mut store = session.store_mut()?;
    store.data_mut().begin(input.clone());
    store.data_mut().record();
    let result = session.execute();
    let mut store = session.store_mut()?;
    let outcome = store.data_mut().outcome(result);
    Ok((outcome, store.data().digest().unwrap_or_default()))
}
