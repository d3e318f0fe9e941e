//! Commit policies: obtaining physical memory at startup, before the first block.
//!
//! A memory's reservation is address space only; a page gets memory at its first write. A host that is too small finds
//! out then: in the middle of a block, by the OOM killer, or, where a limit makes `memory.grow` fail instead, by a guest
//! that stores another answer. A policy moves that moment to startup.
//!
//! Policies are a second axis beside strategies. Memory that was committed is of use only while it is kept, so that all
//! but [`LAZY`] and [`MODULE_MIN_MAX`] need a strategy that keeps its memory resident.
//!
//! Most policies commit the reservation *behind* the memory's current size: pages are populated while access is given
//! and keep their memory when it is taken away again, so that the guest sees no difference. Those that grow the memory
//! instead, or rewrite the module, say so: [`Policy::is_visible`].

pub mod canary;
mod extent;
pub mod grown;
pub mod lazy;
pub mod lock;
pub mod populate;
pub mod room;
pub mod touch;

pub use canary::CANARY;
pub use extent::Extent;
pub use grown::{HUGETLB, MODULE_MIN_MAX, NONZERO_THEN_ZERO};
pub use lazy::LAZY;
pub use lock::MLOCK;
pub use populate::{MADVISE_POPULATE, MADVISE_POPULATE_PARALLEL, MAP_POPULATE, POPULATE_THP};
pub use room::Shortage;
pub use touch::{TOUCH_OS_PAGE, TOUCH_WASM_PAGE, WRITE_ZERO};

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use memmap2::Advice;

use crate::module::with_memory_pages;
use crate::session::Session;
use crate::sys::Mechanism;

/// A wasm page; memories grow by these.
pub const WASM_PAGE: usize = 1 << 16;

/// All of a 32-bit memory.
pub const WHOLE_MEMORY: u64 = 1 << 32;

/// One way to obtain memory, or not to.
#[derive(Debug)]
pub struct Policy {
    name: &'static str,
    summary: &'static str,
    needs: &'static [&'static Mechanism],
    how: How,
}

/// What a policy changes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    /// Nothing.
    Not,
    /// The module: its memory begins at its maximum.
    Rewrite,
    /// The reservation behind the memory's size, which stays.
    Behind(Step),
    /// The same, once arithmetic and a sacrificed child have shown that the memory is there.
    Proven(Step),
    /// The memory, which is grown first.
    Grown(Step),
    /// The same, on huge pages that were reserved, which not every tracker can track.
    Hugetlb(Step),
}

/// Obtains memory for an extent.
pub(crate) type Step = fn(&mut Extent<'_>) -> io::Result<()>;

/// Every policy, the one that does nothing first.
static ALL: [&Policy; 13] = [
    &LAZY,
    &TOUCH_WASM_PAGE,
    &TOUCH_OS_PAGE,
    &WRITE_ZERO,
    &NONZERO_THEN_ZERO,
    &MAP_POPULATE,
    &MADVISE_POPULATE,
    &MADVISE_POPULATE_PARALLEL,
    &POPULATE_THP,
    &MLOCK,
    &HUGETLB,
    &MODULE_MIN_MAX,
    &CANARY,
];

/// All policies.
pub fn all() -> &'static [&'static Policy] {
    &ALL
}

/// The policy of that name.
pub fn find(name: &str) -> Option<&'static Policy> {
    ALL.iter().copied().find(|policy| policy.name == name)
}

/// What a policy achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Bytes that were to be committed: what was asked for, or the most that the memory may grow to.
    pub asked_bytes: u64,
    /// Of these, bytes that have physical memory behind them, by mincore(2).
    pub resident_bytes: u64,
    /// Time for committing, without counting.
    pub time: Duration,
}

/// Why memory was not committed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The machine lacks a mechanism.
    #[error("`{policy}` is unavailable on this machine: {reason}")]
    Unavailable {
        /// The policy.
        policy: &'static str,
        /// The mechanism and why it is missing.
        reason: String,
    },
    /// The session gives its memory back at each reset, or could not track what the policy makes of it.
    #[error("`{policy}` is of no use here: {reason}")]
    Lost {
        /// The policy.
        policy: &'static str,
        /// Which part gives it back, or cannot track it.
        reason: &'static str,
    },
    /// The memory is not there.
    #[error(transparent)]
    Shortage(#[from] Shortage),
    /// The kernel refused.
    #[error("`{policy}` could not commit {bytes} bytes: {source}")]
    Kernel {
        /// The policy.
        policy: &'static str,
        /// How much it was to commit.
        bytes: u64,
        /// The system call's error.
        source: io::Error,
    },
}

impl Policy {
    pub(crate) const fn new(
        name: &'static str,
        summary: &'static str,
        needs: &'static [&'static Mechanism],
        how: How,
    ) -> Self {
        Self { name, summary, needs, how }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it does, in a line.
    pub fn summary(&self) -> &'static str {
        self.summary
    }

    /// Whether the guest sees a difference: another memory size, and with it other answers to `memory.grow`.
    pub fn is_visible(&self) -> bool {
        matches!(self.how, How::Rewrite | How::Grown(_) | How::Hugetlb(_))
    }

    /// Whether it needs a strategy that keeps its memory.
    pub fn needs_kept_memory(&self) -> bool {
        !matches!(self.how, How::Not | How::Rewrite)
    }

    /// Whether every mechanism that it needs works here.
    ///
    /// # Errors
    /// The mechanism and the reason.
    pub fn available(&self) -> Result<(), String> {
        for mechanism in self.needs {
            mechanism.available().map_err(|reason| format!("{}: {reason}", mechanism.name))?;
        }
        Ok(())
    }

    /// What can be known before an engine exists; only [`CANARY`] looks.
    ///
    /// # Errors
    /// When arithmetic on the limits of this process shows that `bytes` cannot be had.
    pub fn preflight(&self, bytes: u64) -> Result<(), Shortage> {
        match self.how {
            How::Proven(_) => room::check_reservation().and_then(|()| room::check(bytes)),
            _ => Ok(()),
        }
    }

    /// The module to compile; only [`MODULE_MIN_MAX`] changes it.
    ///
    /// # Errors
    /// When the module cannot be rewritten.
    pub fn module<'wasm>(&self, wasm: &'wasm [u8], bytes: u64) -> Result<Cow<'wasm, [u8]>, crate::Error> {
        match self.how {
            How::Rewrite => {
                let pages = bytes.div_ceil(WASM_PAGE as u64);
                Ok(with_memory_pages(wasm, pages, Some(pages))?.into())
            }
            _ => Ok(wasm.into()),
        }
    }

    /// Commits the first `bytes` of the session's first memory, or as many as it may grow to. Call it once, before the
    /// first block.
    ///
    /// # Errors
    /// When a mechanism is missing, the session does not keep its memory, or the memory is not there. A killed process
    /// is the answer of memory control groups to every policy but [`CANARY`].
    pub fn commit<T>(&self, session: &mut Session<T>, bytes: u64) -> Result<Committed, Error> {
        self.available().map_err(|reason| Error::Unavailable { policy: self.name, reason })?;
        let (step, grow) = match self.how {
            How::Not | How::Rewrite => {
                return Ok(Committed { asked_bytes: bytes, resident_bytes: 0, time: Duration::ZERO });
            }
            How::Behind(step) | How::Proven(step) => (step, false),
            How::Grown(step) | How::Hugetlb(step) => (step, true),
        };
        let lost = |reason| Error::Lost { policy: self.name, reason };
        let session = session.kept().map_err(lost)?;
        if matches!(self.how, How::Hugetlb(_)) {
            session.refuses_hugetlb().map_or(Ok(()), |reason| Err(lost(reason)))?;
        }
        let kernel = |source| Error::Kernel { policy: self.name, bytes, source };
        let started = Instant::now();
        let mut extent = session.extent(bytes, grow).map_err(kernel)?;
        if matches!(self.how, How::Proven(_)) {
            room::check(bytes)?;
            // By a plain loop in the kernel: a child of a process with threads must not make any.
            canary::sacrifice(bytes, || extent.advise(Advice::PopulateWrite).is_ok())?;
        }
        step(&mut extent).map_err(kernel)?;
        let time = started.elapsed();
        let asked_bytes = extent.bytes() as u64;
        let resident_bytes = extent.resident().map_err(kernel)?;
        drop(extent);
        session.track_anew().map_err(kernel)?;
        Ok(Committed { asked_bytes, resident_bytes, time })
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        let names: HashSet<_> = ALL.iter().map(|policy| policy.name()).collect();
        assert_eq!(names.len(), ALL.len());
        for policy in ALL {
            assert_eq!(find(policy.name()).unwrap().name(), policy.name());
        }
        assert!(find("eager").is_none());
    }

    #[test]
    fn those_that_the_guest_can_see_say_so() {
        let visible: Vec<_> = ALL.iter().filter(|policy| policy.is_visible()).map(|p| p.name()).collect();
        assert_eq!(visible, ["nonzero-then-zero", "hugetlb", "module-min-max"]);
    }
}
