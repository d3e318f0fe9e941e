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
//!
//! The process is held by an open directory handle and open files, so a later process under the same number
//! is not mistaken for it; only `clear_refs` is opened by path, at the start.

mod reading;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use procfs::process::{ClearRefs, Process};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::machine::kib;
use reading::{Reading, read, rollup};

pub use reading::Rollup;

/// Why a process could not be sampled. What goes wrong later is told in [`Samples`].
#[derive(Debug, Error)]
pub enum SampleError {
    #[error("{file}: {source}")]
    Read { file: String, source: io::Error },
    #[error("{file} is not two numbers: `{text}`")]
    Odd { file: String, text: String },
    #[error("{file}: the process has ended and holds no memory")]
    Gone { file: String },
    #[error("the interval between two samples of {file} must not be zero")]
    Interval { file: String },
    #[error("cannot start the thread that samples {file}: {source}")]
    Thread { file: String, source: io::Error },
    #[error("the thread that samples {file} panicked")]
    Panicked { file: String },
}

/// One reading of the resident set.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct Sample {
    /// Nanoseconds since [`Samples::started_ns`].
    pub at_ns: u64,
    pub rss_bytes: u64,
}

/// Everything that was seen of one process.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Samples {
    /// When sampling began, on CLOCK_MONOTONIC, which is the same for all processes: another process's time
    /// stamps on that clock can be laid over the series.
    pub started_ns: u64,
    pub interval_ns: u64,
    /// In order of time; the first is taken by `start` and, unless the process ends before, the last by
    /// `stop`.
    pub series: Vec<Sample>,
    /// Ticks that passed without a sample because the sampler itself was late; they are not made up for.
    pub missed: u64,
    pub end: End,
    /// The largest resident set between start and stop, also between samples (`VmHWM`).
    pub peak_bytes: Option<u64>,
    /// The exact division of the memory at the end.
    pub rollup: Option<Rollup>,
    /// Memory of the process's page tables at the end (`VmPTE`).
    pub page_table_bytes: Option<u64>,
    /// What the sampling cost.
    pub cost: Option<Cost>,
    /// For each of the last four that is missing, the reason.
    #[serde(default)]
    pub absent: BTreeMap<String, String>,
}

/// How a series ended.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(tag = "how", rename_all = "kebab-case")]
pub enum End {
    /// By `stop`.
    Stopped,
    /// The process ended or gave up its memory; the samples up to then are kept.
    ProcessGone { at_ns: u64 },
    /// The file could not be read any more.
    ReadFailed { at_ns: u64, error: String },
}

/// CPU time of the sampling thread (CLOCK_THREAD_CPUTIME_ID). A reading takes one or two microseconds; being
/// woken for it costs more than that, on a virtual machine ten times as much.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct Cost {
    pub cpu_ns: u64,
    /// Mean over the samples, the wakings between them included.
    pub per_sample_ns: u64,
}

/// A running sampler. Dropping it ends the thread and forgets the samples.
#[derive(Debug)]
pub struct Sampler {
    process: Process,
    /// `/proc/PID`, for messages.
    dir: String,
    started_ns: u64,
    interval: Duration,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Series>>,
    /// Whether the high water mark was set back, or why not.
    peak: Result<(), String>,
}

impl Sampler {
    /// Begins to sample process `pid` every `interval`; the first sample is taken before this returns.
    ///
    /// # Errors
    /// If the process is not there, has ended, or its `statm` cannot be read; if the interval is zero; if no
    /// thread can be started. A high water mark that cannot be set back is not an error: the peak will be
    /// absent, with the reason.
    pub fn start(pid: u32, interval: Duration) -> Result<Self, SampleError> {
        let dir = format!("/proc/{pid}");
        let file = format!("{dir}/statm");
        if interval.is_zero() {
            return Err(SampleError::Interval { file });
        }
        let failed = |error| SampleError::Read { file: file.clone(), source: plain(error) };
        let process = Process::new_with_root(dir.clone().into()).map_err(failed)?;
        let statm = process.open_relative("statm").map_err(failed)?;
        let peak = process.clear_refs(ClearRefs::PeakRSS).map_err(|error| {
            format!("{dir}/clear_refs: {}; VmHWM would still hold what came before", plain(error))
        });

        let started_ns = clock_ns(libc::CLOCK_MONOTONIC)
            .map_err(|source| SampleError::Read { file: "CLOCK_MONOTONIC".to_owned(), source })?;
        let origin = Instant::now();
        let first = match read(&statm) {
            Reading::Resident(rss_bytes) => Sample { at_ns: 0, rss_bytes },
            Reading::Gone => return Err(SampleError::Gone { file }),
            Reading::Odd(text) => return Err(SampleError::Odd { file, text }),
            Reading::Failed(source) => return Err(SampleError::Read { file, source }),
        };

        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let name = file.clone();
        let thread = std::thread::Builder::new()
            .name("rss-sampler".to_owned())
            .spawn(move || sample(&statm, &name, first, origin, interval, &seen))
            .map_err(|source| SampleError::Thread { file, source })?;
        Ok(Self { process, dir, started_ns, interval, stop, thread: Some(thread), peak })
    }

    /// Whether the series has ended by itself, because the process is gone or cannot be read.
    pub fn ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Takes a last sample, ends the thread, and reads what is read once: the peak, the division of the
    /// memory and the page tables. Call it while the process is still there, or these are absent.
    ///
    /// # Errors
    /// Only if the sampling thread panicked.
    pub fn stop(mut self) -> Result<Samples, SampleError> {
        let series =
            self.join().ok_or_else(|| SampleError::Panicked { file: format!("{}/statm", self.dir) })?;
        let mut absent = BTreeMap::new();
        let mut note = |field: &str, outcome: Result<u64, String>| {
            outcome.map_err(|why| absent.insert(field.to_owned(), why)).ok()
        };

        let status = self.text("status");
        let line = |key: &str| {
            let text = status.as_ref().map_err(Clone::clone)?;
            kib(text, key).ok_or_else(|| format!("{}/status has no {key}: the process has ended", self.dir))
        };
        let peak_bytes = note("peak_bytes", self.peak.clone().and_then(|()| line("VmHWM")));
        let page_table_bytes = note("page_table_bytes", line("VmPTE"));
        let cpu_ns = note("cost", series.cpu_ns);
        let samples = series.samples.len() as u64;
        let cost = cpu_ns.map(|cpu_ns| Cost { cpu_ns, per_sample_ns: cpu_ns / samples.max(1) });
        let rollup = self.text("smaps_rollup").and_then(|text| {
            rollup(&text).ok_or_else(|| format!("{}/smaps_rollup is empty: the process has ended", self.dir))
        });
        let rollup = rollup.map_err(|why| absent.insert("rollup".to_owned(), why)).ok();
        Ok(Samples {
            started_ns: self.started_ns,
            interval_ns: nanos(self.interval),
            series: series.samples,
            missed: series.missed,
            end: series.end,
            peak_bytes,
            rollup,
            page_table_bytes,
            cost,
            absent,
        })
    }

    /// A file of the process as text, or what went wrong with its name.
    fn text(&self, name: &str) -> Result<String, String> {
        text(&self.process, &self.dir, name)
    }

    /// Ends the thread and takes what it has; `None` if it panicked or was joined before.
    fn join(&mut self) -> Option<Series> {
        let thread = self.thread.take()?;
        self.stop.store(true, Ordering::Release);
        thread.thread().unpark();
        thread.join().ok()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.join();
    }
}

/// The exact resident set of a process that stands still meanwhile, in bytes (`smaps_rollup`): right to the page, which
/// a series over blocks needs and the counters of `statm` are not.
///
/// # Errors
/// When the process is gone or the kernel does not say (before Linux 4.14), in words with the file's name.
pub fn resident(pid: u32) -> Result<u64, String> {
    let dir = format!("/proc/{pid}");
    let process =
        Process::new_with_root(dir.clone().into()).map_err(|error| format!("{dir}: {}", plain(error)))?;
    rollup(&text(&process, &dir, "smaps_rollup")?)
        .and_then(|rollup| rollup.rss_bytes)
        .ok_or_else(|| format!("{dir}/smaps_rollup has no Rss: the process has ended"))
}

/// Sets the high-water mark of a process's resident set back to the present.
///
/// # Errors
/// As [`resident`], and before Linux 4.0.
pub fn forget_peak(pid: u32) -> Result<(), String> {
    let dir = format!("/proc/{pid}");
    Process::new_with_root(dir.clone().into())
        .and_then(|process| process.clear_refs(ClearRefs::PeakRSS))
        .map_err(|error| format!("{dir}/clear_refs: {}", plain(error)))
}

/// The most that a process had resident since [`forget_peak`], in bytes.
///
/// # Errors
/// As [`resident`].
pub fn peak(pid: u32) -> Result<u64, String> {
    let dir = format!("/proc/{pid}");
    let process =
        Process::new_with_root(dir.clone().into()).map_err(|error| format!("{dir}: {}", plain(error)))?;
    let status = text(&process, &dir, "status")?;
    kib(&status, "VmHWM").ok_or_else(|| format!("{dir}/status has no VmHWM: the process has ended"))
}

/// A file of a process as text, or what went wrong with its name.
fn text(process: &Process, dir: &str, name: &str) -> Result<String, String> {
    let path = format!("{dir}/{name}");
    let mut file = process.open_relative(name).map_err(|error| format!("{path}: {}", plain(error)))?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|error| format!("{path}: {error}"))?;
    Ok(text)
}

/// What the thread brings home.
#[derive(Debug)]
struct Series {
    samples: Vec<Sample>,
    missed: u64,
    end: End,
    cpu_ns: Result<u64, String>,
}

/// The thread: sleep until the next tick, read, until told to stop or nothing is left to read.
fn sample(
    file: &File,
    name: &str,
    first: Sample,
    origin: Instant,
    interval: Duration,
    stop: &AtomicBool,
) -> Series {
    let cpu = || {
        clock_ns(libc::CLOCK_THREAD_CPUTIME_ID).map_err(|error| format!("CLOCK_THREAD_CPUTIME_ID: {error}"))
    };
    let before = cpu();
    // Room for a minute at ten milliseconds. The list grows in this process, not in the sampled one.
    let mut samples = Vec::with_capacity(6000);
    samples.push(first);
    let mut missed = 0;
    let mut due = interval;
    let end = loop {
        let stopping = wait(origin, due, stop);
        let at = origin.elapsed();
        let at_ns = nanos(at);
        match read(file) {
            Reading::Resident(rss_bytes) => samples.push(Sample { at_ns, rss_bytes }),
            Reading::Gone => break End::ProcessGone { at_ns },
            Reading::Odd(text) => {
                break End::ReadFailed { at_ns, error: format!("{name} is not two numbers: `{text}`") };
            }
            Reading::Failed(error) => break End::ReadFailed { at_ns, error: format!("{name}: {error}") },
        }
        if stopping {
            break End::Stopped;
        }
        let (next, late) = next_tick(due, at, interval);
        due = next;
        missed += late;
    };
    let cpu_ns = before.and_then(|before| Ok(cpu()?.saturating_sub(before)));
    Series { samples, missed, end, cpu_ns }
}

/// Sleeps until `due` after `origin`, or until told to stop, which is what it returns.
fn wait(origin: Instant, due: Duration, stop: &AtomicBool) -> bool {
    loop {
        if stop.load(Ordering::Acquire) {
            return true;
        }
        match due.checked_sub(origin.elapsed()) {
            // Waking early, for no reason or for `stop`, is allowed.
            Some(left) if !left.is_zero() => std::thread::park_timeout(left),
            _ => return false,
        }
    }
}

/// The first tick after `now` on the grid of `due`, and how many were skipped on the way.
fn next_tick(due: Duration, now: Duration, interval: Duration) -> (Duration, u64) {
    let late = now.saturating_sub(due).as_nanos() / interval.as_nanos().max(1);
    let skipped = u32::try_from(late).unwrap_or(u32::MAX);
    (due.saturating_add(interval.saturating_mul(skipped)).saturating_add(interval), u64::from(skipped))
}

/// Nanoseconds of a clock of clock_gettime(2).
fn clock_ns(clock: libc::clockid_t) -> io::Result<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to an initialised `timespec` that lives through the call, which only writes to
    // it.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    Ok(part(time.tv_sec).saturating_mul(1_000_000_000).saturating_add(part(time.tv_nsec)))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The I/O error within procfs's, whose own text repeats the path in a form for programmers.
fn plain(error: procfs::ProcError) -> io::Error {
    match error {
        procfs::ProcError::PermissionDenied(_) => io::ErrorKind::PermissionDenied.into(),
        procfs::ProcError::NotFound(_) => io::ErrorKind::NotFound.into(),
        procfs::ProcError::Io(error, _) => error,
        other => io::Error::other(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
