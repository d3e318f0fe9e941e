//! Copies the image back and zeroes the rest: pages stay resident, so the next block takes no fault on them.

use std::io;
use std::ops::Range;

use super::{Restoration, Restorer};
use crate::in_place::{Backing, Bounds, InPlace, Piece, Scope};
use crate::strategy::Strategy;
use crate::sys::zero::Zeroer;
use crate::track::full::Full;

/// memcpy where the image has content; where it is blank, zeros in the way that is fastest for as much as is restored.
#[derive(Debug, Default)]
pub struct Copy {
    zeroer: Zeroer,
    /// Kept between resets, so that a reset allocates nothing.
    blank: Vec<Range<usize>>,
}

impl Restorer for Copy {
    fn restore(&mut self, Restoration { pages, image, runs, done }: Restoration<'_, '_>) -> io::Result<()> {
        let bytes = pages.bytes_mut();
        self.blank.clear();
        for run in runs {
            for piece in image.pieces(run.clone()) {
                match piece {
                    Piece::Blank(range) => self.blank.push(range),
                    Piece::Filled(range, content) => bytes[range].copy_from_slice(content),
                }
            }
        }
        let total: usize = runs.iter().map(ExactSizeIterator::len).sum();
        self.zeroer.zero(bytes, &self.blank, total);
        done.bytes_restored += total as u64;
        done.regions += runs.len() as u64;
        Ok(())
    }
}

impl InPlace {
    /// Copies the image over the whole memory; strategies say in what they differ from this.
    pub const BASE: Self = Self {
        tracker: || Box::new(Full),
        restorer: || Box::new(Copy::default()),
        backing: Backing::Anonymous,
        scope: Scope::ALL,
        bounds: Bounds::Guard,
        turns: false,
    };
}

/// `copy/full`.
pub static FULL: Strategy = Strategy::in_place(
    "copy/full",
    "zeroes the whole current memory and copies the image back",
    &[],
    InPlace::BASE,
);
