//! Rewriting a module without touching its code.
//!
//! Sections are copied as they are; only the export section (or the memory section) is written anew, so that
//! function bodies stay byte-identical and the compiled code is the same.

use std::ops::Range;

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{ExportKind, ExportSection, MemorySection, RawSection, SectionId};
use wasmparser::{Parser, Payload};

use super::{Facts, Item};
use crate::error::Error;

/// Reserved: names of the exports that [`instrument`] adds begin with this.
pub const EXPORT_PREFIX: &str = "reset-strategies:";

/// The name under which an item is exported for the reset.
pub(crate) fn export_name(item: Item, index: usize) -> String {
    let kind = match item {
        Item::Function => "function",
        Item::Memory => "memory",
        Item::Table => "table",
        Item::Global => "global",
        Item::Tag => "tag",
    };
    format!("{EXPORT_PREFIX}{kind}:{index}")
}

/// Exports every memory, every mutable global and every written table under a reserved name.
///
/// # Errors
/// When the module cannot be parsed, or uses the reserved prefix itself.
pub fn instrument(wasm: &[u8], facts: &Facts) -> Result<Vec<u8>, Error> {
    if let Some(export) = facts.exports.iter().find(|export| export.name.starts_with(EXPORT_PREFIX)) {
        return Err(Error::Reserved(export.name.clone()));
    }
    let mut exports = ExportSection::new();
    for export in &facts.exports {
        exports.export(&export.name, encoded(export.item), export.index);
    }
    let memories = (0..facts.memories.len()).map(|index| (Item::Memory, index));
    let globals = indices(&facts.globals, |global| global.mutable).map(|index| (Item::Global, index));
    let tables = indices(&facts.tables, |table| table.written).map(|index| (Item::Table, index));
    for (item, index) in memories.chain(globals).chain(tables) {
        exports.export(&export_name(item, index), encoded(item), index as u32);
    }
    splice(wasm, SectionId::Export, |module| {
        module.section(&exports);
        Ok(())
    })
}

/// Rewrites the initial size of the module's own first memory, in its pages.
///
/// # Errors
/// When the module cannot be parsed or has no memory of its own.
pub fn with_initial_pages(wasm: &[u8], pages: u64) -> Result<Vec<u8>, Error> {
    with_memory_pages(wasm, pages, None)
}

/// The same, and the maximum where one is given; a maximum that is not may be raised to the initial size.
///
/// # Errors
/// As [`with_initial_pages`].
pub fn with_memory_pages(wasm: &[u8], pages: u64, maximum: Option<u64>) -> Result<Vec<u8>, Error> {
    let mut memories = MemorySection::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::MemorySection(section) = payload? {
            for (index, memory) in section.into_iter().enumerate() {
                let mut ty = RoundtripReencoder.memory_type(memory?).map_err(Error::rewrite)?;
                if index == 0 {
                    ty.minimum = pages;
                    ty.maximum = maximum.or(ty.maximum.map(|maximum| maximum.max(pages)));
                }
                memories.memory(ty);
            }
        }
    }
    if memories.is_empty() {
        return Err(Error::rewrite("the module defines no memory"));
    }
    splice(wasm, SectionId::Memory, |module| {
        module.section(&memories);
        Ok(())
    })
}

/// Copies every section as it is, except one, which is written anew in its canonical place.
fn splice(
    wasm: &[u8],
    replaced: SectionId,
    write: impl FnOnce(&mut wasm_encoder::Module) -> Result<(), Error>,
) -> Result<Vec<u8>, Error> {
    let mut module = wasm_encoder::Module::new();
    let mut write = Some(write);
    for payload in Parser::new(0).parse_all(wasm) {
        let Some((id, range)) = payload?.as_section() else { continue };
        // Custom sections (id 0) may stand anywhere.
        if id != 0 && order(id) >= order(replaced as u8) {
            if let Some(write) = write.take() {
                write(&mut module)?;
            }
        }
        if id != replaced as u8 {
            module.section(&RawSection { id, data: bytes(wasm, range) });
        }
    }
    if let Some(write) = write {
        write(&mut module)?;
    }
    Ok(module.finish())
}

/// Where a section stands in a module: the tag section and the data count section are out of the order of their ids.
fn order(id: u8) -> u8 {
    const ORDER: [SectionId; 13] = [
        SectionId::Type,
        SectionId::Import,
        SectionId::Function,
        SectionId::Table,
        SectionId::Memory,
        SectionId::Tag,
        SectionId::Global,
        SectionId::Export,
        SectionId::Start,
        SectionId::Element,
        SectionId::DataCount,
        SectionId::Code,
        SectionId::Data,
    ];
    ORDER.iter().position(|&section| section as u8 == id).map_or(u8::MAX, |place| place as u8)
}

fn bytes(wasm: &[u8], range: Range<usize>) -> &[u8] {
    &wasm[range]
}

fn encoded(item: Item) -> ExportKind {
    match item {
        Item::Function => ExportKind::Func,
        Item::Memory => ExportKind::Memory,
        Item::Table => ExportKind::Table,
        Item::Global => ExportKind::Global,
        Item::Tag => ExportKind::Tag,
    }
}

fn indices<T>(items: &[T], wanted: impl Fn(&T) -> bool) -> impl Iterator<Item = usize> {
    items.iter().enumerate().filter(move |(_, item)| wanted(item)).map(|(index, _)| index)
}
