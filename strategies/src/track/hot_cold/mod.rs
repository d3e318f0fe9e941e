//! Hot and cold pages: pages that are written often stay writable and are restored in every reset, all others are
//! write-protected and found by their faults.
//!
//! A write-protected page costs a fault in each block that writes to it; a writable one is restored in each reset,
//! whether it was written or not. Which is cheaper depends on how often the page is written, and that is not known
//! beforehand: it is the problem of whether to rent or to buy (Karlin, Manasse, Rudolph, Sleator: Competitive snoopy
//! caching, *Algorithmica* 3, 1988). A page becomes hot when restoring it in every reset would have
//! cost less than its last fault, or than its last two, so that a long gap is made up for by a short one. It is not looked
//! at before it is restored: within the caches that costs as much as zeroing it, and beyond them several times as much.
//! Only a sample of the hot pages is; one that is found clean is looked at from then on, restored where it differs, and hot no
//! longer when it has been clean for as long as two faults are worth: with one, a page that is written about as seldom as pays
//! would become hot and cold in turn.
//!
//! On traces that were made up, with the costs of two machines and noise on them, that costs 1.13 times as much in the mean as
//! the best choice of hot pages in hindsight, and 2.8 times at worst, where pages are written whenever they are cold; on what
//! the bundled indexers write, 1.2 times at worst (`competitive.rs`).
//!
//! As long as the process takes no fault, no cold page was written and nothing is scanned ([`faults`](crate::sys::faults)):
//! a guest that writes the same pages in each block costs what `control/oracle` does, and a reading of the fault count. Where the
//! host says that only the calling thread writes, the faults of that one are enough. A memory that is larger than it ever was is
//! scanned in any case: what it has grown into may have been populated before, by a commit policy or since it is locked, and was
//! written without a fault then.
//!
//! Blank pages that have been cold for long are given back, so that resident memory follows what blocks write; those that
//! were committed or locked stay.
//!
//! Decisions depend on the blocks and on the unit costs of this machine, which are measured once ([`Costs`]).

#[cfg(test)]
mod competitive;
mod costs;
mod decisions;
mod fault_count;

pub use crate::learned::{Costs, Learned};

use std::io;

use super::uffd_wp::Protection;
use super::{Search, Tracker};
use crate::block::Reset;
use crate::condition::{self, Condition};
use crate::in_place::region::Pages;
use crate::in_place::{self, Bounds, Image, InPlace, Piece};
use crate::strategy::Strategy;
use crate::sys::{page, pagemap_scan};
use decisions::Decisions;
use fault_count::FaultCount;

/// Reports the pages that were written since the last reset, and those that nearly always are.
#[derive(Debug)]
pub struct HotCold {
    protection: Protection,
    decisions: Decisions,
    faults: FaultCount,
    /// What is known of faults without asking, since the search of this reset.
    faulted: Option<bool>,
}

impl Default for HotCold {
    fn default() -> Self {
        Self::new(*Costs::here())
    }
}

impl HotCold {
    /// A tracker that decides by these costs.
    pub fn new(costs: Costs) -> Self {
        Self {
            protection: Protection::default(),
            decisions: Decisions::new(costs),
            faults: FaultCount::default(),
            faulted: None,
        }
    }
}

impl Tracker for HotCold {
    fn refuses_hugetlb(&self) -> Option<&'static str> {
        Some(
            "the strategy write-protects single pages, and reserved huge pages can be protected as a whole only",
        )
    }

    fn heeds_faults(&self) -> bool {
        true
    }

    fn start(&mut self, pages: &mut Pages<'_>) -> io::Result<()> {
        self.protection.start(pages)
    }

    fn dirty(&mut self, Search { pages, image, runs, faulted, done }: Search<'_>) -> io::Result<()> {
        self.faulted = faulted;
        let Self { protection, decisions, faults, .. } = self;
        let (bytes, page) = (pages.bytes(), page::size());
        let differs = |index| image.differs(index * page..(index + 1) * page, bytes);
        decisions.begin();
        if faults.has_moved(faulted)? || protection.is_exceeded(pages) {
            // What this reset takes of faults itself is none of the next block's.
            faults.forget();
            let calls = done.syscalls;
            protection.written(pages, done, |run| runs.push(run))?;
            decisions.scanned(done.syscalls - calls, protection.covered());
            let mut any = false;
            for index in runs.iter().flat_map(|run| run.start / page..run.end / page) {
                any |= decisions.unprotected(index);
            }
            faults.found(any);
        } else {
            // A memory that has not grown so far this time has no pages there, and nobody wrote to them.
            let within = decisions.hot().iter().take_while(|run| run.start < bytes.len());
            runs.extend(within.map(|run| run.start..run.end.min(bytes.len())));
        }
        decisions.question(bytes.len(), differs);
        decisions.leave_clean(runs);
        decisions.sample(bytes.len(), differs);
        Ok(())
    }

    fn learned(&self) -> Option<Learned> {
        Some(self.decisions.learned())
    }

    fn clean(&mut self, pages: &mut Pages<'_>, image: &Image, done: &mut Reset) -> io::Result<()> {
        let Self { protection, decisions, faults, faulted } = self;
        // What lies beyond was found for the first time, so that nothing there is meant to stay writable.
        protection.cover(pages, done)?;
        decisions.cool_down(|range| protection.protect(pages.addresses(range), done))?;
        let committed = pages.committed();
        for run in decisions.quiet(pages.size()) {
            for piece in image.pieces(run.start.max(committed)..run.end) {
                if let Piece::Blank(range) = piece {
                    done.syscalls += 1;
                    if pages.discard_unlocked(range.clone())? {
                        done.bytes_returned += range.len() as u64;
                    }
                    protection.protect(pages.addresses(range), done)?;
                }
            }
        }
        faults.take(*faulted)
    }
}

/// What it is made of, and `control/second-core` with it.
pub(crate) const PARTS: InPlace = InPlace::BASE.tracking::<HotCold>();

/// `adaptive/hot-cold`.
pub static STRATEGY: Strategy = Strategy::in_place(
    "adaptive/hot-cold",
    "restores pages that are written often, finds the others by their faults, and copies the image back",
    &[&pagemap_scan::PAGEMAP_SCAN, &pagemap_scan::WRITE_PROTECT],
    PARTS,
)
.must_not(MUST_NOT);

/// `adaptive/hot-cold-checked`.
pub static CHECKED: Strategy = Strategy::in_place(
    "adaptive/hot-cold-checked",
    "hot-cold under compiled bounds checks, so that neither growing a memory nor its reset calls mprotect",
    &[&in_place::BOUNDS_CHECKS, &pagemap_scan::PAGEMAP_SCAN, &pagemap_scan::WRITE_PROTECT],
    InPlace { bounds: Bounds::Check, ..PARTS },
)
.must_not(MUST_NOT);

/// What is written past the protection of pages is not found.
const MUST_NOT: &[&Condition] =
    &[&condition::FOREIGN_WRITES, &condition::PINNED_WRITES, &condition::PINNED_PAGES];
