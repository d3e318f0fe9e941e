//! What a process inherits from whoever starts it, put back to what a measurement relies on.
//!
//! Sources: signal(7), sigaction(2) and execve(2), by which ignored and blocked signals outlive a start; wait(2) for what
//! an ignored SIGCHLD does; setrlimit(2).

use std::io;
use std::mem::MaybeUninit;

use anyhow::Context;

/// Most descriptors that are asked for: each child takes a handful, and a limit of a billion makes others slow.
const DESCRIPTORS: u64 = 1 << 16;

/// Signals and what is relied on.
///
/// An ignored SIGCHLD has the kernel collect children before anybody can ask how they ended. A file size limit is to be
/// an error that names the file, and not the end of the process without a word.
const DISPOSITIONS: [(libc::c_int, libc::sighandler_t); 2] =
    [(libc::SIGCHLD, libc::SIG_DFL), (libc::SIGXFSZ, libc::SIG_IGN)];

/// Restores dispositions, unblocks all signals and raises the limit of descriptors to the hard one. For the start of a
/// program: later it would undo what the program itself has set.
///
/// What the system refuses stays as it is, and is met as an error where it matters.
pub fn restore() {
    for (signal, disposition) in DISPOSITIONS {
        // SAFETY: neither disposition is a handler, so that no code of ours runs in a signal.
        unsafe { libc::signal(signal, disposition) };
    }
    let _refused = unblock();
    let _refused = raise_descriptors();
}

/// Starts the threads that wasmtime compiles with, so that a limit on their number is an error here: met in the middle of
/// a compilation, it is a panic.
///
/// # Errors
/// When no more threads can be started: RLIMIT_NPROC of setrlimit(2), or `pids.max` of a control group.
pub fn start_threads() -> anyhow::Result<()> {
    rayon::ThreadPoolBuilder::new().build_global().context(
        "no more threads can be started: raise the limit of processes (ulimit -u, pids.max of the control group)",
    )
}

fn unblock() -> io::Result<()> {
    let mut none = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset writes a whole set, which pthread_sigmask then reads; it is told to write none.
    let done = unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut())
    };
    if done == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(done)) }
}

fn raise_descriptors() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit writes one `rlimit`.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let wanted = limit.rlim_max.min(DESCRIPTORS);
    if limit.rlim_cur >= wanted {
        return Ok(());
    }
    limit.rlim_cur = wanted;
    // SAFETY: setrlimit reads one `rlimit`.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
