//! Soft-dirty bits: pages written since `clear_refs` got a 4.
//!
//! Clearing is process-wide: it walks and write-protects every page of the process, so that a large host pays for
//! its own memory at each reset. Swapped-out pages keep the bit.

use std::io;
use std::ops::Range;

use super::Tracker;
use super::pagemap::flagged;
use crate::in_place::region::Pages;
use crate::in_place::{Image, InPlace};
use crate::session::Reset;
use crate::strategy::Strategy;
use crate::sys::pagemap::{self, Pagemap};
use crate::sys::soft_dirty::{self, ClearRefs};

/// Reports pages with the soft-dirty bit.
#[derive(Debug, Default)]
pub struct SoftDirty {
    files: Option<(Pagemap, ClearRefs)>,
    entries: Vec<u8>,
}

impl Tracker for SoftDirty {
    fn is_exact(&self) -> bool {
        true
    }

    fn start(&mut self, _: &mut Pages<'_>) -> io::Result<()> {
        let (_, refs) = self.files.insert((Pagemap::open()?, ClearRefs::open()?));
        refs.soft_dirty()
    }

    fn dirty(
        &mut self,
        pages: &Pages<'_>,
        _: &Image,
        runs: &mut Vec<Range<usize>>,
        done: &mut Reset,
    ) -> io::Result<()> {
        let (pagemap, _) = self.files.as_ref().ok_or_else(|| io::Error::other("not started"))?;
        flagged(pagemap, &mut self.entries, pages, pagemap::SOFT_DIRTY, runs, done)
    }

    fn clean(&mut self, _: &mut Pages<'_>, _: &Image, done: &mut Reset) -> io::Result<()> {
        let (_, refs) = self.files.as_mut().ok_or_else(|| io::Error::other("not started"))?;
        done.syscalls += 1;
        refs.soft_dirty()
    }
}

/// `dirty/soft-dirty`.
pub static STRATEGY: Strategy = Strategy::in_place(
    "dirty/soft-dirty",
    "copies the image over the pages whose soft-dirty bit is set",
    &[&soft_dirty::SOFT_DIRTY, &pagemap::PAGEMAP],
    InPlace { tracker: || Box::new(SoftDirty::default()), ..InPlace::BASE },
);
