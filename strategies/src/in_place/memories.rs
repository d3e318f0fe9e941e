//! The memories of one instance with their snapshots: what a reset can bring back without the store, and so on another
//! thread than the one that executes.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use wasmtime::{Memory, Store};

use super::region::Region;
use super::tail::Tail;
use super::{Image, InPlace};
use crate::error::Error;
use crate::restore::Restorer;
use crate::session::Reset;
use crate::track::{Learned, Tracker};

/// All memories of an instance, in the order of their indices.
#[derive(Default)]
pub(crate) struct Memories(Vec<TrackedMemory>);

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
    /// Adds a memory of an instance that has just been made.
    pub(super) fn push(&mut self, memory: TrackedMemory) {
        self.0.push(memory);
    }

    /// The one that commit policies work on.
    pub(super) fn first_mut(&mut self) -> Option<&mut TrackedMemory> {
        self.0.first_mut()
    }

    /// Whether a reset leaves the first memory resident.
    pub(super) fn first_is_kept(&self) -> bool {
        self.0.first().is_some_and(|memory| memory.restorer.keeps_memory())
    }

    pub(super) fn expect(&mut self, block: u64) {
        for memory in &mut self.0 {
            memory.tracker.expect(block);
        }
    }

    pub(super) fn learned(&self) -> Vec<Learned> {
        self.0.iter().filter_map(|memory| memory.tracker.learned()).collect()
    }

    /// Brings bytes and sizes back; the instance has to be [told](Self::tell) before it runs again.
    ///
    /// # Safety
    /// Until this returns, no guest code runs in the instance that owns the memories, and no slice of them is borrowed.
    pub(super) unsafe fn reset(&mut self) -> Result<Reset, Error> {
        let mut done = Reset::default();
        for memory in &mut self.0 {
            // SAFETY: as above.
            unsafe { memory.reset(&mut done)? };
        }
        Ok(done)
    }

    /// Has the instance read the sizes of memories that have shrunk: it keeps a copy of each length.
    pub(super) fn tell<T>(&mut self, store: &mut Store<T>) -> Result<(), Error> {
        for memory in self.0.iter_mut().filter(|memory| memory.shrunk) {
            // Growing by nothing makes wasmtime read the length anew.
            memory.memory.grow(&mut *store, 0).map_err(Error::engine("cannot shrink a memory"))?;
            memory.shrunk = false;
        }
        Ok(())
    }

    /// Has the trackers begin again, on mappings that a policy may have replaced.
    ///
    /// # Safety
    /// As for [`reset`](Self::reset).
    pub(super) unsafe fn track_anew(&mut self) -> io::Result<()> {
        for memory in &mut self.0 {
            memory.tracker = (memory.parts.tracker)();
            // SAFETY: as above.
            memory.tracker.start(&mut unsafe { memory.region.pages() })?;
        }
        Ok(())
    }
}

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
        let mut tracker = (parts.tracker)();
        tracker.start(&mut pages)?;
        let restorer = (parts.restorer)();
        let (tail, runs) = (Tail::default(), Vec::new());
        Ok(Self { memory, image, parts, bytes, tracker, restorer, tail, runs, shrunk: false, region })
    }

    /// # Safety
    /// As for [`Memories::reset`].
    unsafe fn reset(&mut self, done: &mut Reset) -> Result<(), Error> {
        // SAFETY: as above.
        let pages = &mut unsafe { self.region.pages() };
        if self.bytes {
            if self.restorer.keeps_memory() {
                // Before the tracker looks, so that it takes the pages which this writes for written by the block.
                self.tail.make_huge(pages, self.image.size(), &self.runs, done);
            }
            self.runs.clear();
            self.tracker
                .dirty(pages, &self.image, &mut self.runs, done)
                .and_then(|()| self.restorer.restore(pages, &self.image, &self.runs, done))
                .and_then(|()| self.tracker.clean(pages, &self.image, done))
                .map_err(Error::kernel("cannot restore a memory"))?;
        }
        // Pages beyond the first size have been cleaned, so that growing again finds zeros.
        if pages.size() != self.image.size() {
            (self.parts.scope.size)(pages, self.image.size())
                .map_err(Error::kernel("cannot shrink a memory"))?;
            done.syscalls += 1;
            self.shrunk = true;
        }
        Ok(())
    }
}
