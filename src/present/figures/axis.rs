//! Axes: from values to places, and the ticks between.

use crate::units::{self, Column, Quantity};

/// A place on an axis and what is written there.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    pub at: f64,
    /// Empty for a place that is marked but not named.
    pub label: String,
}

/// The edges that an axis is drawn between, its least value at the first.
type Edges = (f64, f64);

/// A linear or logarithmic axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// From a value to where it lies on a linear axis: the value itself, or its logarithm.
    scale: fn(f64) -> f64,
    /// What lies at the edges, scaled.
    ends: (f64, f64),
    edges: Edges,
    /// Values with a tick, rising.
    steps: Vec<f64>,
    /// Whether a tick has a label, by the index of its step.
    named: Vec<bool>,
}

impl Axis {
    /// An axis from the first of `ends` to the second, with a named tick at each of `steps`.
    pub fn new(scale: fn(f64) -> f64, ends: (f64, f64), edges: Edges, steps: Vec<f64>) -> Axis {
        let named = vec![true; steps.len()];
        Axis { scale, ends: (scale(ends.0), scale(ends.1)), edges, steps, named }
    }

    /// A logarithmic axis over whole decades of nanoseconds, which hold all positive values.
    ///
    /// A single decade gets its 2 and 5 as well. So many decades have a label that each has `room`.
    pub fn decades(values: impl IntoIterator<Item = u64>, room: f64, edges: Edges) -> Axis {
        let (mut low, mut high) = (i32::MAX, i32::MIN);
        for value in values.into_iter().filter(|v| *v > 0) {
            // Integer logarithms are exact at the powers of ten, where floating point is not.
            let floor = value.ilog10();
            low = low.min(floor as i32);
            high = high.max(if 10u64.pow(floor) == value { floor } else { floor + 1 } as i32);
        }
        if low > high {
            // Nothing positive: any axis will do, microseconds are what readers expect.
            (low, high) = (3, 6);
        }
        high = high.max(low + 1);
        let step = (room * f64::from(high - low) / (edges.1 - edges.0)).ceil().max(1.0) as usize;
        let power = |exponent: i32| 10_f64.powi(exponent);
        let steps: Vec<f64> = if high - low == 1 {
            [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power(low)).to_vec()
        } else {
            (low..=high).map(power).collect()
        };
        let named = (0..steps.len()).map(|i| high - low == 1 || i.is_multiple_of(step)).collect();
        Axis { named, ..Axis::new(log_of_time, (power(low), power(high)), edges, steps) }
    }

    /// A logarithmic axis that fits positive nanoseconds more closely: it begins and ends at 1, 2 or 5 times a power of
    /// ten.
    ///
    /// Where not each step has `room` for its label, powers of ten have theirs, or the ends where those are too few.
    pub fn close(values: impl IntoIterator<Item = u64>, room: f64, edges: Edges) -> Axis {
        let (mut least, mut most) = (u64::MAX, 0);
        for value in values.into_iter().filter(|v| *v > 0) {
            (least, most) = (least.min(value), most.max(value));
        }
        if most == 0 {
            // As for whole decades: any axis will do.
            (least, most) = (1_000, 1_000_000);
        }
        let all: Vec<f64> =
            (0..=19).flat_map(|power| [1.0, 2.0, 5.0].map(|factor| factor * 10_f64.powi(power))).collect();
        let first = all.partition_point(|step| *step <= least as f64).saturating_sub(1).min(all.len() - 2);
        let last = all.partition_point(|step| *step < most as f64).clamp(first + 1, all.len() - 1);
        let axis = Axis::new(log_of_time, (all[first], all[last]), edges, all[first..=last].to_vec());
        let places: Vec<f64> = axis.steps.iter().map(|step| axis.place(*step)).collect();
        // Every third step is a power of ten.
        let powers: Vec<bool> = (first..=last).map(|i| i.is_multiple_of(3)).collect();
        let ends: Vec<bool> = (first..=last).map(|i| i == first || i == last).collect();
        let fits = |named: &Vec<bool>| {
            let kept: Vec<f64> =
                places.iter().zip(named).filter(|(_, named)| **named).map(|(p, _)| *p).collect();
            kept.len() > 1 && kept.windows(2).all(|pair| (pair[1] - pair[0]).abs() >= room)
        };
        let named = [axis.named.clone(), powers].into_iter().find(fits).unwrap_or(ends);
        Axis { named, ..axis }
    }

    /// A logarithmic axis of positive ratios that ends where its values do, so that a change of a few per cent can be
    /// seen.
    ///
    /// Ticks are at 1, 2 and 5 times the powers of ten where it is long, at multiples of such a step where it is short.
    pub fn ratios(values: impl IntoIterator<Item = f64>, edges: Edges) -> Axis {
        /// The least span, as a factor: what is steady shall look steady.
        const LEAST: f64 = 1.2;
        let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
        for value in values.into_iter().filter(|value| value.is_finite() && *value > 0.0) {
            (low, high) = (low.min(value), high.max(value));
        }
        if high == 0.0 {
            (low, high) = (1.0, 1.0);
        }
        let short = (LEAST / (high / low)).max(1.0).sqrt();
        (low, high) = (low / short, high * short);
        let steps = |least: f64| {
            let power = least.log10().floor() as i32;
            (power..).flat_map(|power| [1.0, 2.0, 5.0].map(|factor| factor * 10_f64.powi(power)))
        };
        let values: Vec<f64> = if high / low > 5.0 {
            steps(low).take_while(|value| *value <= high).filter(|value| *value >= low).collect()
        } else {
            let rough = (high - low) / 5.0;
            let step = steps(rough).find(|step| *step >= rough).unwrap_or(rough);
            let multiples = (low / step).ceil() as u64..=(high / step).floor() as u64;
            multiples.map(|i| i as f64 * step).collect()
        };
        Axis::new(f64::ln, (low, high), edges, values)
    }

    /// A linear axis of what was gained and lost, in bytes: zero is on it, it begins and ends at a tick, and it has about
    /// `most` of them.
    pub fn gains(values: impl IntoIterator<Item = f64>, most: usize, edges: Edges) -> Axis {
        /// The least span: a page more or less, which readings that never move leave open, shall look as little as it is.
        const LEAST: f64 = 131_072.0;
        let finite = values.into_iter().filter(|value| value.is_finite());
        let (low, high) =
            finite.fold((0.0_f64, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let step = binary_step((high - low).max(LEAST), most);
        let (low, high) = ((low / step).floor() as i64, (high / step).ceil() as i64);
        let high = high.max(low + 1);
        let steps: Vec<f64> = (low..=high).map(|i| i as f64 * step).collect();
        Axis::new(as_it_is, (low as f64 * step, high as f64 * step), edges, steps)
    }

    /// A linear axis from zero for durations and counts, with steps of 1, 2 or 5.
    pub fn decimal(largest: u64, most: usize, edges: Edges) -> Axis {
        let rough = largest.max(1) as f64 / most.max(1) as f64;
        let mut base = 1.0;
        while base * 10.0 <= rough {
            base *= 10.0;
        }
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|f| f * base).find(|s| *s >= rough).unwrap_or(base);
        Axis::from_zero(largest.max(1) as f64, step, edges)
    }

    /// A linear axis from zero for sizes, with steps of powers of two, up to the next of them.
    pub fn bytes(largest: u64, most: usize, edges: Edges) -> Axis {
        let largest = largest.max(1) as f64;
        let step = binary_step(largest, most);
        Axis::from_zero((largest / step).ceil() * step, step, edges)
    }

    fn from_zero(high: f64, step: f64, edges: Edges) -> Axis {
        let last = (high / step + 1e-9).floor() as u64;
        Axis::new(as_it_is, (0.0, high), edges, (0..=last).map(|i| step * i as f64).collect())
    }

    /// Whether a value lies within the axis, so that its place is not just the nearer end.
    pub fn holds(&self, value: u64) -> bool {
        let scaled = (self.scale)(value as f64).floor();
        value > 0 && self.ends.0 <= scaled && scaled <= self.ends.1
    }

    /// Where a value lies; the nearer end for one beyond the axis.
    pub fn place(&self, value: f64) -> f64 {
        let (low, high) = self.ends;
        let share = ((self.scale)(value) - low) / (high - low);
        self.edges.0 + share.clamp(0.0, 1.0) * (self.edges.1 - self.edges.0)
    }

    /// The unit in which all ticks of a linear axis can be written alike, with so many `digits` of the step.
    pub fn unit(&self, quantity: Quantity, digits: u32) -> Column {
        let largest = self.ends.0.abs().max(self.ends.1);
        let step = self.steps.windows(2).next().map_or(largest, |pair| pair[1] - pair[0]);
        Column::fit(quantity, [step, largest], digits, 6)
    }

    /// All ticks, their labels written by `label`.
    pub fn ticks(&self, label: impl Fn(f64) -> String) -> Vec<Tick> {
        let ticks = self.steps.iter().zip(&self.named);
        let tick = |(step, named): (&f64, &bool)| Tick {
            at: self.place(*step),
            label: if *named { label(*step) } else { String::new() },
        };
        ticks.map(tick).collect()
    }
}

fn as_it_is(value: f64) -> f64 {
    value
}

/// Less than a nanosecond is nothing.
fn log_of_time(ns: f64) -> f64 {
    ns.max(1.0).log10()
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

/// A round duration without needless zeros: `10 µs` rather than `10.0 µs`.
pub fn round_ns(value: f64) -> String {
    let text = units::ns(value as u64);
    let (number, unit) = text.split_once(' ').unwrap_or((&text, ""));
    let number = without_zeros(number);
    if number == "0" { "0".into() } else { format!("{number} {unit}") }
}

/// A tick's value without its unit and without needless zeros.
pub fn plain(unit: Column, value: f64) -> String {
    without_zeros(&unit.write(value)).into()
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
    fn ticks_of_durations() {
        let decades = |values: &[u64], room, to| Axis::decades(values.iter().copied(), room, (0.0, to));
        let close = |values: &[u64], room, to| Axis::close(values.iter().copied(), room, (0.0, to));
        let (few, many) = ([2_500, 14_393_000], [43_000, 730_000]);
        let cases: [(Axis, &[&str]); 8] = [
            (decades(&few, 80.0, 400.0), &["1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms"]),
            (decades(&[20_000, 90_000], 0.2, 1.0), &["10 µs", "20 µs", "50 µs", "100 µs"]),
            (decades(&[], 0.2, 1.0), &["1 µs", "10 µs", "100 µs", "1 ms"]),
            (close(&many, 70.0, 400.0), &["20 µs", "50 µs", "100 µs", "200 µs", "500 µs", "1 ms"]),
            (close(&many, 100.0, 400.0), &["", "", "100 µs", "", "", "1 ms"]),
            (close(&[3, 4], 90.0, 100.0), &["2 ns", "5 ns"]),
            (close(&[5_000], 0.5, 1.0), &["5 µs", "10 µs"]),
            (Axis::decimal(412_000_000, 5, (0.0, 1.0)), &["0", "100 ms", "200 ms", "300 ms", "400 ms"]),
        ];
        for (axis, expected) in cases {
            assert_eq!(labels(axis.ticks(round_ns)), expected);
        }
    }

    #[test]
    fn decades_hold_their_values() {
        let axis = Axis::decades([2_500, 14_393_000], 80.0, (0.0, 400.0));
        assert!(axis.holds(1_000) && !axis.holds(999) && !axis.holds(0));
        assert_eq!((axis.place(1_000.0), axis.place(1e8)), (0.0, 400.0));
        let close = Axis::close([43_000, 730_000], 70.0, (0.0, 400.0));
        assert_eq!((close.place(20_000.0), close.place(1e6)), (0.0, 400.0));
    }

    #[test]
    fn extremes_have_an_axis() {
        let edges = (0.0, 1.0);
        assert_eq!(Axis::decades([1], 0.2, edges).place(1.0), 0.0);
        let wide = Axis::decades([1, 1_000_000_000_000], 0.2, edges);
        assert_eq!(labels(wide.ticks(round_ns))[..4], ["1 ns", "", "", "1 µs"]);
        assert_eq!(wide.place(u64::MAX as f64), 1.0);
        assert!(Axis::decades([u64::MAX], 0.2, edges).ticks(round_ns).len() >= 2);
        assert!(Axis::close([], 0.1, edges).ticks(round_ns).len() > 2);
        assert!(Axis::close([1, u64::MAX], 0.1, edges).place(u64::MAX as f64) <= 1.0);
        assert!(Axis::close([u64::MAX], 0.1, edges).ticks(round_ns).len() >= 2);
        assert_eq!(Axis::decimal(0, 5, edges).place(0.0), 0.0);
    }

    #[test]
    fn an_axis_of_ratios_ends_where_its_values_do() {
        let ratios = |axis: &Axis| labels(axis.ticks(units::ratio));
        let close = Axis::ratios([0.4, 0.5], (100.0, 0.0));
        assert_eq!((close.place(0.4), close.place(0.5)), (100.0, 0.0));
        assert_eq!(ratios(&close), ["0.400", "0.420", "0.440", "0.460", "0.480", "0.500"]);
        let long = Axis::ratios([0.011, 1.2], (0.0, 1.0));
        assert_eq!(ratios(&long), ["0.0200", "0.0500", "0.100", "0.200", "0.500", "1.00"]);
        let steady = Axis::ratios([0.4; 3], (0.0, 1.0));
        assert!((steady.place(0.4) - 0.5).abs() < 1e-9 && ratios(&steady).len() > 2);
        assert!(!ratios(&Axis::ratios([], (0.0, 1.0))).is_empty());
    }

    #[test]
    fn an_axis_of_bytes_has_steps_of_powers_of_two() {
        let written = |axis: &Axis| {
            let unit = axis.unit(Quantity::Bytes, 3);
            (unit.unit, labels(axis.ticks(|value| plain(unit, value))))
        };
        let gains = |values: &[f64], most| Axis::gains(values.iter().copied(), most, (100.0, 0.0));
        let both = gains(&[-12_000.0, 400_000.0, f64::NAN], 5);
        assert_eq!((both.place(-131_072.0), both.place(0.0), both.place(524_288.0)), (100.0, 80.0, 0.0));
        let cases: [(Axis, &str, &[&str]); 5] = [
            (both, "KiB", &["-128", "0", "128", "256", "384", "512"]),
            (gains(&[-200_000.0], 4), "KiB", &["-256", "-192", "-128", "-64", "0"]),
            (gains(&[-4096.0, 4096.0], 4), "KiB", &["-32", "0", "32"]),
            (gains(&[0.0], 4), "KiB", &["0", "32"]),
            (Axis::bytes(131 << 20, 5, (0.0, 1.0)), "MiB", &["0", "32", "64", "96", "128", "160"]),
        ];
        for (axis, unit, expected) in cases {
            let (written_in, written) = written(&axis);
            assert_eq!(written_in, unit);
            assert_eq!(written, expected);
        }
        assert!(gains(&[-1e19, 1e19], 4).ticks(|_| String::new()).len() < 8);
    }
}
