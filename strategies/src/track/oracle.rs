//! The oracle: knows each block's dirty pages beforehand.
//!
//! The first time that a block is seen, the whole memory is compared with the image; from then on the same block
//! costs no tracking at all, which makes its cycle the floor that every other strategy is held against. It relies on
//! the caller to name the blocks and on the guest to be deterministic, so it is a control and never a choice.

use std::collections::HashMap;
use std::io;
use std::ops::Range;

use super::{Search, Tracker};
use crate::in_place::Image;
use crate::in_place::region::Pages;
use crate::sys::page::{self, extend};

/// Reports what the block wrote when it was first seen.
#[derive(Debug, Default)]
pub struct Oracle {
    block: u64,
    known: HashMap<u64, Vec<Range<usize>>>,
}

impl Tracker for Oracle {
    fn is_exact(&self) -> bool {
        true
    }

    fn expect(&mut self, block: u64) {
        self.block = block;
    }

    fn dirty(&mut self, Search { pages, image, runs, .. }: Search<'_>) -> io::Result<()> {
        let known = self.known.entry(self.block).or_insert_with(|| differing(pages, image));
        // A caller that names the wrong block gets a wrong reset, and no worse.
        let size = pages.size();
        runs.extend(known.iter().filter(|run| run.start < size).map(|run| run.start..run.end.min(size)));
        Ok(())
    }
}

/// The runs of pages whose bytes differ from the image.
fn differing(pages: &Pages<'_>, image: &Image) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let bytes = pages.bytes();
    for start in (0..bytes.len()).step_by(page::size()) {
        let here = start..(start + page::size()).min(bytes.len());
        if image.differs(here.clone(), bytes) {
            extend(&mut runs, here);
        }
    }
    runs
}
