//! Page faults and context switches, from getrusage(2).
//!
//! `ru_minflt` counts faults that were served without reading from a device, `ru_majflt` the others; the
//! kernel counts in `mm_account_fault`, once per completed fault and not once per page: with huge pages, and
//! around a fault on a file mapping, one fault brings many pages. A write-protected page that is written to
//! is a minor fault too, and so is each one that a tracker causes. `ru_nvcsw` counts switches because the
//! thread waited, `ru_nivcsw` those because the scheduler took the CPU away.
//!
//! A reading is a system call of a fraction of a microsecond: it belongs into the counters' pass, not the
//! timing's.

use std::io;

use nix::sys::resource::{UsageWho, getrusage};

/// Counts since the thread began, or between two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub minor_faults: u64,
    pub major_faults: u64,
    /// The thread gave the CPU away, usually to wait.
    pub voluntary_switches: u64,
    /// The CPU was taken from the thread: another one ran in its place.
    pub involuntary_switches: u64,
}

impl Usage {
    /// The calling thread alone (`RUSAGE_THREAD`, Linux 2.6.26 and later): other threads do not disturb it.
    ///
    /// # Errors
    /// Only if the kernel refuses getrusage, which a seccomp filter may make it do.
    pub fn thread() -> io::Result<Self> {
        let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
        let count = |value| u64::try_from(value).unwrap_or(0);
        Ok(Self {
            minor_faults: count(usage.minor_page_faults()),
            major_faults: count(usage.major_page_faults()),
            voluntary_switches: count(usage.voluntary_context_switches()),
            involuntary_switches: count(usage.involuntary_context_switches()),
        })
    }

    /// What was added since `before`, which must be an earlier reading of the same thread: counts never fall, so a
    /// reading of something else gives zeros rather than nonsense near 2^64.
    pub fn delta(&self, before: &Usage) -> Usage {
        Usage {
            minor_faults: self.minor_faults.saturating_sub(before.minor_faults),
            major_faults: self.major_faults.saturating_sub(before.major_faults),
            voluntary_switches: self.voluntary_switches.saturating_sub(before.voluntary_switches),
            involuntary_switches: self.involuntary_switches.saturating_sub(before.involuntary_switches),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    /// Writes one byte into each page of a fresh mapping.
    fn touch(pages: usize) {
        let page = procfs::page_size() as usize;
        let mut map = memmap2::MmapMut::map_anon(pages * page).expect("a small mapping");
        // One fault per page, whatever the machine's huge pages are set to. Fewer are possible only where the kernel
        // brings several at once (multi-size THP), against which the advice is given.
        map.advise(memmap2::Advice::NoHugePage).ok();
        map.iter_mut().step_by(page).for_each(|byte| *byte = 1);
        black_box(map);
    }

    fn added(work: impl FnOnce()) -> Usage {
        let before = Usage::thread().expect("allowed");
        work();
        Usage::thread().expect("allowed").delta(&before)
    }

    #[test]
    fn what_a_thread_does_is_counted_and_what_others_do_is_not() {
        let own = added(|| touch(256));
        assert!(own.minor_faults >= 256, "{own:?}");
        let other =
            added(|| std::thread::spawn(|| touch(4096)).join().expect("the thread ends well")).minor_faults;
        assert!(other < 1024, "{other}");
        assert!(added(|| std::thread::sleep(std::time::Duration::from_millis(1))).voluntary_switches >= 1);
    }

    #[test]
    fn a_delta_is_field_by_field_and_never_wraps() {
        let of = |[minor_faults, major_faults, voluntary_switches, involuntary_switches]: [u64; 4]| Usage {
            minor_faults,
            major_faults,
            voluntary_switches,
            involuntary_switches,
        };
        assert_eq!(of([12, 1, 4, 7]).delta(&of([5, 1, 9, 0])), of([7, 0, 0, 7]));
    }
}
