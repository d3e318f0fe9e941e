//! The lifecycle of an instance that is kept: snapshot once, then reset after each block.

use std::ops::Range;
use std::sync::Arc;

use wasmtime::{Global, Instance, Linker, Memory, Module, Ref, Store, Table, TypedFunc, Val};

use super::region::{Pages, Region};
use super::{Image, InPlace, Scope, Which};
use crate::error::Error;
use crate::module::{Facts, Item, export_name};
use crate::plan::Plan;
use crate::restore::Restorer;
use crate::session::Reset;
use crate::track::Tracker;

pub(crate) struct InPlaceSession<T: 'static> {
    store: Store<T>,
    instance: Instance,
    start: TypedFunc<(), ()>,
    state: Box<dyn FnMut() -> T>,
    scope: Scope,
    /// Whether the last block ended otherwise than by returning.
    failed: bool,
    memories: Vec<TrackedMemory>,
    globals: Vec<(Global, Val)>,
    tables: Vec<(Table, Vec<Ref>)>,
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
    /// Kept between resets, so that a reset allocates nothing.
    runs: Vec<Range<usize>>,
}

impl<T: 'static> InPlaceSession<T> {
    pub(crate) fn start(
        plan: &Plan<'_>,
        parts: InPlace,
        module: &Module,
        linker: &Linker<T>,
        mut state: Box<dyn FnMut() -> T>,
    ) -> Result<Self, Error> {
        let mut store = Store::new(module.engine(), state());
        store.set_epoch_deadline(plan.options().deadline);
        let instance =
            linker.instantiate(&mut store, module).map_err(Error::engine("cannot instantiate the module"))?;
        let start = instance
            .get_typed_func(&mut store, plan.options().entry)
            .map_err(Error::engine("the module has no entry point without parameters"))?;
        let facts = plan.facts();
        let mut memories = Vec::new();
        for index in 0..facts.memories.len() {
            let name = export_name(Item::Memory, index);
            let memory = instance.get_memory(&mut store, &name).ok_or_else(|| missing(plan, &name))?;
            let region = plan.creator().claim(memory.data_ptr(&store).addr());
            let region = region.ok_or_else(|| missing(plan, "the region of a memory"))?;
            memories.push(
                TrackedMemory::new(parts, memory, region, (parts.scope.bytes)(facts, index))
                    .map_err(Error::kernel("cannot take the snapshot of a memory"))?,
            );
        }
        let scope = parts.scope;
        let globals = snapshot_globals(plan, scope.globals, instance, &mut store)?;
        let tables =
            if scope.tables { snapshot_tables(plan, facts, instance, &mut store)? } else { Vec::new() };
        Ok(Self { store, instance, start, state, scope, failed: false, memories, globals, tables })
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

    pub(crate) fn execute(&mut self) -> wasmtime::Result<()> {
        let result = self.start.call(&mut self.store, ());
        self.failed = result.is_err();
        result
    }

    pub(crate) fn reset(&mut self) -> Result<Reset, Error> {
        let mut done = Reset::default();
        if self.failed && !self.scope.failed {
            return Ok(done);
        }
        for memory in &mut self.memories {
            memory.restore(&mut done).map_err(Error::kernel("cannot restore a memory"))?;
            memory.shrink(self.scope.size, &mut self.store, &mut done)?;
        }
        for (global, value) in &self.globals {
            global.set(&mut self.store, *value).map_err(Error::engine("cannot restore a global"))?;
        }
        for (table, elements) in &self.tables {
            for (index, element) in (0..).zip(elements) {
                table
                    .set(&mut self.store, index, element.clone())
                    .map_err(Error::engine("cannot restore a table"))?;
            }
        }
        if self.scope.host {
            *self.store.data_mut() = (self.state)();
        }
        Ok(done)
    }
}

impl TrackedMemory {
    fn new(parts: InPlace, memory: Memory, region: Arc<Region>, bytes: bool) -> std::io::Result<Self> {
        // SAFETY: the instance has just been made: no guest frame exists, and no slice was borrowed.
        let mut pages = unsafe { region.pages() };
        let image = Image::capture(&mut pages)?;
        parts.backing.lay(&mut pages, &image)?;
        let mut tracker = (parts.tracker)();
        tracker.start(&mut pages)?;
        let restorer = (parts.restorer)();
        Ok(Self { memory, image, bytes, tracker, restorer, runs: Vec::new(), region })
    }

    fn restore(&mut self, done: &mut Reset) -> std::io::Result<()> {
        if !self.bytes {
            return Ok(());
        }
        // SAFETY: a reset borrows the session, and with it the store, exclusively: no guest frame runs and no slice
        // of the memory is borrowed.
        let mut pages = unsafe { self.region.pages() };
        self.runs.clear();
        self.tracker.dirty(&pages, &self.image, &mut self.runs, done)?;
        self.restorer.restore(&mut pages, &self.image, &self.runs, done)?;
        self.tracker.clean(&mut pages, done)
    }

    /// Brings the size back. Pages beyond it have been cleaned, so that growing again finds zeros.
    fn shrink<T>(
        &self,
        shrink: fn(&mut Pages<'_>, usize) -> std::io::Result<()>,
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
    let mutable = facts.globals.iter().enumerate().filter(|(_, global)| global.mutable);
    for (index, _) in mutable.filter(|(index, _)| chosen(facts, *index)) {
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
    for (index, _) in facts.tables.iter().enumerate().filter(|(_, table)| table.written) {
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
