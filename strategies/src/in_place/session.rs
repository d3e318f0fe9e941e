//! The lifecycle of an instance that is kept: snapshot once, then reset after each block.

use std::ops::Range;
use std::sync::Arc;
use std::{io, mem};

use wasmtime::{
    ExternType, Global, Instance, Linker, Module, Ref, ResourceLimiter, Store, Table, TypedFunc, Val,
    WasmParams, WasmResults,
};

use super::callers::Callers;
use super::memories::{Memories, TrackedMemory};
use super::support::ABORT;
use super::{Creator, InPlace, Scope, Which};
use crate::block::{self, Allowance, Reset};
use crate::calls::Calls;
use crate::commit::{Extent, WASM_PAGE, WHOLE_MEMORY};
use crate::error::Error;
use crate::hooks::Hooks;
use crate::learned::Learned;
use crate::module::{Facts, Item, export_name};
#[allow(unused_imports, reason = "of use with an older wasmtime only")]
use crate::older::HeapCapacity;
use crate::older::NOT_TOLD;
use crate::options::Options;
use crate::strategy::Strategy;

pub(crate) struct InPlaceSession<T: 'static> {
    template: Template<T>,
    state: Box<dyn FnMut() -> T + Send>,
    live: Live<T>,
    ended: Ended,
    callers: Callers,
}

/// How the last block ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// It returned, or there was none.
    Well,
    /// It trapped, or the host ended it.
    Badly,
    /// Its future was dropped.
    Never,
}

impl Ended {
    fn of<R>(result: &wasmtime::Result<R>) -> Self {
        if result.is_ok() { Self::Well } else { Self::Badly }
    }
}

/// What instances are made from.
pub(crate) struct Template<T: 'static> {
    pub(crate) strategy: &'static Strategy,
    pub(crate) parts: InPlace,
    pub(crate) module: Module,
    pub(crate) linker: Linker<T>,
    pub(crate) facts: Arc<Facts>,
    pub(crate) creator: Arc<Creator>,
    pub(crate) options: Options,
    pub(crate) hooks: Hooks<T>,
}

/// An instance with all that is known of how it began.
struct Live<T: 'static> {
    store: Store<T>,
    instance: Instance,
    start: Option<TypedFunc<(), ()>>,
    memories: Memories,
    globals: Vec<(Global, Val)>,
    tables: Vec<(Table, Vec<Ref>)>,
    allowance: Allowance,
}

impl<T: 'static> InPlaceSession<T> {
    pub(crate) async fn start<C: Calls<T>>(
        template: Template<T>,
        mut state: Box<dyn FnMut() -> T + Send>,
    ) -> Result<Self, Error> {
        let state_now = template.start_calls_nobody::<C>(state()).await?;
        let live = template.make::<C>(state_now).await?;
        let Template { parts, options, .. } = &template;
        let one_thread = options.writes_on_calling_thread || !parts.scope.any_thread;
        let callers = Callers::new(one_thread && live.memories.heed_faults());
        Ok(Self { template, state, live, ended: Ended::Well, callers })
    }

    /// The parts of the contract that it keeps.
    pub(crate) fn scope(&self) -> &Scope {
        &self.template.parts.scope
    }

    pub(crate) fn store_mut(&mut self) -> &mut Store<T> {
        self.callers.enter();
        &mut self.live.store
    }

    pub(crate) fn instance(&self) -> Instance {
        self.live.instance
    }

    pub(crate) fn expect(&mut self, block: u64) {
        self.live.memories.expect(block);
    }

    /// Bytes of the memories as large as they are, and of their snapshots.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.live.memories.bytes()
    }

    /// Whether the last block failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.ended != Ended::Well
    }

    pub(crate) fn learned(&self) -> Vec<Learned> {
        self.live.memories.learned()
    }

    pub(crate) fn restored(&self) -> Vec<&[Range<usize>]> {
        self.live.memories.restored().collect()
    }

    pub(crate) async fn execute<C: Calls<T>>(&mut self) -> wasmtime::Result<()> {
        // As it stays if this future is dropped.
        self.ended = Ended::Never;
        let Live { start, store, .. } = &mut self.live;
        let result = self.callers.run(block::execute::<T, C>(start.as_ref(), store)).await;
        self.ended = Ended::of(&result);
        result
    }

    pub(crate) async fn call<C: Calls<T>, P, R>(&mut self, export: &str, params: P) -> wasmtime::Result<R>
    where
        P: WasmParams + Sync,
        R: WasmResults + Sync,
    {
        self.ended = Ended::Never;
        let Live { instance, store, .. } = &mut self.live;
        let result = self.callers.run(block::call::<T, C, P, R>(*instance, store, export, params)).await;
        self.ended = Ended::of(&result);
        result
    }

    pub(crate) async fn reset<C: Calls<T>>(&mut self) -> Result<Reset, Error> {
        let scope = &self.template.parts.scope;
        let is_due = match self.ended {
            Ended::Well => true,
            Ended::Badly => scope.failed,
            Ended::Never => scope.dropped,
        };
        if !is_due {
            return Ok(Reset::default());
        }
        if self.has_used_the_heap() {
            return self.renew::<C>().await;
        }
        let faulted = self.callers.have_faulted().map_err(Error::kernel(CANNOT_COUNT))?;
        // SAFETY: a reset borrows the session, and with it the store, exclusively: no guest frame runs and no slice
        // of a memory is borrowed. A call whose future was dropped has been unwound; of one whose future was forgotten,
        // frames are left that nobody can go on with. The store is the one that owns the memories, since none but this
        // module has ever had more of it than a context, which cannot be exchanged.
        let done = unsafe { self.live.memories.reset(faulted) };
        // Whatever came of it: sizes that have changed must not be believed any longer.
        self.live.memories.tell(&mut self.live.store)?;
        let done = done?;
        self.reset_store()?;
        self.callers.begin(faulted).map_err(Error::kernel(CANNOT_COUNT))?;
        Ok(done)
    }

    /// Whether the block has put anything on the garbage-collected heap. It is not brought back: the size that it has grown
    /// to stays, so that a limiter would be asked for less, and not every collector collects.
    pub(super) fn has_used_the_heap(&self) -> bool {
        let has_heap = || match self.live.store.gc_heap_capacity() {
            // It is a memory as well, and made where the others are.
            NOT_TOLD => self.template.creator.has_others(),
            bytes => bytes > 0,
        };
        // A limiter is asked for the empty heap as well, when the instance is made.
        self.may_use_the_heap() && (has_heap() || self.template.hooks.limiter.is_some())
    }

    /// Whether a block may ever put anything there that is to be gone.
    pub(crate) fn may_use_the_heap(&self) -> bool {
        self.template.facts.may_allocate() && self.template.parts.scope.heap
    }

    /// Makes the instance anew, as a fresh strategy does.
    pub(super) async fn renew<C: Calls<T>>(&mut self) -> Result<Reset, Error> {
        self.callers.forget();
        // What is process-wide has to be free for the new ones.
        self.live.memories = Memories::default();
        let state = (self.state)();
        self.live = self.template.make::<C>(state).await?;
        Ok(Reset { instances: 1, ..Reset::default() })
    }

    /// Gives the memories away, to be reset elsewhere; the session must not be used until it has [them](Self::put) again.
    pub(super) fn take(&mut self) -> Memories {
        self.callers.forget();
        mem::take(&mut self.live.memories)
    }

    /// Takes memories that were reset elsewhere back.
    pub(super) fn put(&mut self, memories: Memories) -> Result<(), Error> {
        self.live.memories = memories;
        self.live.memories.tell(&mut self.live.store)
    }

    /// Brings back what is not in a memory.
    pub(super) fn reset_store(&mut self) -> Result<(), Error> {
        let Template { parts, hooks, facts, .. } = &self.template;
        let Live { store, memories, globals, tables, .. } = &mut self.live;
        for (global, value) in &*globals {
            global.set(&mut *store, *value).map_err(Error::engine("cannot restore a global"))?;
        }
        for (table, elements) in &*tables {
            // The guest cannot have grown it, or it would have been refused.
            if table.size(&*store) != elements.len() as u64 {
                return Err(Error::TableGrown);
            }
            for (index, element) in (0..).zip(elements) {
                table
                    .set(&mut *store, index, element.clone())
                    .map_err(Error::engine("cannot restore a table"))?;
            }
        }
        if parts.scope.host && (parts.scope.host_after_failure || self.ended == Ended::Well) {
            *store.data_mut() = (self.state)();
            if let Some(limiter) = hooks.limiter {
                let sizes = memories.initial_sizes();
                ask_again(limiter(store.data_mut()), facts, &sizes)
                    .map_err(Error::engine("the limiter does not allow what the module begins with"))?;
            }
        }
        self.allow()
    }

    /// Gives the next block its deadline and fuel.
    pub(super) fn allow(&mut self) -> Result<(), Error> {
        let Template { parts, hooks, .. } = &self.template;
        if parts.scope.allowances {
            self.live.allowance.give(&mut self.live.store)?;
            if let Some(epoch) = hooks.epoch {
                // The host may have put a trap in its place.
                self.live.store.epoch_deadline_callback(epoch);
            }
        }
        Ok(())
    }
}

const CANNOT_COUNT: &str = "cannot count the faults of a thread";

/// Asks a limiter that is new for what instantiation has asked the first one: all memories, then all tables.
fn ask_again(limiter: &mut dyn ResourceLimiter, facts: &Facts, sizes: &[usize]) -> wasmtime::Result<()> {
    for (ty, &bytes) in facts.memories.iter().zip(sizes) {
        let most = ty.maximum.map(|_| usize::try_from(ty.maximum_bytes()).unwrap_or(usize::MAX));
        if !limiter.memory_growing(0, bytes, most)? {
            return Err(wasmtime::Error::msg(format!("a memory of {bytes} bytes")));
        }
    }
    for ty in &facts.tables {
        let [initial, most] =
            [Some(ty.initial), ty.maximum].map(|n| n.map(|n| usize::try_from(n).unwrap_or(usize::MAX)));
        let initial = initial.unwrap_or_default();
        if !limiter.table_growing(0, initial, most)? {
            return Err(wasmtime::Error::msg(format!("a table of {initial} elements")));
        }
    }
    Ok(())
}

impl<T: 'static> Template<T> {
    async fn make<C: Calls<T>>(&self, state: T) -> Result<Live<T>, Error> {
        let Self { parts, facts, options, .. } = self;
        let mut store = block::store(self.module.engine(), state, options, self.hooks)?;
        let instance = C::link(&self.linker, &self.module, &mut store)
            .await
            .map_err(Error::engine("cannot instantiate the module"))?;
        let start = block::entry(instance, &mut store, options.entry)?;
        let mut memories = Memories::default();
        for (index, ty) in facts.memories.iter().enumerate() {
            let name = export_name(Item::Memory, index);
            let memory = instance.get_memory(&mut store, &name).ok_or_else(|| missing(&name))?;
            let region = self.creator.region(memory.data_ptr(&store).addr());
            let region = region.ok_or_else(|| {
                Error::Foreign(format!("memory {index} was made by an engine of another configuration"))
            })?;
            if self.hooks.limiter.is_some() && region.size() as u64 != ty.initial_bytes() {
                let reason = format!(
                    "start function grows memory {index}, for which a limiter is asked in each fresh instance"
                );
                return Err(Error::refused(self.strategy.name(), reason));
            }
            let bytes = (parts.scope.bytes)(facts, index);
            // SAFETY: the instance has just been made: no guest frame exists, and no slice was borrowed.
            let tracked = unsafe { TrackedMemory::new(*parts, memory, region, bytes) };
            memories.push(tracked.map_err(Error::kernel("cannot take the snapshot of a memory"))?);
        }
        // SAFETY: as above.
        unsafe { memories.track() }.map_err(|error| match error.kind() {
            io::ErrorKind::ResourceBusy => Error::refused(self.strategy.name(), error.to_string()),
            _ => Error::kernel("cannot track the pages of a memory")(error),
        })?;
        let globals = self.snapshot_globals(parts.scope.globals, instance, &mut store)?;
        let tables =
            if parts.scope.tables { self.snapshot_tables(instance, &mut store)? } else { Vec::new() };
        let allowance = block::allow(&mut store, options);
        Ok(Live { store, instance, start, memories, globals, tables, allowance })
    }

    /// Tries out, in a store that is thrown away, that instantiation calls no function of the host which a fresh instance
    /// would call again. Returns the state, which nobody has seen.
    async fn start_calls_nobody<C: Calls<T>>(&self, state: T) -> Result<T, Error> {
        if self.facts.start.as_ref().is_none_or(|start| start.may_call.is_empty()) {
            return Ok(state);
        }
        let mut linker = self.linker.clone();
        linker.allow_shadowing(true);
        for import in self.module.imports() {
            let (ExternType::Func(ty), true) = (import.ty(), (import.module(), import.name()) == ABORT)
            else {
                continue;
            };
            linker
                .func_new(ABORT.0, ABORT.1, ty, |_, _, _| Err(CalledTheHost.into()))
                .map_err(Error::engine("cannot replace env.abort"))?;
        }
        let mut store = block::store(self.module.engine(), state, &self.options, Hooks::default())?;
        match C::link(&linker, &self.module, &mut store).await {
            Err(error) if error.is::<CalledTheHost>() => {
                let reason = "start function calls env.abort, which a fresh instance would call again";
                Err(Error::refused(self.strategy.name(), reason))
            }
            // Whatever else fails here will fail again.
            _ => Ok(store.into_data()),
        }
    }

    fn snapshot_globals(
        &self,
        chosen: Which,
        instance: Instance,
        store: &mut Store<T>,
    ) -> Result<Vec<(Global, Val)>, Error> {
        let facts = &self.facts;
        let mut globals = Vec::new();
        let flags = facts.tracked_drops().map(|drop| drop.flag as usize);
        for index in facts.mutable_globals().chain(flags).filter(|index| chosen(facts, *index)) {
            let name = export_name(Item::Global, index);
            let global = instance.get_global(&mut *store, &name).ok_or_else(|| missing(&name))?;
            globals.push((global, global.get(&mut *store)));
        }
        Ok(globals)
    }

    fn snapshot_tables(
        &self,
        instance: Instance,
        store: &mut Store<T>,
    ) -> Result<Vec<(Table, Vec<Ref>)>, Error> {
        let mut tables = Vec::new();
        for index in self.facts.mutable_tables() {
            let name = export_name(Item::Table, index);
            let table = instance.get_table(&mut *store, &name).ok_or_else(|| missing(&name))?;
            let elements = (0..table.size(&*store)).filter_map(|at| table.get(&mut *store, at)).collect();
            tables.push((table, elements));
        }
        Ok(tables)
    }
}

/// Instantiation has called a function of the host.
#[derive(Debug, thiserror::Error)]
#[error("the start function calls the host")]
struct CalledTheHost;

/// A module that was not compiled from the plan's bytes lacks what instrumentation exports.
fn missing(what: &str) -> Error {
    Error::Foreign(format!("it does not export `{what}`"))
}

/// For commit policies, which work on the first memory.
impl<T: 'static> InPlaceSession<T> {
    /// Whether a reset leaves the memory resident.
    pub(crate) fn keeps_memory(&self) -> bool {
        self.live.memories.first_is_kept()
    }

    /// Opens the first `bytes`, or as many as the memory may grow to; grows it by them first where `grow` says so.
    pub(crate) fn extent(&mut self, bytes: u64, grow: bool) -> io::Result<Extent<'_>> {
        self.callers.forget();
        let Some(tracked) = self.live.memories.first_mut() else {
            return Err(io::Error::other("the module has no memory"));
        };
        let most = tracked.memory.ty(&self.live.store).maximum().map_or(WHOLE_MEMORY, |pages| pages << 16);
        let bytes = usize::try_from(bytes.min(most)).unwrap_or(usize::MAX);
        let filled = tracked.region.size();
        if grow {
            let pages = bytes.saturating_sub(filled).div_ceil(WASM_PAGE);
            tracked
                .memory
                .grow(&mut self.live.store, pages as u64)
                .map_err(|e| io::Error::other(e.to_string()))?;
            tracked.image.grow_to(tracked.region.size());
        }
        // SAFETY: the session is borrowed exclusively: no guest frame runs and no slice of the memory is borrowed.
        unsafe { Extent::open(&tracked.region, filled, bytes) }
    }

    /// Has the trackers begin again, on mappings that a policy may have replaced.
    pub(crate) fn track_anew(&mut self) -> io::Result<()> {
        self.callers.forget();
        // SAFETY: as in `extent`.
        unsafe { self.live.memories.track() }
    }

    /// Why the memory may not be made of huge pages that were reserved, if it may not.
    pub(crate) fn refuses_hugetlb(&self) -> Option<&'static str> {
        self.live.memories.first_refuses_hugetlb()
    }
}
