//! What a process inherits from whoever starts it, put back to what a measurement relies on.
//!
//! Sources: signal(7), sigaction(2) and execve(2), by which ignored and blocked signals outlive a start; wait(2) for what
//! an ignored SIGCHLD does; setrlimit(2).

use anyhow::Context;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::SigSet;

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
    let _refused = SigSet::empty().thread_set_mask();
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

fn raise_descriptors() -> nix::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = hard.min(DESCRIPTORS);
    if soft < wanted { setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) } else { Ok(()) }
}
