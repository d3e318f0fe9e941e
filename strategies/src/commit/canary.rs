//! The canary: know before the first block that the memory is not there, and say so instead of being killed.
//!
//! Arithmetic on the limits comes first (see [`super::room`]). It cannot know everything: memory that another process
//! takes meanwhile, limits of a kernel that it has not heard of, what a hypervisor really has. So a child is forked,
//! offers itself to the OOM killer by the highest `oom_score_adj`, and populates the same reservation; only if it lives
//! does the parent. What is left to chance is the moment between the two.

use std::io;

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

/// The exit code by which the child says that the kernel refused.
const REFUSED: libc::c_int = 1;

/// Has a child commit the memory in our place, and waits for its end.
///
/// `commit` runs in a fork of what may be a process with many threads: it must neither allocate nor take a lock.
pub(super) fn sacrifice(bytes: u64, commit: impl FnOnce() -> bool) -> Result<(), Shortage> {
    let died = |how: String| room::shortage_of_child(bytes, how);
    // SAFETY: the child calls only what is async-signal-safe: open, write, prctl, what `commit` promises, and _exit.
    let child = unsafe { libc::fork() };
    if child == 0 {
        offer_to_the_oom_killer();
        let code = if commit() { 0 } else { REFUSED };
        // SAFETY: ends the child without running what the parent registered to run at exit.
        unsafe { libc::_exit(code) }
    }
    checked(child).map_err(|e| died(format!("no child could be forked: {e}")))?;
    let mut status = 0;
    loop {
        // SAFETY: the kernel writes one integer, which outlives the call.
        match checked(unsafe { libc::waitpid(child, &raw mut status, 0) }) {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(died(format!("its end was not seen: {error}"))),
        }
    }
    if libc::WIFSIGNALED(status) {
        return Err(died(format!("it was killed by signal {}", libc::WTERMSIG(status))));
    }
    match libc::WEXITSTATUS(status) {
        0 => Ok(()),
        _ => Err(died("the kernel refused it the memory".into())),
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
