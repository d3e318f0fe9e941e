//! Growth that fails, for real and half-way: RLIMIT_DATA is lowered for as long as one `memory.grow` takes.
//!
//! getrlimit(2): since Linux 4.7 the limit counts private writable mappings, so that mprotect(2) fails with ENOMEM
//! where it would give access to too many. It works mapping by mapping: where a range spans two, the first may have been
//! changed when the second fails.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use procfs::process::Process;
use reset_strategies::sys;
use wasmtime::{Error, ResourceLimiter, Result};

/// Lowers the limit at each growth while it is armed. The limit is the process's: nothing else may want memory then.
#[derive(Debug, Default)]
pub struct Scarcity {
    armed: bool,
    /// What the soft and the hard limit were, while it is lowered.
    before: Option<(u64, u64)>,
    failed: u64,
}

impl Scarcity {
    /// Has growth fail from now on.
    pub fn arm(&mut self) {
        self.armed = true;
    }

    /// Lets growth succeed again; says how many have failed since it was armed.
    pub fn disarm(&mut self) -> u64 {
        self.armed = false;
        self.raise();
        std::mem::take(&mut self.failed)
    }

    /// Leaves room for a page less than the growth needs: for all that lies before its last mapping.
    fn lower(&mut self, growth: usize) -> io::Result<()> {
        let status = Process::myself().and_then(|process| process.status()).map_err(io::Error::other)?;
        let data = status.vmdata.ok_or_else(|| io::Error::other("the kernel does not say VmData"))? << 10;
        let room = growth.saturating_sub(sys::page::size()) as u64;
        let (soft, hard) = getrlimit(Resource::RLIMIT_DATA)?;
        setrlimit(Resource::RLIMIT_DATA, (data + room).min(hard), hard)?;
        self.before = Some((soft, hard));
        Ok(())
    }

    /// Ends what a growth that has not failed has begun: nobody says when it is over, and whoever needs memory next is not to
    /// go without.
    pub(super) fn relent(&mut self) {
        self.raise();
    }

    fn raise(&mut self) {
        if let Some((soft, hard)) = self.before.take() {
            // The soft limit goes back to where it was, which is always allowed.
            let _back = setrlimit(Resource::RLIMIT_DATA, soft, hard);
        }
    }
}

impl Drop for Scarcity {
    fn drop(&mut self) {
        self.raise();
    }
}

impl ResourceLimiter for Scarcity {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        if self.armed && desired > current {
            self.raise();
            self.lower(desired - current)?;
        }
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: Error) -> Result<()> {
        self.failed += u64::from(self.before.is_some());
        self.raise();
        Ok(())
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool> {
        Ok(true)
    }
}
