//! A memory image in a memfd, mapped privately: pages are copied on write, and `MADV_DONTNEED` brings the image back.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;

use memmap2::MmapRaw;

use super::page::{self, Scratch};
use super::{Mechanism, checked};

/// An anonymous file of `bytes` zeros that lives in memory.
pub(crate) fn create(bytes: usize) -> io::Result<File> {
    // SAFETY: the name is a NUL-terminated literal.
    let fd = checked(unsafe { libc::memfd_create(c"reset-image".as_ptr(), libc::MFD_CLOEXEC) })?;
    // SAFETY: the descriptor was just made and has no other owner.
    let file = unsafe { File::from_raw_fd(fd) };
    file.set_len(bytes as u64)?;
    Ok(file)
}

/// Replaces the first `bytes` of a mapping by a private, writable mapping of the file.
///
/// # Safety
/// No reference into the range may be live, and the file must not be shortened while the mapping lives.
pub(crate) unsafe fn map_over(map: &MmapRaw, bytes: usize, file: &File) -> io::Result<()> {
    assert!(bytes <= map.len());
    // SAFETY: MAP_FIXED replaces pages of our own mapping only (asserted); the caller vouches for the rest.
    let address = unsafe {
        libc::mmap(
            map.as_mut_ptr().cast(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_NORESERVE,
            file.as_raw_fd(),
            0,
        )
    };
    if address == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `MAP_PRIVATE` over a memfd, with `MADV_DONTNEED` to undo the writes; memfd_create(2) is in Linux 3.17.
pub static PRIVATE_IMAGE: Mechanism =
    Mechanism::new("MAP_PRIVATE memfd", "restores an image by copy-on-write", || {
        let scratch = Scratch::pages(1)?;
        let file = create(page::size()).map_err(|e| format!("memfd_create: {e}"))?;
        file.write_all_at(&[5], 0).map_err(|e| format!("writing a memfd: {e}"))?;
        // SAFETY: no reference into the scratch page exists, and the file keeps its length.
        unsafe { map_over(&scratch.map, page::size(), &file) }.map_err(|e| format!("mmap: {e}"))?;
        scratch.write(0, 7);
        // SAFETY: no reference into the scratch page exists.
        unsafe { page::discard(&scratch.map, 0..page::size()) }.map_err(|e| format!("madvise: {e}"))?;
        match scratch.read(0) {
            5 => Ok(()),
            other => Err(format!("MADV_DONTNEED left {other} instead of the image's byte")),
        }
    })
    .since(3, 17);
