//! Samples of a running child: each a moment of CPU time of one of its threads, with the stack that it was found on.
//!
//! The kernel's own clock of CPU time takes them (`PERF_COUNT_SW_CPU_CLOCK`), which needs no counters of the hardware and so
//! works in virtual machines. Of the stack the kernel walks its own part; of the part outside it copies registers and the
//! innermost bytes, which are [unwound](super::unwind) here. A sample that falls where interrupts are off is seen where they
//! are on again.
//!
//! Sources: perf_event_open(2); `perf_swevent_hrtimer` in the kernel's `kernel/events/core.c`, which takes a sample only where
//! the timer found what is not excluded.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use perf_event::data::Record;
use perf_event::events::Software;
use perf_event::{Builder, SampleFlag, Sampler};

use super::unwind::{self, Registers, Stacks};

/// Bytes of the stack that are copied with each sample. Frames of guests are small, and a host function's rarely have more.
const STACK_BYTES: u32 = 16 << 10;

/// Bytes of the buffer of a thread where the kernel locks as many: a second of samples at the default rate.
const MANY_BYTES: usize = 16 << 20;

/// What an unprivileged user may lock by default (`kernel.perf_event_mlock_kb`), and less where there are several threads.
const FEW_BYTES: [usize; 2] = [512 << 10, 128 << 10];

/// What a sample takes in the buffer, about: the stack, and kilobytes for the rest.
const SAMPLE_BYTES: usize = STACK_BYTES as usize + (1 << 10);

/// What is shorter would keep the thread awake that empties buffers.
const SHORTEST: Duration = Duration::from_millis(1);

/// Addresses from here on are no addresses but say whose the following ones are (`PERF_CONTEXT_MAX`).
const CONTEXT: u64 = u64::MAX - 4095 + 1;

/// A moment of a thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// By the clock of the kernel's scheduler, in nanoseconds.
    pub time_ns: u64,
    pub thread: u32,
    /// Where the kernel was, the innermost first; nothing where the thread was outside.
    pub kernel: Vec<u64>,
    /// Where the process was, the innermost first.
    pub user: Vec<u64>,
    /// Whether the outermost frame was reached.
    pub whole: bool,
}

/// What sampling came to.
#[derive(Debug, Default)]
pub struct Sampled {
    pub samples: Vec<Sample>,
    /// Samples for which there was no room.
    pub lost: u64,
}

/// Why the kernel takes no samples here, and what would help.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Forbidden(pub String);

/// A child that is being sampled.
#[derive(Debug)]
pub struct Sampling {
    shared: Arc<Shared>,
    emptying: Option<JoinHandle<()>>,
    /// Whether the kernel's part of the stacks is there.
    pub kernel: bool,
}

/// What the thread that empties buffers and the one that drives the child both use.
struct Shared {
    state: Mutex<State>,
    over: AtomicBool,
}

struct State {
    threads: Vec<Thread>,
    stacks: Stacks,
    sampled: Sampled,
}

struct Thread {
    id: u32,
    sampler: Sampler,
}

impl Sampling {
    /// Gets ready to sample the threads that a process has by now, so many times for each second of CPU time. It samples nothing
    /// before it is [switched on](Self::switch).
    ///
    /// # Errors
    /// When the kernel forbids it.
    pub fn of(pid: u32, frequency: u32, stacks: Stacks) -> Result<Self, Forbidden> {
        let refused = |error: io::Error| Forbidden(refusal(&error, paranoid(), frequency));
        let ids = threads(pid).map_err(refused)?;
        let main = *ids.first().ok_or_else(|| Forbidden(format!("process {pid} has ended")))?;
        let kernel = match open(main, frequency, true) {
            Ok(_) => true,
            Err(error) if matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM)) => false,
            Err(error) => return Err(refused(error)),
        };
        let mut threads = Vec::new();
        let mut least = MANY_BYTES;
        for id in ids {
            let (sampler, bytes) = open(id, frequency, kernel).map_err(refused)?;
            least = least.min(bytes);
            threads.push(Thread { id, sampler });
        }
        let every = emptied_every(least, frequency);
        let state = Mutex::new(State { threads, stacks, sampled: Sampled::default() });
        let shared = Arc::new(Shared { state, over: AtomicBool::new(false) });
        let emptied = shared.clone();
        let emptying = thread::Builder::new().name("samples".into()).spawn(move || {
            while !emptied.over.load(Ordering::Relaxed) {
                emptied.with(State::empty);
                thread::park_timeout(every);
            }
        });
        Ok(Self { shared, emptying: Some(emptying.map_err(refused)?), kernel })
    }

    /// Begins to sample, or pauses, while the child waits. That is the time to unwind what there is: done while the child runs,
    /// it takes caches from it, and on some machines the half of a core.
    ///
    /// # Errors
    /// The system's error.
    pub fn switch(&self, on: bool) -> io::Result<()> {
        self.shared.with(|state| {
            state.empty();
            state.threads.iter_mut().try_for_each(|thread| match on {
                true => thread.sampler.enable(),
                false => thread.sampler.disable(),
            })
        })
    }

    /// Stops, and returns what was sampled, the earliest first.
    pub fn stop(mut self) -> Sampled {
        self.end();
        self.shared.with(|state| {
            state.empty();
            let mut sampled = std::mem::take(&mut state.sampled);
            sampled.samples.sort_by_key(|sample| sample.time_ns);
            sampled
        })
    }

    fn end(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(emptying) = self.emptying.take() {
            emptying.thread().unpark();
            // It panics only where this thread would, too.
            let _ended = emptying.join();
        }
    }
}

impl Drop for Sampling {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl State {
    /// Takes all records out of the buffers.
    fn empty(&mut self) {
        for thread in &mut self.threads {
            while let Some(record) = thread.sampler.next_record() {
                match record.parse_record() {
                    Ok(Record::Sample(sample)) => {
                        self.sampled.samples.push(read(thread.id, &sample, &mut self.stacks))
                    }
                    Ok(Record::Lost(lost)) => self.sampled.lost += lost.lost,
                    // What cannot be read is no sample. Others say that the clock was throttled, for instance.
                    Ok(_) => {}
                    Err(_) => self.sampled.lost += 1,
                }
            }
        }
    }
}

/// Unwinds what the kernel has copied.
fn read(thread: u32, sample: &perf_event::data::Sample<'_>, stacks: &mut Stacks) -> Sample {
    let kernel =
        sample.callchain().unwrap_or_default().iter().copied().filter(|&address| address < CONTEXT).collect();
    let registers = sample.regs_user().and_then(|registers| Registers::of(&registers.regs));
    let (user, whole) = registers.map_or((Vec::new(), false), |registers| {
        stacks.unwind(registers, sample.stack_user().unwrap_or_default())
    });
    Sample { time_ns: sample.time().unwrap_or_default(), thread, kernel, user, whole }
}

/// The threads of a process; the first is the one that it began with.
fn threads(pid: u32) -> io::Result<Vec<u32>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
        ids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    ids.sort_unstable_by_key(|&id| (id != pid, id));
    Ok(ids)
}

/// How often buffers have to be emptied: when half of the smallest may be full.
fn emptied_every(bytes: usize, frequency: u32) -> Duration {
    let samples = (bytes / SAMPLE_BYTES / 2).max(1);
    (Duration::from_secs(1) * samples as u32 / frequency.max(1)).max(SHORTEST)
}

/// Opens the clock of a thread, paused; and says how many bytes its buffer has.
fn open(thread: u32, frequency: u32, kernel: bool) -> io::Result<(Sampler, usize)> {
    let mut flags = SampleFlag::TID | SampleFlag::TIME | SampleFlag::REGS_USER | SampleFlag::STACK_USER;
    if kernel {
        flags |= SampleFlag::CALLCHAIN;
    }
    let open = |bytes| {
        Builder::new(Software::CPU_CLOCK)
            .observe_pid(thread.cast_signed())
            .any_cpu()
            .exclude_kernel(!kernel)
            .sample_period(1_000_000_000 / u64::from(frequency.max(1)))
            .sample(flags)
            .sample_regs_user(unwind::REGISTERS)
            .sample_stack_user(STACK_BYTES)
            .exclude_callchain_user(true)
            .build()?
            .sampled(bytes)
            .map(|sampler| (sampler, bytes))
    };
    let too_much = |error: &io::Error| matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOMEM));
    let fewer = |error, bytes| if too_much(&error) { open(bytes) } else { Err(error) };
    FEW_BYTES.into_iter().fold(open(MANY_BYTES), |opened, bytes| opened.or_else(|error| fewer(error, bytes)))
}

fn paranoid() -> Option<i64> {
    fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").ok()?.trim().parse().ok()
}

/// Why samples are refused, and the remedy.
fn refusal(error: &io::Error, paranoid: Option<i64>, frequency: u32) -> String {
    let switch = "kernel.perf_event_paranoid";
    match (error.raw_os_error(), paranoid) {
        (Some(libc::EACCES | libc::EPERM), Some(level)) if level > 2 => format!(
            "perf_event_open: {error}; {switch} is {level}: `sysctl {switch}=2` allows samples of one's own processes, and \
             `sysctl {switch}=1` those of what the kernel does for them"
        ),
        (Some(libc::EACCES | libc::EPERM), _) => format!(
            "perf_event_open: {error}; a seccomp filter or security module forbids it: in a container, add the capability \
             PERFMON, or a seccomp profile that allows perf_event_open"
        ),
        (Some(libc::ENOSYS), _) => {
            format!("perf_event_open: {error}; the kernel is built without it or a filter hides it")
        }
        (Some(libc::EINVAL), _) => format!(
            "perf_event_open: {error}; kernel.perf_event_max_sample_rate may be below {frequency}: try a lower --frequency"
        ),
        _ => format!("perf_event_open: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_emptied_before_they_are_full() {
        assert_eq!(emptied_every(MANY_BYTES, 997), Duration::from_secs(1) * 481 / 997);
        assert_eq!(emptied_every(FEW_BYTES[1], 997), Duration::from_secs(1) * 3 / 997);
        assert_eq!(emptied_every(1, 20_000), SHORTEST);
    }

    #[test]
    fn who_forbids_samples_is_named_with_the_remedy() {
        for (code, level, named) in [
            (libc::EACCES, Some(3), "sysctl kernel.perf_event_paranoid=2"),
            (libc::EPERM, Some(2), "seccomp"),
            (libc::ENOSYS, None, "built without it"),
            (libc::EINVAL, Some(0), "--frequency"),
            (libc::EMFILE, None, "Too many open files"),
        ] {
            let said = refusal(&io::Error::from_raw_os_error(code), level, 1999);
            assert!(said.contains(named), "{said}");
        }
    }
}
