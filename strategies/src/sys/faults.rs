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

/// Faults of all threads since the process began, minor and major. The kernel goes through all threads that there are.
pub(crate) fn count() -> io::Result<u64> {
    count_of(libc::RUSAGE_SELF)
}

/// Those of this thread, which take the same time however many others there are.
pub(crate) fn count_of_thread() -> io::Result<u64> {
    count_of(libc::RUSAGE_THREAD)
}

fn count_of(whom: libc::c_int) -> io::Result<u64> {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel writes one `rusage`, for which there is room; all bits zero are one already.
    let usage = unsafe {
        checked(libc::getrusage(whom, usage.as_mut_ptr()))?;
        usage.assume_init()
    };
    Ok((usage.ru_minflt as u64).wrapping_add(usage.ru_majflt as u64))
}

/// Both counts move with the first write to an absent page and to a write-protected one.
pub static COUNT: Mechanism =
    Mechanism::new("ru_minflt", "says whether any write-protected page can have been written", || {
        let scratch = Scratch::pages(1)?;
        let start = scratch.map.as_ptr().addr();
        let addresses = start..start + page::size();
        let uffd = Userfaultfd::open().map_err(userfaultfd::why)?;
        uffd.write_protect(addresses.clone()).map_err(|e| format!("UFFDIO_REGISTER: {e}"))?;
        let mut scanner = Scanner::open().map_err(|e| format!("/proc/self/pagemap: {e}"))?;
        for (write, what) in [(1, "an absent page"), (2, "a write-protected page")] {
            let counts = || -> io::Result<_> { Ok([count()?, count_of_thread()?]) };
            let before = counts().map_err(|e| format!("getrusage: {e}"))?;
            scratch.write(0, write);
            let after = counts().map_err(|e| format!("getrusage: {e}"))?;
            if after[0] == before[0] || after[1] == before[1] {
                return Err(format!("the write to {what} was not counted as a fault"));
            }
            scanner.protect(addresses.clone()).map_err(|e| format!("PM_SCAN_WP_MATCHING: {e}"))?;
        }
        Ok(())
    })
    .since(6, 7);
