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

/// Reports written pages.
#[derive(Debug, Default)]
pub struct UffdWp {
    tools: Option<(Userfaultfd, Scanner)>,
}

impl UffdWp {
    fn scanner(&mut self) -> io::Result<&mut Scanner> {
        let tools = self.tools.as_mut().ok_or_else(|| io::Error::other("not started"))?;
        Ok(&mut tools.1)
    }

    /// Write-protects what was written in a range of addresses.
    pub(crate) fn protect(&mut self, addresses: Range<usize>, done: &mut Reset) -> io::Result<()> {
        done.syscalls += self.scanner()?.protect_written(addresses)?;
        Ok(())
    }
}

impl Tracker for UffdWp {
    fn is_exact(&self) -> bool {
        true
    }

    fn start(&mut self, pages: &mut Pages<'_>) -> io::Result<()> {
        let uffd = Userfaultfd::open()?;
        // The whole reservation: memory that grows later is tracked from its first byte.
        uffd.write_protect(pages.addresses(0..pages.map().len()))?;
        let mut scanner = Scanner::open()?;
        scanner.protect_written(pages.addresses(0..pages.size()))?;
        self.tools = Some((uffd, scanner));
        Ok(())
    }

    fn dirty(
        &mut self,
        pages: &Pages<'_>,
        _: &Image,
        runs: &mut Vec<Range<usize>>,
        done: &mut Reset,
    ) -> io::Result<()> {
        let base = pages.base();
        let addresses = pages.addresses(0..pages.size());
        done.syscalls += self.scanner()?.scan(addresses, Select::Written, |run| {
            runs.push(run.start - base..run.end - base);
        })?;
        Ok(())
    }

    fn clean(&mut self, pages: &mut Pages<'_>, done: &mut Reset) -> io::Result<()> {
        self.protect(pages.addresses(0..pages.size()), done)
    }
}

/// `dirty/uffd-wp`.
pub static STRATEGY: Strategy = Strategy::in_place(
    "dirty/uffd-wp",
    "copies the image over the pages written since the last reset (WP_ASYNC and PAGEMAP_SCAN)",
    &[&pagemap_scan::PAGEMAP_SCAN, &pagemap_scan::WRITE_PROTECT],
    InPlace { tracker: || Box::new(UffdWp::default()), ..InPlace::BASE },
);
