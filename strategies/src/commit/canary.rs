//! The canary: know before the first block that the memory is not there, and say so instead of being killed.
//!
//! Arithmetic on the limits comes first (see [`super::room`]). It cannot know everything: memory that another process
//! takes meanwhile, limits of a kernel that it has not heard of, what a hypervisor really has. So a child is forked,
//! offers itself to the OOM killer by the highest `oom_score_adj`, and populates the same reservation; only if it lives
//! does the parent. What is left to chance is the moment between the two.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::room::{self, Shortage};
use super::{How, Policy, populate};
use crate::sys::checked;

/// `canary`.
pub static CANARY: Policy = Policy::new(
    "canary",
    "commits like populate-thp once limits and a sacrificed child have shown that the memory is there",
    &[&populate::POPULATE_WRITE],
    How::Proven(populate::huge),
);

/// The exit code for a host that is too small (EX_CONFIG of sysexits.h): a supervisor must not just start it again.
pub const EXIT_CODE: u8 = 78;

/// Has a child commit the memory in our place, and waits for its end.
///
/// The child tells its success over a pipe: how it ended is not to be learnt where the host ignores SIGCHLD, or waits for
/// all children itself (wait(2), ECHILD).
///
/// `commit` runs in a fork of what may be a process with many threads: it must neither allocate nor take a lock.
pub(super) fn sacrifice(bytes: u64, commit: impl FnOnce() -> bool) -> Result<(), Shortage> {
    let died = |how: String| room::shortage_of_child(bytes, how);
    let pipe = Pipe::new().map_err(|e| died(format!("no child could be heard: {e}")))?;
    let [answer, tell] = [&pipe.read, &pipe.write].map(AsRawFd::as_raw_fd);
    // SAFETY: the child calls only what is async-signal-safe: open, write, prctl, what `commit` promises, and _exit.
    let child = unsafe { libc::fork() };
    if child == 0 {
        offer_to_the_oom_killer();
        let said = [if commit() { COMMITTED } else { REFUSED }];
        // SAFETY: the kernel reads one byte that outlives the call; _exit ends the child without running what the parent
        // registered to run at exit.
        unsafe {
            libc::write(tell, said.as_ptr().cast(), said.len());
            libc::_exit(0)
        }
    }
    checked(child).map_err(|e| died(format!("no child could be forked: {e}")))?;
    let mut status = 0;
    let ended = loop {
        // SAFETY: the kernel writes one integer, which outlives the call.
        match checked(unsafe { libc::waitpid(child, &raw mut status, 0) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            ended => break ended,
        }
    };
    // It has ended by now, also where somebody else was told so: what it had to say is in the pipe.
    let mut said = [0];
    // SAFETY: the kernel writes one byte at most, for which there is room.
    let heard = unsafe { libc::read(answer, said.as_mut_ptr().cast(), said.len()) };
    match (heard, said[0]) {
        (1, COMMITTED) => Ok(()),
        (1, _) => Err(died("the kernel refused it the memory".into())),
        _ if ended.is_ok() && libc::WIFSIGNALED(status) => {
            Err(died(format!("it was killed by signal {}", libc::WTERMSIG(status))))
        }
        _ => Err(died("it ended before it had the memory".into())),
    }
}

/// What the child says.
const COMMITTED: u8 = 1;
const REFUSED: u8 = 2;

/// A pipe whose ends close with it, and are not inherited by programs that are started meanwhile.
struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipe {
    /// Reading from it does not wait.
    fn new() -> io::Result<Self> {
        let mut ends = [0; 2];
        // SAFETY: the kernel writes two descriptors, for which there is room.
        checked(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) })?;
        // SAFETY: both were just made and have no other owner.
        let [read, write] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        Ok(Self { read, write })
    }
}

/// Makes this process the first that the OOM killer takes, and one that ends with its parent. Best effort: where it fails
/// the child is still the largest process around.
fn offer_to_the_oom_killer() {
    // SAFETY: the path and the text are literals, the descriptor is checked by the kernel, and no memory is written.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        libc::write(file, c"1000".as_ptr().cast(), 4);
        libc::close(file);
    }
}
