//! Copies the image back and zeroes the rest: pages stay resident, so the next block takes no fault on them.
//!
//! Every other reset goes through the pages from the last to the first, so that it begins with those that the reset
//! before has ended with: as much of them as a cache holds is still there. Going the same way each time would find the
//! pages that have just been driven out.

use std::io;
use std::ops::Range;

use super::{Restoration, Restorer};
use crate::in_place::{Backing, InPlace, Piece, Scope};
use crate::strategy::Strategy;
use crate::sys::page;
use crate::sys::zero::Zeroer;
use crate::track::full::Full;

/// memcpy where the image has content, memset where it is blank, past the caches where it is more than they hold.
#[derive(Debug, Default)]
pub struct Copy {
    /// Whether the last reset went from the last page to the first.
    backwards: bool,
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
        // Pages by number, since going through bytes by a step that only the kernel knows would divide.
        let shift = page::size().trailing_zeros();
        let blank = self.blank.iter().flat_map(|range| range.start >> shift..range.end >> shift);
        self.backwards = !self.backwards;
        if self.backwards {
            zero(bytes, total, blank.rev());
        } else {
            zero(bytes, total, blank);
        }
        done.bytes_restored += total as u64;
        done.regions += runs.len() as u64;
        Ok(())
    }
}

/// Zeroes these pages, of so many bytes that are restored: each is fetched while the one before is zeroed.
fn zero(bytes: &mut [u8], total: usize, mut pages: impl Iterator<Item = usize>) {
    let (zeroer, size) = (Zeroer::new(total), page::size());
    let Some(mut page) = pages.next() else { return };
    pages.for_each(|next| {
        zeroer.fetch(&bytes[next * size..][..size]);
        zeroer.zero(&mut bytes[page * size..][..size]);
        page = next;
    });
    zeroer.zero(&mut bytes[page * size..][..size]);
}

impl InPlace {
    /// Copies the image over the whole memory; strategies say in what they differ from this.
    pub const BASE: Self = Self {
        tracker: || Box::new(Full),
        restorer: || Box::new(Copy::default()),
        backing: Backing::Anonymous,
        scope: Scope::ALL,
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
