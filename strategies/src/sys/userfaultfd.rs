//! userfaultfd(2) with asynchronous write-protection, Linux 6.7: the kernel resolves a write fault by itself and
//! leaves a mark in the page table, which `PAGEMAP_SCAN` reads.
//!
//! Source: `Documentation/admin-guide/mm/userfaultfd.rst`. `UFFD_FEATURE_WP_UNPOPULATED` is required for
//! `PAGEMAP_SCAN` to write-protect at all, although we protect populated pages only: a page that was never touched
//! is told by being absent. `UFFD_USER_MODE_ONLY` needs no privilege, and an asynchronous fault is resolved
//! before the kernel asks for one.

use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::checked;

/// `_IOWR(0xAA, 0x3F, struct uffdio_api)`.
const UFFDIO_API: libc::c_ulong = 0xC018_AA3F;
/// `_IOWR(0xAA, 0x00, struct uffdio_register)`.
const UFFDIO_REGISTER: libc::c_ulong = 0xC020_AA00;
const API: u64 = 0xAA;
const FEATURE_WP_UNPOPULATED: u64 = 1 << 13;
const FEATURE_WP_ASYNC: u64 = 1 << 15;
const REGISTER_MODE_WP: u64 = 1 << 1;
const USER_MODE_ONLY: libc::c_int = 1;

#[repr(C)]
struct UffdioApi {
    api: u64,
    features: u64,
    ioctls: u64,
}

#[repr(C)]
struct UffdioRegister {
    start: u64,
    len: u64,
    mode: u64,
    ioctls: u64,
}

/// A userfaultfd whose ranges are write-protected asynchronously. Closing it ends the protection.
#[derive(Debug)]
pub(crate) struct Userfaultfd(OwnedFd);

impl Userfaultfd {
    pub(crate) fn open() -> io::Result<Self> {
        // SAFETY: the call takes flags only.
        let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC | USER_MODE_ONLY) };
        let fd = checked(libc::c_int::try_from(fd).unwrap_or(-1))?;
        // SAFETY: the descriptor was just made and has no other owner.
        let uffd = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        let mut api = UffdioApi { api: API, features: FEATURE_WP_ASYNC | FEATURE_WP_UNPOPULATED, ioctls: 0 };
        // SAFETY: the kernel reads and writes `api`, which has the layout it expects and outlives the call.
        checked(unsafe { libc::ioctl(uffd.0.as_raw_fd(), UFFDIO_API, &raw mut api) })?;
        Ok(uffd)
    }

    /// Lets `PAGEMAP_SCAN` write-protect pages of this range of addresses. No page is protected yet.
    pub(crate) fn write_protect(&self, addresses: Range<usize>) -> io::Result<()> {
        let mut register = UffdioRegister {
            start: addresses.start as u64,
            len: addresses.len() as u64,
            mode: REGISTER_MODE_WP,
            ioctls: 0,
        };
        // SAFETY: the kernel reads and writes `register`, which outlives the call; registering changes no content.
        checked(unsafe { libc::ioctl(self.0.as_raw_fd(), UFFDIO_REGISTER, &raw mut register) })?;
        Ok(())
    }
}

/// Why there is no such descriptor, with the remedy.
pub(crate) fn why(error: io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM) => {
            "userfaultfd is not permitted here (seccomp, or vm.unprivileged_userfaultfd on kernels \
                              before 5.11)"
                .into()
        }
        Some(libc::EINVAL) => {
            "the kernel has no UFFD_FEATURE_WP_ASYNC: it takes Linux 6.7 with CONFIG_PTE_MARKER_UFFD_WP"
                .into()
        }
        Some(libc::ENOSYS) => {
            "the kernel has no userfaultfd: it takes CONFIG_USERFAULTFD, and seccomp to allow it".into()
        }
        _ => format!("userfaultfd: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_names_the_kernel_that_has_it() {
        let told = |code| why(io::Error::from_raw_os_error(code));
        assert!(told(libc::EINVAL).contains("Linux 6.7"), "{}", told(libc::EINVAL));
        assert!(told(libc::EPERM).contains("vm.unprivileged_userfaultfd"));
        assert!(told(libc::ENOSYS).contains("CONFIG_USERFAULTFD"));
        assert!(told(libc::ENOMEM).starts_with("userfaultfd: "));
    }
}
