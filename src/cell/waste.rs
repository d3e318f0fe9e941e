//! Time wasted on purpose, to see whether a slow-down of a known size is found.
//!
//! Only a contender whose name and record say so is started with it (see [`crate::launch::plan::Contender::planted`]).

use std::hint::spin_loop;
use std::time::{Duration, Instant};

use crate::analyse::quantile::median;
use crate::protocol::{Planted, PlantedIn, Timed};

/// What to waste, and how long once that is known.
pub struct Waste {
    planted: Option<Planted>,
    length: Duration,
}

impl Waste {
    pub fn new(planted: Option<Planted>) -> Self {
        Self { planted, length: Duration::ZERO }
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

    /// Takes the share of the median cycle that was measured first, in the round that warms up and is not written.
    pub fn settle(&mut self, timed: &Timed) {
        let Some(planted) = self.planted.filter(|_| self.length.is_zero()) else { return };
        let cycle = median(&mut timed.cycles()).unwrap_or(0);
        self.length = Duration::from_nanos(cycle * u64::from(planted.per_mille) / 1_000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_times_set_the_length_and_nothing_else_does() {
        let timed = |ns| Timed { execute: vec![ns; 3], reset: vec![ns; 3] };
        let mut waste = Waste::new(Some(Planted { phase: PlantedIn::Reset, per_mille: 20 }));
        waste.settle(&timed(50_000));
        assert_eq!(waste.length, Duration::from_micros(2));
        waste.settle(&timed(9_000_000));
        assert_eq!(waste.length, Duration::from_micros(2));
        let mut none = Waste::new(None);
        none.settle(&timed(50_000));
        assert_eq!(none.length, Duration::ZERO);
    }
}
