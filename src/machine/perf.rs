//! Whether performance counters really count here.
//!
//! perf_event_open(2) may be refused by `kernel.perf_event_paranoid`, by a container's seccomp filter, or
//! because the hypervisor passes no counters through; and some hypervisors let the counter open and keep it
//! at zero. So each probe opens its counter, does work that must be counted, and reads it back.
//!
//! Sources: perf_event_open(2); the kernel's `Documentation/admin-guide/sysctl/kernel.rst` for the levels of
//! `perf_event_paranoid` (levels above 2 exist in Debian's and Android's kernels, and refuse everything).

use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read};
use std::os::fd::FromRawFd;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::{Facts, number};

/// Which counters a process can have on itself, user mode only.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Perf {
    /// `kernel.perf_event_paranoid`: without privileges, 2 allows counting one's own user mode and 3 nothing.
    pub paranoid: Option<i64>,
    /// The hardware counter of retired instructions, which stands for all hardware counters.
    pub instructions: Probe,
    /// The kernel's own counter of page faults, which needs no hardware.
    pub page_faults: Probe,
}

/// The receipt of a mechanism that was tried.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Probe {
    /// It was performed and its effect was seen.
    Works,
    Unavailable {
        reason: String,
    },
}

/// What is counted, by its kind and number in `linux/perf_event.h`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event(u32, u64);

impl Event {
    /// `PERF_TYPE_HARDWARE`, `PERF_COUNT_HW_INSTRUCTIONS`
    pub(crate) const INSTRUCTIONS: Self = Self(0, 1);
    /// `PERF_TYPE_HARDWARE`, `PERF_COUNT_HW_CPU_CYCLES`
    pub(crate) const CYCLES: Self = Self(0, 0);
    /// `PERF_TYPE_HW_CACHE`: `DTLB`, `OP_READ`, `RESULT_MISS`
    pub(crate) const DATA_TLB_LOAD_MISSES: Self = Self(3, 3 | 1 << 16);
    /// `PERF_TYPE_SOFTWARE`, `PERF_COUNT_SW_PAGE_FAULTS`
    const PAGE_FAULTS: Self = Self(1, 2);
}

impl Perf {
    /// Reads the switch and judges what the probes counted.
    pub(crate) fn read(facts: &mut Facts, tried: Tried) -> Self {
        let paranoid = facts.read("perf.paranoid", "/proc/sys/kernel/perf_event_paranoid", number);
        let probe = |outcome: io::Result<u64>| judge(outcome, paranoid);
        Self { paranoid, instructions: probe(tried.instructions), page_faults: probe(tried.page_faults) }
    }
}

/// Counts that the probes read, before they are judged.
pub(crate) struct Tried {
    pub instructions: io::Result<u64>,
    pub page_faults: io::Result<u64>,
}

impl Tried {
    /// Performs both probes on this thread; takes well below a millisecond.
    pub(crate) fn now() -> Self {
        Self {
            instructions: count(Event::INSTRUCTIONS, || (0..10_000u64).fold(0, |sum, n| black_box(sum ^ n))),
            page_faults: count(Event::PAGE_FAULTS, touch_a_new_page),
        }
    }
}

/// The first write to a fresh anonymous mapping is one page fault.
fn touch_a_new_page() -> u64 {
    match memmap2::MmapMut::map_anon(1) {
        Ok(mut page) => {
            black_box(&mut page)[0] = 1;
            u64::from(black_box(&page)[0])
        }
        Err(_) => 0,
    }
}

/// A count of zero is a counter that does not count; an error is explained as far as it can be.
fn judge(outcome: io::Result<u64>, paranoid: Option<i64>) -> Probe {
    let reason = match outcome {
        Ok(0) => "perf_event_open: the counter opens but stays at zero".to_owned(),
        Ok(_) => return Probe::Works,
        Err(error) => match error.raw_os_error() {
            Some(libc::EACCES | libc::EPERM) => match paranoid {
                Some(level) if level > 2 => {
                    let switch = "kernel.perf_event_paranoid";
                    format!("perf_event_open: {error}; {switch} is {level}: `sysctl {switch}=2` allows it")
                }
                _ => format!("perf_event_open: {error}; a seccomp filter or security module forbids it"),
            },
            Some(libc::ENOENT | libc::EOPNOTSUPP | libc::ENODEV) => {
                format!("perf_event_open: {error}; neither the CPU nor the hypervisor offers this counter")
            }
            Some(libc::ENOSYS) => {
                format!("perf_event_open: {error}; the kernel is built without it or a filter hides it")
            }
            _ => format!("perf_event_open: {error}"),
        },
    };
    Probe::Unavailable { reason }
}

/// Counts `event` in user mode on this thread while `work` runs.
///
/// # Errors
/// The system's error if the counter cannot be opened or read.
fn count(event: Event, work: impl FnOnce() -> u64) -> io::Result<u64> {
    let mut counter = Counter::open(event)?;
    black_box(work());
    counter.read()
}

/// `struct perf_event_attr` in its first published size, which every kernel accepts; libc does not wrap it.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    config1: u64,
}

/// `PERF_ATTR_SIZE_VER0`
const ATTRIBUTES_SIZE: u32 = 64;
const _: () = assert!(size_of::<Attributes>() == ATTRIBUTES_SIZE as usize);

/// A counter of the thread that opened it, user mode only.
#[derive(Debug)]
pub(crate) struct Counter(File);

impl Counter {
    /// Opens a counter for this thread on any CPU, which counts already.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn open(Event(kind, config): Event) -> io::Result<Self> {
        /// `exclude_kernel` and `exclude_hv`, bits 5 and 6: what level 2 of the switch allows to everyone.
        const USER_MODE_ONLY: u64 = 1 << 5 | 1 << 6;
        const THIS_THREAD: libc::c_long = 0;
        const NONE: libc::c_long = -1;
        const CLOSE_ON_EXEC: libc::c_long = 1 << 3;
        let mut attributes = Attributes {
            kind,
            size: ATTRIBUTES_SIZE,
            config,
            flags: USER_MODE_ONLY,
            ..Attributes::default()
        };
        let (attributes, any_cpu, no_group) = (&raw mut attributes, NONE, NONE);
        // SAFETY: `attributes` points to an initialised, mutable `perf_event_attr` that outlives the call and
        // whose size field is its true size; the kernel reads it and may write that field. The other arguments
        // are plain numbers.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_perf_event_open,
                attributes,
                THIS_THREAD,
                any_cpu,
                no_group,
                CLOSE_ON_EXEC,
            )
        };
        match i32::try_from(fd) {
            // SAFETY: the call just returned this descriptor, so it is open and nothing else owns it.
            Ok(fd) if fd >= 0 => Ok(Self(unsafe { File::from_raw_fd(fd) })),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The count so far.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn read(&mut self) -> io::Result<u64> {
        let mut value = [0; 8];
        self.0.read_exact(&mut value)?;
        Ok(u64::from_ne_bytes(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_works_only_if_it_counts_and_refusals_name_what_is_to_blame() {
        assert_eq!(judge(Ok(1), None), Probe::Works);
        for (outcome, paranoid, blamed) in [
            (Ok(0), None, "stays at zero"),
            (Err(libc::EACCES), Some(3), "sysctl kernel.perf_event_paranoid=2"),
            (Err(libc::EACCES), Some(2), "seccomp"),
            (Err(libc::ENOENT), Some(0), "hypervisor"),
            (Err(libc::EMFILE), None, "Too many open files"),
        ] {
            let judged = judge(outcome.map_err(io::Error::from_raw_os_error), paranoid);
            let Probe::Unavailable { reason } = judged else { panic!("{blamed}: {judged:?}") };
            assert!(reason.contains(blamed), "{reason}");
        }
    }

    #[test]
    fn a_counter_that_opens_counts_what_was_done() {
        // Where a counter is refused there is nothing to check but the words; both outcomes are right
        // somewhere.
        let tried = Tried::now();
        if let Ok(faults) = tried.page_faults {
            assert!(faults >= 1, "a first touch is a fault, but {faults} were counted");
        } else {
            println!("not checked here: {:?}", judge(tried.page_faults, None));
        }
        if let Ok(instructions @ 1..) = tried.instructions {
            assert!(instructions >= 10_000, "10,000 turns took {instructions} instructions");
        } else {
            println!("not checked here: {:?}", judge(tried.instructions, None));
        }
    }

    #[test]
    fn a_probe_is_tagged_in_json() {
        let json = serde_json::to_string(&Probe::Unavailable { reason: "x".to_owned() }).expect("plain data");
        assert_eq!(json, r#"{"state":"unavailable","reason":"x"}"#);
        assert_eq!(serde_json::to_string(&Probe::Works).expect("plain data"), r#"{"state":"works"}"#);
    }
}
