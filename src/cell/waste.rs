//! What is wasted on purpose, to see whether a change for the worse of a known size is found.
//!
//! Only a contender whose record says so is started with it (see [`crate::launch::plan::Contender::planted`] and `run --plant`).

use std::hint::{black_box, spin_loop};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use memmap2::MmapMut;
use reset_strategies::Session;

use super::state::memories;
use crate::analyse::quantile::median;
use crate::analyse::steady::WARM_UP;
use crate::protocol::{Planted, Timed, Wasted};
use crate::workload::host::BlockState;

/// What to waste, and how much once that is known.
pub struct Waste {
    planted: Option<Planted>,
    /// Requests to come before the one that decides how much.
    earlier: usize,
    /// Of each execute or reset.
    length: Duration,
    held: Vec<u8>,
}

impl Waste {
    pub fn new(planted: Option<Planted>) -> Self {
        Self { planted, earlier: WARM_UP - 1, length: Duration::ZERO, held: Vec::new() }
    }

    /// How much of this there is to waste.
    fn amount(&self, what: Wasted) -> Option<u32> {
        self.planted.filter(|planted| planted.what == what).map(|planted| planted.amount)
    }

    /// Spends time if this is the place to do so.
    pub fn spend(&self, what: Wasted) {
        if self.length.is_zero() || self.amount(what).is_none() {
            return;
        }
        let until = Instant::now() + self.length;
        match what {
            Wasted::Faults => fault(until),
            _ => spin(until),
        }
    }

    /// The time that a function of the host is to lose in each block, if one is.
    pub fn of_host(&self) -> Option<Duration> {
        self.amount(Wasted::Host).map(|_| self.length).filter(|length| !length.is_zero())
    }

    /// Dirties the last pages of the first memory, which few guests use, and leaves them as they are.
    ///
    /// # Errors
    /// When the session is unusable, or its memory has fewer pages.
    pub fn dirty(&self, session: &mut Session<BlockState>) -> Result<()> {
        let Some(pages) = self.amount(Wasted::Pages) else { return Ok(()) };
        let page = usize::try_from(procfs::page_size())?;
        let memory =
            memories(session)?.first().copied().context("there is no memory whose pages could be dirtied")?;
        let bytes = memory.data_mut(session.store_mut()?);
        let mut last = bytes.rchunks_exact_mut(page);
        for _ in 0..pages {
            let page = last.next().context("the memory has fewer pages than are to be dirtied")?;
            page[0] = black_box(page[0]);
        }
        Ok(())
    }

    /// Decides by the last step that never counts, so that the waste is in whatever is kept: by its median cycle, or by how
    /// many bytes are resident.
    pub fn settle(&mut self, timed: &Timed) {
        if self.earlier > 0 {
            self.earlier -= 1;
            return;
        }
        let Some(Planted { what, amount }) = self.planted else { return };
        let share = |whole: u64| whole * u64::from(amount) / 1_000;
        match what {
            Wasted::Execute | Wasted::Reset | Wasted::Faults | Wasted::Host if self.length.is_zero() => {
                self.length = Duration::from_nanos(share(median(&mut timed.cycles()).unwrap_or(0)));
            }
            // Each byte is written, so that all pages are there.
            Wasted::Memory if self.held.is_empty() => {
                self.held = vec![1; share(timed.learning.resident) as usize]
            }
            _ => {}
        }
    }
}

/// Spins; a function of its own for a profiler to see.
#[inline(never)]
fn spin(until: Instant) {
    while Instant::now() < until {
        spin_loop();
    }
}

/// Touches new pages, some at a time.
#[inline(never)]
fn fault(until: Instant) {
    const BYTES: usize = 256 << 10;
    while Instant::now() < until {
        let Ok(mut pages) = MmapMut::map_anon(BYTES) else { return spin(until) };
        pages.iter_mut().step_by(1 << 12).for_each(|byte| *byte = black_box(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::learning::Learning;

    fn timed(ns: u64, resident: u64) -> Timed {
        let learning = Learning { resident, ..Learning::default() };
        Timed { execute: vec![ns; 3], reset: vec![ns; 3], learning, ..Timed::default() }
    }

    #[test]
    fn the_last_step_that_never_counts_sets_the_length_and_nothing_else_does() {
        let mut waste = Waste::new(Some(Planted { what: Wasted::Reset, amount: 20 }));
        (0..WARM_UP - 1).for_each(|_| waste.settle(&timed(9_000_000, 0)));
        assert_eq!(waste.length, Duration::ZERO);
        waste.settle(&timed(50_000, 0));
        assert_eq!(waste.length, Duration::from_micros(2));
        waste.settle(&timed(9_000_000, 0));
        assert_eq!(waste.length, Duration::from_micros(2));
        let mut none = Waste::new(None);
        none.settle(&timed(50_000, 50_000));
        assert_eq!((none.length, none.held.len()), (Duration::ZERO, 0));
    }

    #[test]
    fn what_a_function_of_the_host_loses_is_known_once_it_is_settled() {
        let mut waste = Waste::new(Some(Planted { what: Wasted::Host, amount: 1_000 }));
        assert_eq!(waste.of_host(), None);
        (0..WARM_UP).for_each(|_| waste.settle(&timed(50_000, 0)));
        assert_eq!(waste.of_host(), Some(Duration::from_micros(100)));
        let mut other = Waste::new(Some(Planted { what: Wasted::Faults, amount: 1_000 }));
        (0..WARM_UP).for_each(|_| other.settle(&timed(50_000, 0)));
        assert_eq!((other.of_host(), other.length), (None, Duration::from_micros(100)));
    }

    #[test]
    fn memory_is_held_once_and_costs_no_time() {
        let mut waste = Waste::new(Some(Planted { what: Wasted::Memory, amount: 100 }));
        (0..WARM_UP - 1).for_each(|_| waste.settle(&timed(1_000, 90_000)));
        assert!(waste.held.is_empty());
        waste.settle(&timed(1_000, 50_000));
        waste.settle(&timed(1_000, 90_000));
        assert_eq!((waste.held.len(), waste.length), (5_000, Duration::ZERO));
    }
}
