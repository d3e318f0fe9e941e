//! Copies the image back and zeroes the rest: pages stay resident, so the next block takes no fault on them.

use std::io;
use std::ops::Range;

use super::Restorer;
use crate::in_place::region::Pages;
use crate::in_place::{Image, InPlace, Piece};
use crate::session::Reset;
use crate::strategy::Strategy;
use crate::sys::stream::Zeroer;

/// memcpy where the image has content, memset where it is blank, past the caches where it is more than they hold.
#[derive(Debug)]
pub struct Copy;

impl Restorer for Copy {
    fn restore(
        &mut self,
        pages: &mut Pages<'_>,
        image: &Image,
        runs: &[Range<usize>],
        done: &mut Reset,
    ) -> io::Result<()> {
        let total: usize = runs.iter().map(ExactSizeIterator::len).sum();
        let zeroer = Zeroer::new(total);
        let bytes = pages.bytes_mut();
        for run in runs {
            for piece in image.pieces(run.clone()) {
                match piece {
                    Piece::Blank(range) => zeroer.zero(&mut bytes[range]),
                    Piece::Filled(range, content) => bytes[range].copy_from_slice(content),
                }
            }
        }
        done.bytes_restored += total as u64;
        done.regions += runs.len() as u64;
        Ok(())
    }
}

/// `copy/full`.
pub static FULL: Strategy = Strategy::in_place(
    "copy/full",
    "zeroes the whole current memory and copies the image back",
    &[],
    InPlace::BASE,
);
