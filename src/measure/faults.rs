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

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Counts since the process or thread began, or between two readings.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct Usage {
    pub minor_faults: u64,
    pub major_faults: u64,
    /// The thread gave the CPU away, usually to wait.
    pub voluntary_switches: u64,
    /// The CPU was taken from the thread: another one ran in its place.
    pub involuntary_switches: u64,
    /// CPU time in user mode, in nanoseconds; the kernel keeps microseconds.
    pub user_ns: u64,
    /// CPU time in the kernel, in nanoseconds: this is where faults are paid.
    pub system_ns: u64,
}

impl Usage {
    /// The whole process: all threads, also those that have ended.
    ///
    /// # Errors
    /// Only if the kernel refuses getrusage, which a seccomp filter may make it do.
    pub fn process() -> io::Result<Self> {
        Self::of(libc::RUSAGE_SELF)
    }

    /// The calling thread alone (`RUSAGE_THREAD`, Linux 2.6.26 and later): other threads do not disturb it.
    ///
    /// # Errors
    /// As for [`Usage::process`].
    pub fn thread() -> io::Result<Self> {
        Self::of(libc::RUSAGE_THREAD)
    }

    /// What was added since `before`, which must be an earlier reading of the same process or thread: counts
    /// never fall, so a reading of something else gives zeros rather than nonsense near 2^64.
    pub fn delta(&self, before: &Usage) -> Usage {
        Usage {
            minor_faults: self.minor_faults.saturating_sub(before.minor_faults),
            major_faults: self.major_faults.saturating_sub(before.major_faults),
            voluntary_switches: self.voluntary_switches.saturating_sub(before.voluntary_switches),
            involuntary_switches: self.involuntary_switches.saturating_sub(before.involuntary_switches),
            user_ns: self.user_ns.saturating_sub(before.user_ns),
            system_ns: self.system_ns.saturating_sub(before.system_ns),
        }
    }

    fn of(who: libc::c_int) -> io::Result<Self> {
        let usage = getrusage(who)?;
        let count = |value: libc::c_long| u64::try_from(value).unwrap_or(0);
        let time = |time: libc::timeval| {
            let micros = count(time.tv_sec).saturating_mul(1_000_000).saturating_add(count(time.tv_usec));
            micros.saturating_mul(1000)
        };
        Ok(Self {
            minor_faults: count(usage.ru_minflt),
            major_faults: count(usage.ru_majflt),
            voluntary_switches: count(usage.ru_nvcsw),
            involuntary_switches: count(usage.ru_nivcsw),
            user_ns: time(usage.ru_utime),
            system_ns: time(usage.ru_stime),
        })
    }
}

fn getrusage(who: libc::c_int) -> io::Result<libc::rusage> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a whole `rusage` that lives through the call, which only writes to it.
    let outcome = unsafe { libc::getrusage(who, usage.as_mut_ptr()) };
    if outcome != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it began as zeros, which is a valid `rusage` of plain integers, whatever the call filled in.
    Ok(unsafe { usage.assume_init() })
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    /// Writes one byte into each page of a fresh mapping.
    fn touch(pages: usize) -> memmap2::MmapMut {
        let page = procfs::page_size() as usize;
        let mut map = memmap2::MmapMut::map_anon(pages * page).expect("a small mapping");
        // One fault per page, whatever the machine's huge pages are set to.
        map.advise(memmap2::Advice::NoHugePage).ok();
        for byte in map.iter_mut().step_by(page) {
            *byte = 1;
        }
        black_box(map)
    }

    #[test]
    fn first_touches_are_minor_faults_of_this_thread_and_process() {
        // Fewer faults than pages are possible only where the kernel brings several at once (multi-size THP),
        // against which the advice above is given.
        const PAGES: usize = 256;
        let (process, thread) = (Usage::process().expect("allowed"), Usage::thread().expect("allowed"));
        let map = touch(PAGES);
        let in_thread = Usage::thread().expect("allowed").delta(&thread);
        let in_process = Usage::process().expect("allowed").delta(&process);
        drop(map);
        assert!(in_thread.minor_faults >= PAGES as u64, "{in_thread:?}");
        assert!(in_process.minor_faults >= in_thread.minor_faults, "{in_process:?} {in_thread:?}");
    }

    #[test]
    fn another_threads_faults_are_not_this_threads() {
        let process = Usage::process().expect("allowed");
        let thread = Usage::thread().expect("allowed");
        std::thread::spawn(|| drop(touch(4096))).join().expect("the thread ends well");
        let in_thread = Usage::thread().expect("allowed").delta(&thread);
        let in_process = Usage::process().expect("allowed").delta(&process);
        assert!(in_process.minor_faults >= 4096, "{in_process:?}");
        assert!(in_thread.minor_faults < 1024, "{in_thread:?}");
    }

    #[test]
    fn waiting_is_a_voluntary_switch() {
        let before = Usage::thread().expect("allowed");
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert!(Usage::thread().expect("allowed").delta(&before).voluntary_switches >= 1);
    }

    #[test]
    fn a_delta_is_field_by_field_and_never_wraps() {
        let before = Usage { minor_faults: 5, major_faults: 1, voluntary_switches: 9, ..Usage::default() };
        let after = Usage {
            minor_faults: 12,
            major_faults: 1,
            voluntary_switches: 4,
            system_ns: 7,
            ..Usage::default()
        };
        let delta = after.delta(&before);
        assert_eq!(delta, Usage { minor_faults: 7, system_ns: 7, ..Usage::default() });
    }
}
