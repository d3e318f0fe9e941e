//! Criterion's clock, which also tells samples from what only warms up.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};

/// Wall time, and whether what was measured last is a sample: criterion makes a number of what it analyses, and of nothing
/// that it runs to warm up.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// Shared by all clones.
    sample: Rc<Cell<bool>>,
}

impl Counted {
    /// Whether a sample was taken since this was asked last.
    pub fn was_sample(&self) -> bool {
        self.sample.take()
    }
}

impl Measurement for Counted {
    type Intermediate = <WallTime as Measurement>::Intermediate;
    type Value = Duration;

    fn start(&self) -> Self::Intermediate {
        WallTime.start()
    }

    fn end(&self, started: Self::Intermediate) -> Duration {
        WallTime.end(started)
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        WallTime.add(one, other)
    }

    fn zero(&self) -> Duration {
        WallTime.zero()
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        self.sample.set(true);
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}
