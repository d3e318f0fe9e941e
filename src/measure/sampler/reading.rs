//! The texts of `/proc/PID/statm` and `/proc/PID/smaps_rollup` (proc(5)).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::machine::kib;

/// `/proc/PID/smaps_rollup` (Linux 4.14 and later), in bytes; a line that the kernel does not print is
/// absent.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct Rollup {
    pub rss_bytes: Option<u64>,
    /// Proportional set: shared pages count by their share.
    pub pss_bytes: Option<u64>,
    /// Pages that belong to no file.
    pub anonymous_bytes: Option<u64>,
    /// The proportional part of pages that belong to files (`Pss_File`, Linux 5.9 and later).
    pub file_bytes: Option<u64>,
    /// The same of shared memory, which is where memfd images are counted (`Pss_Shmem`).
    pub shared_memory_bytes: Option<u64>,
    /// Written to, and of this process alone: what a reset can give back.
    pub private_dirty_bytes: Option<u64>,
    pub swap_bytes: Option<u64>,
}

/// One look at `statm`.
pub(super) enum Reading {
    Resident(u64),
    Gone,
    Odd(String),
    Failed(io::Error),
}

/// Reads `statm` from its beginning. Allocates nothing unless something is wrong.
pub(super) fn read(file: &File) -> Reading {
    let mut buffer = [0; 128];
    let length = loop {
        match file.read_at(&mut buffer, 0) {
            Ok(length) => break length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The process was waited for.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Reading::Gone,
            Err(error) => return Reading::Failed(error),
        }
    };
    let text = &buffer[..length];
    match statm(text) {
        // A zombie has no address space any more. RSS alone may be zero by the counters' error.
        Some((0, _)) => Reading::Gone,
        Some((_, resident)) => Reading::Resident(resident.saturating_mul(procfs::page_size())),
        None => Reading::Odd(String::from_utf8_lossy(text).trim().to_owned()),
    }
}

/// The first two numbers of `statm`: pages of address space, and pages resident.
fn statm(text: &[u8]) -> Option<(u64, u64)> {
    let mut words = text.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let mut next = || std::str::from_utf8(words.next()?).ok()?.parse().ok();
    Some((next()?, next()?))
}

/// Reads the text of `/proc/PID/smaps_rollup`; `None` when it is blank, as for a process without memory.
pub(super) fn rollup(text: &str) -> Option<Rollup> {
    if text.trim().is_empty() {
        return None;
    }
    Some(Rollup {
        rss_bytes: kib(text, "Rss"),
        pss_bytes: kib(text, "Pss"),
        anonymous_bytes: kib(text, "Anonymous"),
        file_bytes: kib(text, "Pss_File"),
        shared_memory_bytes: kib(text, "Pss_Shmem"),
        private_dirty_bytes: kib(text, "Private_Dirty"),
        swap_bytes: kib(text, "Swap"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statm_is_two_numbers_and_a_rest() {
        assert_eq!(statm(b"765 431 403 5 0 123 0\n"), Some((765, 431)));
        assert_eq!(statm(b"0 0 0 0 0 0 0\n"), Some((0, 0)));
        for odd in [&b""[..], b"765", b"a b", b"-1 2", b"\xff \xff", b"18446744073709551616 1"] {
            assert_eq!(statm(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn a_rollup_is_read_in_bytes_and_old_kernels_lack_lines() {
        let text = "55c1fa9fc000-7ffd1366d000 ---p 00000000 00:00 0                          [rollup]\n\
            Rss:                1724 kB\nPss:                 327 kB\nPss_File:            215 kB\n\
            Private_Dirty:       112 kB\nAnonymous:           100 kB\nSwap:                  0 kB\nSwapPss: 9 kB\n";
        let expected = Rollup {
            rss_bytes: Some(1724 * 1024),
            pss_bytes: Some(327 * 1024),
            anonymous_bytes: Some(100 * 1024),
            file_bytes: Some(215 * 1024),
            shared_memory_bytes: None,
            private_dirty_bytes: Some(112 * 1024),
            swap_bytes: Some(0),
        };
        assert_eq!(rollup(text), Some(expected));
        assert_eq!(rollup("odd \u{fffd}\nRss: many kB\n"), Some(Rollup::default()));
        assert_eq!(rollup(" \n"), None);
    }
}
