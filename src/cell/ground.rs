//! What all sessions of a child stand on: its files, warm memory, the engine and the compiled module.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use reset_strategies::pool::{Limits, Pool};
use reset_strategies::{Define, Hooks, Options, Plan, Strategy};
use wasmtime::{Linker, Module, ResourceLimiter, StoreContextMut, UpdateDeadline};

use super::state::Fresh;
use super::ticker::{self, Threads};
use super::times::Stages;
use super::{cache, code_map, guest_stacks};
use crate::files;
use crate::hosts::{Calls, TICKS};
use crate::measure::warm;
use crate::protocol::schedule::{BLOCKS, Schedule, VIEWS};
use crate::protocol::staging;
use crate::protocol::{Spec, lacks};
use crate::workload::host::{self, Base, BlockState, Entries, Exported, Shared, Spoken, Store};

/// Ticks that each block has by the options, where these set the deadline and not the host: a block spends one.
const ALLOWANCE: u64 = 3;

/// Finds a strategy by its name.
pub type Find = fn(&str) -> Option<&'static Strategy>;

/// A strategy that this build does not have.
#[derive(Debug, thiserror::Error)]
#[error("{}", lacks(_0))]
pub(super) struct Lacking(String);

/// What the sessions of a process share: the blocks, the engine and the compiled module.
pub struct Ground {
    pub(super) spec: Spec,
    pub(super) trace: Vec<Arc<[u8]>>,
    /// What the store of each session begins with.
    pub(super) base: Arc<Base>,
    pub(super) plan: Plan<'static>,
    pub(super) module: Module,
    /// Defines the host's functions.
    pub(super) define: Define<BlockState>,
    /// Who executes, for the clock by which blocks time out.
    pub(super) executing: Threads,
    /// What a fresh instance of the module looks like, once somebody has asked.
    fresh: Mutex<Option<Arc<Fresh>>>,
}

impl Ground {
    /// Reads the files, warms the memory, and makes engine and module.
    ///
    /// # Errors
    /// When a file cannot be read, or the strategy cannot run the module here.
    pub fn lay(spec: &Spec, find: Find, stages: &mut Stages) -> Result<Self> {
        if let Some(group) = &spec.group {
            std::fs::write(group, std::process::id().to_string())
                .with_context(|| format!("cannot join {}", group.display()))?;
        }
        // The parent may be another build, which has strategies that this one has not.
        let strategy = find(&spec.strategy).ok_or_else(|| Lacking(spec.strategy.clone()))?;
        let trace = staging::read_trace(&spec.trace)?;
        let base = base(spec)?;
        let wasm = files::read(&spec.module)?;
        warm::warm(spec.warm_bytes)?;
        stages.skip();

        let plan = Plan::new(strategy, &wasm, spec.options())?.into_owned();
        stages.end("judge");
        let engine = plan.engine()?;
        stages.end("engine");
        let (module, stage) = cache::module(&spec.cache, &engine, plan.wasm())?;
        stages.end(stage);
        if let Some(path) = &spec.code_map {
            code_map::write(path, &module)?;
        }
        let executing = Threads::default();
        // Where allowances are the subject, blocks spend them at places of their own, and time spends none.
        if !spec.is(Schedule::Allowances) {
            ticker::start(&engine, spec.timeout(), &executing);
        }
        let define = defining(spec.abi.clone(), spec.host.calls);
        let spec = spec.clone();
        Ok(Self { spec, trace, base, plan, module, define, executing, fresh: Mutex::default() })
    }

    /// A linker in which the host's functions are defined.
    pub(super) fn linker(&self) -> Result<Linker<BlockState>> {
        let mut linker = Linker::new(self.module.engine());
        (self.define)(&mut linker, &self.module)?;
        Ok(linker)
    }

    /// What makes the host's state for each block, over that store.
    pub(super) fn state(&self, store: &Shared) -> impl Fn() -> BlockState + Clone + Send + Sync + 'static {
        let (store, most, memory) = (store.clone(), self.spec.host.memory_bytes, Exported::of(&self.module));
        move || BlockState::new(store.clone()).limited(most).exported(memory)
    }

    /// What a store is given besides.
    pub(super) fn hooks(&self) -> Hooks<BlockState> {
        // Where growth is not to fail and the host sets no limit, no limiter is asked.
        let limiter: Option<fn(&mut BlockState) -> &mut dyn ResourceLimiter> =
            match self.spec.host.memory_bytes {
                _ if self.spec.is(Schedule::FailingGrowth) => Some(|state| &mut state.scarcity),
                Some(_) => Some(|state| &mut state.limits),
                None => None,
            };
        let epoch: Option<fn(StoreContextMut<'_, BlockState>) -> wasmtime::Result<UpdateDeadline>> =
            match self.spec.guest_stacks {
                true => Some(guest_stacks::see),
                false => self.spec.is(Schedule::Dropped).then_some(host::deadline),
            };
        Hooks { limiter, epoch, define: Some(self.define) }
    }

    /// A pool of so many sessions, over one store.
    pub(super) fn pool(&self, places: u32) -> Result<Pool<BlockState>> {
        let store = Shared::new(Store::over(self.base.clone()));
        let (linker, limits) = (self.linker()?, Limits::most(places as usize));
        let (state, hooks) = (self.state(&store), self.hooks());
        Ok(Pool::new(self.plan.clone(), &self.module, &linker, state, hooks, limits)?)
    }

    /// What a fresh instance of the module looks like.
    pub(super) fn fresh(&self) -> Result<Arc<Fresh>> {
        let mut made = self.fresh.lock().map_err(|_| anyhow!("another session of this process panicked"))?;
        if let Some(fresh) = &*made {
            return Ok(fresh.clone());
        }
        let fresh = Arc::new(Fresh::of(&self.spec, &files::read(&self.spec.module)?)?);
        Ok(made.insert(fresh).clone())
    }

    /// Instances at once.
    pub(super) fn threads(&self) -> u32 {
        self.spec.threads
    }
}

/// What defines the functions of an ABI in a linker. It lives as long as the process, which has few of them.
pub(super) fn defining(abi: Spoken, calls: Calls) -> Define<BlockState> {
    Box::leak(Box::new(move |linker: &mut Linker<BlockState>, module: &Module| {
        abi.link(linker, module, calls)
    }))
}

/// What stores begin with.
fn base(spec: &Spec) -> Result<Arc<Base>> {
    let mut entries = spec.filled.as_deref().map_or_else(|| Ok(Entries::new()), staging::read_store)?;
    entries.extend(spec.store.iter().map(|(key, value)| (key.as_bytes().into(), value.as_bytes().into())));
    Ok(Arc::new(Base::new(entries)))
}

impl Spec {
    /// Whether this child is for that schedule alone.
    pub(super) fn is(&self, schedule: Schedule) -> bool {
        self.script.is_some_and(|script| script.schedule == schedule)
    }

    fn options(&self) -> Options {
        // What is for a schedule alone may need a second session, or room for an instance that looks. One that looks must not
        // take the place of another thread's session either, while that makes its new instance.
        let sessions = match self.places {
            // One more for blocks that are indexed meanwhile.
            Some(places) => places + 1,
            None if self.is(Schedule::Concurrent) => 2 + VIEWS + BLOCKS,
            None => self.threads * if self.script.is_some() || self.threads > 1 { 2 } else { 1 },
        };
        Options {
            sessions,
            deadline: self.ticks(),
            entry: self.abi.entry(),
            // As functions of this host do. Where there are many threads, a host would say so.
            writes_on_calling_thread: self.places.is_some() || self.is(Schedule::Concurrent),
            ..self.host.options()
        }
    }

    /// CPU time that a block may take.
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// Ticks until the deadline of a block.
    pub(super) fn ticks(&self) -> u64 {
        if self.is(Schedule::Allowances) { ALLOWANCE } else { TICKS }
    }
}
