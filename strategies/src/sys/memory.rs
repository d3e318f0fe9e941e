//! What sysinfo(2) says of the machine's memory. It needs no `/proc`, which a container may hide in part.

use std::io;

use super::checked;

/// The machine's memory and swap, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Free at once; what the kernel could take back from its caches comes on top.
    pub free_bytes: u64,
    /// All swap areas.
    pub swap_bytes: u64,
}

impl Memory {
    /// Asks the kernel.
    ///
    /// # Errors
    /// When the system call is refused.
    pub fn read() -> io::Result<Self> {
        // SAFETY: all zeros is a value of this struct of numbers.
        let mut info: libc::sysinfo = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes one `struct sysinfo`, which `info` is.
        checked(unsafe { libc::sysinfo(&raw mut info) })?;
        let bytes = |units: libc::c_ulong| units.saturating_mul(info.mem_unit.into());
        Ok(Self {
            free_bytes: bytes(info.freeram).saturating_add(bytes(info.bufferram)),
            swap_bytes: bytes(info.totalswap),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_runs_tests_has_free_memory() {
        assert!(Memory::read().unwrap().free_bytes > 1 << 20);
    }
}
