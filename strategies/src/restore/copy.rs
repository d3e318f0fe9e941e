//! Copies the image back and zeroes the rest: pages stay resident, so the next block takes no fault on them.

use std::io;
use std::ops::Range;

use super::Restorer;
use crate::in_place::region::Pages;
use crate::in_place::{Image, InPlace, Piece};
use crate::session::Reset;
use crate::strategy::Strategy;

/// memcpy where the image has content, memset where it is blank.
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
        let bytes = pages.bytes_mut();
        for run in runs {
            done.bytes_restored += run.len() as u64;
            for piece in image.pieces(run.clone()) {
                match piece {
                    Piece::Blank(range) => bytes[range].fill(0),
                    Piece::Filled(range, content) => bytes[range].copy_from_slice(content),
                }
            }
        }
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
