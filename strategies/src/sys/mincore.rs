//! mincore(2): which pages have physical memory behind them.
//!
//! It reports residency, not writes, and knows nothing of pages that were swapped out; wasmtime memories that use it
//! must treat what it does not report as possibly swapped (see `track/mincore.rs`).

use std::io;
use std::ops::Range;

use memmap2::MmapRaw;

use super::page::{self, Scratch};
use super::{Mechanism, checked};

/// Fills `resident` with one byte per page of `range`; bit 0 says resident.
pub(crate) fn resident(map: &MmapRaw, range: Range<usize>, resident: &mut Vec<u8>) -> io::Result<()> {
    assert!(range.start <= range.end && range.end <= map.len());
    resident.clear();
    resident.resize(range.len().div_ceil(page::size()), 0);
    // SAFETY: the range lies within the mapping (asserted) and the vector holds a byte for each of its pages.
    checked(unsafe {
        libc::mincore(map.as_mut_ptr().add(range.start).cast(), range.len(), resident.as_mut_ptr())
    })?;
    Ok(())
}

/// mincore(2) on anonymous memory.
pub static MINCORE: Mechanism = Mechanism::new("mincore", "finds resident pages", || {
    let scratch = Scratch::pages(2)?;
    scratch.write(1, 7);
    let mut found = Vec::new();
    resident(&scratch.map, 0..2 * page::size(), &mut found).map_err(|e| format!("mincore: {e}"))?;
    match found[..] {
        [a, b] if a & 1 == 0 && b & 1 == 1 => Ok(()),
        _ => Err(format!("mincore reports {found:?} for an untouched and a written page")),
    }
});
