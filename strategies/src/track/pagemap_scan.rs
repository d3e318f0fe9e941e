//! `PAGEMAP_SCAN` without write-protection: populated pages. The shared page of zeros is passed over where the image is
//! blank, as it is where a read has mapped it; elsewhere the kernel has put it in the place of zeros that were written.
//!
//! One call walks the page tables at about 2.5 ns per populated page. The set is cumulative, like that of wasmtime's
//! pooling allocator, but the scan goes on where the region vector was full and counts swapped-out pages.

use std::io;

use super::{Search, Tracker};
use crate::in_place::region::Pages;
use crate::in_place::{InPlace, Piece};
use crate::strategy::Strategy;
use crate::sys::page::extend;
use crate::sys::pagemap_scan::{self, Scanner};

/// Reports populated pages.
#[derive(Debug, Default)]
pub struct PagemapScan {
    scanner: Option<Scanner>,
}

impl Tracker for PagemapScan {
    fn start(&mut self, _: &mut Pages<'_>) -> io::Result<()> {
        self.scanner = Some(Scanner::open()?);
        Ok(())
    }

    fn dirty(&mut self, Search { pages, image, runs, done, .. }: Search<'_>) -> io::Result<()> {
        let scanner = self.scanner.as_mut().ok_or_else(|| io::Error::other("not started"))?;
        let base = pages.base();
        done.syscalls += scanner.populated(pages.addresses(0..pages.size()), |run, zeros| {
            let run = run.start - base..run.end - base;
            if !zeros {
                return extend(runs, run);
            }
            for piece in image.pieces(run) {
                if let Piece::Filled(range, _) = piece {
                    extend(runs, range);
                }
            }
        })?;
        Ok(())
    }
}

/// `dirty/pagemap-scan`.
pub static STRATEGY: Strategy = Strategy::in_place(
    "dirty/pagemap-scan",
    "copies the image over the pages that PAGEMAP_SCAN finds populated",
    &[&pagemap_scan::PAGEMAP_SCAN],
    InPlace::BASE.tracking::<PagemapScan>(),
);
