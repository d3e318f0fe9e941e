//! The lifecycle of an instance that is kept: snapshot once, then reset after each block.

use std::{io, mem};

use wasmtime::{
    AsContextMut, Global, Instance, Linker, Module, Ref, RootScope, Store, Table, TypedFunc, Val,
};

use super::memories::{Memories, TrackedMemory};
use super::{InPlace, Which};
use crate::commit::{Extent, WASM_PAGE, WHOLE_MEMORY};
use crate::error::Error;
use crate::module::{Facts, Item, export_name};
use crate::plan::{Options, Plan};
use crate::session::{self, Reset};
use crate::track::Learned;

pub(crate) struct InPlaceSession<T: 'static> {
    store: Store<T>,
    instance: Instance,
    start: Option<TypedFunc<(), ()>>,
    state: Box<dyn FnMut() -> T + Send>,
    parts: InPlace,
    /// Whether the last block ended otherwise than by returning.
    failed: bool,
    memories: Memories,
    globals: Vec<(Global, Val)>,
    tables: Vec<(Table, Vec<Ref>)>,
    /// Whether the guest may put something on the garbage-collected heap.
    heap: bool,
}

impl<T: 'static> InPlaceSession<T> {
    pub(crate) fn start(
        plan: &Plan<'_>,
        parts: InPlace,
        module: &Module,
        linker: &Linker<T>,
        mut state: Box<dyn FnMut() -> T + Send>,
    ) -> Result<Self, Error> {
        let Options { entry, deadline, .. } = *plan.options();
        let mut store = session::store(module.engine(), state(), deadline);
        let instance =
            linker.instantiate(&mut store, module).map_err(Error::engine("cannot instantiate the module"))?;
        let start = session::entry(instance, &mut store, entry)?;
        let facts = plan.facts();
        let mut memories = Memories::default();
        for index in 0..facts.memories.len() {
            let name = export_name(Item::Memory, index);
            let memory = instance.get_memory(&mut store, &name).ok_or_else(|| missing(plan, &name))?;
            let region = plan.creator().region(memory.data_ptr(&store).addr());
            let region = region.ok_or_else(|| missing(plan, "the region of a memory"))?;
            let bytes = (parts.scope.bytes)(facts, index);
            // SAFETY: the instance has just been made: no guest frame exists, and no slice was borrowed.
            let tracked = unsafe { TrackedMemory::new(parts, memory, region, bytes) };
            memories.push(tracked.map_err(Error::kernel("cannot take the snapshot of a memory"))?);
        }
        // SAFETY: as above.
        unsafe { memories.track() }.map_err(Error::kernel("cannot track the pages of a memory"))?;
        let globals = snapshot_globals(plan, parts.scope.globals, instance, &mut store)?;
        let tables =
            if parts.scope.tables { snapshot_tables(plan, facts, instance, &mut store)? } else { Vec::new() };
        let heap = facts.may_allocate();
        Ok(Self { store, instance, start, state, parts, failed: false, memories, globals, tables, heap })
    }

    pub(crate) fn store_mut(&mut self) -> &mut Store<T> {
        &mut self.store
    }

    pub(crate) fn instance(&self) -> Instance {
        self.instance
    }

    pub(crate) fn expect(&mut self, block: u64) {
        self.memories.expect(block);
    }

    pub(crate) fn learned(&self) -> Vec<Learned> {
        self.memories.learned()
    }

    pub(crate) fn execute(&mut self) -> wasmtime::Result<()> {
        let result = session::call(self.start.as_ref(), &mut self.store);
        self.failed = result.is_err();
        result
    }

    pub(crate) fn reset(&mut self) -> Result<Reset, Error> {
        if self.failed && !self.parts.scope.failed {
            return Ok(Reset::default());
        }
        // SAFETY: a reset borrows the session, and with it the store, exclusively: no guest frame runs and no slice
        // of a memory is borrowed.
        let done = unsafe { self.memories.reset()? };
        self.memories.tell(&mut self.store)?;
        self.reset_store()?;
        Ok(done)
    }

    /// Gives the memories away, to be reset elsewhere; the session must not be used until it has [them](Self::put) again.
    pub(super) fn take(&mut self) -> Memories {
        mem::take(&mut self.memories)
    }

    /// Takes memories that were reset elsewhere back.
    pub(super) fn put(&mut self, memories: Memories) -> Result<(), Error> {
        self.memories = memories;
        self.memories.tell(&mut self.store)
    }

    /// Brings back what is not in a memory.
    pub(super) fn reset_store(&mut self) -> Result<(), Error> {
        for (global, value) in &self.globals {
            global.set(&mut self.store, *value).map_err(Error::engine("cannot restore a global"))?;
        }
        for (table, elements) in &self.tables {
            // The guest cannot have grown it, or it would have been refused.
            if table.size(&self.store) != elements.len() as u64 {
                return Err(Error::TableGrown);
            }
            for (index, element) in (0..).zip(elements) {
                table
                    .set(&mut self.store, index, element.clone())
                    .map_err(Error::engine("cannot restore a table"))?;
            }
        }
        if self.heap {
            // An exception that nobody caught waits in the store, and would keep what it holds.
            RootScope::new(&mut self.store).as_context_mut().take_pending_exception();
            self.store.gc(None).map_err(Error::engine("cannot collect garbage"))?;
        }
        if self.parts.scope.host {
            *self.store.data_mut() = (self.state)();
        }
        Ok(())
    }
}

/// For commit policies, which work on the first memory.
impl<T: 'static> InPlaceSession<T> {
    /// Whether a reset leaves the memory resident.
    pub(crate) fn keeps_memory(&self) -> bool {
        self.memories.first_is_kept()
    }

    /// Opens the first `bytes`, or as many as the memory may grow to; grows it by them first where `grow` says so.
    pub(crate) fn extent(&mut self, bytes: u64, grow: bool) -> io::Result<Extent<'_>> {
        let Some(tracked) = self.memories.first_mut() else {
            return Err(io::Error::other("the module has no memory"));
        };
        let most = tracked.memory.ty(&self.store).maximum().map_or(WHOLE_MEMORY, |pages| pages << 16);
        let bytes = usize::try_from(bytes.min(most)).unwrap_or(usize::MAX);
        let filled = tracked.region.size();
        if grow {
            let pages = bytes.saturating_sub(filled).div_ceil(WASM_PAGE);
            tracked
                .memory
                .grow(&mut self.store, pages as u64)
                .map_err(|e| io::Error::other(e.to_string()))?;
            tracked.image.grow_to(tracked.region.size());
        }
        // SAFETY: the session is borrowed exclusively: no guest frame runs and no slice of the memory is borrowed.
        unsafe { Extent::open(&tracked.region, filled, bytes) }
    }

    /// Has the trackers begin again, on mappings that a policy may have replaced.
    pub(crate) fn track_anew(&mut self) -> io::Result<()> {
        // SAFETY: as in `extent`.
        unsafe { self.memories.track() }
    }

    /// Why the memory may not be made of huge pages that were reserved, if it may not.
    pub(crate) fn refuses_hugetlb(&self) -> Option<&'static str> {
        self.memories.first_refuses_hugetlb()
    }
}

fn snapshot_globals<T>(
    plan: &Plan<'_>,
    chosen: Which,
    instance: Instance,
    store: &mut Store<T>,
) -> Result<Vec<(Global, Val)>, Error> {
    let facts = plan.facts();
    let mut globals = Vec::new();
    let flags = facts.tracked_drops().map(|drop| drop.flag as usize);
    for index in facts.mutable_globals().chain(flags).filter(|index| chosen(facts, *index)) {
        let name = export_name(Item::Global, index);
        let global = instance.get_global(&mut *store, &name).ok_or_else(|| missing(plan, &name))?;
        globals.push((global, global.get(&mut *store)));
    }
    Ok(globals)
}

fn snapshot_tables<T>(
    plan: &Plan<'_>,
    facts: &Facts,
    instance: Instance,
    store: &mut Store<T>,
) -> Result<Vec<(Table, Vec<Ref>)>, Error> {
    let mut tables = Vec::new();
    for index in facts.mutable_tables() {
        let name = export_name(Item::Table, index);
        let table = instance.get_table(&mut *store, &name).ok_or_else(|| missing(plan, &name))?;
        let elements = (0..table.size(&*store)).filter_map(|at| table.get(&mut *store, at)).collect();
        tables.push((table, elements));
    }
    Ok(tables)
}

/// A module that was not compiled from the plan's bytes lacks what instrumentation exports.
fn missing(plan: &Plan<'_>, what: &str) -> Error {
    Error::refused(
        plan.strategy(),
        format!("{what} cannot be reached: was the module compiled from the plan's bytes?"),
    )
}
