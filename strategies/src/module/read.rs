//! Reading the facts from a module's binary, in one pass.

use std::collections::BTreeMap;
use std::slice;

use wasmparser::{
    BinaryReaderError, CompositeInnerType, ConstExpr, DataKind, Element, ElementItems, ElementKind, Encoding,
    ExternalKind, FunctionBody, Operator, Parser, Payload, StorageType, TableInit, TypeRef, ValType,
};

use super::facts::{Export, Facts, Global, Import, Item, Memory, Segment, Start, Table};
use super::instrument::ORIGIN_SECTION;
use crate::error::Error;

impl Facts {
    /// Reads the facts from a module's binary.
    ///
    /// # Errors
    /// When the bytes are not a core module. The module is not validated: the engine does that.
    pub fn read(wasm: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::default();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::Version { encoding: Encoding::Component, .. } => return Err(Error::Component),
                payload => reader.payload(payload)?,
            }
        }
        Ok(reader.finish())
    }
}

/// The facts so far, and what is needed to complete them.
#[derive(Default)]
struct Reader {
    facts: Facts,
    imported_functions: Vec<String>,
    start: Option<u32>,
    calls: Vec<Calls>,
    data: BTreeMap<u32, Uses>,
    elements: BTreeMap<u32, Uses>,
}

/// What one function may call.
#[derive(Default)]
struct Calls {
    direct: Vec<u32>,
    /// `call_indirect` or `call_ref`: whatever a reference may designate.
    indirect: bool,
}

/// What the code does with a segment. Data segments come after the code.
#[derive(Clone, Copy, Default)]
struct Uses {
    dropped: Option<u32>,
    array: Option<&'static str>,
}

impl Reader {
    fn payload(&mut self, payload: Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::TypeSection(types) => {
                for group in types {
                    for ty in group?.into_types() {
                        self.ty(&ty.composite_type.inner);
                    }
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    self.import(&import?);
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    let table = table?;
                    let inert = match &table.init {
                        TableInit::RefNull => true,
                        TableInit::Expr(init) => self.initial(init)?,
                    };
                    self.facts.tables.push(Table::new(&table.ty, false, inert));
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.facts.memories.push(Memory::new(&memory?, false));
                }
            }
            Payload::TagSection(tags) => {
                for tag in tags {
                    tag?;
                    self.facts.tags += 1;
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals {
                    let global = global?;
                    let inert = self.initial(&global.init_expr)?;
                    self.facts.globals.push(Global::new(global.ty, false, inert));
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    self.export(&export?);
                }
            }
            Payload::CustomSection(section) if section.name() == ORIGIN_SECTION => {
                self.facts.origin = section.data().try_into().ok().map(u64::from_le_bytes);
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(elements) => {
                for element in elements {
                    self.element(element?)?;
                }
            }
            Payload::CodeSectionEntry(body) => self.body(&body)?,
            Payload::DataSection(segments) => {
                for segment in segments {
                    let passive = matches!(segment?.kind, DataKind::Passive);
                    self.facts.data.push(Segment { passive, dropped: None, array: None, element: None });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn ty(&mut self, ty: &CompositeInnerType) {
        let facts = &mut self.facts;
        let fields = match ty {
            CompositeInnerType::Func(_) => None,
            CompositeInnerType::Struct(ty) => Some(&ty.fields[..]),
            CompositeInnerType::Array(ty) => Some(slice::from_ref(&ty.0)),
            CompositeInnerType::Cont(_) => {
                facts.continuation_type.get_or_insert(facts.types);
                None
            }
        };
        if let Some(fields) = fields {
            facts.heap_type.get_or_insert(facts.types);
            if fields.iter().any(|field| field.mutable && may_be_object(field.element_type)) {
                facts.cyclic_type.get_or_insert(facts.types);
            }
        }
        facts.types += 1;
    }

    fn import(&mut self, import: &wasmparser::Import<'_>) {
        let facts = &mut self.facts;
        let item = match import.ty {
            TypeRef::Func(_) | TypeRef::FuncExact(_) => {
                self.imported_functions.push(format!("{}.{}", import.module, import.name));
                Item::Function
            }
            TypeRef::Table(ty) => {
                facts.tables.push(Table::new(&ty, true, false));
                Item::Table
            }
            TypeRef::Memory(ty) => {
                facts.memories.push(Memory::new(&ty, true));
                Item::Memory
            }
            TypeRef::Global(ty) => {
                facts.globals.push(Global::new(ty, true, !ty.content_type.is_reference_type()));
                Item::Global
            }
            TypeRef::Tag(_) => {
                facts.tags += 1;
                Item::Tag
            }
        };
        facts.imports.push(Import { module: import.module.into(), name: import.name.into(), item });
    }

    fn export(&mut self, export: &wasmparser::Export<'_>) {
        let item = match export.kind {
            ExternalKind::Func | ExternalKind::FuncExact => Item::Function,
            ExternalKind::Table => Item::Table,
            ExternalKind::Memory => Item::Memory,
            ExternalKind::Global => Item::Global,
            ExternalKind::Tag => Item::Tag,
        };
        let index = export.index;
        if let (Item::Table, Some(table)) = (item, self.facts.tables.get_mut(index as usize)) {
            table.exported = true;
        }
        self.facts.exports.push(Export { name: export.name.into(), item, index });
    }

    fn element(&mut self, element: Element<'_>) -> Result<(), BinaryReaderError> {
        let mut inert = true;
        let mut ty = None;
        match element.items {
            ElementItems::Functions(functions) => {
                for function in functions {
                    self.facts.referenced.insert(function?);
                }
            }
            ElementItems::Expressions(element, expressions) => {
                ty = Some(element);
                for expression in expressions {
                    inert &= self.initial(&expression?)?;
                }
            }
        }
        if let ElementKind::Active { table_index, .. } = element.kind
            && let Some(table) = self.facts.tables.get_mut(table_index.unwrap_or(0) as usize)
        {
            table.inert &= inert;
        }
        let passive = matches!(element.kind, ElementKind::Passive);
        self.facts.elements.push(Segment { passive, dropped: None, array: None, element: ty });
        Ok(())
    }

    /// Notes what a constant expression refers to; says whether its value cannot change in itself.
    fn initial(&mut self, expression: &ConstExpr<'_>) -> Result<bool, BinaryReaderError> {
        let facts = &mut self.facts;
        let mut inert = true;
        for operator in expression.get_operators_reader() {
            match operator? {
                Operator::RefFunc { function_index } => {
                    facts.referenced.insert(function_index);
                }
                Operator::GlobalGet { global_index } => {
                    inert &= facts.globals.get(global_index as usize).is_some_and(|global| global.inert);
                }
                Operator::StructNew { .. }
                | Operator::StructNewDefault { .. }
                | Operator::ArrayNew { .. }
                | Operator::ArrayNewDefault { .. }
                | Operator::ArrayNewFixed { .. } => (facts.allocates, inert) = (true, false),
                // Numbers and arithmetic, nulls, small numbers as references.
                _ => {}
            }
        }
        Ok(inert)
    }

    fn body(&mut self, body: &FunctionBody<'_>) -> Result<(), BinaryReaderError> {
        let function = (self.imported_functions.len() + self.calls.len()) as u32;
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
                Operator::RefFunc { function_index } => {
                    self.facts.referenced.insert(function_index);
                }
                Operator::TableSet { table } => self.writes(table, "table.set", function),
                Operator::TableFill { table } => self.writes(table, "table.fill", function),
                Operator::TableGrow { table } => self.writes(table, "table.grow", function),
                Operator::TableInit { table, .. } => self.writes(table, "table.init", function),
                Operator::TableCopy { dst_table, .. } => self.writes(dst_table, "table.copy", function),
                Operator::DataDrop { data_index } => {
                    self.data.entry(data_index).or_default().dropped.get_or_insert(function);
                }
                Operator::ElemDrop { elem_index } => {
                    self.elements.entry(elem_index).or_default().dropped.get_or_insert(function);
                }
                Operator::ArrayNewData { array_data_index, .. } => {
                    self.data.entry(array_data_index).or_default().array = Some("array.new_data");
                }
                Operator::ArrayInitData { array_data_index, .. } => {
                    self.data.entry(array_data_index).or_default().array = Some("array.init_data");
                }
                Operator::ArrayNewElem { array_elem_index, .. } => {
                    self.elements.entry(array_elem_index).or_default().array = Some("array.new_elem");
                }
                Operator::ArrayInitElem { array_elem_index, .. } => {
                    self.elements.entry(array_elem_index).or_default().array = Some("array.init_elem");
                }
                Operator::MemoryAtomicWait32 { .. } | Operator::MemoryAtomicWait64 { .. } => {
                    self.facts.wait.get_or_insert(function);
                }
                _ => {}
            }
        }
        self.calls.push(calls);
        Ok(())
    }

    fn writes(&mut self, table: u32, instruction: &'static str, function: u32) {
        if let Some(table) = self.facts.tables.get_mut(table as usize) {
            table.writers.entry(instruction).or_insert(function);
        }
    }

    fn finish(mut self) -> Facts {
        for (segments, uses) in
            [(&mut self.facts.data, &self.data), (&mut self.facts.elements, &self.elements)]
        {
            for (segment, uses) in (0..).zip(segments).filter_map(|(i, s)| Some((s, uses.get(&i)?))) {
                (segment.dropped, segment.array) = (uses.dropped, uses.array);
            }
        }
        self.facts.start = self.start.map(|function| self.reach(function));
        self.facts
    }

    /// Follows the calls from a function. An indirect call may reach what a reference may designate, and what the host
    /// passes in.
    fn reach(&self, start: u32) -> Start {
        let imported = self.imported_functions.len();
        let mut seen = vec![false; imported + self.calls.len()];
        let mut open = vec![start];
        let mut indirect = false;
        while let Some(function) = open.pop() {
            let function = function as usize;
            if function >= seen.len() || std::mem::replace(&mut seen[function], true) {
                continue;
            }
            let Some(calls) = function.checked_sub(imported).and_then(|own| self.calls.get(own)) else {
                continue;
            };
            open.extend(&calls.direct);
            if calls.indirect && !std::mem::replace(&mut indirect, true) {
                open.extend(&self.facts.referenced);
            }
        }
        let reached = self.imported_functions.iter().zip(seen).filter(|(_, seen)| *seen);
        let mut may_call: Vec<_> = reached.map(|(name, _)| name.clone()).collect();
        let facts = &self.facts;
        let passed_in = facts.tables.iter().any(|table| table.imported)
            || facts.globals.iter().any(|global| global.imported && global.ty.is_reference_type());
        if indirect && passed_in {
            may_call.push("a function that the host passes in".into());
        }
        Start { function: start, may_call }
    }
}

fn may_be_object(ty: StorageType) -> bool {
    matches!(ty, StorageType::Val(ValType::Ref(ty)) if !ty.is_func_ref())
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
    fn new(ty: &wasmparser::TableType, imported: bool, inert: bool) -> Self {
        Self {
            imported,
            exported: false,
            initial: ty.initial,
            maximum: ty.maximum,
            table64: ty.table64,
            element: ty.element_type,
            inert,
            writers: BTreeMap::new(),
        }
    }
}

impl Global {
    fn new(ty: wasmparser::GlobalType, imported: bool, inert: bool) -> Self {
        Self { imported, mutable: ty.mutable, ty: ty.content_type, inert }
    }
}
