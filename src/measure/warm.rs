//! Warming the host's backing: touching memory once and giving it back, before anything is timed.
//!
//! The first touch of a page that the hypervisor has not backed yet is up to eight times slower than later
//! ones, and the bill would go to whichever cell runs first. All pages are held until the last one is
//! touched, since freeing them earlier would hand out the same ones again. On bare metal this only costs
//! time.
//!
//! Where free page reporting is on, the host takes freed memory back at once or within seconds: whoever is measured has to
//! take it right after.

use std::fmt;
use std::hint::black_box;
use std::io;
use std::time::Instant;

use memmap2::{Advice, MmapMut, MmapOptions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::machine;

/// Why no memory was warmed.
#[derive(Debug, Error)]
pub enum WarmError {
    #[error("neither /proc/meminfo nor sysinfo says how much memory there is: {0}")]
    Available(#[source] io::Error),
    #[error(
        "cannot map {bytes} bytes to warm them: {source} (RLIMIT_AS, RLIMIT_DATA and vm.overcommit_memory decide)"
    )]
    Map { bytes: u64, source: io::Error },
}

/// What was warmed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct Warmed {
    pub asked_bytes: u64,
    /// What was touched: `asked_bytes` rounded up to whole OS pages, or less if `bound` says so.
    pub bytes: u64,
    /// Time for mapping and touching, without giving back.
    pub time_ns: u64,
    /// Why fewer bytes were touched than asked for.
    pub bound: Option<Bound>,
}

/// What kept the warming below the bytes asked for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// Half of what the machine has available: the other half is for whoever is measured.
    HalfOfAvailable,
    /// Half of what the control groups still allow: beyond their limit a touch is answered by the OOM killer.
    HalfOfCgroup,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Bound::HalfOfAvailable => "half of MemAvailable",
            Bound::HalfOfCgroup => "half of what the control group still allows",
        })
    }
}

/// Touches `bytes` and frees them.
///
/// # Errors
/// If the available memory cannot be read, or the mapping is refused.
pub fn warm(bytes: u64) -> Result<Warmed, WarmError> {
    hold(bytes).map(Held::release)
}

/// Touches `bytes` and keeps them until [`Held::release`] or drop.
///
/// # Errors
/// As for [`warm`].
pub fn hold(bytes: u64) -> Result<Held, WarmError> {
    let available = machine::available_bytes().map_err(WarmError::Available)?;
    let page = procfs::page_size();
    let (allowed, bound) = bounded(bytes, page, available, machine::cgroup_headroom());
    let start = Instant::now();
    let map = touch(allowed, page).map_err(|source| WarmError::Map { bytes: allowed, source })?;
    let time_ns = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    Ok(Held { _map: map, warmed: Warmed { asked_bytes: bytes, bytes: allowed, time_ns, bound } })
}

/// Memory that is warm and still held.
#[derive(Debug)]
pub struct Held {
    /// `None` when there was nothing to touch.
    _map: Option<MmapMut>,
    warmed: Warmed,
}

impl Held {
    /// What is held.
    pub fn warmed(&self) -> Warmed {
        self.warmed
    }

    /// Gives the memory back to the kernel and says what it was.
    pub fn release(self) -> Warmed {
        self.warmed
    }
}

/// The bytes to touch, in whole pages, and what bounded them.
fn bounded(asked: u64, page: u64, available: u64, headroom: Option<u64>) -> (u64, Option<Bound>) {
    let wanted = asked.checked_next_multiple_of(page).unwrap_or(u64::MAX);
    let whole = |bytes: u64| bytes - bytes % page;
    let machine = (whole(available / 2), Bound::HalfOfAvailable);
    let group = headroom.map(|headroom| (whole(headroom / 2), Bound::HalfOfCgroup));
    let (most, bound) = match group {
        Some(group) if group.0 < machine.0 => group,
        _ => machine,
    };
    if wanted <= most { (wanted, None) } else { (most, Some(bound)) }
}

/// Maps `bytes` of private anonymous memory and writes one byte into each page; the kernel zeroes the rest of
/// the page on that fault, so the host has to back it. In huge pages where they are to be had: free page reporting
/// hands back large free blocks only, so that these are what is cold, and small pages can be cut from them.
fn touch(bytes: u64, page: u64) -> io::Result<Option<MmapMut>> {
    if bytes == 0 {
        return Ok(None);
    }
    let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let (length, page) =
        (usize::try_from(bytes).map_err(too_long)?, usize::try_from(page).map_err(too_long)?);
    let mut map = MmapOptions::new().len(length).map_anon()?;
    // A kernel without huge pages says so here, and small ones will do.
    let _without = map.advise(Advice::HugePage);
    for byte in map.iter_mut().step_by(page) {
        *byte = 1;
    }
    // The bytes are seen, so that the writes are not optimised away.
    black_box(&map[..]);
    Ok(Some(map))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::faults::Usage;

    const PAGE: u64 = 4096;

    #[test]
    fn what_fits_is_warmed_in_whole_pages() {
        assert_eq!(bounded(1, PAGE, 1 << 30, None), (PAGE, None));
        assert_eq!(bounded(PAGE, PAGE, 1 << 30, Some(1 << 30)), (PAGE, None));
        assert_eq!(bounded(0, PAGE, 1 << 30, None), (0, None));
        assert_eq!(bounded(1 << 29, PAGE, 1 << 30, None), (1 << 29, None), "exactly half is allowed");
    }

    #[test]
    fn the_nearer_bound_counts_and_is_named() {
        assert_eq!(bounded(1 << 30, PAGE, 1 << 30, None), (1 << 29, Some(Bound::HalfOfAvailable)));
        assert_eq!(bounded(1 << 30, PAGE, 1 << 30, Some(1 << 40)), (1 << 29, Some(Bound::HalfOfAvailable)));
        assert_eq!(bounded(1 << 30, PAGE, 1 << 30, Some(1 << 20)), (1 << 19, Some(Bound::HalfOfCgroup)));
        assert_eq!(
            bounded(u64::MAX, PAGE, 3 * PAGE, None),
            (PAGE, Some(Bound::HalfOfAvailable)),
            "whole pages only"
        );
        assert_eq!(bounded(PAGE, PAGE, 1 << 30, Some(0)), (0, Some(Bound::HalfOfCgroup)));
    }

    #[test]
    fn a_warmed_page_was_really_touched() {
        let before = Usage::thread().expect("allowed");
        let page = procfs::page_size();
        let held = hold(16 * page).expect("sixteen pages");
        let faults = Usage::thread().expect("allowed").delta(&before).minor_faults;
        assert_eq!(held.warmed().bytes, 16 * page);
        assert_eq!(held.warmed().bound, None);
        assert!(held.warmed().time_ns > 0);
        assert!(faults >= 1, "no fault, so nothing was touched");
        assert_eq!(held.release().asked_bytes, 16 * page);
    }

    #[test]
    fn nothing_asked_is_nothing_done() {
        let warmed = warm(0).expect("no memory is always there");
        assert_eq!((warmed.bytes, warmed.bound), (0, None));
    }

    #[test]
    fn errors_name_what_decides() {
        let error = WarmError::Map { bytes: 10, source: io::Error::from_raw_os_error(libc::ENOMEM) };
        assert!(error.to_string().contains("RLIMIT_DATA"), "{error}");
    }
}
