//! userfaultfd `WP_ASYNC` with `PAGEMAP_SCAN`: pages written since the last reset.
//!
//! The order decides: scan without protecting, restore the pages, and only then protect what was written. Protecting
//! first would make the restore itself dirty every page again, and the set would never shrink. A page that is still
//! protected was not written; one that was never touched is absent and needs no protection.

use std::io;
use std::ops::Range;

use super::Tracker;
use crate::in_place::region::Pages;
use crate::in_place::{Image, InPlace};
use crate::session::Reset;
use crate::strategy::Strategy;
use crate::sys::pagemap_scan::{self, Scanner, Select};
use crate::sys::userfaultfd::Userfaultfd;

/// The write-protection of one memory, and the scanner that reads its marks.
#[derive(Debug, Default)]
pub(crate) struct Protection {
    tools: Option<(Userfaultfd, Scanner)>,
}

impl Protection {
    /// Protects all pages that are there, and lets those that come later be protected.
    pub(crate) fn start(&mut self, pages: &Pages<'_>) -> io::Result<()> {
        let uffd = Userfaultfd::open()?;
        // The whole reservation: memory that grows later is tracked from its first byte.
        uffd.write_protect(pages.addresses(0..pages.map().len()))?;
        self.tools = Some((uffd, Scanner::open()?));
        self.protect(pages.addresses(0..pages.size()), &mut Reset::default())
    }

    /// Calls `found` with each run of pages that is not protected and holds something.
    pub(crate) fn written(
        &mut self,
        pages: &Pages<'_>,
        done: &mut Reset,
        mut found: impl FnMut(Range<usize>),
    ) -> io::Result<()> {
        let base = pages.base();
        let addresses = pages.addresses(0..pages.size());
        done.syscalls += self.scanner()?.scan(addresses, Select::Written, |run| {
            found(run.start - base..run.end - base);
        })?;
        Ok(())
    }

    /// Write-protects what was written in a range of addresses.
    pub(crate) fn protect(&mut self, addresses: Range<usize>, done: &mut Reset) -> io::Result<()> {
        done.syscalls += self.scanner()?.protect_written(addresses)?;
        Ok(())
    }

    fn scanner(&mut self) -> io::Result<&mut Scanner> {
        let tools = self.tools.as_mut().ok_or_else(|| io::Error::other("not started"))?;
        Ok(&mut tools.1)
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

    fn dirty(
        &mut self,
        pages: &Pages<'_>,
        _: &Image,
        runs: &mut Vec<Range<usize>>,
        done: &mut Reset,
    ) -> io::Result<()> {
        self.protection.written(pages, done, |run| runs.push(run))
    }

    fn clean(&mut self, pages: &mut Pages<'_>, _: &Image, done: &mut Reset) -> io::Result<()> {
        self.protection.protect(pages.addresses(0..pages.size()), done)
    }
}

/// `dirty/uffd-wp`.
pub static STRATEGY: Strategy = Strategy::in_place(
    "dirty/uffd-wp",
    "copies the image over the pages written since the last reset (WP_ASYNC and PAGEMAP_SCAN)",
    &[&pagemap_scan::PAGEMAP_SCAN, &pagemap_scan::WRITE_PROTECT],
    InPlace { tracker: || Box::new(UffdWp::default()), ..InPlace::BASE },
);
