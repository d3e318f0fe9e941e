//! Soft-dirty bits: pages written since `clear_refs` got a 4.
//!
//! Clearing is process-wide: it walks and write-protects every page of the process, so that a large host pays for
//! its own memory at each reset, and there can be one instance in a process. Swapped-out pages keep the bit.
//!
//! Two things take the bit from a page that was written, and are kept away: pages that KSM merges lose it, and so do, on
//! some kernels, the parts of a huge page that is split (`try_to_map_unused_to_zeropage` in `mm/migrate.c`). So does
//! whoever else clears it; a page that nobody else knows of shows that.

use std::io;

use super::pagemap::flagged;
use super::{Search, Tracker};
use crate::block::Reset;
use crate::condition;
use crate::in_place::region::Pages;
use crate::in_place::{Image, InPlace};
use crate::strategy::Strategy;
use crate::sys::ksm;
use crate::sys::pagemap::{self, Pagemap};
use crate::sys::soft_dirty::{self, ClearRefs, Sentinel};

/// Reports pages with the soft-dirty bit.
#[derive(Debug, Default)]
pub struct SoftDirty {
    tools: Option<Tools>,
    entries: Vec<u8>,
}

#[derive(Debug)]
struct Tools {
    pagemap: Pagemap,
    refs: ClearRefs,
    sentinel: Sentinel,
}

impl SoftDirty {
    fn tools(&mut self) -> io::Result<(&mut Tools, &mut Vec<u8>)> {
        let tools = self.tools.as_mut().ok_or_else(|| io::Error::other("not started"))?;
        Ok((tools, &mut self.entries))
    }
}

impl Tracker for SoftDirty {
    fn is_exact(&self) -> bool {
        true
    }

    fn is_process_wide(&self) -> bool {
        true
    }

    fn refuses_hugetlb(&self) -> Option<&'static str> {
        // `clear_refs_pte_range` and `pagemap_hugetlb_range` of `fs/proc/task_mmu.c`.
        Some("the kernel keeps no soft-dirty bits of reserved huge pages")
    }

    fn start(&mut self, pages: &mut Pages<'_>) -> io::Result<()> {
        refuse_merging()?;
        pages.keep_small()?;
        let (pagemap, refs) = (Pagemap::open()?, ClearRefs::open()?);
        let tools = self.tools.insert(Tools { pagemap, refs, sentinel: Sentinel::new()? });
        tools.refs.soft_dirty()
    }

    fn dirty(&mut self, Search { pages, runs, done, .. }: Search<'_>) -> io::Result<()> {
        refuse_merging()?;
        let (tools, entries) = self.tools()?;
        flagged(&tools.pagemap, entries, pages, pagemap::SOFT_DIRTY, runs, done)?;
        // Afterwards, so that it shows what another thread has cleared before or while they were read.
        done.syscalls += 2;
        tools.sentinel.check(&tools.pagemap, entries)
    }

    fn clean(&mut self, _: &mut Pages<'_>, _: &Image, done: &mut Reset) -> io::Result<()> {
        done.syscalls += 1;
        self.tools()?.0.refs.soft_dirty()
    }

    fn arm(&mut self) {
        if let Some(tools) = &self.tools {
            tools.sentinel.write();
        }
    }
}

/// # Errors
/// When KSM may merge the pages of this process.
fn refuse_merging() -> io::Result<()> {
    if ksm::is_asked_for() {
        return Err(io::Error::other(
            "the process has asked KSM to merge its pages (PR_SET_MEMORY_MERGE), which then lose their soft-dirty bits",
        ));
    }
    Ok(())
}

/// `dirty/soft-dirty`.
pub static STRATEGY: Strategy = Strategy::in_place(
    "dirty/soft-dirty",
    "copies the image over the pages whose soft-dirty bit is set",
    &[&soft_dirty::SOFT_DIRTY, &pagemap::PAGEMAP, &ksm::NOT_ASKED],
    InPlace::BASE.tracking::<SoftDirty>(),
)
.must_not(&[&condition::CLEARED_BITS, &condition::MERGED_MEMORY]);
