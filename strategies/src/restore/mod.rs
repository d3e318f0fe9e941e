//! Restorers: how dirty pages become clean.

mod copy;
mod discard;
mod give_back;

pub use copy::{Copy, FULL};
pub use discard::{Discard, MADVISE_COW};
pub use give_back::{GiveBack, MADVISE};

use std::io;
use std::ops::Range;

use crate::in_place::Image;
use crate::in_place::region::Pages;
use crate::session::Reset;

/// Makes the given runs of pages equal to the image again; beyond the image's size that means zeros.
pub trait Restorer: Send {
    /// Whether restored pages keep their physical memory; memory that is given back need not be committed at startup.
    fn keeps_memory(&self) -> bool {
        true
    }

    /// Restores `runs`, which are whole pages within the current size, in ascending order.
    ///
    /// # Errors
    /// When the kernel refuses; the memory must then not be used again.
    fn restore(
        &mut self,
        pages: &mut Pages<'_>,
        image: &Image,
        runs: &[Range<usize>],
        done: &mut Reset,
    ) -> io::Result<()>;
}
