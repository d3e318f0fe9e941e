//! Facts about a module: everything in it that execution can change.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use wasmparser::{RefType, ValType};

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
    /// Data segments by index.
    pub data: Vec<Segment>,
    /// Element segments by index.
    pub elements: Vec<Segment>,
    /// The start function, if there is one.
    pub start: Option<Start>,
    /// The first type of structs or arrays, whose values live on a heap.
    pub heap_type: Option<u32>,
    /// The first type with a field by which objects may come to refer to each other in a circle.
    pub cyclic_type: Option<u32>,
    /// The first type of continuations.
    pub continuation_type: Option<u32>,
    /// Whether a constant expression puts something on the heap when the module is instantiated.
    pub allocates: bool,
    /// Imported and defined exception tags.
    pub tags: usize,
    /// The first function that waits for another thread.
    pub wait: Option<u32>,
    /// What the module says that it is an outline of.
    pub(super) origin: Option<u64>,
    /// Types in the type section, those of recursion groups counted one by one.
    pub(super) types: u32,
    /// Functions that a reference may designate.
    pub(super) referenced: BTreeSet<u32>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Function => "function",
            Self::Memory => "memory",
            Self::Table => "table",
            Self::Global => "global",
            Self::Tag => "tag",
        })
    }
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Whether another instance or the host owns it.
    pub imported: bool,
    /// Whether the host can reach it.
    pub exported: bool,
    /// Initial number of elements.
    pub initial: u64,
    /// Maximum number of elements.
    pub maximum: Option<u64>,
    /// 64-bit indices.
    pub table64: bool,
    /// The type of its elements.
    pub element: RefType,
    /// Whether what it holds in a fresh instance cannot change in itself: nulls, functions, small numbers.
    pub inert: bool,
    /// The instructions that change it, each with the first function that has it.
    pub writers: BTreeMap<&'static str, u32>,
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
    /// Whether what it holds in a fresh instance cannot change in itself.
    pub inert: bool,
}

/// A data or element segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Whether it is there to be copied from at run time. All others count as dropped from the start.
    pub passive: bool,
    /// The first function that drops it.
    pub dropped: Option<u32>,
    /// An instruction that makes an array from it.
    pub array: Option<&'static str>,
    /// For elements that are not listed as functions, their type.
    pub(super) element: Option<RefType>,
}

/// The start function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its index.
    pub function: u32,
    /// Imported functions (`module.name`) that it may call, directly or not.
    pub may_call: Vec<String>,
}

/// The two kinds of segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SegmentKind {
    /// Bytes for memories.
    Data,
    /// References for tables.
    Element,
}

/// A segment whose drop [`instrument`](super::instrument) turns into state that can be brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TrackedDrop {
    pub kind: SegmentKind,
    /// Index of the segment.
    pub segment: u32,
    /// Index of the global that says whether it was dropped.
    pub flag: u32,
    /// Index of the empty segment that stands in for it once it was.
    pub empty: u32,
}

impl Facts {
    /// The export of that name.
    pub fn exported(&self, name: &str) -> Option<&Export> {
        self.exports.iter().find(|export| export.name == name)
    }

    /// The module's own names for what it exports, by kind and index.
    pub(crate) fn export_names(&self) -> HashMap<(Item, usize), &str> {
        let exports = self.exports.iter();
        exports.map(|export| ((export.item, export.index as usize), export.name.as_str())).collect()
    }

    /// Whether execution may put something on the garbage-collected heap: structs and arrays, exceptions, references
    /// of the host.
    pub(crate) fn may_allocate(&self) -> bool {
        self.heap_type.is_some()
            || self.tags > 0
            || self.tables.iter().any(|table| !is_function(table.element))
            || self.globals.iter().any(|global| matches!(global.ty, ValType::Ref(ty) if !is_function(ty)))
    }

    /// Globals that can change, by index.
    pub(crate) fn mutable_globals(&self) -> impl Iterator<Item = usize> {
        indices(&self.globals, |global| global.mutable)
    }

    /// Tables that can change, by index.
    pub(crate) fn mutable_tables(&self) -> impl Iterator<Item = usize> {
        indices(&self.tables, Table::is_mutable)
    }

    /// Segments whose drop is made restorable.
    pub(crate) fn tracked_drops(&self) -> impl Iterator<Item = TrackedDrop> {
        let empties = |kind, segments: &[Segment]| {
            let tracked: Vec<_> = indices(segments, Segment::is_tracked).collect();
            (segments.len()..).zip(tracked).map(move |(empty, segment)| (kind, segment, empty))
        };
        let data = empties(SegmentKind::Data, &self.data);
        let elements = empties(SegmentKind::Element, &self.elements);
        (self.globals.len()..).zip(data.chain(elements)).map(|(flag, (kind, segment, empty))| TrackedDrop {
            kind,
            segment: segment as u32,
            flag: flag as u32,
            empty: empty as u32,
        })
    }

    /// The functions by which tables and globals are compared: all that a reference may designate, where some place
    /// that can change holds references to functions.
    pub(crate) fn comparable_functions(&self) -> impl Iterator<Item = u32> {
        let table = self.tables.iter().any(|table| table.is_mutable() && is_function(table.element));
        let global = self
            .globals
            .iter()
            .any(|global| matches!(global.ty, ValType::Ref(ty) if global.mutable && is_function(ty)));
        self.referenced.iter().copied().filter(move |_| table || global)
    }
}

impl Memory {
    /// Initial size in bytes.
    pub fn initial_bytes(&self) -> u64 {
        self.initial.saturating_mul(self.page_bytes())
    }

    /// The size in bytes that it can never exceed.
    pub fn maximum_bytes(&self) -> u64 {
        let addressable = if self.memory64 { u64::MAX } else { 1 << 32 };
        let maximum = self.maximum.unwrap_or(u64::MAX);
        maximum.saturating_mul(self.page_bytes()).min(addressable)
    }

    fn page_bytes(&self) -> u64 {
        1_u64.checked_shl(self.page_size_log2).unwrap_or(u64::MAX)
    }
}

impl Table {
    /// Whether it can change: some instruction does it, or the host can.
    pub fn is_mutable(&self) -> bool {
        self.exported || !self.writers.is_empty()
    }
}

impl Segment {
    /// Whether its drop is rewritten. Instructions that make arrays from it are not, so that then the drop is not either.
    fn is_tracked(&self) -> bool {
        self.passive && self.dropped.is_some() && self.array.is_none()
    }
}

/// Whether references of that type are functions.
pub(crate) fn is_function(ty: RefType) -> bool {
    use wasmparser::{AbstractHeapType, HeapType};
    match ty.heap_type() {
        HeapType::Abstract { ty, .. } => matches!(ty, AbstractHeapType::Func | AbstractHeapType::NoFunc),
        // Or structs, arrays, continuations: those are for `Facts::heap_type` and `Facts::continuation_type` to tell.
        HeapType::Concrete(_) | HeapType::Exact(_) => true,
    }
}

fn indices<T>(items: &[T], wanted: impl Fn(&T) -> bool) -> impl Iterator<Item = usize> {
    items.iter().enumerate().filter(move |(_, item)| wanted(item)).map(|(index, _)| index)
}
