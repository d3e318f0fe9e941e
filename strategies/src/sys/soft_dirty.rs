//! Soft-dirty bits: writing 4 to `/proc/self/clear_refs` write-protects every page of the process, and bit 55 of
//! pagemap says which were written since.
//!
//! Source: `Documentation/admin-guide/mm/soft-dirty.rst`. Needs CONFIG_MEM_SOFT_DIRTY, which many kernels lack;
//! without it the bit reads as zero always, so that a strategy that trusted it would restore nothing.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};

use super::Mechanism;
use super::page::{self, Scratch};
use super::pagemap::{self, Pagemap};

/// The file by which soft-dirty bits are cleared.
#[derive(Debug)]
pub(crate) struct ClearRefs(File);

impl ClearRefs {
    pub(crate) fn open() -> io::Result<Self> {
        OpenOptions::new().write(true).open("/proc/self/clear_refs").map(Self)
    }

    /// Clears the soft-dirty bit of every page of this process.
    pub(crate) fn soft_dirty(&mut self) -> io::Result<()> {
        self.0.write_all(b"4")
    }
}

/// A page that is written after each cleaning by us: where its bit is gone, somebody else has cleaned.
pub(crate) struct Sentinel(Scratch);

impl fmt::Debug for Sentinel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentinel").finish_non_exhaustive()
    }
}

impl Sentinel {
    pub(crate) fn new() -> io::Result<Self> {
        let scratch = Scratch::pages(1).map_err(io::Error::other)?;
        page::keep_unmerged(&scratch.map)?;
        page::keep_small(&scratch.map)?;
        Ok(Self(scratch))
    }

    /// Sets its bit.
    pub(crate) fn write(&self) {
        self.0.write(0, 1);
    }

    /// # Errors
    /// When the bit is not set.
    pub(crate) fn check(&self, pagemap: &Pagemap, entries: &mut Vec<u8>) -> io::Result<()> {
        let start = self.0.map.as_ptr().addr();
        pagemap.read(start..start + page::size(), entries)?;
        if pagemap::flags(entries).all(|flags| flags & pagemap::SOFT_DIRTY != 0) {
            return Ok(());
        }
        Err(io::Error::other(
            "the soft-dirty bits of this process were cleared by somebody else (/proc/PID/clear_refs)",
        ))
    }
}

/// Soft-dirty bits in pagemap.
pub static SOFT_DIRTY: Mechanism =
    Mechanism::new("soft-dirty", "finds written pages; needs CONFIG_MEM_SOFT_DIRTY", || {
        let scratch = Scratch::pages(2)?;
        scratch.write(0, 7);
        scratch.write(1, 7);
        ClearRefs::open()
            .and_then(|mut refs| refs.soft_dirty())
            .map_err(|e| format!("/proc/self/clear_refs: {e}"))?;
        scratch.write(1, 8);
        let mut entries = Vec::new();
        let start = scratch.map.as_ptr().addr();
        Pagemap::open()
            .and_then(|map| map.read(start..start + 2 * page::size(), &mut entries))
            .map_err(|e| format!("/proc/self/pagemap: {e}"))?;
        let dirty: Vec<bool> = pagemap::flags(&entries).map(|flag| flag & pagemap::SOFT_DIRTY != 0).collect();
        match dirty[..] {
            [false, true] => Ok(()),
            [false, false] => Err("the kernel sets no soft-dirty bit on a write: \
                                   it is built without CONFIG_MEM_SOFT_DIRTY"
                .into()),
            _ => Err(format!("soft-dirty says {dirty:?} of a clean and a written page")),
        }
    })
    .since(3, 11);
