//! Memory pressure, for real: pages pushed out by `MADV_PAGEOUT`, or by a control group's limit.

use std::io;

use procfs::process::Process;
use reset_strategies::{Session, sys};

use super::state::memories;
use crate::machine::group::{Group, Joined, Version};
use crate::workload::host::BlockState;

/// Pushes the pages of a session's memories out, and says how many left. Where there is no swap, pages of a private
/// mapping stay once they are written; those of an image file may go.
///
/// # Errors
/// When the kernel knows no `MADV_PAGEOUT`, which came with Linux 5.4.
pub fn page_out(session: &mut Session<BlockState>) -> io::Result<usize> {
    let ranges = ranges(session)?;
    let before = resident_in(&ranges)?;
    for &(start, length) in &ranges {
        // SAFETY: the range is a memory that the store owns, and reclaiming a page keeps its content.
        let advised = unsafe { libc::madvise(start.cast(), length, libc::MADV_PAGEOUT) };
        if advised != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(before.saturating_sub(resident_in(&ranges)?))
}

/// How often it is tried to push anything out.
const ATTEMPTS: usize = 4;

/// Has the kernel push out what the group of this process holds, and says how many pages of the session's memories left
/// for swap.
///
/// # Errors
/// When the group's files cannot be written.
pub fn squeeze_out(session: &mut Session<BlockState>, group: &Joined) -> io::Result<usize> {
    let ranges = ranges(session)?;
    let before = resident_in(&ranges)?;
    let mut left = 0;
    // Pages that another processor has just brought may be left out once: a few are all that a small block writes.
    for _ in 0..ATTEMPTS {
        group.push_out()?;
        left = before.saturating_sub(resident_in(&ranges)?);
        if left > 0 {
            break;
        }
    }
    // Pages of an image file may go without swap.
    let swapped = group.swapped_bytes().map_or_else(|| is_swapped(std::process::id()), |bytes| bytes > 0);
    Ok(if swapped { left } else { 0 })
}

/// Where the memories of a session that are not empty begin, and how long each is.
fn ranges(session: &mut Session<BlockState>) -> io::Result<Vec<(*mut u8, usize)>> {
    let memories = memories(session).map_err(io::Error::other)?;
    let store = session.store_mut().map_err(io::Error::other)?;
    let ranges = memories.iter().map(|memory| (memory.data_ptr(&store), memory.data_size(&store)));
    Ok(ranges.filter(|(_, length)| *length > 0).collect())
}

fn resident_in(ranges: &[(*mut u8, usize)]) -> io::Result<usize> {
    ranges.iter().map(|&(start, length)| resident(start, length)).sum()
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
fn is_swapped(pid: u32) -> bool {
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

/// Limits a group to half of the most that it has held, or to what every process can live on if that is more: small
/// processes feel the limit when they are [squeezed](squeeze_out) only.
///
/// # Errors
/// In words, when nobody says what it has held, or the kernel cannot push so much out.
pub fn limit(group: &Group) -> Result<(), String> {
    let most = group.most_bytes().map_err(|error| format!("{error:#}"))?;
    group.limit((most / 2).max(LEAST)).map_err(|error| format!("{error:#}"))
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
