//! Swap: a page that was swapped out is not present and keeps its content, so that whoever looks for present pages only
//! overlooks it.

use std::io;

use super::memory::Memory;
use super::page::{self, Scratch};
use super::pagemap::{self, Pagemap};
use super::{Mechanism, checked};

/// Whether the machine has swap now. It may be switched on and off at any time.
///
/// What is mounted over `/proc/swaps` hides nothing from sysinfo(2).
///
/// # Errors
/// When the system call is refused.
pub fn is_on() -> io::Result<bool> {
    Ok(Memory::read()?.swap_bytes > 0)
}

/// Whether a page of this process leaves memory when that is asked for (`MADV_PAGEOUT` of madvise(2), Linux 5.4), which
/// no host can hide: it is looked up in pagemap.
///
/// # Errors
/// The reason why it cannot be tried.
pub fn takes_a_page() -> Result<bool, String> {
    let scratch = Scratch::pages(1)?;
    scratch.write(0, 7);
    let (start, len) = (scratch.map.as_ptr().addr(), page::size());
    // SAFETY: the page is the whole of a mapping that `scratch` owns, and keeps its content.
    checked(unsafe { libc::madvise(scratch.map.as_mut_ptr().cast(), len, libc::MADV_PAGEOUT) })
        .map_err(|e| format!("MADV_PAGEOUT: {e}; it came with Linux 5.4"))?;
    let mut entries = Vec::new();
    Pagemap::open()
        .and_then(|map| map.read(start..start + len, &mut entries))
        .map_err(|e| format!("/proc/self/pagemap: {e}"))?;
    Ok(pagemap::flags(&entries).any(|flag| flag & pagemap::SWAPPED != 0))
}

/// A machine without swap, for what overlooks swapped-out pages.
pub static ABSENT: Mechanism =
    Mechanism::new("no swap", "no page leaves memory and keeps its content", || match is_on() {
        // Where it cannot be tried, nothing speaks against what the kernel says.
        Ok(false) if takes_a_page() == Ok(true) => {
            Err("the kernel says that there is no swap, and has swapped a page out when it was asked to"
                .into())
        }
        Ok(false) => Ok(()),
        Ok(true) => Err("pages that are swapped out would be overlooked; `swapoff -a` ends all swap".into()),
        Err(error) => Err(format!("sysinfo: {error}")),
    });
