//! mlock(2): populates, and pins. RLIMIT_MEMLOCK bounds it for those without CAP_IPC_LOCK; 8 MiB is a common default.

use super::{How, Policy};
use crate::sys::page::{self, Scratch};
use crate::sys::{Mechanism, checked, mincore::resident};

/// `mlock`: the only policy whose memory cannot be swapped out.
pub static MLOCK: Policy = Policy::new(
    "mlock",
    "populates, and keeps from being swapped out",
    &[&LOCK],
    How::Behind(|extent| extent.lock()),
);

/// mlock(2) on a page; how much may be locked shows only when it is tried.
pub static LOCK: Mechanism = Mechanism::new("mlock", "commits memory and pins it", || {
    let scratch = Scratch::pages(1)?;
    // SAFETY: the page is mapped; locking changes no content.
    checked(unsafe { libc::mlock(scratch.map.as_ptr().cast(), page::size()) })
        .map_err(|e| format!("mlock: {e}; raise RLIMIT_MEMLOCK (ulimit -l) or grant CAP_IPC_LOCK"))?;
    let mut found = Vec::new();
    resident(&scratch.map, 0..page::size(), &mut found).map_err(|e| format!("mincore: {e}"))?;
    if found[0] & 1 == 1 { Ok(()) } else { Err("mlock left the page without memory".into()) }
});
