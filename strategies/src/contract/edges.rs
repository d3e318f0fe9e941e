//! What lies beyond the size of a memory, seen from inside.
//!
//! The host sees a memory's bytes up to its size and no further. Whether the guest traps there, and whether the pages
//! that it grows by are zeros, is found out by a guest of our own, which imports the memories of the instance at hand.

use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection, MemArg,
    MemoryType, TypeSection, ValType,
};
use wasmtime::{AsContextMut, Extern, Instance, Memory, Module, StoreContextMut, Trap, TypedFunc};

use super::view::View;
use super::{Difference, Image, State, mismatch, size_difference};
use crate::error::Error;
use crate::module::{self, Facts};

/// Looks beyond the memories of one instance.
///
/// It adds an instance to the store, which lives as long as the store does: made once for an instance that is kept.
pub struct Edges {
    edges: Vec<Edge>,
}

struct Edge {
    index: usize,
    ty: module::Memory,
    memory: Memory,
    size: TypedFunc<(), i64>,
    load: TypedFunc<i64, i32>,
}

/// What looks beyond memories, compiled for the instances of one module on one engine.
pub struct Looker {
    module: Module,
    /// The memories that can be reached.
    memories: Vec<usize>,
}

impl Looker {
    /// Compiles it for instances like this one.
    ///
    /// # Errors
    /// When the engine refuses it.
    pub fn of(
        facts: &Facts,
        instance: Instance,
        mut store: impl AsContextMut<Data: 'static>,
    ) -> Result<Self, Error> {
        let mut store = store.as_context_mut();
        let mut view = View::new(facts, instance, store.as_context_mut());
        let memories: Vec<_> =
            (0..facts.memories.len()).filter(|index| view.memory(*index).is_some()).collect();
        let module =
            Module::new(store.engine(), looker(memories.iter().map(|index| &facts.memories[*index])))
                .map_err(Error::engine("cannot compile what looks beyond memories"))?;
        Ok(Self { module, memories })
    }

    /// Has it look beyond the memories of one instance.
    ///
    /// # Errors
    /// When the engine refuses it, for instance because a pool has no room for another instance, or the instance is not
    /// like the one that the looker was compiled for.
    pub fn at<T: 'static>(
        &self,
        facts: &Facts,
        instance: Instance,
        mut store: impl AsContextMut<Data = T>,
    ) -> Result<Edges, Error> {
        let mut store = store.as_context_mut();
        let mut view = View::new(facts, instance, store.as_context_mut());
        let memories: Vec<_> = self
            .memories
            .iter()
            .filter_map(|&index| Some((index, *facts.memories.get(index)?, view.memory(index)?)))
            .collect();
        let imports: Vec<_> = memories.iter().map(|(.., memory)| Extern::Memory(*memory)).collect();
        let failed = Error::engine;
        let looker = Instance::new(&mut store, &self.module, &imports)
            .map_err(failed("cannot instantiate what looks beyond memories"))?;
        let mut edges = Vec::new();
        for (at, (index, ty, memory)) in memories.into_iter().enumerate() {
            let lost = "what looks beyond memories lacks a function";
            let size = looker.get_typed_func(&mut store, &format!("size {at}")).map_err(failed(lost))?;
            let load = looker.get_typed_func(&mut store, &format!("load {at}")).map_err(failed(lost))?;
            edges.push(Edge { index, ty, memory, size, load });
        }
        Ok(Edges { edges })
    }
}

impl Edges {
    /// Compiles and instantiates the looker.
    ///
    /// # Errors
    /// When the engine refuses it, for instance because a pool has no room for another instance.
    pub fn of(
        facts: &Facts,
        instance: Instance,
        mut store: impl AsContextMut<Data: 'static>,
    ) -> Result<Self, Error> {
        Looker::of(facts, instance, &mut store)?.at(facts, instance, store)
    }

    /// The first byte beyond the memories here that can be read, of those just behind the size, at the beginning of each
    /// of `pages` more pages and at their end. Nothing grows; a memory of another size than in a fresh instance is one,
    /// too.
    ///
    /// The store needs fuel, where that is counted, and loses its epoch deadline.
    ///
    /// # Errors
    /// When the looker fails for another reason than those that it looks for.
    pub fn first_beyond<T: 'static>(
        &self,
        fresh: &State,
        mut store: impl AsContextMut<Data = T>,
        pages: u64,
    ) -> Result<Option<Difference>, Error> {
        let store = &mut store.as_context_mut();
        store.set_epoch_deadline(u64::MAX / 2);
        for edge in &self.edges {
            let Some(Some(image)) = fresh.memories.get(edge.index) else { continue };
            if let Err(difference) = edge.edge(image, store, pages)? {
                return Ok(Some(difference));
            }
        }
        Ok(None)
    }

    /// The first difference between what lies beyond the memories here and in a fresh instance: an access traps just
    /// behind the size and where `pages` more pages would end, and the memory grows by them, or as far as it may, and
    /// finds zeros.
    ///
    /// The memories stay grown: the instance has to be reset. The store needs fuel, where that is counted, and loses
    /// its epoch deadline.
    ///
    /// # Errors
    /// When the looker fails for another reason than those that it looks for.
    pub fn first_difference<T: 'static>(
        &self,
        fresh: &State,
        mut store: impl AsContextMut<Data = T>,
        pages: u64,
    ) -> Result<Option<Difference>, Error> {
        let store = &mut store.as_context_mut();
        store.set_epoch_deadline(u64::MAX / 2);
        for edge in &self.edges {
            let Some(Some(image)) = fresh.memories.get(edge.index) else { continue };
            if let Some(difference) = edge.first_difference(image, store, pages)? {
                return Ok(Some(difference));
            }
        }
        Ok(None)
    }
}

impl Edge {
    /// The size in bytes and the pages of these that the memory may still grow by, where everything beyond traps.
    fn edge<T: 'static>(
        &self,
        fresh: &Image,
        store: &mut StoreContextMut<'_, T>,
        pages: u64,
    ) -> Result<Result<(u64, u64), Difference>, Error> {
        let index = self.index;
        let failed = Error::engine;
        let inside = self.size.call(&mut *store, ()).map_err(failed("cannot ask for a memory's size"))?;
        let page = self.memory.page_size(&*store);
        let bytes = inside.cast_unsigned() * page;
        if let Some(difference) = size_difference(index, fresh, bytes as usize) {
            return Ok(Err(difference));
        }
        let room = self.ty.maximum_bytes().saturating_sub(bytes) / page;
        let pages = pages.min(room);
        let starts = (0..pages.max(1)).map(|number| bytes + number * page);
        for offset in starts.chain([bytes + (pages * page).saturating_sub(1)]) {
            if !self.ty.memory64 && offset > u64::from(u32::MAX) {
                continue;
            }
            match self.load.call(&mut *store, offset.cast_signed()) {
                Ok(_) => return Ok(Err(Difference::Beyond { index, offset: offset as usize })),
                Err(error) if error.downcast_ref() == Some(&Trap::MemoryOutOfBounds) => {}
                Err(error) => return Err(failed("cannot look beyond a memory")(error)),
            }
        }
        Ok(Ok((bytes, pages)))
    }

    fn first_difference<T: 'static>(
        &self,
        fresh: &Image,
        store: &mut StoreContextMut<'_, T>,
        pages: u64,
    ) -> Result<Option<Difference>, Error> {
        let index = self.index;
        let (bytes, pages) = match self.edge(fresh, store, pages)? {
            Ok(edge) => edge,
            Err(difference) => return Ok(Some(difference)),
        };
        if let Err(error) = self.memory.grow(&mut *store, pages) {
            let reason = error.root_cause().to_string();
            return Ok(Some(Difference::Growth { index, pages, reason }));
        }
        let grown = &self.memory.data(&*store)[bytes as usize..];
        Ok(mismatch(None, Some(grown)).map(|at| Difference::Byte {
            index,
            offset: bytes as usize + at,
            fresh: 0,
            found: grown[at],
        }))
    }
}

/// Imports memories and exports for the n-th `size n` (pages) and `load n` (the byte at an address), all in 64 bits.
fn looker<'a>(memories: impl Iterator<Item = &'a module::Memory>) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I64]);
    types.ty().function([ValType::I64], [ValType::I32]);
    let (size_type, load_type) = (0, 1);
    let mut imports = ImportSection::new();
    let mut functions = FunctionSection::new();
    let mut exports = ExportSection::new();
    let mut code = CodeSection::new();
    for (memory, ty) in (0..).zip(memories) {
        let page_size_log2 = (ty.page_size_log2 != 16).then_some(ty.page_size_log2);
        let ty =
            MemoryType { minimum: 0, maximum: None, memory64: ty.memory64, shared: false, page_size_log2 };
        imports.import("", "", EntityType::Memory(ty));
        exports.export(&format!("size {memory}"), ExportKind::Func, functions.len());
        functions.function(size_type);
        let mut size = Function::new([]);
        let mut body = size.instructions();
        body.memory_size(memory);
        if !ty.memory64 {
            body.i64_extend_i32_u();
        }
        body.end();
        code.function(&size);
        exports.export(&format!("load {memory}"), ExportKind::Func, functions.len());
        functions.function(load_type);
        let mut load = Function::new([]);
        let mut body = load.instructions();
        body.local_get(0);
        if !ty.memory64 {
            body.i32_wrap_i64();
        }
        body.i32_load8_u(MemArg { offset: 0, align: 0, memory_index: memory });
        body.end();
        code.function(&load);
    }
    let mut module = wasm_encoder::Module::new();
    module.section(&types).section(&imports).section(&functions).section(&exports).section(&code);
    module.finish()
}
