//! Swap: a page that was swapped out is not present and keeps its content, so that whoever looks for present pages only
//! overlooks it.

use std::fs;
use std::io;

use super::Mechanism;

/// Whether the machine has swap now. It may be switched on and off at any time.
///
/// # Errors
/// When there is no `/proc/swaps`.
pub fn is_on() -> io::Result<bool> {
    // The first line is the heading.
    Ok(fs::read_to_string("/proc/swaps")?.lines().nth(1).is_some())
}

/// A machine without swap, for what overlooks swapped-out pages.
pub static ABSENT: Mechanism =
    Mechanism::new("no swap", "no page leaves memory and keeps its content", || match is_on() {
        Ok(false) => Ok(()),
        Ok(true) => Err("pages that are swapped out would be overlooked; `swapoff -a` ends all swap".into()),
        Err(error) => Err(format!("/proc/swaps: {error}; is /proc mounted?")),
    });
