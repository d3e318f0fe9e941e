//! Pages of the operating system: their size, protection, and giving them back.

use std::io;
use std::ops::Range;
use std::sync::OnceLock;

use memmap2::{Advice, MmapOptions, MmapRaw, RemapOptions, UncheckedAdvice};

use super::{Mechanism, checked};

/// The size of an OS page in bytes, read once at run time: 4 KiB on x86-64, up to 64 KiB on aarch64.
pub fn size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        // SAFETY: sysconf(3) only reads its argument.
        let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(bytes).expect("every kernel has a page size")
    })
}

/// Appends a range to a list of runs, joining it to the last where they meet.
pub(crate) fn extend(runs: &mut Vec<Range<usize>>, range: Range<usize>) {
    match runs.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ => runs.push(range),
    }
}

/// The size of a huge page in bytes, read once at run time: 2 MiB with pages of 4 KiB, 32 MiB with those of 16 KiB, and
/// 512 MiB with those of 64 KiB.
pub fn huge() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        let said = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size");
        huge_size(&said.unwrap_or_default(), size())
    })
}

/// What the kernel says, or what one entry of the last but one level of a page table spans where it says nothing.
fn huge_size(said: &str, page: usize) -> usize {
    let said = said.trim().parse().ok().filter(|bytes: &usize| bytes.is_power_of_two() && *bytes > page);
    said.unwrap_or(page / size_of::<u64>() * page)
}

/// The largest huge page that is written to try whether one can be made: those of 64 KiB pages would take half a gigabyte
/// for every probe.
const LARGEST_TRIED: usize = 64 << 20;

/// # Errors
/// In words, where a huge page is too large to be tried.
fn tried(huge: usize) -> Result<usize, String> {
    if huge <= LARGEST_TRIED {
        return Ok(huge);
    }
    Err(format!(
        "a huge page is {} MiB here, more than a memory has that blocks grow bit by bit; with pages of 4 or 16 KiB it is \
         2 or 32 MiB",
        huge >> 20
    ))
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

/// madvise(2) with `MADV_COLLAPSE`, Linux 6.1. Whether a huge page came of it is asked of smaps, which is older than all
/// else that could tell.
pub static COLLAPSE: Mechanism =
    Mechanism::new("MADV_COLLAPSE", "makes huge pages of what blocks grow a memory by", || {
        let huge = tried(huge())?;
        let scratch = Scratch::pages(2 * huge / size())?;
        let start = scratch.map.as_ptr().addr();
        let first = (start.next_multiple_of(huge) - start) / size();
        let pages = first..first + huge / size();
        let bytes = pages.start * size()..pages.end * size();
        // It changes nothing but that no neighbour has the same flags: the kernel counts what it counts of this part alone.
        scratch
            .map
            .advise_range(Advice::DontDump, bytes.start, bytes.len())
            .map_err(|e| format!("MADV_DONTDUMP: {e}"))?;
        pages.clone().for_each(|page| scratch.write(page, 7));
        collapse(&scratch.map, bytes.clone()).map_err(|e| {
            format!("madvise: {e}; it takes Linux 6.1, and {} MiB of memory in one piece", huge >> 20)
        })?;
        if pages.clone().any(|page| scratch.read(page) != 7) {
            return Err("MADV_COLLAPSE lost a page's content".into());
        }
        let smaps =
            std::fs::read_to_string("/proc/self/smaps").map_err(|e| format!("/proc/self/smaps: {e}"))?;
        match anonymous_huge(&smaps, start + bytes.start..start + bytes.end) {
            Some(made) if made == huge => Ok(()),
            Some(made) => Err(format!("{} of {} KiB became a huge page", made >> 10, huge >> 10)),
            None => Err("/proc/self/smaps does not list what was made a huge page".into()),
        }
    })
    .since(6, 1);

/// Bytes of a mapping that huge pages map, by the text of smaps (proc_pid_smaps(5)); `None` where it lists no mapping of
/// just these addresses.
fn anonymous_huge(smaps: &str, addresses: Range<usize>) -> Option<usize> {
    let head = format!("{:08x}-{:08x} ", addresses.start, addresses.end);
    let mut lines = smaps.lines().skip_while(|line| !line.starts_with(&head));
    let said = lines.find_map(|line| line.strip_prefix("AnonHugePages:"))?;
    let kib: usize = said.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_how_large_a_huge_page_is() {
        assert_eq!(huge_size("2097152\n", 4 << 10), 2 << 20);
        assert_eq!(huge_size("33554432\n", 16 << 10), 32 << 20);
        assert_eq!(huge_size("", 16 << 10), 32 << 20, "a kernel without transparent huge pages");
        for odd in ["0", "4096", "many", "2097153"] {
            assert_eq!(huge_size(odd, 4 << 10), 2 << 20, "{odd}");
        }
        assert_eq!(huge_size("", 64 << 10), 512 << 20);
    }

    #[test]
    fn half_a_gigabyte_is_not_written_to_try_a_huge_page() {
        assert_eq!(tried(2 << 20), Ok(2 << 20));
        assert_eq!(tried(32 << 20), Ok(32 << 20));
        let reason = tried(512 << 20).unwrap_err();
        assert!(reason.starts_with("a huge page is 512 MiB here"), "{reason}");
    }

    #[test]
    fn smaps_counts_the_huge_pages_of_one_mapping() {
        let smaps = "7f0000000000-7f0000200000 rw-p 00000000 00:00 0 \nSize:               2048 kB\n\
                     AnonHugePages:         0 kB\nVmFlags: rd wr\n\
                     7f0000200000-7f0000400000 rw-p 00000000 00:00 0 \nSize:               2048 kB\n\
                     AnonHugePages:      2048 kB\nVmFlags: rd wr dd\n";
        let of = |start: usize, end: usize| anonymous_huge(smaps, start..end);
        assert_eq!(of(0x7f00_0000_0000, 0x7f00_0020_0000), Some(0));
        assert_eq!(of(0x7f00_0020_0000, 0x7f00_0040_0000), Some(2 << 20));
        assert_eq!(of(0x7f00_0000_0000, 0x7f00_0040_0000), None);
        assert_eq!(anonymous_huge("", 0..4096), None);
    }
}
