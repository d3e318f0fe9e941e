//! The part of a memory that a policy commits, open for writing until it is closed.

use std::io;
use std::ops::Range;

use memmap2::Advice;

use crate::in_place::Region;
use crate::sys::page;
use crate::sys::{checked, mincore};

/// The first bytes of a memory's reservation. Those behind the memory's size are writable while this lives, and keep
/// their memory, but not their access, afterwards.
#[derive(Debug)]
pub struct Extent<'a> {
    region: &'a Region,
    /// Where the content ends: policies write behind it only.
    filled: usize,
    bytes: usize,
}

impl<'a> Extent<'a> {
    /// Opens the first `bytes` of a region, of which the first `filled` have content; these are committed here, each page
    /// by being written as it is.
    ///
    /// # Safety
    /// As for `Region::pages`: no guest code runs and no slice of the memory is live while this lives.
    pub(crate) unsafe fn open(region: &'a Region, filled: usize, bytes: usize) -> io::Result<Self> {
        let size = region.size();
        assert!(filled <= size);
        let bytes = bytes.next_multiple_of(page::size()).max(size).min(region.capacity());
        region.open(size..bytes)?;
        let mut extent = Self { region, filled, bytes };
        extent.touch(0..filled, page::size());
        Ok(extent)
    }

    /// Bytes in all.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn blank(&self) -> Range<usize> {
        self.filled..self.bytes
    }

    fn touch(&mut self, range: Range<usize>, step: usize) {
        assert!(range.end <= self.bytes);
        let base = self.region.map().as_mut_ptr();
        for offset in range.step_by(step) {
            // SAFETY: the offset lies below `bytes` (asserted), which are mapped and writable (`open`); nothing else
            // refers to them.
            unsafe {
                let at = base.add(offset);
                at.write_volatile(at.read_volatile());
            }
        }
    }

    /// Writes one byte into every `step` bytes.
    pub(crate) fn touch_every(&mut self, step: usize) {
        self.touch(self.blank(), step);
    }

    /// Writes a number of its own into every `step` bytes.
    pub(crate) fn mark_every(&mut self, step: usize) {
        let base = self.region.map().as_mut_ptr();
        for (number, offset) in (1_u64..).zip(self.blank().step_by(step)) {
            // SAFETY: the blank part is mapped, writable and not referred to, and begins and ends with a page.
            unsafe { base.add(offset).cast::<u64>().write_volatile(number) };
        }
    }

    /// Writes zeros over everything.
    pub(crate) fn zero(&mut self) {
        let blank = self.blank();
        // SAFETY: the blank part is mapped, writable and not referred to. The optimiser cannot know what it holds.
        unsafe { self.region.map().as_mut_ptr().add(blank.start).write_bytes(0, blank.len()) };
    }

    /// madvise(2).
    pub(crate) fn advise(&mut self, advice: Advice) -> io::Result<()> {
        if matches!(advice, Advice::HugePage) && self.region.is_small() {
            // The tracker would lose its marks.
            return Ok(());
        }
        let blank = self.blank();
        self.region.map().advise_range(advice, blank.start, blank.len())
    }

    /// madvise(2) by as many threads as there are processors.
    pub(crate) fn advise_in_parallel(&mut self, advice: Advice) -> io::Result<()> {
        let blank = self.blank();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = blank.len().div_ceil(threads).next_multiple_of(page::huge());
        let map = self.region.map();
        std::thread::scope(|scope| {
            let parts: Vec<_> = blank
                .clone()
                .step_by(share.max(page::huge()))
                .map(|start| {
                    let length = share.min(blank.end - start);
                    scope.spawn(move || map.advise_range(advice, start, length))
                })
                .collect();
            parts.into_iter().try_for_each(|part| part.join().expect("advising does not panic"))
        })
    }

    /// mlock(2).
    pub(crate) fn lock(&mut self) -> io::Result<()> {
        let blank = self.blank();
        let start = self.region.map().as_ptr().wrapping_add(blank.start);
        // SAFETY: the range lies within the mapping; locking changes no content.
        checked(unsafe { libc::mlock(start.cast(), blank.len()) })?;
        Ok(())
    }

    /// Replaces whole units of `align` bytes by a new mapping that is populated; touches what is left at the ends.
    pub(crate) fn map_anew(&mut self, align: usize, flags: libc::c_int) -> io::Result<()> {
        let (base, blank) = (self.region.map().as_mut_ptr(), self.blank());
        let start = ((base.addr() + blank.start).next_multiple_of(align) - base.addr()).min(blank.end);
        let length = (blank.end - start) / align * align;
        if length > 0 {
            // Where no huge pages are to be made, it has to be said before anything is populated.
            let populate = if self.region.is_small() { 0 } else { libc::MAP_POPULATE };
            let flags = flags | populate | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
            // SAFETY: the range lies within our own mapping, holds nothing yet, and nothing refers to it.
            let at = unsafe {
                libc::mmap(
                    base.add(start).cast(),
                    length,
                    libc::PROT_READ | libc::PROT_WRITE,
                    flags | libc::MAP_NORESERVE,
                    -1,
                    0,
                )
            };
            if at == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            self.region.treat()?;
            if populate == 0 {
                self.touch(start..start + length, page::size());
            }
        }
        self.touch(blank.start..start, page::size());
        self.touch(start + length..blank.end, page::size());
        Ok(())
    }

    /// Bytes that have memory behind them.
    pub(crate) fn resident(&self) -> io::Result<u64> {
        let mut resident = Vec::new();
        mincore::resident(self.region.map(), 0..self.bytes, &mut resident)?;
        let pages = resident.iter().filter(|&&page| page & 1 == 1).count();
        Ok((pages * page::size()) as u64)
    }
}

impl Drop for Extent<'_> {
    fn drop(&mut self) {
        self.region.commit(self.bytes);
        // Access that stays would let the guest read beyond its memory where it has to trap: the region remembers it.
        let _broken = self.region.close(self.region.size()..self.bytes);
    }
}
