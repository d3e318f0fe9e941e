//! What is resident, in both builds.
//!
//! Between blocks it is read to the page while the process waits, and the peak is the kernel's own mark, set back at the
//! beginning of the pass; what is sampled while blocks run depends on when the samples fall, and is not judged. The figures
//! hold the program's own pages as well, which is the same in both builds but for some code.

use super::cells::Both;
use super::finding::{Ground, Told};
use crate::units;

/// Changes up to this share are not told, nor are those below [`FEWEST`]. Of 171 cells of a build against itself (Intel Xeon, Linux
/// 6.18) the largest differences were 3.0 % between blocks and 3.4 % at the peak, all of them of less than 0.6 MiB.
pub const BAND: f64 = 0.03;

/// Nor are those of fewer bytes: a few pages of code more or less.
pub const FEWEST: u64 = 1 << 20;

/// What is more, and what is less, as a predicate.
pub fn compare(both: &Both) -> (Option<Told>, Option<String>) {
    let (Some(new), Some(old)) = (both.new.rss_bytes, both.old.rss_bytes) else { return (None, None) };
    let rest = new.rest.zip(old.rest).map(|(new, old)| ("between blocks", new, old));
    let figures: Vec<_> = rest.into_iter().chain([("at its peak", new.peak, old.peak)]).collect();
    let told = |more: bool| {
        let of = |&(what, new, old): &(&str, u64, u64)| {
            let (low, high) = (new.min(old), new.max(old));
            let is_told =
                (new > old) == more && high - low >= FEWEST && high as f64 > low as f64 * (1.0 + BAND);
            let words = format!("{} {what}, after {}", units::bytes(new), units::bytes(old));
            is_told.then(|| (words, high as f64 / low.max(1) as f64))
        };
        let told: Vec<(String, f64)> = figures.iter().filter_map(of).collect();
        let size = told.iter().map(|(_, size)| *size).fold(1.0, f64::max);
        let words: Vec<String> = told.into_iter().map(|(words, _)| words).collect();
        (!words.is_empty()).then(|| (format!("holds {}", words.join(", and ")), size))
    };
    let more = told(true).map(|(words, size)| Told { ground: Ground::Memory, words, size });
    (more, told(false).map(|(words, _)| words))
}
