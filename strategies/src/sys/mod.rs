//! The few system calls that neither `libc` nor `memmap2` wraps, each with its probe.
//!
//! A probe performs the mechanism on a page of its own and checks the effect: that a header or a kernel version
//! promises it proves nothing inside a container.

pub mod code;
pub mod faults;
mod kernel;
pub mod ksm;
pub mod locked;
pub mod mechanism;
pub mod memfd;
pub mod memory;
pub mod mincore;
pub mod page;
pub mod pagemap;
pub mod pagemap_scan;
pub mod pkeys;
pub mod pool_scan;
pub(crate) mod populated;
pub(crate) mod process;
pub mod soft_dirty;
pub mod swap;
pub mod userfaultfd;
pub mod zero;

pub use kernel::{Kernel, NoKernel};
pub use mechanism::{Broken, Mechanism};

use std::io;

/// Turns the -1 of a system call into the error that `errno` holds.
pub(crate) fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
