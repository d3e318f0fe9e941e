//! The memories of one instance with their snapshots: what a reset can bring back without the store, and so on another
//! thread than the one that executes.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::{Memory, Store};

use super::parts::{Restoration, Restorer, Search, Tracker};
use super::region::Region;
use super::tail::Tail;
use super::{Image, InPlace};
use crate::block::Reset;
use crate::error::Error;
use crate::learned::Learned;

/// All memories of an instance, in the order of their indices.
#[derive(Default)]
pub(crate) struct Memories {
    all: Vec<TrackedMemory>,
    /// Held as long as a tracker cleans the whole process.
    lease: Option<Lease>,
}

/// The right to clean every page of the process, which one instance at a time has.
struct Lease;

/// Whether there is an instance whose tracker cleans the whole process.
static PROCESS_WIDE: AtomicBool = AtomicBool::new(false);

impl Lease {
    fn take() -> io::Result<Self> {
        let taken = PROCESS_WIDE.compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire);
        taken.map(|_| Self).map_err(|_| {
            io::Error::new(
                io::ErrorKind::ResourceBusy,
                "another session of this process cleans all of its pages at each reset, and would lose what this one \
                 has to find: there can be one at a time",
            )
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        PROCESS_WIDE.store(false, Ordering::Release);
    }
}

/// One memory with its snapshot and the parts that reset it.
pub(super) struct TrackedMemory {
    pub(super) memory: Memory,
    pub(super) region: Arc<Region>,
    pub(super) image: Image,
    parts: InPlace,
    /// Whether its bytes are within the scope.
    bytes: bool,
    tracker: Box<dyn Tracker>,
    restorer: Box<dyn Restorer>,
    tail: Tail,
    /// Kept between resets, so that a reset allocates nothing.
    runs: Vec<Range<usize>>,
    /// Whether it has shrunk and its instance does not know.
    shrunk: bool,
}

impl Memories {
    /// Adds a memory of an instance that has just been made. It has to be [tracked](Self::track) before a block runs.
    pub(super) fn push(&mut self, memory: TrackedMemory) {
        self.all.push(memory);
    }

    /// The one that commit policies work on.
    pub(super) fn first_mut(&mut self) -> Option<&mut TrackedMemory> {
        self.all.first_mut()
    }

    /// Whether a reset leaves the first memory resident.
    pub(super) fn first_is_kept(&self) -> bool {
        self.all.first().is_some_and(|memory| memory.restorer.keeps_memory())
    }

    /// Why the first memory may not be made of huge pages that were reserved, if it may not.
    pub(super) fn first_refuses_hugetlb(&self) -> Option<&'static str> {
        self.all.first().and_then(|memory| memory.tracker.refuses_hugetlb())
    }

    /// Whether a tracker wants to know if threads that can have written have faulted.
    pub(super) fn heed_faults(&self) -> bool {
        self.all.iter().any(|memory| memory.bytes && memory.tracker.heeds_faults())
    }

    /// The size of each in bytes when its snapshot was taken.
    pub(super) fn initial_sizes(&self) -> Vec<usize> {
        self.all.iter().map(|memory| memory.image.size()).collect()
    }

    /// Bytes of all memories as large as they are, and of their snapshots.
    pub(super) fn bytes(&self) -> u64 {
        self.all.iter().map(|memory| (memory.region.size() + memory.image.content_bytes()) as u64).sum()
    }

    pub(super) fn expect(&mut self, block: u64) {
        for memory in &mut self.all {
            memory.tracker.expect(block);
        }
    }

    pub(super) fn learned(&self) -> Vec<Learned> {
        self.all.iter().filter_map(|memory| memory.tracker.learned()).collect()
    }

    /// What the last reset restored of each, as ascending byte ranges of whole pages.
    pub(super) fn restored(&self) -> impl Iterator<Item = &[Range<usize>]> {
        self.all.iter().map(|memory| &memory.runs[..])
    }

    /// Brings bytes and sizes back; the instance has to be [told](Self::tell) before it runs again, whether this succeeds
    /// or fails.
    ///
    /// In steps, each for all memories before the next begins: what cleans one memory may clean the others with it, and
    /// must not do so before they have been asked, nor before they are restored.
    ///
    /// `faulted` says whether any fault was taken by a thread that can have written since the last reset, if that is known.
    ///
    /// # Safety
    /// Until this returns, no guest code runs in the instance that owns the memories, and no slice of them is borrowed.
    pub(super) unsafe fn reset(&mut self, faulted: Option<bool>) -> Result<Reset, Error> {
        let mut done = Reset::default();
        for memory in &mut self.all {
            // SAFETY: as above.
            unsafe { memory.look(faulted, &mut done) }.map_err(Error::kernel(CANNOT_RESTORE))?;
        }
        for memory in &mut self.all {
            // SAFETY: as above.
            unsafe { memory.restore(&mut done) }.map_err(Error::kernel(CANNOT_RESTORE))?;
        }
        let mut process_wide = false;
        for memory in self.all.iter_mut().filter(|memory| memory.bytes) {
            if !(memory.tracker.is_process_wide() && std::mem::replace(&mut process_wide, true)) {
                // SAFETY: as above.
                unsafe { memory.clean(&mut done) }.map_err(Error::kernel(CANNOT_RESTORE))?;
            }
        }
        self.arm();
        let mut shrunk = Ok(());
        for memory in &mut self.all {
            // SAFETY: as above. One that fails leaves the others to be shrunk.
            let this = unsafe { memory.shrink(&mut done) };
            shrunk = shrunk.and(this);
        }
        shrunk.map_err(Error::kernel("cannot shrink a memory")).map(|()| done)
    }

    /// Has the instance read the sizes of memories that have shrunk: it keeps a copy of each length. To be called after a
    /// reset that failed, too.
    pub(super) fn tell<T>(&mut self, store: &mut Store<T>) -> Result<(), Error> {
        let mut told = Ok(());
        for memory in self.all.iter_mut().filter(|memory| memory.shrunk) {
            // Growing by nothing makes wasmtime read the length anew. One that fails leaves the others to be told.
            match memory.memory.grow(&mut *store, 0) {
                Ok(_) => memory.shrunk = false,
                Err(error) => told = told.and(Err(Error::engine("cannot shrink a memory")(error))),
            }
        }
        told
    }

    /// Has the trackers begin: once when all memories are there, and again on mappings that a policy may have replaced.
    ///
    /// # Errors
    /// When the kernel refuses, or a tracker cleans the whole process and there is another instance that has one.
    ///
    /// # Safety
    /// As for [`reset`](Self::reset).
    pub(super) unsafe fn track(&mut self) -> io::Result<()> {
        for memory in &mut self.all {
            memory.region.check()?;
            memory.tracker = (memory.parts.tracker)();
            if memory.tracker.is_process_wide() && self.lease.is_none() {
                self.lease = Some(Lease::take()?);
            }
            // SAFETY: as above.
            memory.tracker.start(&mut unsafe { memory.region.pages() })?;
        }
        self.arm();
        Ok(())
    }

    fn arm(&mut self) {
        for memory in &mut self.all {
            memory.tracker.arm();
        }
    }
}

const CANNOT_RESTORE: &str = "cannot restore a memory";

impl TrackedMemory {
    /// Takes the snapshot.
    ///
    /// # Safety
    /// As for [`Memories::reset`].
    pub(super) unsafe fn new(
        parts: InPlace,
        memory: Memory,
        region: Arc<Region>,
        bytes: bool,
    ) -> io::Result<Self> {
        // SAFETY: as above.
        let mut pages = unsafe { region.pages() };
        let image = Image::capture(&mut pages)?;
        parts.backing.lay(&mut pages, &image)?;
        let (tracker, restorer) = ((parts.tracker)(), (parts.restorer)());
        let (tail, runs) = (Tail::default(), Vec::new());
        Ok(Self { memory, image, parts, bytes, tracker, restorer, tail, runs, shrunk: false, region })
    }

    /// Finds the pages that may differ from the snapshot.
    ///
    /// # Safety
    /// As for [`Memories::reset`].
    unsafe fn look(&mut self, faulted: Option<bool>, done: &mut Reset) -> io::Result<()> {
        self.region.check()?;
        if !self.bytes {
            return Ok(());
        }
        // SAFETY: as above.
        let pages = &mut unsafe { self.region.pages() };
        if self.restorer.keeps_memory() && !pages.is_small() {
            // Before the tracker looks, so that it takes the pages which this writes for written by the block.
            self.tail.make_huge(pages, self.image.size(), &self.runs, done);
        }
        self.runs.clear();
        self.tracker.dirty(Search { pages, image: &self.image, runs: &mut self.runs, faulted, done })
    }

    /// Makes them equal to the snapshot.
    ///
    /// # Safety
    /// As for [`Memories::reset`].
    unsafe fn restore(&mut self, done: &mut Reset) -> io::Result<()> {
        if !self.bytes {
            return Ok(());
        }
        // SAFETY: as above.
        let pages = &mut unsafe { self.region.pages() };
        self.restorer.restore(Restoration { pages, image: &self.image, runs: &self.runs, done })
    }

    /// Declares them clean.
    ///
    /// # Safety
    /// As for [`Memories::reset`].
    unsafe fn clean(&mut self, done: &mut Reset) -> io::Result<()> {
        // SAFETY: as above.
        let pages = &mut unsafe { self.region.pages() };
        self.tracker.clean(pages, &self.image, done)
    }

    /// Brings the size back. Pages beyond it have been cleaned, so that growing again finds zeros.
    ///
    /// # Safety
    /// As for [`Memories::reset`].
    unsafe fn shrink(&mut self, done: &mut Reset) -> io::Result<()> {
        // SAFETY: as above.
        let pages = &mut unsafe { self.region.pages() };
        if pages.size() == self.image.size() {
            return Ok(());
        }
        // The size may have changed even where this fails.
        self.shrunk = true;
        done.syscalls += u64::from(pages.is_guarded());
        (self.parts.scope.size)(pages, self.image.size())
    }
}

#[cfg(test)]
mod tests;
