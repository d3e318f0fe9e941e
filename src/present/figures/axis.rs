//! Axes: from values to places, and the ticks between.

use crate::units::{self, Column, Quantity};

/// A place on an axis and what is written there.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    pub at: f64,
    /// Empty for a place that is marked but not named.
    pub label: String,
}

/// A logarithmic axis over whole decades of nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct LogTime {
    low: i32,
    high: i32,
    from: f64,
    to: f64,
}

impl LogTime {
    /// The decades that hold all positive values, drawn between `from` and `to`.
    pub fn spanning(values: impl IntoIterator<Item = u64>, from: f64, to: f64) -> LogTime {
        let (mut low, mut high) = (i32::MAX, i32::MIN);
        for value in values.into_iter().filter(|v| *v > 0) {
            // Integer logarithms are exact at the powers of ten, where floating point is not.
            let floor = value.ilog10() as i32;
            let exact = 10u64.pow(floor as u32) == value;
            low = low.min(floor);
            high = high.max(if exact { floor } else { floor + 1 });
        }
        if low > high {
            // Nothing positive: any axis will do, microseconds are what readers expect.
            (low, high) = (3, 6);
        }
        if low == high {
            high += 1;
        }
        LogTime { low, high, from, to }
    }

    /// Whether a value lies within the axis, so that its place is not just the nearer end.
    pub fn holds(&self, value: u64) -> bool {
        value > 0 && (self.low..=self.high).contains(&(value.ilog10() as i32))
    }

    /// Where a positive value lies.
    pub fn place(&self, value: u64) -> f64 {
        let decades = (value.max(1) as f64).log10() - f64::from(self.low);
        let share = decades / f64::from(self.high - self.low);
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// All decades; a single one gets its 2 and 5 as well. So many of them have a label that each has `room`.
    pub fn ticks(&self, room: f64) -> Vec<Tick> {
        let decades = (self.high - self.low) as usize;
        let step = (room * decades as f64 / (self.to - self.from)).ceil().max(1.0) as usize;
        let mut ticks = Vec::new();
        for (i, exponent) in (self.low..=self.high).enumerate() {
            let base = 10u64.saturating_pow(exponent as u32);
            let within: &[u64] = if decades == 1 && exponent < self.high { &[1, 2, 5] } else { &[1] };
            ticks.extend(within.iter().map(|factor| {
                let value = base.saturating_mul(*factor);
                let label = if i.is_multiple_of(step) { round_ns(value) } else { String::new() };
                Tick { at: self.place(value), label }
            }));
        }
        ticks
    }
}

/// A logarithmic axis that fits its values more closely: it begins and ends at 1, 2 or 5 times a power of ten.
#[derive(Clone, Debug)]
pub struct CloseTime {
    /// At least two, rising.
    steps: Vec<u64>,
    from: f64,
    to: f64,
}

impl CloseTime {
    /// The steps that hold all positive values, drawn between `from` and `to`.
    pub fn spanning(values: impl IntoIterator<Item = u64>, from: f64, to: f64) -> CloseTime {
        let (mut least, mut most) = (u64::MAX, 0);
        for value in values.into_iter().filter(|v| *v > 0) {
            (least, most) = (least.min(value), most.max(value));
        }
        if most == 0 {
            // As for whole decades: any axis will do.
            (least, most) = (1_000, 1_000_000);
        }
        let steps =
            (0..=19).flat_map(|power| [1, 2, 5].map(|factor| 10u64.pow(power).saturating_mul(factor)));
        let mut all: Vec<u64> = steps.collect();
        all.dedup();
        let first = all.partition_point(|step| *step <= least).saturating_sub(1).min(all.len() - 2);
        let last = all.partition_point(|step| *step < most).clamp(first + 1, all.len() - 1);
        CloseTime { steps: all[first..=last].to_vec(), from, to }
    }

    /// Where a positive value lies.
    pub fn place(&self, value: u64) -> f64 {
        let log = |value: u64| (value.max(1) as f64).log10();
        let (low, high) = (log(self.steps[0]), log(self.steps[self.steps.len() - 1]));
        let share = (log(value) - low) / (high - low);
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// All steps; where not each has `room` for its label, powers of ten have theirs, or the ends where those are too
    /// few.
    pub fn ticks(&self, room: f64) -> Vec<Tick> {
        let last = self.steps.len() - 1;
        let closest = |kept: &dyn Fn(usize) -> bool| {
            let kept: Vec<f64> = (0..=last).filter(|i| kept(*i)).map(|i| self.place(self.steps[i])).collect();
            let gaps = kept.windows(2).map(|pair| (pair[1] - pair[0]).abs());
            if kept.len() < 2 { 0.0 } else { gaps.fold(f64::INFINITY, f64::min) }
        };
        let power = |i: usize| self.steps[i].to_string().trim_end_matches('0') == "1";
        let ends = |i: usize| i == 0 || i == last;
        let labelled: &dyn Fn(usize) -> bool = if closest(&|_| true) >= room {
            &|_| true
        } else if closest(&power) >= room {
            &power
        } else {
            &ends
        };
        let tick = |(i, step): (usize, &u64)| Tick {
            at: self.place(*step),
            label: if labelled(i) { round_ns(*step) } else { String::new() },
        };
        self.steps.iter().enumerate().map(tick).collect()
    }
}

/// A logarithmic axis of ratios that ends where its values do, so that a change of a few per cent can be seen.
#[derive(Clone, Copy, Debug)]
pub struct Ratios {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Ratios {
    /// The least span, as a factor: what is steady shall look steady.
    const LEAST: f64 = 1.2;

    /// The axis of all positive values, drawn between `from` and `to`.
    pub fn spanning(values: impl IntoIterator<Item = f64>, from: f64, to: f64) -> Ratios {
        let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
        for value in values.into_iter().filter(|value| value.is_finite() && *value > 0.0) {
            (low, high) = (low.min(value), high.max(value));
        }
        if high == 0.0 {
            (low, high) = (1.0, 1.0);
        }
        let short = (Self::LEAST / (high / low)).max(1.0).sqrt();
        Ratios { low: low / short, high: high * short, from, to }
    }

    /// Where a positive ratio lies.
    pub fn place(&self, ratio: f64) -> f64 {
        let share = (ratio / self.low).ln() / (self.high / self.low).ln();
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Round ratios: 1, 2 and 5 times the powers of ten where the axis is long, multiples of such a step where it is short.
    pub fn ticks(&self) -> Vec<Tick> {
        let steps = |least: f64| {
            let power = least.log10().floor() as i32;
            (power..).flat_map(|power| [1.0, 2.0, 5.0].map(|factor| factor * 10_f64.powi(power)))
        };
        let values: Vec<f64> = if self.high / self.low > 5.0 {
            steps(self.low)
                .take_while(|value| *value <= self.high)
                .filter(|value| *value >= self.low)
                .collect()
        } else {
            let rough = (self.high - self.low) / 5.0;
            let step = steps(rough).find(|step| *step >= rough).unwrap_or(rough);
            let multiples = (self.low / step).ceil() as u64..=(self.high / step).floor() as u64;
            multiples.map(|i| i as f64 * step).collect()
        };
        values.into_iter().map(|value| Tick { at: self.place(value), label: units::ratio(value) }).collect()
    }
}

/// The least power of two that reaches from tick to tick, with at most so many ticks.
fn binary_step(span: f64, most: usize) -> f64 {
    let rough = span / most.max(1) as f64;
    let mut step = 1.0;
    while step < rough {
        step *= 2.0;
    }
    step
}

/// A linear axis of what was gained and lost, in bytes: zero is on it, and it begins and ends at a tick.
#[derive(Clone, Copy, Debug)]
pub struct Gains {
    step: f64,
    /// In steps.
    low: i64,
    high: i64,
    from: f64,
    to: f64,
}

impl Gains {
    /// The least span: a page more or less, which readings that never move leave open, shall look as little as it is.
    const LEAST: f64 = 131_072.0;

    /// The axis of all finite values, drawn between `from` and `to`, with about `most` ticks.
    pub fn spanning(values: impl IntoIterator<Item = f64>, most: usize, from: f64, to: f64) -> Gains {
        let finite = values.into_iter().filter(|value| value.is_finite());
        let (low, high) =
            finite.fold((0.0_f64, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let step = binary_step((high - low).max(Self::LEAST), most);
        let (low, high) = ((low / step).floor() as i64, (high / step).ceil() as i64);
        Gains { step, low, high: high.max(low + 1), from, to }
    }

    /// Where a value lies.
    pub fn place(&self, value: f64) -> f64 {
        let share = (value / self.step - self.low as f64) / (self.high - self.low) as f64;
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// The unit in which all ticks can be written alike.
    pub fn unit(&self) -> Column {
        let largest = self.low.abs().max(self.high) as f64 * self.step;
        Column::fit(Quantity::Bytes, [self.step, largest], 3, 6)
    }

    /// All ticks, in [`Gains::unit`].
    pub fn ticks(&self) -> Vec<Tick> {
        let unit = self.unit();
        let values = (self.low..=self.high).map(|i| i as f64 * self.step);
        values.map(|value| Tick { at: self.place(value), label: plain(unit, value) }).collect()
    }
}

/// A linear axis that begins at zero.
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    step: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Linear {
    /// For durations and counts: steps of 1, 2 or 5.
    pub fn decimal(largest: u64, most: usize, from: f64, to: f64) -> Linear {
        let rough = largest.max(1) as f64 / most.max(1) as f64;
        let mut base = 1.0;
        while base * 10.0 <= rough {
            base *= 10.0;
        }
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|f| f * base).find(|s| *s >= rough).unwrap_or(base);
        Linear { step, high: largest.max(1) as f64, from, to }
    }

    /// For sizes: steps of powers of two.
    pub fn bytes(largest: u64, most: usize, from: f64, to: f64) -> Linear {
        let high = largest.max(1) as f64;
        Linear { step: binary_step(high, most), high, from, to }
    }

    /// The same, reaching up to the next tick.
    pub fn to_next_tick(self) -> Linear {
        Linear { high: (self.high / self.step).ceil() * self.step, ..self }
    }

    /// Where a value lies.
    pub fn place(&self, value: u64) -> f64 {
        self.from + (value as f64 / self.high).min(1.0) * (self.to - self.from)
    }

    /// The unit in which all ticks can be written alike.
    pub fn unit(&self, quantity: Quantity) -> Column {
        Column::fit(quantity, [self.step, self.high], 1, 6)
    }

    /// All ticks, written by `label`.
    pub fn ticks(&self, label: impl Fn(u64) -> String) -> Vec<Tick> {
        let last = (self.high / self.step + 1e-9).floor() as u64;
        (0..=last)
            .map(|i| {
                let value = (self.step * i as f64) as u64;
                Tick { at: self.place(value), label: label(value) }
            })
            .collect()
    }
}

/// A round duration without needless zeros: `10 µs` rather than `10.0 µs`.
pub fn round_ns(value: u64) -> String {
    trim(&units::ns(value))
}

/// A tick's value without its unit and without needless zeros.
pub fn plain(unit: Column, value: f64) -> String {
    without_zeros(&unit.write(value)).into()
}

fn trim(text: &str) -> String {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let number = without_zeros(number);
    if number == "0" { "0".into() } else { format!("{number} {unit}") }
}

fn without_zeros(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: Vec<Tick>) -> Vec<String> {
        ticks.into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn decades_hold_their_values() {
        let axis = LogTime::spanning([2_500, 14_393_000], 0.0, 400.0);
        assert_eq!(labels(axis.ticks(80.0)), ["1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms"]);
        assert!(axis.holds(1_000) && !axis.holds(999) && !axis.holds(0));
        assert_eq!((axis.place(1_000), axis.place(100_000_000)), (0.0, 400.0));
        let one = LogTime::spanning([20_000, 90_000], 0.0, 1.0);
        assert_eq!(labels(one.ticks(0.2)), ["10 µs", "20 µs", "50 µs", "100 µs"]);
    }

    #[test]
    fn extremes_have_an_axis() {
        assert_eq!(labels(LogTime::spanning([], 0.0, 1.0).ticks(0.2)), ["1 µs", "10 µs", "100 µs", "1 ms"]);
        assert_eq!(LogTime::spanning([1], 0.0, 1.0).place(1), 0.0);
        let wide = LogTime::spanning([1, 1_000_000_000_000], 0.0, 1.0);
        assert_eq!(labels(wide.ticks(0.2))[..4], ["1 ns", "", "", "1 µs"]);
        assert_eq!(wide.place(u64::MAX), 1.0);
        assert!(LogTime::spanning([u64::MAX], 0.0, 1.0).ticks(0.2).len() >= 2);
    }

    #[test]
    fn a_close_axis_begins_and_ends_near_its_values() {
        let axis = CloseTime::spanning([43_000, 730_000], 0.0, 400.0);
        assert_eq!(labels(axis.ticks(70.0)), ["20 µs", "50 µs", "100 µs", "200 µs", "500 µs", "1 ms"]);
        assert_eq!(labels(axis.ticks(100.0)), ["", "", "100 µs", "", "", "1 ms"]);
        assert_eq!((axis.place(20_000), axis.place(1_000_000)), (0.0, 400.0));
        let narrow = CloseTime::spanning([3, 4], 0.0, 100.0);
        assert_eq!(labels(narrow.ticks(90.0)), ["2 ns", "5 ns"]);
        assert_eq!(labels(CloseTime::spanning([5_000], 0.0, 1.0).ticks(0.5)), ["5 µs", "10 µs"]);
        assert!(CloseTime::spanning([], 0.0, 1.0).ticks(0.1).len() > 2);
        assert!(CloseTime::spanning([1, u64::MAX], 0.0, 1.0).place(u64::MAX) <= 1.0);
        assert!(CloseTime::spanning([u64::MAX], 0.0, 1.0).ticks(0.1).len() >= 2);
    }

    #[test]
    fn an_axis_of_ratios_ends_where_its_values_do() {
        let close = Ratios::spanning([0.4, 0.5], 100.0, 0.0);
        assert_eq!((close.place(0.4), close.place(0.5)), (100.0, 0.0));
        assert_eq!(labels(close.ticks()), ["0.400", "0.420", "0.440", "0.460", "0.480", "0.500"]);
        assert_eq!(
            labels(Ratios::spanning([0.011, 1.2], 0.0, 1.0).ticks()),
            ["0.0200", "0.0500", "0.100", "0.200", "0.500", "1.00"]
        );
        let steady = Ratios::spanning([0.4; 3], 0.0, 1.0);
        assert!((steady.place(0.4) - 0.5).abs() < 1e-9 && steady.ticks().len() > 2);
        assert!(!Ratios::spanning([], 0.0, 1.0).ticks().is_empty());
    }

    #[test]
    fn an_axis_of_gains_holds_zero_and_ends_at_ticks() {
        let both = Gains::spanning([-12_000.0, 400_000.0, f64::NAN], 5, 100.0, 0.0);
        assert_eq!(both.unit().unit, "KiB");
        assert_eq!(labels(both.ticks()), ["-128", "0", "128", "256", "384", "512"]);
        assert_eq!((both.place(-131_072.0), both.place(0.0), both.place(524_288.0)), (100.0, 80.0, 0.0));
        assert_eq!(
            labels(Gains::spanning([-200_000.0], 4, 0.0, 1.0).ticks()),
            ["-256", "-192", "-128", "-64", "0"]
        );
        assert_eq!(labels(Gains::spanning([-4096.0, 4096.0], 4, 0.0, 1.0).ticks()), ["-32", "0", "32"]);
        assert_eq!(labels(Gains::spanning([0.0], 4, 0.0, 1.0).ticks()), ["0", "32"]);
        assert!(Gains::spanning([-1e19, 1e19], 4, 0.0, 1.0).ticks().len() < 8);
    }

    #[test]
    fn linear_steps_are_round() {
        let time = Linear::decimal(412_000_000, 5, 0.0, 1.0);
        assert_eq!(labels(time.ticks(round_ns)), ["0", "100 ms", "200 ms", "300 ms", "400 ms"]);
        let size = Linear::bytes(131 << 20, 5, 0.0, 1.0).to_next_tick();
        assert_eq!(
            labels(size.ticks(|value| trim(&units::bytes(value)))),
            ["0", "32 MiB", "64 MiB", "96 MiB", "128 MiB", "160 MiB"]
        );
        assert_eq!(Linear::decimal(0, 5, 0.0, 1.0).place(0), 0.0);
    }
}
