//! The `PAGEMAP_SCAN` ioctl of `/proc/self/pagemap`, Linux 6.7: regions of pages by category, and write-protection
//! of what matched in the same walk.
//!
//! Source: `include/uapi/linux/fs.h` and `Documentation/admin-guide/mm/pagemap.rst`.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

use super::mechanism::Broken;
use super::page::{self, Scratch};
use super::userfaultfd::{self, Userfaultfd};
use super::{Kernel, Mechanism, checked};

/// `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN_REQUEST: libc::c_ulong = 0xC060_6610;
const WP_MATCHING: u64 = 1 << 0;
const CHECK_WPASYNC: u64 = 1 << 1;

/// What can be said of a page (`PAGE_IS_*`).
pub(crate) mod category {
    /// Written since it was last write-protected; always set where no userfaultfd protects it.
    pub(crate) const WRITTEN: u64 = 1 << 1;
    /// Backed by a file, and not yet copied.
    pub(crate) const FILE: u64 = 1 << 2;
    pub(crate) const PRESENT: u64 = 1 << 3;
    pub(crate) const SWAPPED: u64 = 1 << 4;
    /// The shared page of zeros. A read maps it; and the kernel puts it in the place of a page that holds zeros where a
    /// huge page is split (Linux 6.12) and where KSM merges such pages (`use_zero_pages`).
    pub(crate) const PFNZERO: u64 = 1 << 5;
    /// Part of a huge page that is mapped as a whole.
    #[cfg(feature = "mutants")]
    pub(crate) const HUGE: u64 = 1 << 6;
}

/// `struct pm_scan_arg`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct ScanArg {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct PageRegion {
    start: u64,
    end: u64,
    categories: u64,
}

/// Which pages a scan reports.
///
/// Swapped-out pages always count: a scan for present pages only forgets them, and with them what they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Select {
    /// Populated with anything but the shared page of zeros.
    Populated,
    /// The same, and written since the last [`Scanner::protect`].
    Written,
    /// Whatever is not write-protected, be it absent: for ranges that were protected as a whole. The kernel answers
    /// it from one bit of each page-table entry, in less than half the time of the others.
    Unprotected,
    /// What wasmtime 48 resets in a slot of its pool (`sys/unix/pagemap.rs`).
    Pool,
    /// Mapped as part of a huge page: what a wrong reset looks for.
    #[cfg(feature = "mutants")]
    Huge,
}

impl Select {
    /// The categories asked for, those of them that must be absent, and those of which one is enough.
    fn masks(self) -> (u64, u64, u64) {
        let there = category::PRESENT | category::SWAPPED;
        match self {
            Self::Populated => (category::PFNZERO, category::PFNZERO, there),
            Self::Written => (category::PFNZERO | category::WRITTEN, category::PFNZERO, there),
            Self::Unprotected => (category::WRITTEN, 0, 0),
            Self::Pool => {
                let absent = category::PFNZERO | category::FILE;
                (category::WRITTEN | category::PRESENT | absent, absent, 0)
            }
            #[cfg(feature = "mutants")]
            Self::Huge => (category::HUGE, 0, 0),
        }
    }
}

/// How many regions one call may report at most. The scan goes on where the vector was full, so that this is a matter of
/// speed only: 512 regions are 12 KiB, which stays in the first-level cache.
const REGIONS: usize = 512;

/// How many it may report at least. The kernel allocates as many as it is asked for, and 512 of them take it longer than
/// passing over a megabyte: the first call asks for what the last scan that found
/// any would have needed.
const FEW: usize = 16;

/// Scans this process.
#[derive(Debug)]
pub(crate) struct Scanner {
    pagemap: File,
    regions: Box<[PageRegion]>,
    /// Regions that the first call of the next scan may report.
    expected: usize,
}

impl Scanner {
    pub(crate) fn open() -> io::Result<Self> {
        let pagemap = File::open("/proc/self/pagemap")?;
        Ok(Self { pagemap, regions: vec![PageRegion::default(); REGIONS].into(), expected: FEW })
    }

    /// Calls `found` with each run of addresses that matches; returns the number of system calls.
    pub(crate) fn scan(
        &mut self,
        addresses: Range<usize>,
        select: Select,
        mut found: impl FnMut(Range<usize>),
    ) -> io::Result<u64> {
        let (mask, inverted, anyof) = select.masks();
        let what = ScanArg {
            category_inverted: inverted,
            category_mask: mask,
            category_anyof_mask: anyof,
            // One category in common keeps neighbours in one region.
            return_mask: category::WRITTEN,
            ..ScanArg::default()
        };
        self.report(addresses, what, |regions| {
            for region in regions {
                found(region.start as usize..region.end as usize);
            }
        })
    }

    /// Calls `found` with each run of populated addresses, and whether it maps the shared page of zeros: the same walk as
    /// for [`Select::Populated`], and the rest of what it knows. Returns the number of system calls.
    pub(crate) fn populated(
        &mut self,
        addresses: Range<usize>,
        mut found: impl FnMut(Range<usize>, bool),
    ) -> io::Result<u64> {
        let what = ScanArg {
            category_anyof_mask: category::PRESENT | category::SWAPPED,
            return_mask: category::PFNZERO,
            ..ScanArg::default()
        };
        self.report(addresses, what, |regions| {
            for region in regions {
                found(region.start as usize..region.end as usize, region.categories & category::PFNZERO != 0);
            }
        })
    }

    /// Write-protects all pages, so that they count as clean; an absent page is marked, so that it comes protected.
    /// Returns the number of system calls.
    ///
    /// Without a vector to report to, the kernel sets one bit of each page-table entry and does nothing else.
    pub(crate) fn protect(&mut self, addresses: Range<usize>) -> io::Result<u64> {
        let what = ScanArg {
            flags: WP_MATCHING | CHECK_WPASYNC,
            category_mask: category::WRITTEN,
            return_mask: category::WRITTEN,
            ..ScanArg::default()
        };
        self.walk(addresses, what, 0, |_| ())
    }

    /// Walks, and has what matches reported.
    fn report(
        &mut self,
        addresses: Range<usize>,
        what: ScanArg,
        mut found: impl FnMut(&[PageRegion]),
    ) -> io::Result<u64> {
        let mut regions = 0;
        let calls = self.walk(addresses, what, self.expected, |some| {
            regions += some.len();
            found(some);
        })?;
        // An empty range says nothing of the others. One more, since a call ends where its vector is full.
        if regions > 0 {
            self.expected = (regions + 1).next_power_of_two().clamp(FEW, REGIONS);
        }
        Ok(calls)
    }

    /// Walks; the first call may report so many regions, or none where that is 0, and each further one as many as there is
    /// room for.
    fn walk(
        &mut self,
        addresses: Range<usize>,
        what: ScanArg,
        expected: usize,
        mut found: impl FnMut(&[PageRegion]),
    ) -> io::Result<u64> {
        let mut from = addresses.start;
        let mut calls = 0;
        while from < addresses.end {
            let room = match calls {
                0 => expected.min(self.regions.len()),
                _ if expected > 0 => self.regions.len(),
                _ => 0,
            };
            let mut arg = ScanArg {
                size: size_of::<ScanArg>() as u64,
                start: from as u64,
                end: addresses.end as u64,
                vec: if room > 0 { self.regions.as_mut_ptr().addr() as u64 } else { 0 },
                vec_len: room as u64,
                ..what
            };
            // SAFETY: the kernel reads and writes `arg` and at most `vec_len` regions of the vector behind `vec`, which
            // is this scanner's own or none; both outlive the call. Write-protection changes no content and is resolved
            // by the kernel itself.
            let filled = checked(unsafe {
                libc::ioctl(self.pagemap.as_raw_fd(), PAGEMAP_SCAN_REQUEST, &raw mut arg)
            })?;
            calls += 1;
            found(&self.regions[..usize::try_from(filled).unwrap_or(0)]);
            if arg.walk_end as usize <= from {
                return Err(io::Error::other("PAGEMAP_SCAN made no progress"));
            }
            from = arg.walk_end as usize;
        }
        Ok(calls)
    }
}

pub(super) fn pages_of(
    scratch: &Scratch,
    scanner: &mut Scanner,
    select: Select,
) -> Result<Vec<usize>, String> {
    let start = scratch.map.as_ptr().addr();
    let mut pages = Vec::new();
    scanner
        .scan(start..start + scratch.map.len(), select, |run| {
            pages.extend((run.start - start) / page::size()..(run.end - start) / page::size());
        })
        .map_err(|e| match e.raw_os_error() {
            Some(libc::ENOTTY | libc::EINVAL) => {
                "the kernel has no PAGEMAP_SCAN ioctl: it came with Linux 6.7".to_owned()
            }
            _ => format!("PAGEMAP_SCAN: {e}"),
        })?;
    Ok(pages)
}

/// `PAGEMAP_SCAN` for populated pages.
pub static PAGEMAP_SCAN: Mechanism =
    Mechanism::new("PAGEMAP_SCAN", "finds populated pages in one call", || {
        let scratch = Scratch::pages(4)?;
        scratch.write(1, 7);
        let _maps_the_zero_page = scratch.read(2);
        let mut scanner = Scanner::open().map_err(|e| format!("/proc/self/pagemap: {e}"))?;
        match pages_of(&scratch, &mut scanner, Select::Populated)?[..] {
            [1] => {}
            ref other => return Err(format!("PAGEMAP_SCAN found {other:?} where only page 1 was written")),
        }
        let (start, mut found) = (scratch.map.as_ptr().addr(), Vec::new());
        let scanned = scanner.populated(start..start + scratch.map.len(), |run, zeros| {
            found.push(((run.start - start) / page::size(), run.len() / page::size(), zeros));
        });
        scanned.map_err(|e| format!("PAGEMAP_SCAN: {e}"))?;
        match found[..] {
            [(1, 1, false), (2, 1, true)] => Ok(()),
            _ => Err(format!("PAGEMAP_SCAN found {found:?} where page 1 was written and page 2 read")),
        }
    })
    .since(6, 7);

/// `PAGEMAP_SCAN` with asynchronous write-protection by userfaultfd.
pub static WRITE_PROTECT: Mechanism =
    Mechanism::new("userfaultfd WP_ASYNC", "finds pages written since the last reset", || {
        let scratch = Scratch::pages(5)?;
        let start = scratch.map.as_ptr().addr();
        let uffd = Userfaultfd::open().map_err(userfaultfd::why)?;
        uffd.write_protect(start..start + scratch.map.len()).map_err(|e| format!("UFFDIO_REGISTER: {e}"))?;
        for page in 0..3 {
            scratch.write(page, 7);
        }
        let mut scanner = Scanner::open().map_err(|e| format!("/proc/self/pagemap: {e}"))?;
        let first = pages_of(&scratch, &mut scanner, Select::Written)?;
        scanner
            .protect(start..start + scratch.map.len())
            .map_err(|e| format!("PAGEMAP_SCAN with PM_SCAN_WP_MATCHING: {e}"))?;
        let quiet = pages_of(&scratch, &mut scanner, Select::Unprotected)?;
        scratch.write(1, 8);
        // It was protected while it was absent, and a read brings it without a write.
        scratch.write(3, 8);
        let _maps_the_zero_page = scratch.read(4);
        let second = pages_of(&scratch, &mut scanner, Select::Unprotected)?;
        let same = pages_of(&scratch, &mut scanner, Select::Written)?;
        let found = [first, quiet, second, same];
        if found == [vec![0, 1, 2], vec![], vec![1, 3], vec![1, 3]] {
            Ok(())
        } else {
            Err(format!("wrong pages, one scan after the other: {found:?}"))
        }
    })
    .since(6, 7)
    .broken_on(&[Broken {
        from: Kernel::new(6, 7),
        until: Some(Kernel::new(6, 9)),
        with_swap: true,
        reason: "the scan for unprotected pages reads the wrong bit of swapped-out ones; repaired in 6.9 and late in 6.8",
    }]);
