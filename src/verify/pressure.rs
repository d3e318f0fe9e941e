//! Memory pressure, for real: pages pushed out by `MADV_PAGEOUT`, or by a control group's limit.

use std::io;

use procfs::process::Process;
use reset_strategies::{Session, sys};

use super::state::memories;
use crate::machine::group::{Group, Version};
use crate::workload::host::BlockState;

/// Pushes the pages of a session's memories out, and says how many left. Where there is no swap, pages of a private
/// mapping stay once they are written; those of an image file may go.
///
/// # Errors
/// When the kernel knows no `MADV_PAGEOUT`, which came with Linux 5.4.
pub fn page_out(session: &mut Session<BlockState>) -> io::Result<usize> {
    let memories = memories(session).map_err(io::Error::other)?;
    let store = session.store_mut().map_err(io::Error::other)?;
    let mut left = 0;
    for memory in memories {
        let (start, length) = (memory.data_ptr(&store), memory.data_size(&store));
        if length == 0 {
            continue;
        }
        let before = resident(start, length)?;
        // SAFETY: the range is the memory that the store owns, and reclaiming a page keeps its content.
        let advised = unsafe { libc::madvise(start.cast(), length, libc::MADV_PAGEOUT) };
        if advised != 0 {
            return Err(io::Error::last_os_error());
        }
        left += before.saturating_sub(resident(start, length)?);
    }
    Ok(left)
}

/// Pages of a range that have physical memory.
fn resident(start: *mut u8, length: usize) -> io::Result<usize> {
    let mut pages = vec![0_u8; length.div_ceil(sys::page::size())];
    // SAFETY: mincore(2) writes a byte for each page of the range, as many as there are in the vector.
    if unsafe { libc::mincore(start.cast(), length, pages.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(pages.iter().filter(|&&page| page & 1 == 1).count())
}

/// Whether the machine has swap, and if not, how to come by some.
pub fn swap() -> Result<(), String> {
    match sys::swap::is_on() {
        Ok(true) => Ok(()),
        Ok(false) => Err("this machine has no swap (swapon(8) adds some; a zram device will do)".into()),
        Err(error) => Err(format!("/proc/swaps: {error}")),
    }
}

/// Below such a limit the kernel kills rather than swaps: what cannot leave memory takes up all of it.
const LEAST: u64 = 16 << 20;

/// Whether a process has pages in swap.
pub fn is_swapped(pid: u32) -> bool {
    let process = i32::try_from(pid).ok().and_then(|pid| Process::new(pid).ok());
    process.and_then(|process| process.status().ok()?.vmswap).is_some_and(|kib| kib > 0)
}

/// Makes a control group whose memory can be limited.
///
/// # Errors
/// In words, when there is no swap to fall back on or the machine does not let us.
pub fn group() -> Result<Group, String> {
    swap()?;
    Group::make(Version::in_use()).map_err(|error| format!("{error:#}"))
}

/// Limits a group to half of the most that it has held.
///
/// # Errors
/// In words, when that is too little to live on, or the kernel cannot push so much out.
pub fn squeeze(group: &Group) -> Result<(), String> {
    let peak = group.peak_bytes().ok_or("the kernel does not say how much memory the process held")?;
    if peak / 2 < LEAST {
        return Err("a process so small cannot live on half of its memory".into());
    }
    group.limit(peak / 2).map_err(|error| format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_pages_are_those_that_were_touched() {
        let page = sys::page::size();
        let mut map = memmap2::MmapMut::map_anon(8 * page).unwrap();
        map.advise(memmap2::Advice::NoHugePage).ok();
        assert_eq!(resident(map.as_mut_ptr(), 8 * page).unwrap(), 0);
        map[3 * page] = 1;
        assert_eq!(resident(map.as_mut_ptr(), 8 * page).unwrap(), 1);
    }

    #[test]
    fn without_swap_there_is_no_group_and_a_reason() {
        match swap() {
            Ok(()) => eprintln!("not tested here: this machine has swap"),
            Err(reason) => assert_eq!(group().unwrap_err(), reason),
        }
    }
}
