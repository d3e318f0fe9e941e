//! Restorers: how dirty pages become clean.

mod copy;
mod discard;
mod give_back;

pub use copy::{Copy, FULL};
pub use discard::{Discard, MADVISE_COW};
pub use give_back::{GiveBack, MADVISE};

pub use crate::in_place::parts::{Restoration, Restorer};
