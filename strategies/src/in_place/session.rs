//! The lifecycle of an instance that is kept: snapshot once, then reset after each block.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use wasmtime::{
    AsContextMut, Global, Instance, Linker, Memory, Module, Ref, RootScope, Store, Table, TypedFunc, Val,
};

use super::region::{Pages, Region};
use super::tail::Tail;
use super::{Image, InPlace, Which};
use crate::commit::{Extent, WASM_PAGE, WHOLE_MEMORY};
use crate::error::Error;
use crate::module::{Facts, Item, export_name};
use crate::plan::{Options, Plan};
use crate::restore::Restorer;
use crate::session::{self, Reset};
use crate::track::{Learned, Tracker};

pub(crate) struct InPlaceSession<T: 'static> {
    store: Store<T>,
    instance: Instance,
    start: Option<TypedFunc<(), ()>>,
    state: Box<dyn FnMut() -> T + Send>,
    parts: InPlace,
    /// Whether the last block ended otherwise than by returning.
    failed: bool,
    memories: Vec<TrackedMemory>,
    globals: Vec<(Global, Val)>,
    tables: Vec<(Table, Vec<Ref>)>,
    /// Whether the guest may put something on the garbage-collected heap.
    heap: bool,
}

/// One memory with its snapshot and the parts that reset it.
struct TrackedMemory {
    memory: Memory,
    region: Arc<Region>,
    image: Image,
    /// Whether its bytes are within the scope.
    bytes: bool,
    tracker: Box<dyn Tracker>,
    restorer: Box<dyn Restorer>,
    tail: Tail,
    /// Kept between resets, so that a reset allocates nothing.
    runs: Vec<Range<usize>>,
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
        let mut memories = Vec::new();
        for index in 0..facts.memories.len() {
            let name = export_name(Item::Memory, index);
            let memory = instance.get_memory(&mut store, &name).ok_or_else(|| missing(plan, &name))?;
            let region = plan.creator().region(memory.data_ptr(&store).addr());
            let region = region.ok_or_else(|| missing(plan, "the region of a memory"))?;
            memories.push(
                TrackedMemory::new(parts, memory, region, (parts.scope.bytes)(facts, index))
                    .map_err(Error::kernel("cannot take the snapshot of a memory"))?,
            );
        }
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
        for memory in &mut self.memories {
            memory.tracker.expect(block);
        }
    }

    pub(crate) fn learned(&self) -> Vec<Learned> {
        self.memories.iter().filter_map(|memory| memory.tracker.learned()).collect()
    }

    pub(crate) fn execute(&mut self) -> wasmtime::Result<()> {
        let result = session::call(self.start.as_ref(), &mut self.store);
        self.failed = result.is_err();
        result
    }

    pub(crate) fn reset(&mut self) -> Result<Reset, Error> {
        let scope = self.parts.scope;
        let mut done = Reset::default();
        if self.failed && !scope.failed {
            return Ok(done);
        }
        for memory in &mut self.memories {
            memory.restore(&mut done).map_err(Error::kernel("cannot restore a memory"))?;
            memory.shrink(scope.size, &mut self.store, &mut done)?;
        }
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
        if scope.host {
            *self.store.data_mut() = (self.state)();
        }
        Ok(done)
    }
}

/// For commit policies, which work on the first memory.
impl<T: 'static> InPlaceSession<T> {
    /// Whether a reset leaves the memory resident.
    pub(crate) fn keeps_memory(&self) -> bool {
        self.memories.first().is_some_and(|memory| memory.restorer.keeps_memory())
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
        for tracked in &mut self.memories {
            tracked.tracker = (self.parts.tracker)();
            // SAFETY: as in `extent`.
            tracked.tracker.start(&mut unsafe { tracked.region.pages() })?;
        }
        Ok(())
    }
}

impl TrackedMemory {
    fn new(parts: InPlace, memory: Memory, region: Arc<Region>, bytes: bool) -> io::Result<Self> {
        // SAFETY: the instance has just been made: no guest frame exists, and no slice was borrowed.
        let mut pages = unsafe { region.pages() };
        let image = Image::capture(&mut pages)?;
        parts.backing.lay(&mut pages, &image)?;
        let mut tracker = (parts.tracker)();
        tracker.start(&mut pages)?;
        let restorer = (parts.restorer)();
        Ok(Self { memory, image, bytes, tracker, restorer, tail: Tail::default(), runs: Vec::new(), region })
    }

    fn restore(&mut self, done: &mut Reset) -> io::Result<()> {
        if !self.bytes {
            return Ok(());
        }
        // SAFETY: a reset borrows the session, and with it the store, exclusively: no guest frame runs and no slice
        // of the memory is borrowed.
        let mut pages = unsafe { self.region.pages() };
        if self.restorer.keeps_memory() {
            // Before the tracker looks, so that it takes the pages which this writes for written by the block.
            self.tail.make_huge(&mut pages, self.image.size(), &self.runs, done);
        }
        self.runs.clear();
        self.tracker.dirty(&pages, &self.image, &mut self.runs, done)?;
        self.restorer.restore(&mut pages, &self.image, &self.runs, done)?;
        self.tracker.clean(&mut pages, &self.image, done)
    }

    /// Brings the size back. Pages beyond it have been cleaned, so that growing again finds zeros.
    fn shrink<T>(
        &self,
        shrink: fn(&mut Pages<'_>, usize) -> io::Result<()>,
        store: &mut Store<T>,
        done: &mut Reset,
    ) -> Result<(), Error> {
        if self.region.size() == self.image.size() {
            return Ok(());
        }
        // SAFETY: as in `restore`.
        let mut pages = unsafe { self.region.pages() };
        shrink(&mut pages, self.image.size()).map_err(Error::kernel("cannot shrink a memory"))?;
        done.syscalls += 1;
        // The instance keeps a copy of the length, which growing by nothing makes it read anew.
        self.memory.grow(store, 0).map_err(Error::engine("cannot shrink a memory"))?;
        Ok(())
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
