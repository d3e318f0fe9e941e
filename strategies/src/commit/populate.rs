//! Policies by which the kernel populates: one call, and no fault from user space.
//!
//! `MADV_POPULATE_WRITE` (madvise(2), Linux 5.14) faults a range in for writing and says ENOMEM or EFAULT where that
//! fails, except under a memory control group, where the OOM killer answers first. Huge pages take 512 times fewer
//! faults and zero faster; where none is free the kernel falls back to small ones, so that nothing is lost by asking.

use std::io;

use memmap2::Advice;

use super::{Extent, How, Policy};
use crate::sys::Mechanism;
use crate::sys::mincore::resident;
use crate::sys::page::{self, Scratch};

/// `map-populate`.
pub static MAP_POPULATE: Policy = Policy::new(
    "map-populate",
    "maps the reservation behind the memory anew with MAP_POPULATE",
    &[],
    How::Behind(|extent| extent.map_anew(page::size(), 0)),
);

/// `madvise-populate`.
pub static MADVISE_POPULATE: Policy = Policy::new(
    "madvise-populate",
    "MADV_POPULATE_WRITE",
    &[&POPULATE_WRITE],
    How::Behind(|extent| extent.advise(Advice::PopulateWrite)),
);

/// `madvise-populate-parallel`.
pub static MADVISE_POPULATE_PARALLEL: Policy = Policy::new(
    "madvise-populate-parallel",
    "MADV_POPULATE_WRITE by one thread per processor",
    &[&POPULATE_WRITE],
    How::Behind(|extent| extent.advise_in_parallel(Advice::PopulateWrite)),
);

/// `populate-thp`: the fastest of all wherever huge pages are to be had.
pub static POPULATE_THP: Policy = Policy::new(
    "populate-thp",
    "MADV_HUGEPAGE, then MADV_POPULATE_WRITE by one thread per processor",
    &[&POPULATE_WRITE],
    How::Behind(huge),
);

/// The best that we know.
pub(super) fn huge(extent: &mut Extent<'_>) -> io::Result<()> {
    // Fails only where the kernel was built without huge pages, and small ones will do.
    let _without = extent.advise(Advice::HugePage);
    extent.advise_in_parallel(Advice::PopulateWrite)
}

/// `MADV_POPULATE_WRITE`.
pub static POPULATE_WRITE: Mechanism =
    Mechanism::new("MADV_POPULATE_WRITE", "gives pages memory ahead of use", || {
        let scratch = Scratch::pages(2)?;
        let populated = scratch.map.advise_range(Advice::PopulateWrite, 0, 2 * page::size());
        populated.map_err(|e| match e.raw_os_error() {
            Some(libc::EINVAL) => "the kernel has no MADV_POPULATE_WRITE: it came with Linux 5.14".into(),
            _ => format!("madvise: {e}"),
        })?;
        let mut found = Vec::new();
        resident(&scratch.map, 0..2 * page::size(), &mut found).map_err(|e| format!("mincore: {e}"))?;
        if found.iter().all(|page| page & 1 == 1) {
            Ok(())
        } else {
            Err("MADV_POPULATE_WRITE succeeded and left pages without memory".into())
        }
    })
    .since(5, 14);
