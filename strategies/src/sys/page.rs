//! Pages of the operating system: their size, protection, and giving them back.

use std::io;
use std::ops::Range;
use std::sync::OnceLock;

use memmap2::{Advice, MmapOptions, MmapRaw, RemapOptions, UncheckedAdvice};

use super::{Mechanism, checked, pagemap_scan};

/// The size of an OS page in bytes, read once at run time: 4 KiB on x86-64, up to 64 KiB on aarch64.
pub fn size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        // SAFETY: sysconf(3) only reads its argument.
        let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(bytes).expect("every kernel has a page size")
    })
}

/// What one entry of the last but one level of a page table spans in bytes, and so the size of a huge page: 2 MiB with
/// pages of 4 KiB.
pub(crate) fn huge() -> usize {
    size() / size_of::<u64>() * size()
}

/// Reserves `bytes` of private anonymous address space that is not accounted as swap.
pub(crate) fn reserve(bytes: usize) -> io::Result<MmapRaw> {
    MmapOptions::new().len(bytes).no_reserve_swap().map_anon().map(MmapRaw::from)
}

/// The same without access: nothing of it is committed, even where the process has asked for all of its future memory to
/// be (`MCL_FUTURE` of mlockall(2), which populates what is accessible when it is mapped).
pub(crate) fn reserve_inaccessible(bytes: usize) -> io::Result<MmapRaw> {
    let mut map = reserve(size())?;
    // SAFETY: the mapping is new: no reference into it exists, before it moves as after it.
    unsafe {
        protect(&map, 0..size(), Access::None)?;
        map.remap(bytes, RemapOptions::new().may_move(true))?;
    }
    Ok(map)
}

/// Keeps KSM from merging the pages of a mapping, whatever the process asks for later or has asked for
/// (`PR_SET_MEMORY_MERGE` of prctl(2)): a merged page loses what a tracker has marked it with.
///
/// A mapping made in the place of a part has to be kept from it again.
pub(crate) fn keep_unmerged(map: &MmapRaw) -> io::Result<()> {
    unsupported(map.advise(Advice::Unmergeable))
}

/// Keeps the kernel from making huge pages of a mapping.
pub(crate) fn keep_small(map: &MmapRaw) -> io::Result<()> {
    unsupported(map.advise(Advice::NoHugePage))
}

/// A kernel that was built without a feature does not know advice about it, and does nothing that was to be prevented.
fn unsupported(advised: io::Result<()>) -> io::Result<()> {
    match advised {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        advised => advised,
    }
}

/// Who may touch a range of pages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Access {
    None,
    ReadWrite,
}

/// mprotect(2) on a range of a mapping, in bytes from its start.
///
/// # Safety
/// No reference into the range may be live when access is taken away.
pub(crate) unsafe fn protect(map: &MmapRaw, range: Range<usize>, access: Access) -> io::Result<()> {
    assert!(range.start <= range.end && range.end <= map.len());
    let flags = match access {
        Access::None => libc::PROT_NONE,
        Access::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
    };
    // SAFETY: the range lies within the mapping (asserted), and the caller vouches for the references.
    checked(unsafe { libc::mprotect(map.as_mut_ptr().add(range.start).cast(), range.len(), flags) })?;
    Ok(())
}

/// MADV_DONTNEED: gives the pages back; the next touch finds zeros, or the file's page in a private file mapping.
///
/// Pages that are locked (mlock(2), mlockall(2)) are given back as well, for which it takes `MADV_DONTNEED_LOCKED`; the
/// next touch locks what it finds.
///
/// # Safety
/// No reference into the range may be live.
pub(crate) unsafe fn discard(map: &MmapRaw, range: Range<usize>) -> io::Result<()> {
    // SAFETY: as here.
    if unsafe { discard_unlocked(map, range.clone())? } {
        return Ok(());
    }
    assert!(range.start <= range.end && range.end <= map.len());
    // SAFETY: the range lies within the mapping (asserted); the caller vouches for the references.
    checked(unsafe {
        libc::madvise(map.as_mut_ptr().add(range.start).cast(), range.len(), MADV_DONTNEED_LOCKED)
    })?;
    Ok(())
}

/// `MADV_DONTNEED_LOCKED` of `include/uapi/asm-generic/mman-common.h`, Linux 5.18.
const MADV_DONTNEED_LOCKED: libc::c_int = 24;

/// The same for memory that is not locked. Says `false` where some of it is, which is left as it is; what comes before it
/// may have been given back.
///
/// # Safety
/// No reference into the range may be live.
pub(crate) unsafe fn discard_unlocked(map: &MmapRaw, range: Range<usize>) -> io::Result<bool> {
    // SAFETY: memmap2 checks the bounds; the caller vouches for the references.
    match unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, range.start, range.len()) } {
        Ok(()) => Ok(true),
        // Of whole pages within a mapping the kernel refuses no others (`madvise_dontneed_free_valid_vma` in
        // `mm/madvise.c`).
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        Err(error) => Err(error),
    }
}

/// MADV_FREE: lets the kernel take the pages when it wants them; until then the old bytes stay readable.
///
/// # Safety
/// No reference into the range may be live.
pub(crate) unsafe fn free(map: &MmapRaw, range: Range<usize>) -> io::Result<()> {
    // SAFETY: memmap2 checks the bounds; the caller vouches for the references.
    unsafe { map.unchecked_advise_range(UncheckedAdvice::Free, range.start, range.len()) }
}

/// MADV_COLLAPSE: makes huge pages of small ones, here and now, whatever the system's setting for huge pages is. The
/// content stays, and so does what is resident as long as all pages of the range are.
pub(crate) fn collapse(map: &MmapRaw, range: Range<usize>) -> io::Result<()> {
    assert!(range.start <= range.end && range.end <= map.len());
    // SAFETY: the range lies within the mapping (asserted). The kernel exchanges the memory behind it for a copy, which
    // nobody can tell who reads or writes it.
    checked(unsafe {
        libc::madvise(map.as_mut_ptr().add(range.start).cast(), range.len(), libc::MADV_COLLAPSE)
    })?;
    Ok(())
}

/// A few private pages of its own, for a probe to try a mechanism on.
pub(crate) struct Scratch {
    pub(crate) map: MmapRaw,
}

impl Scratch {
    /// Pages that were never touched, even in a process whose future memory is locked and so populated when it is mapped
    /// (mlockall(2)).
    pub(crate) fn pages(count: usize) -> Result<Self, String> {
        let scratch = Self::as_mapped(count)?;
        // Where one of these fails, the probe itself shows what comes of it.
        // SAFETY: the range is that of the mapping; unlocking changes no content.
        let _unlocked = checked(unsafe { libc::munlock(scratch.map.as_ptr().cast(), scratch.map.len()) });
        // SAFETY: the mapping is new: no reference into it exists.
        let _untouched = unsafe { discard(&scratch.map, 0..scratch.map.len()) };
        Ok(scratch)
    }

    /// Pages as the process gets them.
    fn as_mapped(count: usize) -> Result<Self, String> {
        let map = reserve(count * size()).map_err(|e| format!("cannot map {count} pages: {e}"))?;
        Ok(Self { map })
    }

    /// Writes one byte into a page.
    pub(crate) fn write(&self, page: usize, value: u8) {
        assert!((page + 1) * size() <= self.map.len());
        // SAFETY: the page lies within the mapping (asserted), which is private to this value.
        unsafe { self.map.as_mut_ptr().add(page * size()).write_volatile(value) }
    }

    /// Reads the first byte of a page.
    pub(crate) fn read(&self, page: usize) -> u8 {
        assert!((page + 1) * size() <= self.map.len());
        // SAFETY: the page lies within the mapping (asserted), which is private to this value.
        unsafe { self.map.as_ptr().add(page * size()).read_volatile() }
    }
}

/// mprotect(2), by which a memory grows and shrinks within its reservation.
pub static PROTECT: Mechanism = Mechanism::new("mprotect", "grows and shrinks a memory in place", || {
    let scratch = Scratch::pages(2)?;
    scratch.write(1, 7);
    // SAFETY: no reference into the scratch pages exists.
    unsafe {
        protect(&scratch.map, size()..2 * size(), Access::None)
            .and_then(|()| protect(&scratch.map, size()..2 * size(), Access::ReadWrite))
    }
    .map_err(|e| format!("mprotect: {e}; RLIMIT_DATA or vm.max_map_count may be exhausted"))?;
    if scratch.read(1) == 7 { Ok(()) } else { Err("mprotect lost a page's content".into()) }
});

/// madvise(2) with `MADV_DONTNEED`.
pub static DISCARD: Mechanism = Mechanism::new("MADV_DONTNEED", "gives pages back at once", || {
    let scratch = Scratch::as_mapped(1)?;
    scratch.write(0, 7);
    // SAFETY: no reference into the scratch page exists.
    unsafe { discard(&scratch.map, 0..size()) }.map_err(|e| match e.raw_os_error() {
        Some(libc::EINVAL) => {
            "this process is locked into memory (mlockall), and MADV_DONTNEED_LOCKED, which gives \
                               such memory back, came with Linux 5.18"
                .to_owned()
        }
        _ => format!("madvise: {e}"),
    })?;
    match scratch.read(0) {
        0 => Ok(()),
        // Seen under user-mode emulation, where the advice is ignored.
        _ => Err("MADV_DONTNEED leaves the old bytes in place here".into()),
    }
});

/// madvise(2) with `MADV_FREE`, Linux 4.5.
pub static FREE: Mechanism = Mechanism::new("MADV_FREE", "offers pages to the kernel", || {
    let scratch = Scratch::pages(1)?;
    scratch.write(0, 7);
    // SAFETY: no reference into the scratch page exists.
    unsafe { free(&scratch.map, 0..size()) }.map_err(|e| format!("madvise: {e}"))?;
    match scratch.read(0) {
        0 | 7 => Ok(()),
        other => Err(format!("MADV_FREE left {other}, neither the old byte nor zero")),
    }
})
.since(4, 5);

/// madvise(2) with `MADV_COLLAPSE`, Linux 6.1. Whether a huge page came of it is asked of `PAGEMAP_SCAN`.
pub static COLLAPSE: Mechanism =
    Mechanism::new("MADV_COLLAPSE", "makes huge pages of what blocks grow a memory by", || {
        let scratch = Scratch::pages(2 * huge() / size())?;
        let start = scratch.map.as_ptr().addr();
        let first = (start.next_multiple_of(huge()) - start) / size();
        let pages = first..first + huge() / size();
        pages.clone().for_each(|page| scratch.write(page, 7));
        collapse(&scratch.map, pages.start * size()..pages.end * size())
            .map_err(|e| format!("madvise: {e}; it takes Linux 6.1, and 2 MiB of memory in one piece"))?;
        if pages.clone().any(|page| scratch.read(page) != 7) {
            return Err("MADV_COLLAPSE lost a page's content".into());
        }
        match pagemap_scan::huge_pages(&scratch)? {
            huge if huge == pages.len() => Ok(()),
            huge => Err(format!("{huge} of {} pages became part of a huge page", pages.len())),
        }
    })
    .since(6, 1);
