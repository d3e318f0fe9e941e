//! `/proc/self/pagemap`: eight bytes per page, readable without privileges for the flags.
//!
//! Source: `Documentation/admin-guide/mm/pagemap.rst`. The descriptor belongs to the address space of the process
//! that opened it: a forked child has to open its own.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::Mechanism;
use super::page::{self, Scratch};

/// The page has physical memory.
pub(crate) const PRESENT: u64 = 1 << 63;
/// The page is in swap.
pub(crate) const SWAPPED: u64 = 1 << 62;
/// The page was written since `clear_refs` got a 4.
pub(crate) const SOFT_DIRTY: u64 = 1 << 55;

const ENTRY: usize = size_of::<u64>();

/// The pagemap of this process.
#[derive(Debug)]
pub(crate) struct Pagemap(File);

impl Pagemap {
    pub(crate) fn open() -> io::Result<Self> {
        File::open("/proc/self/pagemap").map(Self)
    }

    /// Reads the entries of the pages in a range of addresses into `entries`.
    pub(crate) fn read(&self, addresses: Range<usize>, entries: &mut Vec<u8>) -> io::Result<()> {
        let pages = addresses.len().div_ceil(page::size());
        entries.resize(pages * ENTRY, 0);
        self.0.read_exact_at(entries, (addresses.start / page::size() * ENTRY) as u64)
    }
}

/// The entries as numbers.
pub(crate) fn flags(entries: &[u8]) -> impl Iterator<Item = u64> + '_ {
    entries.as_chunks().0.iter().map(|entry| u64::from_ne_bytes(*entry))
}

/// Presence bits of `/proc/self/pagemap`.
pub static PAGEMAP: Mechanism = Mechanism::new("/proc/self/pagemap", "finds populated pages", || {
    let scratch = Scratch::pages(2)?;
    scratch.write(1, 7);
    let mut entries = Vec::new();
    let start = scratch.map.as_ptr().addr();
    Pagemap::open()
        .and_then(|map| map.read(start..start + 2 * page::size(), &mut entries))
        .map_err(|e| format!("/proc/self/pagemap: {e}; is /proc mounted?"))?;
    let present: Vec<bool> = flags(&entries).map(|flag| flag & PRESENT != 0).collect();
    if present == [false, true] {
        Ok(())
    } else {
        Err(format!("pagemap says present = {present:?} of an untouched and a written page"))
    }
});
