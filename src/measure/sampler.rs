//! The memory of another process, seen from outside.
//!
//! A thread reads `/proc/PID/statm` at a fixed interval. That file is the cheapest there is: two counters, no
//! walk over page tables and no lock on the address space, so that the sampled process is not held up in its
//! faults. The file is opened once and read with pread(2) into a buffer on the stack.
//!
//! RSS is kept in one counter per CPU, and many kernels print it in `statm` and `status` without adding up
//! what the CPUs still hold back: proc_pid_statm(5) calls it inaccurate, and the error of some dozens of
//! pages per CPU does not grow with the process. Hence one exact reading at the end, of
//! `/proc/PID/smaps_rollup`, which walks the page tables under the address space's lock and costs
//! accordingly.
//!
//! Peaks between two samples are not lost: writing "5" to `/proc/PID/clear_refs` (Linux 4.0 and later) sets
//! the high water mark `VmHWM` of `/proc/PID/status` back to the present, and it is read at the end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use procfs::ProcError;
use procfs::process::{ClearRefs, MMapPath, MemoryMap, MemoryMaps, Process};

use crate::machine::{clock, kib};

/// One reading of the resident set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Nanoseconds since the first sample.
    pub at_ns: u64,
    pub rss_bytes: u64,
}

/// Everything that was seen of one process.
#[derive(Clone, Debug)]
pub struct Samples {
    /// In order of time; the first is taken by `start` and, unless the process ends before, the last by
    /// `stop`.
    pub series: Vec<Sample>,
    /// What is read once, at the end, by its metric: as far as the kernel told it, in bytes.
    pub once: Vec<(&'static str, u64)>,
    /// CPU time of the sampling thread (CLOCK_THREAD_CPUTIME_ID). A reading takes one or two microseconds; being
    /// woken for it costs more than that, on a virtual machine ten times as much.
    pub cpu_ns: u64,
}

/// Files that are read once, and the metrics of their keys.
const ONCE: [(&str, &[(&str, &str)]); 2] = [
    (
        "status",
        &[
            // The largest resident set between start and stop, also between samples.
            (PEAK, "VmHWM"),
            ("page_tables", "VmPTE"),
        ],
    ),
    (
        // Linux 4.14 and later.
        "smaps_rollup",
        &[
            // Shared pages count by their share.
            ("pss", "Pss"),
            // Pages that belong to no file.
            ("anonymous", "Anonymous"),
            // The proportional part of pages that belong to files (Linux 5.9 and later).
            ("file", "Pss_File"),
            // The same of shared memory, which is where memfd images are counted.
            ("shared_memory", "Pss_Shmem"),
        ],
    ),
];

const PEAK: &str = "peak_rss";

/// A running sampler. Dropping it ends the thread and forgets the samples.
#[derive(Debug)]
pub struct Sampler {
    watched: Watched,
    /// Whether the high water mark was set back; otherwise it holds what came before, and is no peak of ours.
    fresh_peak: bool,
    /// The thread goes on until this is dropped.
    going: Sender<()>,
    thread: JoinHandle<(Vec<Sample>, u64)>,
}

impl Sampler {
    /// Begins to sample process `pid` every `interval`; the first sample is taken before this returns.
    ///
    /// # Errors
    /// If the process is not there, has ended, or its `statm` cannot be read; if no thread can be started. A high water
    /// mark that cannot be set back is not an error: the peak will be absent.
    pub fn start(pid: u32, interval: Duration) -> Result<Self, String> {
        let watched = Watched::new(pid)?;
        let statm = watched.open("statm")?;
        let fresh_peak = watched.forget_peak().is_ok();
        let origin = Instant::now();
        let rss_bytes = resident_now(&statm).map_err(|error| watched.failed("statm", error))?;
        let first = Sample { at_ns: 0, rss_bytes };
        let (going, stopped) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("rss-sampler".to_owned())
            .spawn(move || sample(&statm, first, origin, interval, &stopped))
            .map_err(|error| format!("cannot start the thread that samples {}: {error}", watched.dir))?;
        Ok(Self { watched, fresh_peak, going, thread })
    }

    /// Takes a last sample, ends the thread, and reads what is read once. Call it while the process is still there, or
    /// that is absent.
    pub fn stop(self) -> Samples {
        let Self { watched, fresh_peak, going, thread } = self;
        drop(going);
        let (series, cpu_ns) = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        let mut once = Vec::new();
        for (file, keys) in ONCE {
            let text = watched.text(file).unwrap_or_default();
            once.extend(keys.iter().filter_map(|&(metric, key)| Some((metric, kib(&text, key)?))));
        }
        once.retain(|(metric, _)| fresh_peak || *metric != PEAK);
        Samples { series, once, cpu_ns }
    }
}

/// The exact resident set of a process that stands still meanwhile, in bytes (`smaps_rollup`): right to the page, which
/// a series over blocks needs and the counters of `statm` are not.
///
/// # Errors
/// When the process is gone or the kernel does not say (before Linux 4.14), in words with the file's name.
pub fn resident(pid: u32) -> Result<u64, String> {
    Watched::new(pid)?.bytes("smaps_rollup", "Rss")
}

/// How much of [`resident`] shows files as they are: code of the program and of its libraries, not what was written over them
/// (`smaps`), in bytes.
///
/// The kernel maps such pages in groups as its page cache happens to hold them, so that two runs of one program differ by
/// hundreds of KiB; none of it belongs to a strategy. An image in a memfd is memory, and no file.
///
/// # Errors
/// As [`resident`].
pub fn of_files(pid: u32) -> Result<u64, String> {
    let watched = Watched::new(pid)?;
    let failed = |error| watched.failed("smaps", plain(error));
    watched.process.smaps().map(|maps| shown(&maps)).map_err(failed)
}

/// The bytes of files that mappings show.
fn shown(maps: &MemoryMaps) -> u64 {
    // What has no name in a file system: memfd_create(2), and shared memory without a file.
    let is_memory = |path: &Path| {
        path.starts_with("/dev/zero") || path.as_os_str().as_encoded_bytes().starts_with(b"/memfd:")
    };
    let is_file = |map: &&MemoryMap| matches!(&map.pathname, MMapPath::Path(path) if !is_memory(path));
    let shown = |map: &MemoryMap| {
        let bytes = |key| map.extension.map.get(key).copied().unwrap_or(0);
        bytes("Rss").saturating_sub(bytes("Anonymous"))
    };
    maps.iter().filter(is_file).map(shown).sum()
}

/// Sets the high-water mark of a process's resident set back to the present.
///
/// # Errors
/// As [`resident`], and before Linux 4.0.
pub fn forget_peak(pid: u32) -> Result<(), String> {
    Watched::new(pid)?.forget_peak()
}

/// The most that a process had resident since [`forget_peak`], in bytes.
///
/// # Errors
/// As [`resident`].
pub fn peak(pid: u32) -> Result<u64, String> {
    Watched::new(pid)?.bytes("status", "VmHWM")
}

/// A process, held by an open directory handle, so that a later one under the same number is not mistaken for it; only
/// `clear_refs` is opened by path.
#[derive(Debug)]
struct Watched {
    process: Process,
    /// `/proc/PID`, for messages.
    dir: String,
}

impl Watched {
    fn new(pid: u32) -> Result<Self, String> {
        let dir = format!("/proc/{pid}");
        let process = Process::new_with_root(dir.clone().into());
        process.map_err(|error| format!("{dir}: {}", plain(error))).map(|process| Self { process, dir })
    }

    fn failed(&self, name: &str, error: io::Error) -> String {
        format!("{}/{name}: {error}", self.dir)
    }

    fn open(&self, name: &str) -> Result<File, String> {
        self.process.open_relative(name).map_err(|error| self.failed(name, plain(error)))
    }

    fn text(&self, name: &str) -> Result<String, String> {
        io::read_to_string(self.open(name)?).map_err(|error| self.failed(name, error))
    }

    /// The value of a key of a file.
    fn bytes(&self, name: &str, key: &str) -> Result<u64, String> {
        kib(&self.text(name)?, key)
            .ok_or_else(|| format!("{}/{name} has no {key}: the process has ended", self.dir))
    }

    fn forget_peak(&self) -> Result<(), String> {
        let forgotten = self.process.clear_refs(ClearRefs::PeakRSS);
        forgotten.map_err(|error| self.failed("clear_refs", plain(error)))
    }
}

/// The thread: sleep until the next tick, read, until told to stop or nothing is left to read. Returns the samples and the
/// CPU time in nanoseconds.
fn sample(
    statm: &File,
    first: Sample,
    origin: Instant,
    interval: Duration,
    stopped: &Receiver<()>,
) -> (Vec<Sample>, u64) {
    let before = clock::thread_cpu_ns();
    // Room for a minute at ten milliseconds. The list grows in this process, not in the sampled one.
    let mut samples = Vec::with_capacity(6000);
    samples.push(first);
    let mut due = interval;
    loop {
        let told = stopped.recv_timeout(due.saturating_sub(origin.elapsed()));
        let at = origin.elapsed();
        let Ok(rss_bytes) = resident_now(statm) else { break };
        samples.push(Sample { at_ns: u64::try_from(at.as_nanos()).unwrap_or(u64::MAX), rss_bytes });
        if told != Err(RecvTimeoutError::Timeout) {
            break;
        }
        due = next_tick(due, at, interval);
    }
    (samples, clock::thread_cpu_ns().saturating_sub(before))
}

/// The first tick after `now` on the grid of `due`. Ticks that passed meanwhile are not made up for.
fn next_tick(due: Duration, now: Duration, interval: Duration) -> Duration {
    let late = now.saturating_sub(due).as_nanos() / interval.as_nanos().max(1);
    let skipped = u32::try_from(late).unwrap_or(u32::MAX);
    due.saturating_add(interval.saturating_mul(skipped)).saturating_add(interval)
}

/// The resident bytes by `statm`, which is read from its beginning. Allocates nothing unless something is wrong.
fn resident_now(statm: &File) -> io::Result<u64> {
    let mut buffer = [0; 128];
    let length = loop {
        match statm.read_at(&mut buffer, 0) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    resident_pages(&buffer[..length]).map(|pages| pages.saturating_mul(procfs::page_size()))
}

/// The second number of `statm`; the first is the pages of address space.
fn resident_pages(statm: &[u8]) -> io::Result<u64> {
    let text = str::from_utf8(statm).unwrap_or("not text");
    let mut numbers = text.split_ascii_whitespace().map_while(|word| word.parse().ok());
    match (numbers.next(), numbers.next()) {
        // A zombie has no address space any more. RSS alone may be zero by the counters' error.
        (Some(0), Some(_)) => Err(io::Error::other("the process has ended and holds no memory")),
        (Some(_), Some(resident)) => Ok(resident),
        _ => Err(io::Error::other(format!("not two numbers: `{}`", text.trim()))),
    }
}

/// The I/O error within procfs's, whose own text repeats the path in a form for programmers.
fn plain(error: ProcError) -> io::Error {
    match error {
        ProcError::PermissionDenied(_) => io::ErrorKind::PermissionDenied.into(),
        ProcError::NotFound(_) => io::ErrorKind::NotFound.into(),
        ProcError::Io(error, _) => error,
        other => io::Error::other(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
