//! The `PAGEMAP_SCAN` ioctl of `/proc/self/pagemap`, Linux 6.7: regions of pages by category, and write-protection
//! of what matched in the same walk.
//!
//! Source: `include/uapi/linux/fs.h` and `Documentation/admin-guide/mm/pagemap.rst`.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

use super::page::{self, Scratch};
use super::userfaultfd::Userfaultfd;
use super::{Mechanism, checked};

/// `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN_REQUEST: libc::c_ulong = 0xC060_6610;
const WP_MATCHING: u64 = 1 << 0;
const CHECK_WPASYNC: u64 = 1 << 1;

/// What can be said of a page (`PAGE_IS_*`).
pub(crate) mod category {
    /// Written since it was last write-protected; always set where no userfaultfd protects it.
    pub(crate) const WRITTEN: u64 = 1 << 1;
    pub(crate) const PRESENT: u64 = 1 << 3;
    pub(crate) const SWAPPED: u64 = 1 << 4;
    /// The shared page of zeros, mapped by a read.
    pub(crate) const PFNZERO: u64 = 1 << 5;
}

/// `struct pm_scan_arg`.
#[repr(C)]
#[derive(Default)]
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
    /// The same, and written since the last [`Scanner::protect_written`].
    Written,
}

impl Select {
    fn mask(self) -> u64 {
        match self {
            Self::Populated => category::PFNZERO,
            Self::Written => category::PFNZERO | category::WRITTEN,
        }
    }
}

/// How many regions one call may report. The scan goes on where the vector was full, so that this is a matter of
/// speed only: 512 regions are 12 KiB, which stays in the first-level cache.
const REGIONS: usize = 512;

/// Scans this process.
#[derive(Debug)]
pub(crate) struct Scanner {
    pagemap: File,
    regions: Box<[PageRegion]>,
}

impl Scanner {
    pub(crate) fn open() -> io::Result<Self> {
        let pagemap = File::open("/proc/self/pagemap")?;
        Ok(Self { pagemap, regions: vec![PageRegion::default(); REGIONS].into() })
    }

    /// Calls `found` with each run of addresses that matches; returns the number of system calls.
    pub(crate) fn scan(
        &mut self,
        addresses: Range<usize>,
        select: Select,
        found: impl FnMut(Range<usize>),
    ) -> io::Result<u64> {
        self.walk(addresses, select, 0, found)
    }

    /// Write-protects what was written, so that it counts as clean; returns the number of system calls.
    pub(crate) fn protect_written(&mut self, addresses: Range<usize>) -> io::Result<u64> {
        self.walk(addresses, Select::Written, WP_MATCHING | CHECK_WPASYNC, |_| ())
    }

    fn walk(
        &mut self,
        addresses: Range<usize>,
        select: Select,
        flags: u64,
        mut found: impl FnMut(Range<usize>),
    ) -> io::Result<u64> {
        let mut from = addresses.start;
        let mut calls = 0;
        while from < addresses.end {
            let mut arg = ScanArg {
                size: size_of::<ScanArg>() as u64,
                flags,
                start: from as u64,
                end: addresses.end as u64,
                vec: self.regions.as_mut_ptr().addr() as u64,
                vec_len: self.regions.len() as u64,
                category_inverted: category::PFNZERO,
                category_mask: select.mask(),
                category_anyof_mask: category::PRESENT | category::SWAPPED,
                // One category in common keeps neighbours in one region.
                return_mask: category::WRITTEN,
                ..ScanArg::default()
            };
            // SAFETY: the kernel reads and writes `arg` and at most `vec_len` regions of the vector behind `vec`;
            // both outlive the call. Write-protection changes no content and is resolved by the kernel itself.
            let filled = checked(unsafe {
                libc::ioctl(self.pagemap.as_raw_fd(), PAGEMAP_SCAN_REQUEST, &raw mut arg)
            })?;
            calls += 1;
            for region in &self.regions[..usize::try_from(filled).unwrap_or(0)] {
                found(region.start as usize..region.end as usize);
            }
            if arg.walk_end as usize <= from {
                return Err(io::Error::other("PAGEMAP_SCAN made no progress"));
            }
            from = arg.walk_end as usize;
        }
        Ok(calls)
    }
}

fn pages_of(scratch: &Scratch, scanner: &mut Scanner, select: Select) -> Result<Vec<usize>, String> {
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
            [1] => Ok(()),
            ref other => Err(format!("PAGEMAP_SCAN found {other:?} where only page 1 was written")),
        }
    })
    .since(6, 7);

/// `PAGEMAP_SCAN` with asynchronous write-protection by userfaultfd.
pub static WRITE_PROTECT: Mechanism =
    Mechanism::new("userfaultfd WP_ASYNC", "finds pages written since the last reset", || {
        let scratch = Scratch::pages(4)?;
        let start = scratch.map.as_ptr().addr();
        let uffd = Userfaultfd::open().map_err(|e| match e.raw_os_error() {
            Some(libc::EPERM) => "userfaultfd is not permitted here (seccomp, or \
                                  vm.unprivileged_userfaultfd on kernels before 5.11)"
                .to_owned(),
            Some(libc::EINVAL) => {
                "the kernel has no UFFD_FEATURE_WP_ASYNC: it came with Linux 6.7".to_owned()
            }
            _ => format!("userfaultfd: {e}"),
        })?;
        uffd.write_protect(start..start + scratch.map.len()).map_err(|e| format!("UFFDIO_REGISTER: {e}"))?;
        for page in 0..3 {
            scratch.write(page, 7);
        }
        let mut scanner = Scanner::open().map_err(|e| format!("/proc/self/pagemap: {e}"))?;
        let first = pages_of(&scratch, &mut scanner, Select::Written)?;
        scanner
            .protect_written(start..start + scratch.map.len())
            .map_err(|e| format!("PAGEMAP_SCAN with PM_SCAN_WP_MATCHING: {e}"))?;
        let quiet = pages_of(&scratch, &mut scanner, Select::Written)?;
        scratch.write(1, 8);
        scratch.write(3, 8);
        let second = pages_of(&scratch, &mut scanner, Select::Written)?;
        if (first.as_slice(), quiet.as_slice(), second.as_slice()) == (&[0, 1, 2], &[], &[1, 3]) {
            Ok(())
        } else {
            Err(format!("wrong pages: {first:?}, then {quiet:?}, then {second:?}"))
        }
    })
    .since(6, 7);
