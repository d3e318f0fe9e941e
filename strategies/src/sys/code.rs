//! Compiled code: memory that was written and then becomes executable, which a host may forbid.

use std::io;

use super::{Mechanism, checked, page};

/// What every engine that compiles does: without it no module runs, under whatever strategy.
pub static EXECUTABLE: Mechanism = Mechanism::new("executable code", "runs what was compiled", || {
    let map = page::reserve(page::size()).map_err(|error| format!("mmap: {error}"))?;
    let change = |protection| {
        // SAFETY: the range is the whole of a mapping that `map` owns, and no reference into it exists.
        checked(unsafe { libc::mprotect(map.as_mut_ptr().cast(), map.len(), protection) })
    };
    change(libc::PROT_READ | libc::PROT_WRITE).map_err(|error| format!("mprotect: {error}"))?;
    change(libc::PROT_READ | libc::PROT_EXEC).map(drop).map_err(|error: io::Error| {
        format!(
            "memory that was written cannot become executable: {error}; allow it for this service \
             (MemoryDenyWriteExecute=no of systemd, PR_SET_MDWE of prctl(2), `execmem` of SELinux)"
        )
    })
});
