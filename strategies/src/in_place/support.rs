//! What an in-place reset can restore, construct by construct.
//!
//! All in-place strategies answer alike: they differ in how they restore, not in what.

use std::collections::HashMap;

use wasmparser::ValType;

use super::RESERVATION;
use crate::judgement::{Answer, Judgement};
use crate::module::{Facts, Global, Import, Item, Memory, Segment, Start, Table, added_exports, is_function};

/// How much memory a snapshot is taken of, all memories together, in wasm pages of 64 KiB: 4 GiB, as much as one memory
/// with 32-bit addresses has. A snapshot holds only what is not blank; a full copy writes all of it at each reset.
const MOST_INITIAL_PAGES: u64 = 1 << 16;

/// How many exports and how many globals an engine takes of a module, what is added by rewriting among them
/// (`MAX_WASM_EXPORTS` and `MAX_WASM_GLOBALS` of wasmparser, which are those of the JavaScript API).
const MOST_ITEMS: usize = 1_000_000;

/// How many elements of tables are written back, all tables together: as many as wasmtime allows one table.
const MOST_ELEMENTS: u64 = 10_000_000;

/// The start function may call this, as AssemblyScript's do: it is meant to end the instantiation with an error. Whether it
/// is called is tried out when a session starts.
pub(super) const ABORT: (&str, &str) = ("env", "abort");

/// Judges a module: everything in it that execution could change, and whether all of that can be reached at once.
pub(crate) fn judge(facts: &Facts) -> Vec<Judgement> {
    let mut judgements = constructs(facts);
    let exports = facts.exports.len() + added_exports(facts);
    let globals = facts.globals.len() + facts.tracked_drops().count();
    if exports > MOST_ITEMS || globals > MOST_ITEMS {
        let reason = format!(
            "would have {exports} exports and {globals} globals if all that changes were reached, and {MOST_ITEMS} of each are \
             the most"
        );
        let (construct, detail) = ("the module".into(), "more than can be exported".into());
        judgements.push(Judgement { construct, detail, answer: Answer::Refused { reason } });
    }
    judgements
}

/// Judges everything in a module that execution could change, by kind and index.
pub(crate) fn constructs(facts: &Facts) -> Vec<Judgement> {
    let mut judgements = Vec::new();
    let mut add = |construct: String, detail: String, answer: Answer| {
        judgements.push(Judgement { construct, detail, answer });
    };
    let names = Names::of(facts);
    let mut bytes = 0_u64;
    for (index, ty) in facts.memories.iter().enumerate() {
        bytes = bytes.saturating_add(ty.initial_bytes());
        add(
            format!("memory {index}"),
            names.describe(Item::Memory, index, memory_type(ty)),
            memory(ty, bytes),
        );
    }
    let mut elements = 0_u64;
    for (index, ty) in facts.tables.iter().enumerate() {
        elements = elements.saturating_add(if ty.is_mutable() { ty.initial } else { 0 });
        add(
            format!("table {index}"),
            names.describe(Item::Table, index, table_type(ty)),
            table(ty, elements),
        );
    }
    for (index, ty) in facts.globals.iter().enumerate().filter(|(_, global)| global.mutable) {
        let described = names.describe(Item::Global, index, format!("mut {}", ty.ty));
        add(format!("global {index}"), described, global(ty));
    }
    for (kind, instruction, segments) in
        [("data", "data.drop", &facts.data), ("element", "elem.drop", &facts.elements)]
    {
        for (index, ty) in segments.iter().enumerate().filter(|(_, segment)| segment.passive) {
            let described = ty.dropped.map_or_else(
                || "passive, never dropped".into(),
                |function| format!("passive, dropped by {instruction} in function {function}"),
            );
            add(format!("{kind} segment {index}"), described, segment(ty, instruction));
        }
    }
    if let Some(index) = facts.heap_type {
        add(format!("type {index}"), "structs or arrays on a garbage-collected heap".into(), heap(facts));
    }
    if let Some(index) = facts.continuation_type {
        let reason = "is a continuation: its stack cannot be brought back".into();
        add(format!("type {index}"), "continuations".into(), Answer::Refused { reason });
    }
    if facts.tags > 0 {
        add("tags".into(), format!("{} kinds of exceptions", facts.tags), Answer::NotNeeded);
    }
    if let Some(function) = facts.wait {
        // On a memory that is not shared it traps; one that is shared is refused for itself.
        add(format!("function {function}"), "waits for other threads".into(), Answer::NotNeeded);
    }
    if let Some(found) = &facts.start {
        let described = match &found.may_call[..] {
            [] => "runs once, before the snapshot, and calls no import".into(),
            imports => format!("runs once, before the snapshot, and may call {}", imports.join(", ")),
        };
        add(format!("start function {}", found.function), described, start(found));
    }
    judgements
}

fn refused(reason: impl Into<String>) -> Answer {
    Answer::Refused { reason: reason.into() }
}

/// `bytes` are the initial bytes of all memories up to this one.
fn memory(memory: &Memory, bytes: u64) -> Answer {
    if memory.imported {
        refused("is imported, so that others may write to it")
    } else if memory.shared {
        refused("is shared, so that other threads may write during a reset")
    } else if memory.page_size_log2 != 16 {
        refused("has a custom page size, which need not fall on OS pages")
    } else if memory.maximum_bytes() > RESERVATION {
        refused("has 64-bit addresses and no maximum within the 4 GiB that are reserved")
    } else if bytes >> 16 > MOST_INITIAL_PAGES {
        let found = bytes >> 16;
        refused(format!(
            "brings the initial size to {found} pages of 64 KiB, and a snapshot is taken of {MOST_INITIAL_PAGES} at most"
        ))
    } else {
        Answer::Restored
    }
}

/// `elements` are the initial elements of all tables up to this one that can change.
fn table(table: &Table, elements: u64) -> Answer {
    if table.imported {
        refused("is imported, so that others may write to it")
    } else if let Some(function) = table.writers.get("table.grow") {
        refused(format!("is grown by table.grow (function {function}), and wasmtime cannot shrink a table"))
    } else if !table.is_mutable() {
        Answer::NotNeeded
    } else if !table.inert && !is_function(table.element) {
        refused("can be written and begins with references to what may change in itself")
    } else if elements > MOST_ELEMENTS {
        refused(format!("brings the elements to write back to {elements}, and {MOST_ELEMENTS} are the most"))
    } else {
        Answer::Restored
    }
}

fn global(global: &Global) -> Answer {
    match global.ty {
        _ if global.imported => refused("is imported and mutable, so that others may write to it"),
        ValType::Ref(ty) if !global.inert && !is_function(ty) => {
            refused("is mutable and begins with a reference to what may change in itself")
        }
        _ => Answer::Restored,
    }
}

fn segment(segment: &Segment, instruction: &str) -> Answer {
    match (segment.dropped, segment.array) {
        (None, _) => Answer::NotNeeded,
        (Some(_), None) => Answer::Restored,
        (Some(_), Some(array)) => {
            refused(format!("is dropped by {instruction} and read by {array}, which is not rewritten"))
        }
    }
}

/// What a block put on the heap is collected by the reset, as long as nothing that is restored refers to it.
fn heap(facts: &Facts) -> Answer {
    if let Some(index) = facts.cyclic_type {
        refused(format!("lives on a heap where type {index} can make circles, which are never collected"))
    } else if facts.allocates {
        refused("lives on a heap that cannot be brought back, and a constant expression allocates there")
    } else if facts.start.is_some() {
        refused("lives on a heap that cannot be brought back, and the start function may allocate there")
    } else {
        Answer::Restored
    }
}

fn start(start: &Start) -> Answer {
    let abort = format!("{}.{}", ABORT.0, ABORT.1);
    match start.may_call.iter().find(|name| **name != abort) {
        Some(import) => refused(format!("may call {import}, whose answer may differ per block")),
        None => Answer::NotNeeded,
    }
}

fn memory_type(memory: &Memory) -> String {
    let mut text = format!("{} pages", memory.initial);
    if memory.page_size_log2 != 16 {
        text += &format!(" of 2^{} bytes", memory.page_size_log2);
    }
    match memory.maximum {
        Some(maximum) if maximum == memory.initial => text += ", fixed",
        Some(maximum) => text += &format!(", at most {maximum}"),
        None => {}
    }
    for (is, what) in [(memory.memory64, ", 64-bit"), (memory.shared, ", shared")] {
        text += if is { what } else { "" };
    }
    text
}

fn table_type(table: &Table) -> String {
    let mut text = format!("{} {}", table.initial, table.element);
    for (instruction, function) in &table.writers {
        text += &format!(", {instruction} in function {function}");
    }
    if table.writers.is_empty() {
        text += ", never written";
    }
    text
}

/// What the module calls its items.
struct Names<'a> {
    imports: HashMap<(Item, usize), &'a Import>,
    exports: HashMap<(Item, usize), &'a str>,
}

impl<'a> Names<'a> {
    fn of(facts: &'a Facts) -> Self {
        let mut next = HashMap::new();
        let imports = facts.imports.iter().map(|import| {
            let index: &mut usize = next.entry(import.item).or_default();
            *index += 1;
            ((import.item, *index - 1), import)
        });
        Self { imports: imports.collect(), exports: facts.export_names() }
    }

    /// Adds to a description where an item comes from and under which name the host sees it.
    fn describe(&self, item: Item, index: usize, mut text: String) -> String {
        if let Some(Import { module, name, .. }) = self.imports.get(&(item, index)) {
            text += &format!(", imported from {module}.{name}");
        }
        match self.exports.get(&(item, index)) {
            Some(name) => text += &format!(", exported as `{name}`"),
            None => text += ", hidden",
        }
        text
    }
}
