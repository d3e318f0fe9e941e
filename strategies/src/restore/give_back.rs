//! Gives blank pages back with `MADV_DONTNEED` and copies the image over the others: resident memory follows the
//! block, and the next block takes a fault on each page that it touches again.

use std::io;

use super::{Restoration, Restorer};
use crate::condition;
use crate::in_place::{InPlace, Piece};
use crate::strategy::Strategy;
use crate::sys::page;

/// `MADV_DONTNEED` where the image is blank, memcpy where it has content.
#[derive(Debug, Default)]
pub struct GiveBack;

impl Restorer for GiveBack {
    fn keeps_memory(&self) -> bool {
        false
    }

    fn restore(&mut self, Restoration { pages, image, runs, done }: Restoration<'_, '_>) -> io::Result<()> {
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
    InPlace::BASE.restoring::<GiveBack>(),
)
.must_not(&[&condition::PINNED_PAGES]);
