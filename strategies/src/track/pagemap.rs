//! `/proc/self/pagemap`: populated pages, present or swapped out.
//!
//! Eight bytes are read per page of the used size. The set is cumulative: a page once written stays populated and
//! is restored at every reset from then on.

use std::io;
use std::ops::Range;

use super::{Search, Tracker};
use crate::block::Reset;
use crate::in_place::InPlace;
use crate::in_place::region::Pages;
use crate::strategy::Strategy;
use crate::sys::page::{self, extend};
use crate::sys::pagemap::{self, Pagemap};

/// Reports populated pages.
#[derive(Debug, Default)]
pub struct Populated {
    pagemap: Option<Pagemap>,
    entries: Vec<u8>,
}

impl Tracker for Populated {
    fn start(&mut self, _: &mut Pages<'_>) -> io::Result<()> {
        self.pagemap = Some(Pagemap::open()?);
        Ok(())
    }

    fn dirty(&mut self, Search { pages, runs, done, .. }: Search<'_>) -> io::Result<()> {
        let pagemap = self.pagemap.as_ref().ok_or_else(|| io::Error::other("not started"))?;
        let flags = pagemap::PRESENT | pagemap::SWAPPED;
        flagged(pagemap, &mut self.entries, pages, flags, runs, done)
    }
}

/// Appends the runs of pages that have any of the `wanted` flags in pagemap.
pub(crate) fn flagged(
    pagemap: &Pagemap,
    entries: &mut Vec<u8>,
    pages: &Pages<'_>,
    wanted: u64,
    runs: &mut Vec<Range<usize>>,
    done: &mut Reset,
) -> io::Result<()> {
    pagemap.read(pages.addresses(0..pages.size()), entries)?;
    done.syscalls += 1;
    let page = page::size();
    for (index, _) in pagemap::flags(entries).enumerate().filter(|(_, flags)| flags & wanted != 0) {
        extend(runs, index * page..(index + 1) * page);
    }
    Ok(())
}

/// `dirty/pagemap`.
pub static STRATEGY: Strategy = Strategy::in_place(
    "dirty/pagemap",
    "copies the image over the pages that /proc/self/pagemap shows populated",
    &[&pagemap::PAGEMAP],
    InPlace::BASE.tracking::<Populated>(),
);
