//! A module as its sections: some are changed, all others are copied byte for byte.

use std::borrow::Cow;

use wasm_encoder::{Encode, RawSection, Section, SectionId};
use wasmparser::{BinaryReader, Parser};

use crate::error::Error;

/// The sections of a module in order.
pub(super) struct Sections<'a>(Vec<(u8, Cow<'a, [u8]>)>);

impl<'a> Sections<'a> {
    pub(super) fn of(wasm: &'a [u8]) -> Result<Self, Error> {
        let mut sections = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            if let Some((id, range)) = payload?.as_section() {
                sections.push((id, Cow::Borrowed(&wasm[range])));
            }
        }
        Ok(Self(sections))
    }

    /// The content of a section, if the module has it.
    pub(super) fn get(&self, id: SectionId) -> Option<&[u8]> {
        self.0.iter().find(|section| section.0 == id as u8).map(|section| section.1.as_ref())
    }

    /// Appends items to the section of their kind, which is made if the module has none.
    pub(super) fn append(&mut self, added: &impl Section) -> Result<(), Error> {
        let added_content = content(added);
        let (added_count, added_items) = counted(&added_content)?;
        if added_count == 0 {
            return Ok(());
        }
        let id = added.id();
        let Some((_, old)) = self.0.iter_mut().find(|section| section.0 == id) else {
            // Custom sections (id 0) may stand anywhere.
            let next = self.0.iter().position(|section| section.0 != 0 && order(section.0) > order(id));
            self.0.insert(next.unwrap_or(self.0.len()), (id, added_content.into()));
            return Ok(());
        };
        let (old_count, old_items) = counted(old)?;
        let mut joined = Vec::new();
        old_count.saturating_add(added_count).encode(&mut joined);
        joined.extend(old_items);
        joined.extend(added_items);
        *old = joined.into();
        Ok(())
    }

    /// Replaces a section that the module has.
    pub(super) fn replace(&mut self, new: &impl Section) {
        if let Some(section) = self.0.iter_mut().find(|section| section.0 == new.id()) {
            section.1 = content(new).into();
        }
    }

    pub(super) fn finish(&self) -> Vec<u8> {
        let mut module = wasm_encoder::Module::new();
        for (id, data) in &self.0 {
            module.section(&RawSection { id: *id, data });
        }
        module.finish()
    }
}

/// What a section holds, without its id and its length.
fn content(section: &impl Section) -> Vec<u8> {
    let mut encoded = Vec::new();
    section.encode(&mut encoded);
    let mut reader = BinaryReader::new(&encoded, 0);
    reader.read_var_u32().expect("a section begins with its length");
    encoded.split_off(reader.original_position())
}

/// The number of items in a section, and their bytes.
fn counted(content: &[u8]) -> Result<(u32, &[u8]), Error> {
    let mut reader = BinaryReader::new(content, 0);
    let count = reader.read_var_u32()?;
    Ok((count, &content[reader.original_position()..]))
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
