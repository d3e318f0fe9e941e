//! Whether this is still the process that something began in.
//!
//! A forked child has a copy of the memory, and descriptors of the parent's: an open `/proc/self/pagemap` shows the
//! parent's pages, a userfaultfd watches them, and threads stay behind. Asking the kernel for the process's number takes
//! longer than some resets; a page that a fork wipes (`MADV_WIPEONFORK` of madvise(2), Linux 4.14) is a load.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use memmap2::MmapRaw;

use super::{checked, page};

/// The process in which it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Home(u32);

impl Home {
    /// This process.
    pub(crate) fn here() -> Self {
        static PAGE: OnceLock<Option<MmapRaw>> = OnceLock::new();
        let Some(page) = PAGE.get_or_init(wiped_by_a_fork) else { return Self(std::process::id()) };
        // SAFETY: the page is mapped, readable and writable as long as the process lives, begins with a whole aligned
        // number, and is reached in this way only.
        let number = unsafe { AtomicU32::from_ptr(page.as_mut_ptr().cast()) };
        match number.load(Ordering::Relaxed) {
            // New, or wiped. Threads that are here at once write the same.
            0 => {
                let id = std::process::id();
                number.store(id, Ordering::Relaxed);
                Self(id)
            }
            id => Self(id),
        }
    }

    /// Whether this is still that process, and no child that was forked from it.
    pub(crate) fn is_here(self) -> bool {
        self == Self::here()
    }
}

/// A page of zeros that a child finds as such; none where the kernel does not wipe.
fn wiped_by_a_fork() -> Option<MmapRaw> {
    let page = page::reserve(page::size()).ok()?;
    // SAFETY: the mapping is our own, and the advice is about children.
    checked(unsafe { libc::madvise(page.as_mut_ptr().cast(), page.len(), libc::MADV_WIPEONFORK) }).ok()?;
    Some(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forked_child_is_not_at_home() {
        let home = Home::here();
        assert!(home.is_here());
        // SAFETY: the child reads memory, asks for its number, and ends without running anything else.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let own = Home::here();
            let code = i32::from(home.is_here() || !own.is_here());
            // SAFETY: ends the child.
            unsafe { libc::_exit(code) }
        }
        let mut status = 0;
        // SAFETY: the kernel writes one integer, which outlives the call.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "{status:#x}");
        assert!(home.is_here());
    }
}
