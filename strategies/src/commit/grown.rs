//! Policies that the guest can see: its memory is larger from the beginning.
//!
//! A guest's allocator asks `memory.grow` for every new page and makes no use of what it did not ask for. A memory that is
//! at its maximum makes every such request fail, so that all but the smallest block comes out differently: these
//! policies are here to be judged.

use std::io;

use super::{How, Policy, WASM_PAGE};
use crate::sys::{Mechanism, checked, page};

/// The flags for huge pages of [that size](page::huge), rather than of the one that the system prefers.
fn huge() -> libc::c_int {
    libc::MAP_HUGETLB | (page::huge().trailing_zeros() as libc::c_int) << libc::MAP_HUGE_SHIFT
}

/// `nonzero-then-zero`: grows to the full size, marks each wasm page, and writes zeros over everything.
///
/// The marks commit one OS page in sixteen. What commits the rest is the second phase, by writing zeros, which the first
/// was meant to be the cure for.
pub static NONZERO_THEN_ZERO: Policy = Policy::new(
    "nonzero-then-zero",
    "grows the memory to its full size, writes a number into each 64 KiB, then zeros over all of it",
    &[],
    How::Grown(|extent| {
        extent.mark_every(WASM_PAGE);
        extent.zero();
        Ok(())
    }),
);

/// `hugetlb`: pages that were reserved at boot or by `vm.nr_hugepages`, and cannot be swapped out.
///
/// Access to them is given and taken as a whole, and wasm grows by 64 KiB: so the memory has its full size from the
/// beginning and never shrinks below it. Trackers that mark single pages cannot mark them, and are refused.
pub static HUGETLB: Policy = Policy::new(
    "hugetlb",
    "grows the memory to its full size on huge pages that were reserved beforehand",
    &[&RESERVED],
    How::Hugetlb(|extent| extent.map_anew(page::huge(), huge())),
);

/// `module-min-max`: the module declares the full size as minimum and maximum. Declares, and commits nothing.
pub static MODULE_MIN_MAX: Policy = Policy::new(
    "module-min-max",
    "rewrites the module's memory to minimum = maximum, which commits nothing",
    &[],
    How::Rewrite,
);

/// `MAP_HUGETLB`, with one page.
pub static RESERVED: Mechanism = Mechanism::new("MAP_HUGETLB", "maps huge pages reserved beforehand", || {
    let (bytes, flags) = (page::huge(), libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | huge());
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice. Nothing of it is touched, whatever its size.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, flags, -1, 0) };
    if at == libc::MAP_FAILED {
        let error = io::Error::last_os_error();
        let reserved = std::fs::read_to_string(reservation(bytes) + "/nr_hugepages");
        return Err(unreserved(&error, bytes, reserved.ok().as_deref()));
    }
    // SAFETY: the mapping was just made, and nothing refers to it.
    checked(unsafe { libc::munmap(at, bytes) }).map_err(|e| format!("munmap of {} MiB: {e}", bytes >> 20))?;
    Ok(())
});

/// The folder that says in `nr_hugepages` how many huge pages of that size are reserved; `vm.nr_hugepages` speaks of the
/// size that the system prefers, which may be another.
fn reservation(bytes: usize) -> String {
    format!("/sys/kernel/mm/hugepages/hugepages-{}kB", bytes >> 10)
}

/// Why no huge page could be had, given what [`reservation`] holds.
fn unreserved(error: &io::Error, bytes: usize, reserved: Option<&str>) -> String {
    let (folder, mebibytes) = (reservation(bytes), bytes >> 20);
    match reserved {
        Some(reserved) => format!(
            "{error}; {} huge pages of {mebibytes} MiB are reserved: write how many there should be to nr_hugepages in {folder}",
            reserved.trim()
        ),
        None => {
            format!(
                "{error}; the kernel has no huge pages of {mebibytes} MiB to reserve ({folder} is missing)"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_names_pages_of_this_machine() {
        let error = io::Error::from_raw_os_error(libc::ENOMEM);
        let told = unreserved(&error, 32 << 20, Some("0\n"));
        assert!(told.ends_with(
            "; 0 huge pages of 32 MiB are reserved: write how many there should be to nr_hugepages in \
             /sys/kernel/mm/hugepages/hugepages-32768kB"
        ));
        assert!(unreserved(&error, 512 << 20, None).contains("no huge pages of 512 MiB"));
    }
}
