//! The parts of an in-place strategy that are interchangeable: what finds dirty pages, and what makes them clean.

use std::io;
use std::ops::Range;

use super::image::Image;
use super::region::Pages;
use crate::block::Reset;
use crate::learned::Learned;

/// One memory after a block, and where a tracker says what it has found.
#[derive(Debug)]
pub struct Search<'a> {
    /// The memory as the block has left it.
    pub pages: &'a Pages<'a>,
    /// What it held before.
    pub image: &'a Image,
    /// Where the runs of pages that may differ go, as byte ranges in ascending order; empty to begin with.
    pub runs: &'a mut Vec<Range<usize>>,
    /// Whether any fault was taken by a thread that can have written since the last reset, if that is known.
    pub faulted: Option<bool>,
    /// What the reset has cost so far.
    pub done: &'a mut Reset,
}

/// One memory whose dirty pages have been found.
#[derive(Debug)]
pub struct Restoration<'a, 'm> {
    /// The memory.
    pub pages: &'a mut Pages<'m>,
    /// What it is made equal to; beyond the image's size that means zeros.
    pub image: &'a Image,
    /// What has to be restored: whole pages within the current size, as byte ranges in ascending order.
    pub runs: &'a [Range<usize>],
    /// What the reset has cost so far.
    pub done: &'a mut Reset,
}

/// Finds the dirty pages of one memory.
pub trait Tracker: Send {
    /// Whether it reports the pages that were written since the last reset, rather than every page that ever was.
    fn is_exact(&self) -> bool {
        false
    }

    /// Whether [`clean`](Self::clean) cleans every page of the process. Of the trackers of an instance one is asked to
    /// clean then, and a second instance under such a tracker is refused: it would lose what the first has to find.
    fn is_process_wide(&self) -> bool {
        false
    }

    /// Whether it wants to know if threads that can have written have [faulted](Search::faulted).
    fn heeds_faults(&self) -> bool {
        false
    }

    /// Why it cannot track a memory of huge pages that were reserved (`MAP_HUGETLB`), if it cannot.
    fn refuses_hugetlb(&self) -> Option<&'static str> {
        None
    }

    /// Begins to track, once, when the snapshot has been taken and the memory has its final backing.
    ///
    /// # Errors
    /// When the kernel does not do what the tracker's probe found it to do.
    fn start(&mut self, pages: &mut Pages<'_>) -> io::Result<()> {
        let _ = pages;
        Ok(())
    }

    /// Says which block comes next, for a tracker that knows the blocks beforehand.
    fn expect(&mut self, block: u64) {
        let _ = block;
    }

    /// Finds the pages that may differ from the image.
    ///
    /// # Errors
    /// When the kernel cannot be asked; the memory must then not be used again.
    fn dirty(&mut self, search: Search<'_>) -> io::Result<()>;

    /// What it has learnt about the blocks so far, if it learns.
    fn learned(&self) -> Option<Learned> {
        None
    }

    /// Declares everything clean, after the restorers of all memories have run and before any memory shrinks.
    ///
    /// # Errors
    /// As [`dirty`](Self::dirty).
    fn clean(&mut self, pages: &mut Pages<'_>, image: &Image, done: &mut Reset) -> io::Result<()> {
        let (_, _, _) = (pages, image, done);
        Ok(())
    }

    /// Follows when the trackers of all memories of the instance have begun, and when they have cleaned.
    fn arm(&mut self) {}
}

/// Makes dirty pages equal to the image again.
pub trait Restorer: Send {
    /// Whether restored pages keep their physical memory; memory that is given back need not be committed at startup.
    fn keeps_memory(&self) -> bool {
        true
    }

    /// Restores the runs.
    ///
    /// # Errors
    /// When the kernel refuses; the memory must then not be used again.
    fn restore(&mut self, restoration: Restoration<'_, '_>) -> io::Result<()>;
}
