//! How many page faults the process has taken: as long as the count stands still, no page that is write-protected or
//! absent can have been written, and there is nothing to scan for.
//!
//! The kernel counts a fault for the task that takes it, once it is served (`mm_account_fault` in `mm/memory.c`), be
//! it from user mode or from a system call that writes to memory; workers of io_uring belong to the process, too.
//! What another process writes (`process_vm_writev`, a debugger) counts for that process: such a write is found by the
//! scan after the next fault.

use std::io;
use std::mem::MaybeUninit;

use super::page::{self, Scratch};
use super::pagemap_scan::Scanner;
use super::userfaultfd::{self, Userfaultfd};
use super::{Mechanism, checked};

/// Faults of all threads since the process began, minor and major.
pub(crate) fn count() -> io::Result<u64> {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel writes one `rusage`, for which there is room; all bits zero are one already.
    let usage = unsafe {
        checked(libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()))?;
        usage.assume_init()
    };
    Ok((usage.ru_minflt as u64).wrapping_add(usage.ru_majflt as u64))
}

/// The count moves with the first write to an absent page and to a write-protected one.
pub static COUNT: Mechanism =
    Mechanism::new("ru_minflt", "says whether any write-protected page can have been written", || {
        let scratch = Scratch::pages(1)?;
        let start = scratch.map.as_ptr().addr();
        let addresses = start..start + page::size();
        let uffd = Userfaultfd::open().map_err(userfaultfd::why)?;
        uffd.write_protect(addresses.clone()).map_err(|e| format!("UFFDIO_REGISTER: {e}"))?;
        let mut scanner = Scanner::open().map_err(|e| format!("/proc/self/pagemap: {e}"))?;
        for (write, what) in [(1, "an absent page"), (2, "a write-protected page")] {
            let before = count().map_err(|e| format!("getrusage: {e}"))?;
            scratch.write(0, write);
            let after = count().map_err(|e| format!("getrusage: {e}"))?;
            if after == before {
                return Err(format!("the write to {what} was not counted as a fault"));
            }
            scanner.protect(addresses.clone()).map_err(|e| format!("PM_SCAN_WP_MATCHING: {e}"))?;
        }
        Ok(())
    })
    .since(6, 7);
