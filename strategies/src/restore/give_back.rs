//! Gives blank pages back with `MADV_DONTNEED` and copies the image over the others: resident memory follows the
//! block, and the next block takes a fault on each page that it touches again.

use std::io;
use std::ops::Range;

use super::Restorer;
use crate::block::Reset;
use crate::condition;
use crate::in_place::region::Pages;
use crate::in_place::{Image, InPlace, Piece};
use crate::strategy::Strategy;
use crate::sys::page;

/// `MADV_DONTNEED` where the image is blank, memcpy where it has content.
#[derive(Debug)]
pub struct GiveBack;

impl Restorer for GiveBack {
    fn keeps_memory(&self) -> bool {
        false
    }

    fn restore(
        &mut self,
        pages: &mut Pages<'_>,
        image: &Image,
        runs: &[Range<usize>],
        done: &mut Reset,
    ) -> io::Result<()> {
        for run in runs {
            for piece in image.pieces(run.clone()) {
                match piece {
                    Piece::Blank(range) => {
                        done.bytes_returned += range.len() as u64;
                        done.syscalls += 1;
                        pages.discard(range)?;
                    }
                    Piece::Filled(range, content) => {
                        done.bytes_restored += range.len() as u64;
                        pages.bytes_mut()[range].copy_from_slice(content);
                    }
                }
            }
        }
        done.regions += runs.len() as u64;
        Ok(())
    }
}

/// `remap/madvise`.
pub static MADVISE: Strategy = Strategy::in_place(
    "remap/madvise",
    "gives blank pages back with MADV_DONTNEED and copies the image over the others",
    &[&page::DISCARD],
    InPlace { restorer: || Box::new(GiveBack), ..InPlace::BASE },
)
.must_not(&[&condition::PINNED_PAGES]);
