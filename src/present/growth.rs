//! Whether memory grew in the long run, in words.

use super::view::Shown;
use crate::analyse::summary::Growth;

/// A sentence for each strategy whose memory grew or shrank, and one for all the others; none without long runs.
pub fn sentences<'a>(cells: impl Iterator<Item = Shown<'a>>) -> Vec<String> {
    let measured: Vec<(&str, Growth)> =
        cells.filter_map(|cell| Some((cell.name(), cell.growth()?))).collect();
    let (steady, moved): (Vec<_>, Vec<_>) = measured.iter().partition(|(_, growth)| growth.direction() == 0);
    let mut sentences: Vec<String> =
        moved.iter().map(|(name, growth)| format!("`{name}`: {}.", sentence(growth))).collect();
    let reach = |growth: &Growth| growth.high.max(-growth.low);
    let widest = steady.iter().max_by(|(_, a), (_, b)| reach(a).total_cmp(&reach(b)));
    if let Some((name, growth)) = widest {
        sentences.push(match (steady.len(), moved.len()) {
            (1, _) => format!("`{name}`: {}.", sentence(growth)),
            (n, others) => format!(
                "No growth of RSS is seen in any of the {}{n} strategies; the widest interval is that of `{name}`: \
                 {} bytes per block over {} blocks.",
                if others == 0 { "" } else { "other " },
                interval(growth),
                grouped(growth.blocks)
            ),
        });
    }
    sentences
}

/// `RSS grows by 41 bytes per block (36 to 46) over 10,000 blocks`.
pub fn sentence(growth: &Growth) -> String {
    let shrunk =
        Growth { bytes_per_block: -growth.bytes_per_block, low: -growth.high, high: -growth.low, ..*growth };
    let (verb, growth) = match growth.direction() {
        1 => ("RSS grows by", growth),
        -1 => ("RSS shrinks by", &shrunk),
        _ => ("no growth of RSS is seen:", growth),
    };
    let (value, rest) = (number(growth.bytes_per_block), within(growth));
    format!("{verb} {value} bytes per block {rest} over {} blocks", grouped(growth.blocks))
}

/// `41 (36 to 46)`.
pub fn interval(growth: &Growth) -> String {
    format!("{} {}", number(growth.bytes_per_block), within(growth))
}

fn within(growth: &Growth) -> String {
    format!("({} to {})", number(growth.low), number(growth.high))
}

/// Bytes with two significant digits, and all digits before the point.
fn number(bytes: f64) -> String {
    let decimals = if bytes == 0.0 { 0.0 } else { (1.0 - bytes.abs().log10().floor()).clamp(0.0, 6.0) };
    let text = format!("{bytes:.0$}", decimals as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// `10,000`.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::summary::{Equivalence, Summary};
    use crate::present::fixture;

    fn growth(bytes_per_block: f64, low: f64, high: f64) -> Growth {
        Growth { bytes_per_block, low, high, blocks: 10_000, windows: 20 }
    }

    #[test]
    fn growth_in_words() {
        assert_eq!(
            sentence(&growth(40.96, 35.63, 46.3)),
            "RSS grows by 41 bytes per block (36 to 46) over 10,000 blocks"
        );
        assert_eq!(
            sentence(&growth(-1_234.5, -2_000.0, -0.41)),
            "RSS shrinks by 1234 bytes per block (0.41 to 2000) over 10,000 blocks"
        );
        assert_eq!(
            sentence(&growth(0.0, -0.4096, 0.4096)),
            "no growth of RSS is seen: 0 bytes per block (-0.41 to 0.41) over 10,000 blocks"
        );
        assert_eq!(interval(&growth(3.04, -3.0, 9.0)), "3 (-3 to 9)");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(100), "100");
    }

    #[test]
    fn who_grows_is_named_and_the_others_are_counted() {
        let mut summary = fixture::small();
        let said = |summary: &Summary| {
            sentences(summary.cells.iter().filter(|cell| cell.cycle_ns.is_some()).take(3).map(Shown::new))
        };
        assert_eq!(said(&summary), Vec::<String>::new());
        let timed = summary.cells.iter_mut().filter(|cell| cell.cycle_ns.is_some()).take(3);
        for (cell, (name, growth)) in timed.zip([
            ("a/flat", growth(0.0, -0.4, 0.4)),
            ("b/leaks", growth(41.0, 36.0, 46.0)),
            ("c/wide", growth(7.0, -20.0, 34.0)),
        ]) {
            cell.strategy = name.into();
            cell.equivalence = Equivalence::Equivalent;
            cell.rss_growth = Some(growth);
        }
        assert_eq!(
            said(&summary),
            [
                "`b/leaks`: RSS grows by 41 bytes per block (36 to 46) over 10,000 blocks.",
                "No growth of RSS is seen in any of the other 2 strategies; the widest interval is that of `c/wide`: \
                 7 (-20 to 34) bytes per block over 10,000 blocks.",
            ]
        );
    }
}
