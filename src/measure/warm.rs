//! Warming the host's backing: touching memory once and giving it back, before anything is timed.
//!
//! The first touch of a page that the hypervisor has not backed yet is up to eight times slower than later
//! ones, and the bill would go to whichever cell runs first. All pages are held until the last one is
//! touched, since freeing them earlier would hand out the same ones again. On bare metal this only costs
//! time.
//!
//! Where free page reporting is on, the host takes freed memory back at once or within seconds: whoever is measured has to
//! take it right after.

use std::hint::black_box;
use std::io;

use anyhow::{Context, Result};
use memmap2::{Advice, MmapOptions};

use crate::machine;

/// Touches `bytes`, in whole pages, and frees them. Returns how many were touched: fewer than asked for where half of what
/// the machine has available, or half of what the control groups still allow, is less. The other half is for whoever is
/// measured, and beyond the groups' limit a touch is answered by the OOM killer.
///
/// # Errors
/// If the available memory cannot be read, or the mapping is refused.
pub fn warm(bytes: u64) -> Result<u64> {
    let available = machine::available_bytes()
        .context("neither /proc/meminfo nor sysinfo says how much memory there is")?;
    let page = procfs::page_size();
    let allowed = bounded(bytes, page, available, machine::cgroup_headroom());
    touch(allowed, page).with_context(|| {
        format!(
            "cannot map {allowed} bytes to warm them (RLIMIT_AS, RLIMIT_DATA and vm.overcommit_memory decide)"
        )
    })?;
    Ok(allowed)
}

/// The bytes to touch, in whole pages.
fn bounded(asked: u64, page: u64, available: u64, headroom: Option<u64>) -> u64 {
    let half = available.min(headroom.unwrap_or(u64::MAX)) / 2;
    asked.checked_next_multiple_of(page).unwrap_or(u64::MAX).min(half - half % page)
}

/// Maps `bytes` of private anonymous memory and writes one byte into each page; the kernel zeroes the rest of
/// the page on that fault, so the host has to back it. In huge pages where they are to be had: free page reporting
/// hands back large free blocks only, so that these are what is cold, and small pages can be cut from them.
fn touch(bytes: u64, page: u64) -> io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    let mut map = MmapOptions::new().len(bytes as usize).map_anon()?;
    // A kernel without huge pages says so here, and small ones will do.
    let _without = map.advise(Advice::HugePage);
    map.iter_mut().step_by(page as usize).for_each(|byte| *byte = 1);
    // The bytes are seen, so that the writes are not optimised away.
    black_box(&map[..]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::faults::Usage;

    const PAGE: u64 = 4096;

    #[test]
    fn what_fits_is_warmed_in_whole_pages_and_the_nearer_bound_counts() {
        const GIB: u64 = 1 << 30;
        for (asked, available, headroom, allowed) in [
            (1, GIB, None, PAGE),
            (PAGE, GIB, Some(GIB), PAGE),
            (0, GIB, None, 0),
            (GIB / 2, GIB, None, GIB / 2),
            (GIB, GIB, None, GIB / 2),
            (GIB, GIB, Some(1 << 40), GIB / 2),
            (GIB, GIB, Some(1 << 20), 1 << 19),
            (u64::MAX, 3 * PAGE, None, PAGE),
            (PAGE, GIB, Some(0), 0),
        ] {
            assert_eq!(
                bounded(asked, PAGE, available, headroom),
                allowed,
                "{asked} of {available}, {headroom:?}"
            );
        }
    }

    #[test]
    fn a_warmed_page_was_really_touched() {
        let before = Usage::thread().expect("allowed");
        let page = procfs::page_size();
        assert_eq!(warm(16 * page).expect("sixteen pages"), 16 * page);
        let faults = Usage::thread().expect("allowed").delta(&before).minor_faults;
        assert!(faults >= 1, "no fault, so nothing was touched");
        assert_eq!(warm(0).expect("no memory is always there"), 0);
    }
}
