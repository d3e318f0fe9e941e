//! userfaultfd `WP_ASYNC` with `PAGEMAP_SCAN`: pages written since the last reset.
//!
//! The order decides: scan without protecting, restore the pages, and only then protect what was written. Protecting
//! first would make the restore itself dirty every page again, and the set would never shrink.
//!
//! Up to the last page that was ever written, all pages are protected, absent ones too, so that a scan is the cheapest
//! there is; beyond it there are no page tables, and none are made.

use std::io;
use std::ops::Range;

use super::{Search, Tracker};
use crate::block::Reset;
use crate::condition;
use crate::in_place::region::Pages;
use crate::in_place::{Image, InPlace};
use crate::strategy::Strategy;
use crate::sys::page;
use crate::sys::pagemap_scan::{self, Scanner, Select};

/// The write-protection of one memory, and the scanner that reads its marks.
#[derive(Debug, Default)]
pub(crate) struct Protection {
    scanner: Option<Scanner>,
    /// Bytes from the start that were protected as a whole.
    covered: usize,
    /// The end of the last page that was found written.
    reach: usize,
    /// Bytes from the start that a scan has passed over: up to there, a page that is not protected takes a fault before it
    /// is written, unless it was found. Beyond, there may be pages that were populated before the memory grew to them.
    scanned: usize,
}

impl Protection {
    /// Protects all pages that are there, and lets those that come later be protected.
    pub(crate) fn start(&mut self, pages: &mut Pages<'_>) -> io::Result<()> {
        pages.make_protectable()?;
        *self = Self { scanner: Some(Scanner::open()?), ..Self::default() };
        let done = &mut Reset::default();
        self.written(pages, done, |_| ())?;
        self.cover(pages, done)
    }

    /// Calls `found` with each run of pages that is not protected and holds something.
    pub(crate) fn written(
        &mut self,
        pages: &Pages<'_>,
        done: &mut Reset,
        mut found: impl FnMut(Range<usize>),
    ) -> io::Result<()> {
        let base = pages.base();
        let covered = self.covered.min(pages.size());
        let mut reach = self.reach;
        for (range, select) in [(0..covered, Select::Unprotected), (covered..pages.size(), Select::Written)] {
            done.syscalls += self.scanner()?.scan(pages.addresses(range), select, |run| {
                reach = reach.max(run.end - base);
                found(run.start - base..run.end - base);
            })?;
        }
        self.reach = reach;
        self.scanned = self.scanned.max(pages.size());
        Ok(())
    }

    /// Whether the memory is larger than it was in any scan.
    pub(crate) fn is_exceeded(&self, pages: &Pages<'_>) -> bool {
        pages.size() > self.scanned
    }

    /// Bytes that a scan passes over at least.
    pub(crate) fn covered(&self) -> usize {
        self.covered
    }

    /// Write-protects a range of addresses.
    pub(crate) fn protect(&mut self, addresses: Range<usize>, done: &mut Reset) -> io::Result<()> {
        done.syscalls += self.scanner()?.protect(addresses)?;
        Ok(())
    }

    /// Write-protects the pages that were written for the first time beyond all others, and those between.
    pub(crate) fn cover(&mut self, pages: &Pages<'_>, done: &mut Reset) -> io::Result<()> {
        // Up to the end of a page table of the last level, or of a huge page that was reserved, which can be protected as a
        // whole only: no less is worth leaving out.
        let (base, reach) = (pages.base(), self.reach);
        let reach = ((base + reach).next_multiple_of(page::huge()) - base).min(pages.size());
        if reach > self.covered {
            self.protect(pages.addresses(self.covered..reach), done)?;
            self.covered = reach;
        }
        Ok(())
    }

    /// Write-protects all pages that were ever written.
    pub(crate) fn protect_all(&mut self, pages: &Pages<'_>, done: &mut Reset) -> io::Result<()> {
        let covered = self.covered.min(pages.size());
        self.cover(pages, done)?;
        self.protect(pages.addresses(0..covered), done)
    }

    fn scanner(&mut self) -> io::Result<&mut Scanner> {
        self.scanner.as_mut().ok_or_else(|| io::Error::other("not started"))
    }
}

/// Reports written pages.
#[derive(Debug, Default)]
pub struct UffdWp {
    protection: Protection,
}

impl Tracker for UffdWp {
    fn is_exact(&self) -> bool {
        true
    }

    fn start(&mut self, pages: &mut Pages<'_>) -> io::Result<()> {
        self.protection.start(pages)
    }

    fn dirty(&mut self, Search { pages, runs, done, .. }: Search<'_>) -> io::Result<()> {
        self.protection.written(pages, done, |run| runs.push(run))
    }

    fn clean(&mut self, pages: &mut Pages<'_>, _: &Image, done: &mut Reset) -> io::Result<()> {
        self.protection.protect_all(pages, done)
    }
}

/// `dirty/uffd-wp`.
pub static STRATEGY: Strategy = Strategy::in_place(
    "dirty/uffd-wp",
    "copies the image over the pages written since the last reset (WP_ASYNC and PAGEMAP_SCAN)",
    &[&pagemap_scan::PAGEMAP_SCAN, &pagemap_scan::WRITE_PROTECT],
    InPlace::BASE.tracking::<UffdWp>(),
)
.must_not(&[&condition::PINNED_WRITES]);
