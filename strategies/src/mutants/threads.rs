//! Wrong about which threads write.

use crate::in_place::{InPlace, Scope};
use crate::strategy::Strategy;
use crate::sys::pagemap_scan;
use crate::track::hot_cold;

/// The faults of the calling thread say nothing of a `Caller`, or of a slice of guest memory, that a host function has
/// given to another thread. `adaptive/hot-cold` would be faster beside threads that fault all the time, and its host need not
/// have been asked. No public report known.
///
/// It is not [among all](super::all), since no schedule of a verification gives memory to another thread:
/// `strategies/tests/mutant_threads.rs` tries it.
pub static CALLING_THREAD: Strategy = Strategy::in_place(
    "mutant/calling-thread",
    "takes the faults of the calling thread for all that there are, whatever its host says",
    &[&pagemap_scan::PAGEMAP_SCAN, &pagemap_scan::WRITE_PROTECT],
    InPlace { scope: Scope { any_thread: false, ..Scope::ALL }, ..hot_cold::PARTS },
);
