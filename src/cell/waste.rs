//! Time wasted on purpose, to see whether a slow-down of a known size is found.
//!
//! Only a contender whose record says so is started with it (see [`crate::launch::plan::Contender::planted`] and `run --plant`).

use std::hint::spin_loop;
use std::time::{Duration, Instant};

use crate::analyse::quantile::median;
use crate::analyse::steady::WARM_UP;
use crate::protocol::{Planted, PlantedIn, Timed};

/// What to waste, and how long once that is known.
pub struct Waste {
    planted: Option<Planted>,
    /// Requests to come before the one whose times decide.
    earlier: usize,
    length: Duration,
}

impl Waste {
    pub fn new(planted: Option<Planted>) -> Self {
        Self { planted, earlier: WARM_UP - 1, length: Duration::ZERO }
    }

    /// Spins if this is the phase to do so in.
    pub fn spin(&self, phase: PlantedIn) {
        if self.length.is_zero() || self.planted.is_none_or(|planted| planted.phase != phase) {
            return;
        }
        let until = Instant::now() + self.length;
        while Instant::now() < until {
            spin_loop();
        }
    }

    /// Takes the share of the median cycle of the last step that never counts: whatever is kept has the waste in it.
    pub fn settle(&mut self, timed: &Timed) {
        if self.earlier > 0 {
            self.earlier -= 1;
            return;
        }
        let Some(planted) = self.planted.filter(|_| self.length.is_zero()) else { return };
        let cycle = median(&mut timed.cycles()).unwrap_or(0);
        self.length = Duration::from_nanos(cycle * u64::from(planted.per_mille) / 1_000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_step_that_never_counts_sets_the_length_and_nothing_else_does() {
        let timed = |ns| Timed { execute: vec![ns; 3], reset: vec![ns; 3], ..Timed::default() };
        let mut waste = Waste::new(Some(Planted { phase: PlantedIn::Reset, per_mille: 20 }));
        (0..WARM_UP - 1).for_each(|_| waste.settle(&timed(9_000_000)));
        assert_eq!(waste.length, Duration::ZERO);
        waste.settle(&timed(50_000));
        assert_eq!(waste.length, Duration::from_micros(2));
        waste.settle(&timed(9_000_000));
        assert_eq!(waste.length, Duration::from_micros(2));
        let mut none = Waste::new(None);
        none.settle(&timed(50_000));
        assert_eq!(none.length, Duration::ZERO);
    }
}
