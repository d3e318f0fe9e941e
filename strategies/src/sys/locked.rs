//! Memory that is locked: the kernel takes no page of it away, not even when it is told to by `MADV_DONTNEED`.

use std::io;

use super::page;

/// Whether all that this process maps is locked (`MCL_FUTURE` of mlockall(2)): seen on a page that was just mapped, which
/// the kernel then refuses to discard.
///
/// # Errors
/// When a page can be neither mapped nor discarded for another reason.
pub fn maps_locked() -> io::Result<bool> {
    let map = page::reserve(page::size())?;
    // Nothing but a lock can be in the way of a whole page (`madvise_dontneed_free_valid_vma` of `mm/madvise.c`).
    // SAFETY: the mapping is new, and as long as the range that is given back; no reference into it exists.
    match super::checked(unsafe { libc::madvise(map.as_mut_ptr().cast(), map.len(), libc::MADV_DONTNEED) }) {
        Ok(_) => Ok(false),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(true),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const CHILD: &str = "RESET_STRATEGIES_LOCKED";

    #[test]
    fn a_process_that_locks_what_it_maps_is_told_from_one_that_does_not() {
        if std::env::var_os(CHILD).is_none() {
            assert!(!maps_locked().unwrap(), "the tests run without it");
            let mut child = Command::new(std::env::current_exe().unwrap());
            let name = "sys::locked::tests::a_process_that_locks_what_it_maps_is_told_from_one_that_does_not";
            let output = child.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output().unwrap();
            let told = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && told.contains("1 passed"), "{told}");
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
            return;
        }
        for flags in [libc::MCL_FUTURE, libc::MCL_FUTURE | libc::MCL_ONFAULT] {
            // SAFETY: the call takes flags only.
            if let Err(error) = super::super::checked(unsafe { libc::mlockall(flags) }) {
                eprintln!("NOT TESTED HERE: mlockall: {error}");
                return;
            }
            let found = maps_locked();
            // SAFETY: the call takes nothing.
            unsafe { libc::munlockall() };
            assert!(found.unwrap(), "{flags}");
        }
    }
}
