//! mincore(2): resident pages.
//!
//! The kernel tells residency, not writes, so the set only ever grows unless the restorer gives pages back. A page
//! that was swapped out is not resident and yet holds old bytes: where the machine has swap, the tracker reports
//! the whole memory instead. About 0.6 ns per page of the used size, dirty or not.

use std::io;

use super::{Search, Tracker};
use crate::condition;
use crate::in_place::InPlace;
use crate::restore::GiveBack;
use crate::strategy::Strategy;
use crate::sys::page::{self, extend};
use crate::sys::{mincore, swap};

/// Reports resident pages.
#[derive(Debug, Default)]
pub struct Mincore {
    resident: Vec<u8>,
}

impl Tracker for Mincore {
    fn dirty(&mut self, Search { pages, runs, done, .. }: Search<'_>) -> io::Result<()> {
        // Read at every reset: swap may be switched on at any time.
        if swap::is_on()? {
            runs.push(0..pages.size());
            return Ok(());
        }
        mincore::resident(pages.map(), 0..pages.size(), &mut self.resident)?;
        done.syscalls += 1;
        let page = page::size();
        for (index, _) in self.resident.iter().enumerate().filter(|(_, flags)| *flags & 1 == 1) {
            extend(runs, index * page..(index + 1) * page);
        }
        Ok(())
    }
}

/// `dirty/mincore`.
pub static STRATEGY: Strategy = Strategy::in_place(
    "dirty/mincore",
    "resets the pages that mincore(2) reports resident, and gives blank ones back",
    &[&mincore::MINCORE, &page::DISCARD],
    InPlace::BASE.tracking::<Mincore>().restoring::<GiveBack>(),
)
.must_not(&[&condition::PINNED_PAGES]);
