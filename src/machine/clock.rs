//! Clocks, in nanoseconds.

use std::io;

use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// `CLOCK_MONOTONIC`: the same in every process, unlike `Instant`, which has no numbers.
pub fn monotonic_ns() -> u64 {
    ns(ClockId::CLOCK_MONOTONIC)
}

/// CPU time of the calling thread.
pub fn thread_cpu_ns() -> u64 {
    ns(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

/// CPU time of all threads of a process, in the kernel and outside.
///
/// # Errors
/// When there is no such process.
pub fn process_cpu_ns(pid: i32) -> io::Result<u64> {
    Ok(read(clock_getcpuclockid(Pid::from_raw(pid))?)?)
}

fn ns(clock: ClockId) -> u64 {
    read(clock).expect("every Linux has these clocks")
}

fn read(clock: ClockId) -> nix::Result<u64> {
    let time = clock_gettime(clock)?;
    Ok(time.tv_sec().cast_unsigned() * 1_000_000_000 + time.tv_nsec().cast_unsigned())
}

/// The CPU time of one thread, for other threads of the process to read.
#[derive(Clone, Copy, Debug)]
pub struct ThreadClock(ClockId);

impl ThreadClock {
    /// That of the calling thread.
    ///
    /// # Errors
    /// When the C library does not know it.
    pub fn of_this_thread() -> io::Result<Self> {
        let mut clock = 0;
        // SAFETY: the calling thread is alive, and the clock is written to a local.
        match unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock) } {
            0 => Ok(Self(ClockId::from_raw(clock))),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// Nanoseconds, for as long as the thread lives.
    pub fn ns(self) -> Option<u64> {
        read(self.0).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_can_be_read_by_another_one_while_it_lives() {
        let clock = ThreadClock::of_this_thread().unwrap();
        let before = thread_cpu_ns();
        let read = thread::scope(|scope| scope.spawn(|| clock.ns()).join().unwrap()).unwrap();
        assert!((before..=thread_cpu_ns()).contains(&read));
        let gone = thread::spawn(|| ThreadClock::of_this_thread().unwrap()).join().unwrap();
        assert_eq!(gone.ns(), None);
    }

    #[test]
    fn the_clock_of_a_process_has_the_time_of_all_its_threads() {
        let own = i32::try_from(std::process::id()).unwrap();
        let before = process_cpu_ns(own).unwrap();
        let spun = thread::spawn(|| {
            while thread_cpu_ns() < 1_000_000 {}
            thread_cpu_ns()
        });
        let spun = spun.join().unwrap();
        assert!(process_cpu_ns(own).unwrap() - before >= spun);
        // No process has the number that is the limit of all (proc(5), pid_max).
        assert!(process_cpu_ns(1 << 22).is_err());
    }
}
