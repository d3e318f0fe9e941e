//! Rewriting a module so that everything that changes can be reached.
//!
//! What is hidden is exported under reserved names. Function bodies stay byte-identical, so that the compiled code is
//! the same, except in a module that drops passive segments (see [`drops`](super::drops)).

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    ConstExpr, DataCountSection, DataSection, ExportKind, ExportSection, MemorySection, SectionId,
};
use wasmparser::{BinaryReader, MemorySectionReader, Validator, WasmFeatures};

use super::sections::Sections;
use super::{Facts, Item, drops};
use crate::error::Error;

/// Reserved: names of the exports that [`instrument`] adds begin with this.
pub const EXPORT_PREFIX: &str = "reset-strategies:";

/// The name under which an item is exported for the reset.
pub(crate) fn export_name(item: Item, index: usize) -> String {
    format!("{EXPORT_PREFIX}{item}:{index}")
}

/// The name under which a rewritten module exports its first memory, table or global once more: it says which bytes it was
/// rewritten from. A module without any of them has nothing to restore, and no such name.
pub(crate) fn origin_name(wasm: &[u8], facts: &Facts) -> Option<(String, Item)> {
    let item = [
        (Item::Memory, facts.memories.len()),
        (Item::Table, facts.tables.len()),
        (Item::Global, facts.globals.len()),
    ];
    let (item, _) = item.into_iter().find(|(_, items)| *items > 0)?;
    Some((format!("{EXPORT_PREFIX}origin:{:016x}", origin(wasm, facts)), item))
}

/// The custom section by which an outline, a module without its code, names the [`origin`] of the whole: eight bytes, the
/// least significant first. A host that loads compiled code can make its plan from the outline.
pub const ORIGIN_SECTION: &str = "reset-strategies:origin";

/// What tells a module, and its outline, from others.
pub fn origin(wasm: &[u8], facts: &Facts) -> u64 {
    facts.origin.unwrap_or_else(|| fingerprint(wasm))
}

/// Tells modules apart that were mistaken for each other, not those that somebody made to collide. The same on every
/// machine, so that it holds for a module that was compiled elsewhere. The mixing is that of the Fx hash of rustc.
fn fingerprint(wasm: &[u8]) -> u64 {
    let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    let (words, rest) = wasm.as_chunks();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
    words.fold(wasm.len() as u64, mix)
}

/// How many exports are added to those of a module.
pub(crate) fn added_exports(facts: &Facts) -> usize {
    facts.memories.len()
        + facts.mutable_globals().count()
        + facts.tracked_drops().count()
        + facts.mutable_tables().count()
        + facts.comparable_functions().count()
        + 1
}

/// Exports under reserved names every memory, mutable global and table that can change, what says whether a segment was
/// dropped, and which bytes the module was rewritten from.
///
/// # Errors
/// When the module cannot be parsed, is invalid where it would be rewritten, or uses the reserved prefix itself.
pub fn instrument(wasm: &[u8], facts: &Facts) -> Result<Vec<u8>, Error> {
    if let Some(export) = facts.exports.iter().find(|export| export.name.starts_with(EXPORT_PREFIX)) {
        return Err(Error::Reserved(export.name.clone()));
    }
    let memories = (0..facts.memories.len()).map(|index| (Item::Memory, index));
    let globals = facts.mutable_globals().map(|index| (Item::Global, index));
    let flags = facts.tracked_drops().map(|drop| (Item::Global, drop.flag as usize));
    let tables = facts.mutable_tables().map(|index| (Item::Table, index));
    let functions = facts.comparable_functions().map(|index| (Item::Function, index as usize));
    let mut exports = ExportSection::new();
    for (item, index) in memories.chain(globals).chain(flags).chain(tables).chain(functions) {
        exports.export(&export_name(item, index), encoded(item), index as u32);
    }
    if let Some((name, item)) = origin_name(wasm, facts) {
        exports.export(&name, encoded(item), 0);
    }
    let drops = facts.tracked_drops().next().is_some();
    if drops || facts.comparable_functions().next().is_some() {
        // What is added could make an invalid module valid: new segments have indices, and `ref.func` may name any
        // function that is exported.
        Validator::new_with_features(WasmFeatures::all()).validate_all(wasm)?;
    }
    let mut sections = Sections::of(wasm)?;
    sections.append(&exports)?;
    if drops {
        drops::track(&mut sections, facts)?;
    }
    Ok(sections.finish())
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
    let mut sections = Sections::of(wasm)?;
    let mut memories = MemorySection::new();
    let old =
        sections.get(SectionId::Memory).ok_or_else(|| Error::rewrite("the module defines no memory"))?;
    for (index, memory) in MemorySectionReader::new(BinaryReader::new(old, 0))?.into_iter().enumerate() {
        let mut ty = RoundtripReencoder.memory_type(memory?).map_err(Error::rewrite)?;
        if index == 0 {
            ty.minimum = pages;
            ty.maximum = maximum.or(ty.maximum.map(|maximum| maximum.max(pages)));
        }
        memories.memory(ty);
    }
    sections.replace(&memories);
    Ok(sections.finish())
}

/// Adds an active data segment to the module's first memory, behind its own ones.
///
/// # Errors
/// When the module cannot be parsed.
pub fn with_image(wasm: &[u8], offset: u32, content: &[u8]) -> Result<Vec<u8>, Error> {
    let mut sections = Sections::of(wasm)?;
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(offset.cast_signed()), content.iter().copied());
    if sections.get(SectionId::DataCount).is_some() {
        sections.append(&DataCountSection { count: 1 })?;
    }
    sections.append(&data)?;
    Ok(sections.finish())
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
