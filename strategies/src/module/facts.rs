//! Facts about a module, read from its binary: everything that execution can change.

use std::collections::BTreeSet;

use wasmparser::{
    BinaryReaderError, CompositeInnerType, ExternalKind, FunctionBody, Operator, Parser, Payload, TypeRef,
    ValType,
};

/// What a module imports, defines and does, as far as a reset is concerned.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Imports in order.
    pub imports: Vec<Import>,
    /// Exports in order.
    pub exports: Vec<Export>,
    /// Memories by index, imported ones first.
    pub memories: Vec<Memory>,
    /// Tables by index, imported ones first.
    pub tables: Vec<Table>,
    /// Globals by index, imported ones first.
    pub globals: Vec<Global>,
    /// The start function, if there is one.
    pub start: Option<Start>,
    /// Data segments that some instruction drops.
    pub dropped_data: BTreeSet<u32>,
    /// Element segments that some instruction drops.
    pub dropped_elements: BTreeSet<u32>,
    /// The first garbage-collected type, by index.
    pub gc_type: Option<u32>,
    /// Imported and defined exception tags.
    pub tags: u32,
    functions: u32,
    imported_functions: Vec<String>,
    calls: Vec<Calls>,
}

/// An import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The module part of its name.
    pub module: String,
    /// The field part of its name.
    pub name: String,
    /// What is imported.
    pub item: Item,
}

/// An export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// What is exported.
    pub item: Item,
    /// Index in the index space of that kind.
    pub index: u32,
}

/// Kinds of things that are imported or exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// A function.
    Function,
    /// A memory.
    Memory,
    /// A table.
    Table,
    /// A global.
    Global,
    /// An exception tag.
    Tag,
}

/// A linear memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Whether another instance or the host owns it.
    pub imported: bool,
    /// Initial size in its pages.
    pub initial: u64,
    /// Maximum size in its pages.
    pub maximum: Option<u64>,
    /// Log2 of the page size in bytes; 16 unless custom.
    pub page_size_log2: u32,
    /// 64-bit addresses.
    pub memory64: bool,
    /// Shared between threads.
    pub shared: bool,
}

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Whether another instance or the host owns it.
    pub imported: bool,
    /// Initial number of elements.
    pub initial: u64,
    /// Whether some instruction writes to it.
    pub written: bool,
    /// Whether some instruction grows it.
    pub grown: bool,
    /// Whether its elements are functions.
    pub functions: bool,
}

/// A global.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Global {
    /// Whether another instance or the host owns it.
    pub imported: bool,
    /// Whether it can change.
    pub mutable: bool,
    /// Its type.
    pub ty: ValType,
}

/// The start function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its index.
    pub function: u32,
    /// Imported functions (`module.name`) that it may call, directly or not.
    pub may_call: Vec<String>,
}

/// What one function may call.
#[derive(Clone, Debug, Default)]
struct Calls {
    direct: Vec<u32>,
    /// `call_indirect` or `call_ref`: anything.
    indirect: bool,
}

impl Facts {
    /// Reads the facts from a module's binary.
    ///
    /// # Errors
    /// When the bytes are not a wasm module. The module is not validated: the engine does that.
    pub fn read(wasm: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut facts = Self::default();
        let mut start = None;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::TypeSection(types) => {
                    let mut index = 0;
                    for group in types {
                        for ty in group?.into_types() {
                            if !matches!(ty.composite_type.inner, CompositeInnerType::Func(_)) {
                                facts.gc_type.get_or_insert(index);
                            }
                            index += 1;
                        }
                    }
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        facts.import(&import?);
                    }
                }
                Payload::FunctionSection(functions) => facts.functions += functions.count(),
                Payload::TableSection(tables) => {
                    for table in tables {
                        facts.tables.push(Table::new(&table?.ty, false));
                    }
                }
                Payload::MemorySection(memories) => {
                    for memory in memories {
                        facts.memories.push(Memory::new(&memory?, false));
                    }
                }
                Payload::TagSection(tags) => facts.tags += tags.count(),
                Payload::GlobalSection(globals) => {
                    for global in globals {
                        facts.globals.push(Global::new(global?.ty, false));
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        facts.export(&export?);
                    }
                }
                Payload::StartSection { func, .. } => start = Some(func),
                Payload::CodeSectionEntry(body) => facts.body(&body)?,
                _ => {}
            }
        }
        facts.start = start.map(|function| facts.reach(function));
        Ok(facts)
    }

    /// The export of that name.
    pub fn exported(&self, name: &str) -> Option<&Export> {
        self.exports.iter().find(|export| export.name == name)
    }

    fn import(&mut self, import: &wasmparser::Import<'_>) {
        let item = match import.ty {
            TypeRef::Func(_) | TypeRef::FuncExact(_) => {
                self.functions += 1;
                self.imported_functions.push(format!("{}.{}", import.module, import.name));
                Item::Function
            }
            TypeRef::Table(ty) => {
                self.tables.push(Table::new(&ty, true));
                Item::Table
            }
            TypeRef::Memory(ty) => {
                self.memories.push(Memory::new(&ty, true));
                Item::Memory
            }
            TypeRef::Global(ty) => {
                self.globals.push(Global::new(ty, true));
                Item::Global
            }
            TypeRef::Tag(_) => {
                self.tags += 1;
                Item::Tag
            }
        };
        self.imports.push(Import { module: import.module.into(), name: import.name.into(), item });
    }

    fn export(&mut self, export: &wasmparser::Export<'_>) {
        let item = match export.kind {
            ExternalKind::Func | ExternalKind::FuncExact => Item::Function,
            ExternalKind::Table => Item::Table,
            ExternalKind::Memory => Item::Memory,
            ExternalKind::Global => Item::Global,
            ExternalKind::Tag => Item::Tag,
        };
        self.exports.push(Export { name: export.name.into(), item, index: export.index });
    }

    fn body(&mut self, body: &FunctionBody<'_>) -> Result<(), BinaryReaderError> {
        let mut calls = Calls::default();
        for operator in body.get_operators_reader()? {
            match operator? {
                Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                    calls.direct.push(function_index);
                }
                Operator::CallIndirect { .. }
                | Operator::ReturnCallIndirect { .. }
                | Operator::CallRef { .. }
                | Operator::ReturnCallRef { .. } => calls.indirect = true,
                Operator::TableSet { table }
                | Operator::TableFill { table }
                | Operator::TableInit { table, .. }
                | Operator::TableCopy { dst_table: table, .. } => {
                    if let Some(table) = self.tables.get_mut(table as usize) {
                        table.written = true;
                    }
                }
                Operator::TableGrow { table } => {
                    if let Some(table) = self.tables.get_mut(table as usize) {
                        (table.written, table.grown) = (true, true);
                    }
                }
                Operator::DataDrop { data_index } => {
                    self.dropped_data.insert(data_index);
                }
                Operator::ElemDrop { elem_index } => {
                    self.dropped_elements.insert(elem_index);
                }
                _ => {}
            }
        }
        self.calls.push(calls);
        Ok(())
    }

    /// Follows the calls from a function; an indirect call may reach every function.
    fn reach(&self, start: u32) -> Start {
        let imported = self.imported_functions.len();
        let mut seen = vec![false; self.functions as usize];
        let mut open = vec![start];
        while let Some(function) = open.pop() {
            let function = function as usize;
            if function >= seen.len() || std::mem::replace(&mut seen[function], true) {
                continue;
            }
            let Some(calls) = function.checked_sub(imported).and_then(|own| self.calls.get(own)) else {
                continue;
            };
            if calls.indirect {
                seen.fill(true);
                break;
            }
            open.extend(&calls.direct);
        }
        let may_call = self.imported_functions.iter().zip(seen);
        let may_call = may_call.filter(|(_, seen)| *seen).map(|(name, _)| name.clone()).collect();
        Start { function: start, may_call }
    }
}

impl Memory {
    fn new(ty: &wasmparser::MemoryType, imported: bool) -> Self {
        Self {
            imported,
            initial: ty.initial,
            maximum: ty.maximum,
            page_size_log2: ty.page_size_log2.unwrap_or(16),
            memory64: ty.memory64,
            shared: ty.shared,
        }
    }
}

impl Table {
    fn new(ty: &wasmparser::TableType, imported: bool) -> Self {
        let functions = ty.element_type.is_func_ref();
        Self { imported, initial: ty.initial, written: false, grown: false, functions }
    }
}

impl Global {
    fn new(ty: wasmparser::GlobalType, imported: bool) -> Self {
        Self { imported, mutable: ty.mutable, ty: ty.content_type }
    }
}
