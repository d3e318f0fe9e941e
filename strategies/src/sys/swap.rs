//! Swap: a page that was swapped out is not present and keeps its content, so that whoever looks for present pages only
//! overlooks it.

use std::io;

use super::Mechanism;

/// Whether the machine has swap now. It may be switched on and off at any time.
///
/// sysinfo(2) needs no `/proc`, and what is mounted over `/proc/swaps` hides nothing from it.
///
/// # Errors
/// When the system call is refused.
pub fn is_on() -> io::Result<bool> {
    // SAFETY: all zeros is a value of this struct of numbers.
    let mut info: libc::sysinfo = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one `struct sysinfo`, which `info` is.
    super::checked(unsafe { libc::sysinfo(&raw mut info) })?;
    Ok(info.totalswap > 0)
}

/// A machine without swap, for what overlooks swapped-out pages.
pub static ABSENT: Mechanism =
    Mechanism::new("no swap", "no page leaves memory and keeps its content", || match is_on() {
        Ok(false) => Ok(()),
        Ok(true) => Err("pages that are swapped out would be overlooked; `swapoff -a` ends all swap".into()),
        Err(error) => Err(format!("sysinfo: {error}")),
    });
