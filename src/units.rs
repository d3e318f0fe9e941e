//! Figures as people read them: three significant digits and a unit.
//!
//! Measurements are integers in base units everywhere else; only here do they become text.
//! A lone figure carries its unit ([`ns`], [`bytes`]); a column of them shares one, kept in the heading ([`Column`]),
//! so that the digits line up and can be compared by eye.

/// A quantity and the units that it may be written in, smallest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Nanoseconds to seconds.
    Time,
    /// Bytes and their binary multiples.
    Bytes,
    /// Numbers of events, and ratios.
    Count,
}

impl Quantity {
    /// Size of each unit in base units, and its symbol.
    fn units(self) -> &'static [(f64, &'static str)] {
        match self {
            Quantity::Time => &[(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")],
            Quantity::Bytes => &[
                (1.0, "B"),
                (1024.0, "KiB"),
                (1_048_576.0, "MiB"),
                (1_073_741_824.0, "GiB"),
                (1_099_511_627_776.0, "TiB"),
                (1_125_899_906_842_624.0, "PiB"),
                (1_152_921_504_606_846_976.0, "EiB"),
            ],
            Quantity::Count => &[(1.0, ""), (1e3, "thousand"), (1e6, "million")],
        }
    }
}

/// A duration in nanoseconds: `43.1 µs`.
pub fn ns(value: u64) -> String {
    with_unit(value as f64, Quantity::Time)
}

/// A difference of durations, which noise can make negative: `-120 ns`.
pub fn signed_ns(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}", ns(value.unsigned_abs()))
}

/// A size: `19.3 MiB`.
pub fn bytes(value: u64) -> String {
    with_unit(value as f64, Quantity::Bytes)
}

/// What was gained, or given back: `+400 KiB`, `-12.0 KiB`, `0 B`.
pub fn gained(value: f64) -> String {
    signed(value, bytes)
}

/// Time that was taken more, or less: `+1.50 ms`, `-320 µs`.
pub fn gained_ns(value: f64) -> String {
    signed(value, ns)
}

fn signed(value: f64, write: fn(u64) -> String) -> String {
    let sign = match value {
        less if less < 0.0 => "-",
        more if more > 0.0 => "+",
        _ => "",
    };
    format!("{sign}{}", write(value.abs() as u64))
}

/// A mean number of events: `0.25`, `12.8`, `2048`.
pub fn count(value: f64) -> String {
    match value {
        v if !v.is_finite() => "-".into(),
        // The third decimal of a mean of counts is noise.
        v if v > 0.0 && v < 0.995 => format!("{v:.2}"),
        v => significant(v),
    }
}

/// A ratio with three significant digits; `-` when it is not a number.
pub fn ratio(value: f64) -> String {
    if !value.is_finite() {
        return "-".into();
    }
    significant(value)
}

/// Half of an interval relative to its value, as a percentage: `±2.1%`.
///
/// The wider side is shown, so that the short form never promises more than the interval does.
pub fn plus_minus(value: f64, low: f64, high: f64) -> String {
    let half = (high - value).max(value - low) / value * 100.0;
    if !half.is_finite() {
        return String::new();
    }
    let digits = if half < 9.95 { 1 } else { 0 };
    format!("±{half:.digits$}%")
}

fn with_unit(value: f64, quantity: Quantity) -> String {
    let units = quantity.units();
    // 999.7 is written 1.00 of the next unit: rounding to three digits must not produce a fourth.
    let carry = if quantity == Quantity::Bytes { 1023.5 } else { 999.5 };
    let (size, symbol) =
        units.iter().copied().find(|(size, _)| value / size < carry).unwrap_or(units[units.len() - 1]);
    if size == 1.0 {
        // Nothing is measured in fractions of a nanosecond or a byte.
        return format!("{value:.0} {symbol}");
    }
    format!("{} {symbol}", significant(value / size))
}

/// Three significant digits, without an exponent up to a million.
fn significant(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".into();
    }
    if size >= 999_999.5 {
        return format!("{value:.2e}");
    }
    // Beyond the fourth decimal nobody compares by eye.
    let decimals = match size {
        s if s >= 99.95 => 0,
        s if s >= 9.995 => 1,
        s if s >= 0.9995 => 2,
        s if s >= 0.09995 => 3,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    if text.trim_start_matches('-').bytes().all(|b| matches!(b, b'0' | b'.')) {
        return "<0.0001".into();
    }
    text
}

/// So many things: `1 launch`, `2 launches`.
pub fn several(count: usize, noun: &str) -> String {
    let ending = match count {
        1 => "",
        _ if noun.ends_with("ch") => "es",
        _ => "s",
    };
    format!("{count} {noun}{ending}")
}

/// The unit and the decimals that one column of a table shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Column {
    size: f64,
    /// Symbol of the unit, for the heading; empty for plain counts.
    pub unit: &'static str,
    decimals: usize,
}

impl Column {
    /// Chooses the unit that keeps most digits of the smallest figure, up to `digits` of them, while the largest stays
    /// within `width` characters.
    pub fn fit(
        quantity: Quantity,
        values: impl IntoIterator<Item = f64>,
        digits: u32,
        width: usize,
    ) -> Column {
        let values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
        let largest = values.iter().copied().fold(0.0, f64::max);
        let smallest = values.iter().copied().filter(|v| *v > 0.0).fold(largest, f64::min);
        let units = quantity.units().iter().copied();
        let candidates =
            units.flat_map(|(size, unit)| (0..=2).map(move |decimals| Column { size, unit, decimals }));
        candidates
            // A nanosecond and a byte have no fractions, but a mean number of faults does.
            .filter(|c| c.decimals == 0 || c.size > 1.0 || quantity == Quantity::Count)
            .max_by_key(|column| {
                let wide = column.write(largest).chars().count();
                // Longer numbers are counted digit by digit instead of read.
                let readable = wide <= width && largest / column.size < 99_999.5;
                let kept = if readable { column.digits(smallest).min(digits) as i64 } else { -1 };
                (kept, std::cmp::Reverse(wide), column.size > 1.0)
            })
            .expect("every quantity has a unit")
    }

    /// Means of counts, in ones: a heading without a unit must not hide thousands. A decimal where all are small.
    pub fn counts(values: impl IntoIterator<Item = f64>) -> Column {
        let largest = values.into_iter().filter(|v| v.is_finite()).fold(0.0, f64::max);
        Column { size: 1.0, unit: "", decimals: usize::from(largest < 99.95) }
    }

    /// How many significant digits of a figure survive in this column.
    pub fn digits(&self, value: f64) -> u32 {
        let scaled = value / self.size * 10f64.powi(self.decimals as i32);
        if scaled >= 1.0 { scaled.log10().floor() as u32 + 1 } else { 0 }
    }

    /// Writes one figure without its unit.
    pub fn write(&self, value: f64) -> String {
        if !value.is_finite() {
            return "-".into();
        }
        let decimals = self.decimals;
        let scaled = value / self.size;
        let text = format!("{scaled:.decimals$}");
        let vanished = value > 0.0 && text.bytes().all(|b| matches!(b, b'0' | b'.'));
        if vanished { format!("<{:.decimals$}", 10f64.powi(-(decimals as i32))) } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_has_three_digits_and_carries_into_the_next_unit() {
        let cases: [(u64, &str); 11] = [
            (0, "0 ns"),
            (1, "1 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (43_140, "43.1 µs"),
            (999_499, "999 µs"),
            (999_600, "1.00 ms"),
            (2_348_000, "2.35 ms"),
            (1_500_000_000, "1.50 s"),
            (1_000_000_000_000, "1000 s"),
            (u64::MAX, "1.84e10 s"),
        ];
        for (value, text) in cases {
            assert_eq!(ns(value), text);
        }
        assert_eq!(signed_ns(-1_234), "-1.23 µs");
        assert_eq!(signed_ns(i64::MIN), "-9.22e9 s");
    }

    #[test]
    fn bytes_are_binary() {
        let cases: [(u64, &str); 6] = [
            (0, "0 B"),
            (1_023, "1023 B"),
            (4_096, "4.00 KiB"),
            (1_048_575, "1.00 MiB"),
            (20_237_517, "19.3 MiB"),
            (1 << 40, "1.00 TiB"),
        ];
        for (value, text) in cases {
            assert_eq!(bytes(value), text);
        }
    }

    #[test]
    fn ratios_keep_three_digits() {
        let cases = [
            (1.0, "1.00"),
            (0.9999, "1.00"),
            (0.0123, "0.0123"),
            (9.996, "10.0"),
            (2_880.4, "2880"),
            (1e12, "1.00e12"),
            (0.000_01, "<0.0001"),
            (f64::NAN, "-"),
            (f64::INFINITY, "-"),
        ];
        for (value, text) in cases {
            assert_eq!(ratio(value), text);
        }
        assert_eq!(
            (count(0.1), count(102.4), count(19_000.0)),
            ("0.10".into(), "102".into(), "19000".into())
        );
        assert_eq!(
            (gained(409_600.0), gained(-4096.0), gained(0.0)),
            ("+400 KiB".into(), "-4.00 KiB".into(), "0 B".into())
        );
        assert_eq!(plus_minus(1.0, 0.99, 1.03), "±3.0%");
        assert_eq!(plus_minus(0.0, 0.0, 0.0), "");
    }

    #[test]
    fn a_column_keeps_the_digits_of_its_smallest_figure() {
        let column = Column::fit(Quantity::Time, [2_500.0, 14_393_000.0], 3, 7);
        assert_eq!(
            (column.unit, column.write(2_500.0), column.write(14_393_000.0)),
            ("µs", "2.5".into(), "14393.0".into())
        );
        let column = Column::fit(Quantity::Time, [896.0, 5_793_360.0], 3, 7);
        assert_eq!((column.unit, column.write(896.0)), ("µs", "0.90".into()));
        let column = Column::fit(Quantity::Time, [170e6, 251.4e6], 3, 7);
        assert_eq!((column.unit, column.write(251.4e6)), ("ms", "251".into()));
        let column = Column::fit(Quantity::Time, [1.0, 1e12], 3, 7);
        assert_eq!((column.unit, column.write(1e12), column.write(1.0)), ("s", "1000".into(), "<1".into()));
        let column = Column::fit(Quantity::Time, [0.0], 3, 7);
        assert_eq!(column.write(0.0), "0");
        let column = Column::fit(Quantity::Count, [0.25, 2_048.0], 2, 7);
        assert_eq!((column.unit, column.write(0.25)), ("", "0.25".into()));
        assert_eq!(Column::fit(Quantity::Bytes, [], 3, 7).write(f64::NAN), "-");
    }
}
