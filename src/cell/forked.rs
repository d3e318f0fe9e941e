//! A session in a forked child. What a strategy holds of the process that made it, a descriptor say, is not the child's.

use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use reset_strategies::{Session, sys};

use super::state::memories;
use crate::machine::pace::patience;
use crate::workload::host::BlockState;

/// Exit codes of the child.
const RIGHT: libc::c_int = 0;
const WRONG: libc::c_int = 1;
const PANICKED: libc::c_int = 2;

/// How long a reset may wait for a thread of the parent on an ordinary machine: then it is given up, since it would wait
/// for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// Forks, and has the child reset the session twice, the second time after it has written to every page; for those who
/// know blocks by name, that is one named `block`. Each reset has to return an error or to be right, by what `look` finds.
///
/// # Errors
/// What went wrong, in words.
pub fn reset(
    session: &mut Session<BlockState>,
    block: u64,
    look: impl Fn(&mut Session<BlockState>) -> Option<String>,
) -> io::Result<Result<(), String>> {
    let (mut from, mut to) = io::pipe()?;
    let seconds = libc::c_uint::try_from(patience(PATIENCE).as_secs()).unwrap_or(libc::c_uint::MAX);
    // SAFETY: the child has this thread only. It resets and compares, for which it needs the allocator, which the C
    // library keeps usable after fork(2), and locks that no other thread of this process takes; then it ends by _exit(2),
    // without running any destructor or handler of the parent's.
    let child = match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {
            // SAFETY: the signal ends the child, if anything has to.
            unsafe { libc::alarm(seconds) };
            let found = catch_unwind(AssertUnwindSafe(|| attempt(session, block, look)));
            let code = match found {
                Ok(None) => RIGHT,
                // The parent has the code where it cannot have the words.
                Ok(Some(text)) => {
                    let _unsaid = to.write_all(text.as_bytes());
                    WRONG
                }
                Err(_) => PANICKED,
            };
            // SAFETY: ends this process.
            unsafe { libc::_exit(code) }
        }
        child => child,
    };
    drop(to);
    let mut text = String::new();
    let _unsaid = from.read_to_string(&mut text);
    let mut status = 0;
    // SAFETY: the status is written to a local, and the child is ours.
    while unsafe { libc::waitpid(child, &raw mut status, 0) } != child {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok(match (libc::WIFEXITED(status), libc::WEXITSTATUS(status)) {
        (true, RIGHT) => Ok(()),
        (true, WRONG) => Err(format!("a reset in a forked child returns Ok, and {text}")),
        (true, PANICKED) => Err("a reset in a forked child panics".into()),
        _ if libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGALRM => {
            Err("a reset in a forked child does not end".into())
        }
        _ => Err(format!("a reset in a forked child ends it with status {status:#x}")),
    })
}

/// What is wrong about the resets of the child. An error ends them: that is right, too.
fn attempt(
    session: &mut Session<BlockState>,
    block: u64,
    look: impl Fn(&mut Session<BlockState>) -> Option<String>,
) -> Option<String> {
    session.reset().ok()?;
    if let Some(text) = look(session) {
        return Some(text);
    }
    session.expect(block);
    let memories = memories(session).ok()?;
    let mut store = session.store_mut().ok()?;
    // Pages, too, that the parent has not got.
    for memory in memories {
        memory.data_mut(&mut store).iter_mut().step_by(sys::page::size()).for_each(|byte| *byte = !*byte);
    }
    session.reset().ok()?;
    look(session)
}
