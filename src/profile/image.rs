//! Programs and libraries as they are mapped into a process: their symbols, and how their stacks unwind.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use object::elf::PT_LOAD;
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use procfs::process::{MMPermissions, MMapPath, MemoryMap, Process};

use super::names::Names;

/// An ELF file.
#[derive(Debug)]
pub struct Image {
    pub name: String,
    /// Its functions, by the addresses that it states.
    pub names: Names,
    pub sections: Sections,
    /// Where its parts are to be: offset in the file, stated address and length.
    parts: Vec<(u64, u64, u64)>,
}

/// What unwinding reads.
#[derive(Debug, Default)]
pub struct Sections {
    pub text: Option<Range<u64>>,
    pub got: Option<Range<u64>>,
    pub eh_frame: Option<Section>,
    pub eh_frame_hdr: Option<Section>,
}

/// A section with its stated address.
#[derive(Debug)]
pub struct Section {
    pub address: u64,
    pub bytes: Vec<u8>,
}

impl Section {
    /// Its stated addresses.
    pub fn range(&self) -> Range<u64> {
        self.address..self.address + self.bytes.len() as u64
    }
}

/// An image in a process.
#[derive(Clone, Debug)]
pub struct Mapped {
    pub image: Arc<Image>,
    /// From the first to the last of its mappings.
    pub range: Range<u64>,
    /// How far it is from where it states to be.
    pub bias: u64,
}

/// Images by their paths, each read once.
#[derive(Debug, Default)]
pub struct Images(HashMap<PathBuf, Option<Arc<Image>>>);

impl Images {
    /// What is mapped into a process. What cannot be read is left out, and has no names then.
    ///
    /// # Errors
    /// When the process's mappings cannot be read.
    pub fn of(&mut self, pid: u32) -> Result<Vec<Mapped>> {
        let process = Process::new(pid.cast_signed()).with_context(|| format!("process {pid}"))?;
        let maps = process.maps().context("cannot read what is mapped")?;
        let mut mapped: Vec<(PathBuf, Mapped)> = Vec::new();
        for map in maps {
            let path = match &map.pathname {
                MMapPath::Path(path) => path.clone(),
                MMapPath::Vdso => PathBuf::from("[vdso]"),
                _ => continue,
            };
            if let Some((_, known)) = mapped.iter_mut().find(|(known, _)| *known == path) {
                known.range.end = known.range.end.max(map.address.1);
            } else if map.perms.contains(MMPermissions::EXECUTE) || map.offset == 0 {
                let Some(image) = self.image(&path, pid) else { continue };
                let Some(bias) = image.bias(&map) else { continue };
                mapped.push((path, Mapped { image, range: map.address.0..map.address.1, bias }));
            }
        }
        Ok(mapped.into_iter().map(|(_, mapped)| mapped).collect())
    }

    fn image(&mut self, path: &Path, pid: u32) -> Option<Arc<Image>> {
        let read = || {
            let bytes = if path == Path::new("[vdso]") { vdso().ok()? } else { file(path, pid)? };
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            Image::parse(name, &bytes).ok().map(Arc::new)
        };
        self.0.entry(path.to_path_buf()).or_insert_with(read).clone()
    }
}

impl Image {
    /// Reads symbols and sections.
    ///
    /// # Errors
    /// When it is no ELF file of 64 bits.
    fn parse(name: String, bytes: &[u8]) -> Result<Self> {
        let elf: ElfFile64<'_> = ElfFile64::parse(bytes)?;
        let endian = elf.endian();
        let headers = elf.elf_header().program_headers(endian, bytes)?.iter();
        let parts = headers.filter(|header| header.p_type(endian) == PT_LOAD);
        let parts =
            parts.map(|header| (header.p_offset(endian), header.p_vaddr(endian), header.p_filesz(endian)));
        let functions = elf.symbols().chain(elf.dynamic_symbols());
        let functions = functions.filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.address() > 0);
        let functions =
            functions.filter_map(|symbol| Some((symbol.address(), symbol.size(), symbol.name().ok()?)));
        let range = |name: &str| {
            let section = elf.section_by_name(name)?;
            Some(section.address()..section.address() + section.size())
        };
        let section = |name: &str| {
            let section = elf.section_by_name(name)?;
            Some(Section { address: section.address(), bytes: section.data().ok()?.to_vec() })
        };
        Ok(Self {
            name,
            names: Names::new(functions.map(|(address, size, name)| (address, size, name.to_owned()))),
            parts: parts.collect(),
            sections: Sections {
                text: range(".text"),
                got: range(".got"),
                eh_frame: section(".eh_frame"),
                eh_frame_hdr: section(".eh_frame_hdr"),
            },
        })
    }

    /// How far from its stated addresses the image is, of which that is a mapping.
    fn bias(&self, map: &MemoryMap) -> Option<u64> {
        let page = procfs::page_size();
        let holds = |(offset, _, length): &&(u64, u64, u64)| {
            let from = offset / page * page;
            (from..offset + length).contains(&map.offset)
        };
        let (offset, address, _) = self.parts.iter().find(holds)?;
        Some(map.address.0.wrapping_sub(map.offset).wrapping_add(*offset).wrapping_sub(*address))
    }
}

/// A file that a process has mapped. The program itself may have been replaced since.
fn file(path: &Path, pid: u32) -> Option<Vec<u8>> {
    let program = PathBuf::from(format!("/proc/{pid}/exe"));
    let is_program = fs::read_link(&program).is_ok_and(|link| link == path);
    if is_program {
        fs::read(program).ok()
    } else if path.is_file() {
        fs::read(path).ok()
    } else {
        None
    }
}

/// What the kernel maps into every process, read from this one.
fn vdso() -> Result<Vec<u8>> {
    let maps = Process::myself()?.maps()?;
    let map = maps.into_iter().find(|map| map.pathname == MMapPath::Vdso).context("there is none")?;
    let mut memory = File::open("/proc/self/mem")?;
    memory.seek(SeekFrom::Start(map.address.0))?;
    let mut bytes = vec![0; usize::try_from(map.address.1 - map.address.0)?];
    memory.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn somewhere_in_this_program() -> usize {
        std::hint::black_box(somewhere_in_this_program as fn() -> usize) as usize
    }

    #[test]
    fn this_program_is_mapped_with_its_names_and_how_it_unwinds() {
        let address = somewhere_in_this_program() as u64;
        let mapped = Images::default().of(std::process::id()).expect("our own mappings");
        let own = mapped.iter().find(|mapped| mapped.range.contains(&address)).expect("we are mapped");
        let name = own.image.names.at(address - own.bias).expect("we have symbols");
        assert!(name.contains("somewhere_in_this_program"), "{name}");
        assert!(own.image.sections.eh_frame.is_some() && own.image.sections.text.is_some());
        // The kernel's own part, which is no file.
        assert!(mapped.iter().any(|mapped| mapped.image.name == "[vdso]" && !mapped.image.names.is_empty()));
    }
}
