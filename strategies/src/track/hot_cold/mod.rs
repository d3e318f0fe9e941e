//! Hot and cold pages: pages that are written often stay writable and are looked at in every reset, all others are
//! write-protected and found by their faults.
//!
//! A write-protected page costs a fault in each block that writes to it; a writable one costs a look in each reset,
//! whether it was written or not. Which is cheaper depends on how often the page is written, and that is not known
//! beforehand: it is the problem of whether to rent or to buy. A page becomes writable with its first write, since
//! that fault is paid already, and stays so until the looks that found it clean have together cost as much as a
//! fault. Whatever the guest does, looks and faults then cost at most twice what they would if the blocks were known
//! beforehand (Karlin, Manasse, Rudolph, Sleator: Competitive snoopy caching, *Algorithmica* 3, 1988).
//!
//! Blank pages that have been cold for long are given back, so that resident memory follows what blocks write.
//!
//! Decisions depend on the blocks and on the two unit costs of this machine, which are measured once ([`Costs`]).

mod costs;

pub use costs::Costs;

use std::io;
use std::ops::Range;

use super::Tracker;
use super::uffd_wp::Protection;
use crate::in_place::image::{extend, is_blank};
use crate::in_place::region::Pages;
use crate::in_place::{Image, InPlace, Piece};
use crate::session::Reset;
use crate::strategy::Strategy;
use crate::sys::page;
use crate::sys::pagemap_scan;

/// Resets in an epoch, by which the age of cold pages is counted: looking at all of them costs about a nanosecond
/// per page, which is nothing when it is done this seldom.
const EPOCH: u32 = 128;

/// Epochs after which a page that stayed cold is given back.
const QUIET: u16 = 8;

/// What is known of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Page {
    /// Never reported, or given back.
    #[default]
    Unseen,
    /// Writable, and found clean in this many resets on end.
    Hot(u16),
    /// Write-protected since this epoch.
    Cold(u16),
}

/// Reports the pages that differ from the image.
#[derive(Debug)]
pub struct HotCold {
    protection: Protection,
    decisions: Decisions,
    /// Kept between resets, so that a reset allocates nothing.
    written: Vec<Range<usize>>,
}

/// Which pages are hot, decided by nothing but what was written in each block.
#[derive(Debug)]
struct Decisions {
    /// Clean looks that together cost as much as a fault.
    patience: u16,
    pages: Vec<Page>,
    /// Pages that were found clean too often, to be protected after the restore.
    cooling: Vec<Range<usize>>,
    resets: u32,
}

impl HotCold {
    /// A tracker that decides by these costs.
    pub fn new(costs: Costs) -> Self {
        Self {
            protection: Protection::default(),
            decisions: Decisions::new(costs.patience()),
            written: Vec::new(),
        }
    }
}

impl Tracker for HotCold {
    fn start(&mut self, pages: &mut Pages<'_>) -> io::Result<()> {
        self.protection.start(pages)
    }

    fn dirty(
        &mut self,
        pages: &Pages<'_>,
        image: &Image,
        runs: &mut Vec<Range<usize>>,
        done: &mut Reset,
    ) -> io::Result<()> {
        let mut written = std::mem::take(&mut self.written);
        written.clear();
        self.protection.written(pages, done, |run| written.push(run))?;
        self.decisions.begin(pages.size());
        let bytes = pages.bytes();
        for piece in written.iter().flat_map(|run| image.pieces(run.clone())) {
            let (range, content) = match piece {
                Piece::Blank(range) => (range, None),
                Piece::Filled(range, content) => (range, Some(content)),
            };
            for start in range.clone().step_by(page::size()) {
                let page = start..start + page::size();
                let differs = match content {
                    None => !is_blank(&bytes[page.clone()]),
                    Some(content) => {
                        bytes[page.clone()] != content[start - range.start..page.end - range.start]
                    }
                };
                self.decisions.look(page.clone(), differs);
                if differs {
                    extend(runs, page);
                }
            }
        }
        self.written = written;
        Ok(())
    }

    fn clean(&mut self, pages: &mut Pages<'_>, image: &Image, done: &mut Reset) -> io::Result<()> {
        for run in self.decisions.cooling.drain(..) {
            self.protection.protect(pages.addresses(run), done)?;
        }
        for run in self.decisions.quiet(pages.size()) {
            for piece in image.pieces(run) {
                if let Piece::Blank(range) = piece {
                    done.bytes_returned += range.len() as u64;
                    done.syscalls += 1;
                    pages.discard(range)?;
                }
            }
        }
        Ok(())
    }
}

impl Decisions {
    fn new(patience: u16) -> Self {
        Self { patience, pages: Vec::new(), cooling: Vec::new(), resets: 0 }
    }

    /// Begins a reset of a memory of this size.
    fn begin(&mut self, bytes: usize) {
        self.resets = self.resets.wrapping_add(1);
        self.cooling.clear();
        let pages = bytes / page::size();
        if self.pages.len() < pages {
            self.pages.resize(pages, Page::Unseen);
        }
    }

    /// Takes note of a page that is not protected.
    fn look(&mut self, page: Range<usize>, differs: bool) {
        let epoch = self.epoch();
        let state = &mut self.pages[page.start / page::size()];
        *state = match *state {
            Page::Hot(clean) if !differs && clean + 1 >= self.patience => {
                extend(&mut self.cooling, page);
                Page::Cold(epoch)
            }
            Page::Hot(clean) if !differs => Page::Hot(clean + 1),
            // Its fault is paid, whether it was protected or not there before.
            Page::Hot(_) | Page::Cold(_) | Page::Unseen => Page::Hot(0),
        };
    }

    /// Once per epoch, the runs of pages that have been cold for long; they count as unseen from here on.
    fn quiet(&mut self, bytes: usize) -> Vec<Range<usize>> {
        let mut runs = Vec::new();
        if !self.resets.is_multiple_of(EPOCH) {
            return runs;
        }
        let (now, page) = (self.epoch(), page::size());
        for (index, state) in self.pages.iter_mut().enumerate().take(bytes / page) {
            if matches!(*state, Page::Cold(since) if now.wrapping_sub(since) >= QUIET) {
                *state = Page::Unseen;
                extend(&mut runs, index * page..(index + 1) * page);
            }
        }
        runs
    }

    fn epoch(&self) -> u16 {
        (self.resets / EPOCH) as u16
    }
}

/// `adaptive/hot-cold`.
pub static STRATEGY: Strategy = Strategy::in_place(
    "adaptive/hot-cold",
    "looks at pages that are written often, finds the others by their faults, and copies the image back",
    &[&pagemap_scan::PAGEMAP_SCAN, &pagemap_scan::WRITE_PROTECT],
    InPlace { tracker: || Box::new(HotCold::new(*Costs::here())), ..InPlace::BASE },
);

#[cfg(test)]
mod tests {
    use super::*;

    const PAGES: usize = 64;

    fn page(index: usize) -> Range<usize> {
        index * page::size()..(index + 1) * page::size()
    }

    fn begun(patience: u16) -> Decisions {
        let mut decisions = Decisions::new(patience);
        decisions.begin(PAGES * page::size());
        decisions
    }

    #[test]
    fn a_page_that_is_written_in_every_block_stays_hot() {
        let mut decisions = begun(2);
        for _ in 0..100 {
            decisions.begin(PAGES * page::size());
            decisions.look(page(3), true);
            assert_eq!(decisions.pages[3], Page::Hot(0));
            assert!(decisions.cooling.is_empty());
        }
    }

    #[test]
    fn a_page_cools_when_looks_have_cost_a_fault() {
        let mut decisions = begun(3);
        decisions.look(page(3), true);
        for clean in 1..3 {
            decisions.begin(PAGES * page::size());
            decisions.look(page(3), false);
            assert_eq!(decisions.pages[3], Page::Hot(clean));
        }
        decisions.begin(PAGES * page::size());
        decisions.look(page(3), false);
        assert_eq!(decisions.pages[3], Page::Cold(0));
        assert_eq!(decisions.cooling, [page(3)]);
        // The next write is told by its fault.
        decisions.begin(PAGES * page::size());
        decisions.look(page(3), true);
        assert_eq!(decisions.pages[3], Page::Hot(0));
        assert!(decisions.cooling.is_empty());
    }

    #[test]
    fn a_page_that_stays_cold_is_given_back_once() {
        let mut decisions = begun(1);
        for written in [true, false] {
            decisions.look(page(5), written);
        }
        let mut returned = Vec::new();
        for _ in 0..(u32::from(QUIET) + 2) * EPOCH {
            decisions.begin(PAGES * page::size());
            returned.extend(decisions.quiet(PAGES * page::size()));
        }
        assert_eq!(returned, [page(5)]);
        assert_eq!(decisions.pages[5], Page::Unseen);
    }
}
