//! What is resident, in both builds.
//!
//! Between blocks it is read to the page while the process waits, and the peak is the kernel's own mark, set back at the
//! beginning of the pass; what is sampled while blocks run depends on when the samples fall, and is not judged. Nor are pages
//! that show files, the program's code above all ([`crate::measure::sampler::of_files`]): no strategy holds them, and one
//! program beside itself has had 1.1 MiB more of them.

use super::cells::Both;
use super::finding::{Ground, Told};
use crate::analyse::summary::Residency;
use crate::units;

/// Changes up to this share are not told, nor are those below [`FEWEST`]. Of 171 cells of a build against itself (Intel Xeon, Linux
/// 6.18) the largest differences were 3.0 % between blocks and 3.4 % at the peak, all of them of less than 0.6 MiB.
pub const BAND: f64 = 0.03;

/// Nor are those of fewer bytes: an arena of the allocator more or less.
pub const FEWEST: u64 = 1 << 20;

/// What is more, and what is less, as a predicate.
pub fn compare(both: &Both) -> (Option<Told>, Option<String>) {
    let (Some(new), Some(old)) = (both.new.rss_bytes, both.old.rss_bytes) else { return (None, None) };
    let more = told(new, old, true).map(|(words, size)| Told { ground: Ground::Memory, words, size });
    (more, told(new, old, false).map(|(words, _)| words))
}

/// What is more (or less), and the largest of the ratios.
fn told(new: Residency, old: Residency, more: bool) -> Option<(String, f64)> {
    // A run of a program that does not tell files apart is compared as it is.
    let files = new.files.zip(old.files).unwrap_or_default();
    let rest = new.rest.zip(old.rest).map(|(new, old)| ("between blocks", new, old));
    let figures = rest.into_iter().chain([("at its peak", new.peak, old.peak)]);
    let of = |(what, new, old): (&str, u64, u64)| {
        let (new, old) = (new.saturating_sub(files.0), old.saturating_sub(files.1));
        let (low, high) = (new.min(old), new.max(old));
        let is_told = (new > old) == more && high - low >= FEWEST && high as f64 > low as f64 * (1.0 + BAND);
        let words = format!("{} {what}, after {}", units::bytes(new), units::bytes(old));
        is_told.then(|| (words, high as f64 / low.max(1) as f64))
    };
    let (words, sizes): (Vec<String>, Vec<f64>) = figures.filter_map(of).unzip();
    let size = sizes.into_iter().fold(1.0, f64::max);
    (!words.is_empty()).then(|| (format!("holds {}", words.join(", and ")), size))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn held(rest: u64, peak: u64, files: Option<u64>) -> Residency {
        Residency {
            steady: 7 * MIB,
            peak: peak * MIB,
            rest: Some(rest * MIB),
            files: files.map(|files| files * MIB),
        }
    }

    #[test]
    fn more_memory_is_told_with_both_figures() {
        let (new, old) = (held(36, 40, Some(20)), held(30, 30, Some(20)));
        let (words, size) = told(new, old, true).unwrap();
        assert_eq!(
            words,
            "holds 16.0 MiB between blocks, after 10.0 MiB, and 20.0 MiB at its peak, after 10.0 MiB"
        );
        assert_eq!(size, 2.0);
        assert_eq!(told(new, old, false), None);
        assert!(
            told(old, new, false).unwrap().0.starts_with("holds 10.0 MiB between blocks, after 16.0 MiB")
        );
    }

    #[test]
    fn pages_of_files_are_nobodys_memory() {
        let (new, old) = (held(32, 33, Some(22)), held(30, 31, Some(20)));
        assert_eq!((told(new, old, true), told(new, old, false)), (None, None));
        assert!(told(held(32, 33, None), old, true).is_some(), "they cannot be told apart");
    }

    #[test]
    fn little_is_not_told() {
        assert_eq!(told(held(103, 103, Some(0)), held(100, 100, Some(0)), true), None, "by the share");
        assert!(told(held(104, 104, Some(0)), held(100, 100, Some(0)), true).is_some());
        assert!(told(held(5, 5, Some(0)), held(4, 4, Some(0)), true).is_some());
        let less = Residency { rest: Some(5 * MIB - 4096), peak: 4 * MIB, ..held(0, 0, Some(0)) };
        assert_eq!(told(less, held(4, 4, Some(0)), true), None, "by the bytes");
    }
}
