//! The memory that in-place strategies run on: our own reservation under wasmtime's `LinearMemory`.
//!
//! Where wasmtime asks for a reservation (4 GiB for a 32-bit memory) plus a guard, it elides bounds checks in return: an
//! access beyond the current size must fault. So the bytes up to `size` are readable and writable, all others are
//! `PROT_NONE`, and shrinking takes access away again. Where it asks for neither, compiled code compares each access with
//! the size, and what the memory once grew to stays accessible ([`Bounds`]).

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use memmap2::MmapRaw;
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

use crate::sys::page::{self, Access};
use crate::sys::userfaultfd::Userfaultfd;

/// Address space for each memory: all that 32-bit addresses reach, as by wasmtime's own default.
pub(crate) const RESERVATION: u64 = 1 << 32;

/// What keeps a guest from the bytes beyond a memory's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounds {
    /// The kernel: they are inaccessible, and an access faults. Growing and shrinking are one mprotect(2) each.
    Guard,
    /// Compiled code, which compares each access with the size. Growing is a system call only to where the memory never
    /// was; shrinking is none.
    Check,
}

/// One linear memory: a reservation whose first [`size`](Self::size) bytes are accessible.
#[derive(Debug)]
pub struct Region {
    map: MmapRaw,
    capacity: usize,
    bounds: Bounds,
    size: AtomicUsize,
    /// The largest size so far.
    largest: AtomicUsize,
    /// Bytes from the start that a policy has committed.
    committed: AtomicUsize,
    /// Whether no huge pages may be made of it.
    small: AtomicBool,
    /// Whether bytes beyond the size may have stayed accessible.
    broken: AtomicBool,
    /// By which its pages can be write-protected, once a tracker has asked.
    uffd: OnceLock<Userfaultfd>,
}

impl Region {
    /// Reserves `capacity` bytes and an inaccessible guard behind them; the first `size` bytes are accessible zeros.
    ///
    /// # Errors
    /// When the address space or its accounting (RLIMIT_AS, RLIMIT_DATA, overcommit) does not allow it.
    pub fn reserve(size: usize, capacity: usize, guard: usize) -> io::Result<Self> {
        Self::bounded(Bounds::Guard, size, capacity, guard)
    }

    fn bounded(bounds: Bounds, size: usize, capacity: usize, guard: usize) -> io::Result<Self> {
        let capacity = capacity.max(size);
        let map = page::reserve_inaccessible((capacity + guard).max(page::size()))?;
        page::keep_unmerged(&map)?;
        // SAFETY: access is given, not taken.
        unsafe { page::protect(&map, 0..size, Access::ReadWrite)? };
        Ok(Self {
            map,
            capacity,
            bounds,
            size: AtomicUsize::new(size),
            largest: AtomicUsize::new(size),
            committed: AtomicUsize::new(0),
            small: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            uffd: OnceLock::new(),
        })
    }

    /// What the guest sees as its memory's size; all of it is accessible.
    pub fn size(&self) -> usize {
        self.size.load(Ordering::Relaxed)
    }

    /// The address of byte 0, which never moves.
    pub fn base(&self) -> usize {
        self.map.as_ptr().addr()
    }

    /// Bytes that the memory may grow to.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn map(&self) -> &MmapRaw {
        &self.map
    }

    fn grow_to(&self, size: usize) -> io::Result<()> {
        if size > self.capacity {
            return Err(io::Error::other(format!("{size} bytes exceed the reservation")));
        }
        let open = self.kept_open().max(self.size());
        if size > open {
            self.open(open..size)?;
        }
        self.size.store(size, Ordering::Relaxed);
        self.largest.fetch_max(size, Ordering::Relaxed);
        Ok(())
    }

    /// Bytes from the start to which access is never taken away.
    fn kept_open(&self) -> usize {
        match self.bounds {
            Bounds::Guard => 0,
            Bounds::Check => self.largest.load(Ordering::Relaxed),
        }
    }

    /// Gives access to a range beyond the size, or to nothing: where a range lies in several mappings, the kernel may give
    /// access to the first and then refuse the next, by a limit (mprotect(2), RLIMIT_DATA).
    pub(crate) fn open(&self, range: Range<usize>) -> io::Result<()> {
        // SAFETY: access is given, not taken.
        unsafe { page::protect(&self.map, range.clone(), Access::ReadWrite) }
            .inspect_err(|_| drop(self.close(range)))
    }

    /// Takes access to a range beyond the size away, but for what [`Bounds::Check`] keeps open. Where that fails, the region
    /// is [broken](Self::check).
    pub(crate) fn close(&self, range: Range<usize>) -> io::Result<()> {
        let range = range.start.max(self.kept_open())..range.end;
        if range.is_empty() {
            return Ok(());
        }
        // SAFETY: references are made to what is within the size only.
        unsafe { page::protect(&self.map, range, Access::None) }
            .inspect_err(|_| self.broken.store(true, Ordering::Relaxed))
    }

    /// Whether everything beyond the size is out of the guest's reach.
    ///
    /// # Errors
    /// When the kernel has refused to take access away: a guest could read and write there, and no reset would know.
    pub(crate) fn check(&self) -> io::Result<()> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(io::Error::other(
                "access beyond the memory's size could not be taken away (mprotect)",
            ));
        }
        Ok(())
    }

    /// Takes note that a policy has committed the first `bytes`.
    pub(crate) fn commit(&self, bytes: usize) {
        self.committed.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Whether no huge pages may be made of it.
    pub(crate) fn is_small(&self) -> bool {
        self.small.load(Ordering::Relaxed)
    }

    /// Has mappings that were made in the place of a part treated like the whole.
    pub(crate) fn treat(&self) -> io::Result<()> {
        page::keep_unmerged(&self.map)?;
        if self.is_small() { page::keep_small(&self.map) } else { Ok(()) }
    }

    /// The pages of this memory, for whoever resets it.
    ///
    /// # Safety
    /// While the view lives, no guest code runs in the instance that owns this memory and no slice that was borrowed
    /// from it through wasmtime is live.
    pub(crate) unsafe fn pages(&self) -> Pages<'_> {
        Pages { region: self }
    }
}

/// Exclusive view of one memory between two blocks.
#[derive(Debug)]
pub struct Pages<'a> {
    region: &'a Region,
}

impl Pages<'_> {
    /// Accessible bytes.
    pub fn size(&self) -> usize {
        self.region.size()
    }

    /// The addresses of a range of this memory.
    pub(crate) fn addresses(&self, range: Range<usize>) -> Range<usize> {
        self.region.base() + range.start..self.region.base() + range.end
    }

    /// The address of byte 0.
    pub(crate) fn base(&self) -> usize {
        self.region.base()
    }

    pub(crate) fn map(&self) -> &MmapRaw {
        &self.region.map
    }

    /// Bytes from the start that a policy has committed: these are not to be given back.
    pub(crate) fn committed(&self) -> usize {
        self.region.committed.load(Ordering::Relaxed)
    }

    /// Has no huge pages made of this memory from now on, for a tracker whose marks they lose.
    pub(crate) fn keep_small(&mut self) -> io::Result<()> {
        self.region.small.store(true, Ordering::Relaxed);
        page::keep_small(self.map())
    }

    /// Whether no huge pages may be made of it.
    pub(crate) fn is_small(&self) -> bool {
        self.region.is_small()
    }

    /// Lets `PAGEMAP_SCAN` write-protect the pages of the whole reservation, so that memory which grows later is tracked
    /// from its first byte. To be asked again after a part was mapped anew.
    ///
    /// One descriptor serves as long as the memory lives. Closing it for another would not do: a child that the process
    /// has forked may have it open, and to a second one the kernel refuses the range then (EBUSY).
    ///
    /// # Errors
    /// When there is no userfaultfd, or it does not take the range.
    pub(crate) fn make_protectable(&mut self) -> io::Result<()> {
        let uffd = match self.region.uffd.get() {
            Some(uffd) => uffd,
            None => {
                let uffd = Userfaultfd::open()?;
                self.region.uffd.get_or_init(|| uffd)
            }
        };
        uffd.write_protect(self.addresses(0..self.map().len()))
    }

    /// All accessible bytes. Reading a page that was never touched maps the shared page of zeros.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the first `size` bytes are mapped and readable, and this view is the only way to them
        // (the contract of `Region::pages`).
        unsafe { std::slice::from_raw_parts(self.region.map.as_ptr(), self.size()) }
    }

    /// All accessible bytes, for writing.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; the exclusive borrow of the view makes the slice unique.
        unsafe { std::slice::from_raw_parts_mut(self.region.map.as_mut_ptr(), self.size()) }
    }

    /// `MADV_DONTNEED` on a range of whole pages, locked or not.
    pub(crate) fn discard(&mut self, range: Range<usize>) -> io::Result<()> {
        assert!(range.end <= self.size());
        // SAFETY: the exclusive borrow of the view excludes live references.
        unsafe { page::discard(&self.region.map, range) }
    }

    /// The same where giving back is of use and not necessary: says `false` of memory that is locked, and so stays.
    pub(crate) fn discard_unlocked(&mut self, range: Range<usize>) -> io::Result<bool> {
        assert!(range.end <= self.size());
        // SAFETY: the exclusive borrow of the view excludes live references.
        unsafe { page::discard_unlocked(&self.region.map, range) }
    }

    /// Makes huge pages of a range of them, whose pages are all resident.
    pub(crate) fn collapse(&mut self, range: Range<usize>) -> io::Result<()> {
        assert!(range.end <= self.size());
        page::collapse(&self.region.map, range)
    }

    /// `MADV_FREE` on a range of whole pages.
    pub(crate) fn free(&mut self, range: Range<usize>) -> io::Result<()> {
        assert!(range.end <= self.size());
        // SAFETY: the exclusive borrow of the view excludes live references.
        unsafe { page::free(&self.region.map, range) }
    }

    /// Maps a file privately over the first `bytes`.
    pub(crate) fn map_over(&mut self, bytes: usize, image: &std::fs::File) -> io::Result<()> {
        assert!(bytes <= self.size());
        // SAFETY: the exclusive borrow of the view excludes live references; the image file is private to the
        // backing, which never shortens it.
        unsafe { crate::sys::memfd::map_over(&self.region.map, bytes, image)? };
        self.region.treat()
    }

    /// Whether shrinking is a system call.
    pub(super) fn is_guarded(&self) -> bool {
        self.region.bounds == Bounds::Guard
    }

    /// Takes away access beyond `size` bytes where that is what [bounds](Bounds) the memory, and makes that its size, even
    /// where it fails: the memory is [broken](Region::check) then, and whoever believes the new size touches nothing that
    /// may be out of reach.
    ///
    /// The content of the pages that go stays in them: whoever shrinks has to have cleaned them.
    pub(crate) fn shrink_to(&mut self, size: usize) -> io::Result<()> {
        let old = self.size();
        assert!(size <= old);
        self.region.size.store(size, Ordering::Relaxed);
        self.region.close(size..old)
    }
}

/// What wasmtime holds of a region.
struct Linear(Arc<Region>);

// SAFETY: the base never moves, `capacity` bytes are reserved, and the bytes up to `byte_size` are accessible and zero
// when they first become so. Everything beyond them, guard included, is PROT_NONE, but where wasmtime has asked for no
// reservation and no guard (`Creator::new_memory`): it elides no check then.
unsafe impl LinearMemory for Linear {
    fn byte_size(&self) -> usize {
        self.0.size()
    }

    fn byte_capacity(&self) -> usize {
        self.0.capacity
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        Ok(self.0.grow_to(new_size)?)
    }

    fn as_ptr(&self) -> *mut u8 {
        self.0.map.as_mut_ptr()
    }
}

/// Makes the memories of an engine, and knows them as long as they live.
#[derive(Debug, Default)]
pub(crate) struct Creator {
    regions: Mutex<Vec<Weak<Region>>>,
}

impl Creator {
    /// The region whose byte 0 is at `base`.
    pub(crate) fn region(&self, base: usize) -> Option<Arc<Region>> {
        let mut regions = self.regions.lock().expect("no panic while holding the lock");
        regions.retain(|region| region.strong_count() > 0);
        regions.iter().filter_map(Weak::upgrade).find(|region| region.base() == base)
    }

    /// Whether wasmtime has a memory with content that no session tracks: a garbage-collected heap, of whichever store, or a
    /// memory of an instance that is being made.
    pub(crate) fn has_others(&self) -> bool {
        let regions = self.regions.lock().expect("no panic while holding the lock");
        // A session would hold it, too.
        let mut untracked = regions.iter().filter(|region| region.strong_count() == 1);
        untracked.any(|region| region.upgrade().is_some_and(|region| region.size() > 0))
    }
}

// SAFETY: `new_memory` returns zero-filled memory that fulfils the contract of `LinearMemory` (see `Linear`).
unsafe impl MemoryCreator for Creator {
    fn new_memory(
        &self,
        _: MemoryType,
        minimum: usize,
        maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        // What wasmtime asks for is what it compiles for, whoever has set its engine up: it elides no check of a memory that
        // has neither a reservation nor a guard (`bounds_checks.rs` of wasmtime-cranelift).
        let (bounds, capacity) = match reserved {
            None | Some(0) if guard == 0 => {
                (Bounds::Check, maximum.unwrap_or(usize::MAX).min(RESERVATION as usize))
            }
            reserved => (Bounds::Guard, reserved.or(maximum).unwrap_or(minimum)),
        };
        let capacity = capacity.max(minimum);
        let region = Region::bounded(bounds, minimum, capacity, guard)
            .map_err(|e| format!("cannot reserve {capacity} bytes for a memory: {e}"))?;
        let region = Arc::new(region);
        self.regions.lock().expect("no panic while holding the lock").push(Arc::downgrade(&region));
        Ok(Box::new(Linear(region)))
    }
}
