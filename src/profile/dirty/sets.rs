//! Sets of pages as ascending runs, which may be few in a memory of any size.

use std::collections::BTreeMap;

use crate::protocol::pages::Run;

/// How many pages there are in all.
pub fn pages(runs: &[Run]) -> u64 {
    runs.iter().map(|run| run.pages).sum()
}

/// How many pages two sets have in common.
pub fn common(a: &[Run], b: &[Run]) -> u64 {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let mut common = 0;
    while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
        common += x.end().min(y.end()).saturating_sub(x.first.max(y.first));
        // The one that ends first meets nothing more.
        if x.end() <= y.end() {
            a.next()
        } else {
            b.next()
        };
    }
    common
}

/// How much two sets are alike: what they have in common over what they have together (Jaccard 1901). Two empty sets are
/// alike.
pub fn similarity(a: &[Run], b: &[Run]) -> f64 {
    let common = common(a, b);
    let together = pages(a) + pages(b) - common;
    if together == 0 { 1.0 } else { common as f64 / together as f64 }
}

/// How many of the sets each page is in: ascending runs of pages that are in some, with their number.
pub fn counts<'a>(sets: impl IntoIterator<Item = &'a [Run]>) -> Vec<(Run, u64)> {
    let mut changes = BTreeMap::<u64, i64>::new();
    for run in sets.into_iter().flatten() {
        *changes.entry(run.first).or_default() += 1;
        *changes.entry(run.end()).or_default() -= 1;
    }
    let mut counts: Vec<(Run, u64)> = Vec::new();
    let (mut from, mut count) = (0, 0_i64);
    for (page, change) in changes {
        if count > 0 && change != 0 {
            counts.push((Run { first: from, pages: page - from }, count.unsigned_abs()));
        }
        if change != 0 {
            from = page;
        }
        count += change;
    }
    counts
}

/// Gaps of a single page, over as many as there would be if every second page were in the set.
pub fn single_gaps(runs: &[Run]) -> f64 {
    let single = runs.windows(2).filter(|pair| pair[1].first - pair[0].end() == 1).count();
    single as f64 / pages(runs).saturating_sub(1).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs<const N: usize>(runs: [(u64, u64); N]) -> Vec<Run> {
        runs.map(|(first, pages)| Run { first, pages }).into()
    }

    #[test]
    fn sets_have_in_common_what_both_hold() {
        let (a, b) = (runs([(0, 4), (10, 2)]), runs([(2, 3), (6, 1), (11, 5)]));
        assert_eq!((pages(&a), pages(&b), common(&a, &b), common(&b, &a)), (6, 9, 3, 3));
        assert_eq!(similarity(&a, &b), 3.0 / 12.0);
        assert_eq!((similarity(&a, &a), similarity(&[], &[]), similarity(&a, &[])), (1.0, 1.0, 0.0));
    }

    #[test]
    fn each_page_is_counted_in_every_set_that_has_it() {
        // Runs that meet, one that goes on across the ends of others, and pages beyond 32 bits.
        let far = 1 << 40;
        let sets = [runs([(0, 4), (far, 2)]), runs([(2, 6)]), runs([(4, 4), (far + 1, 1)])];
        let counts = counts(sets.iter().map(Vec::as_slice));
        let expected = [(0, 2, 1), (2, 6, 2), (far, 1, 1), (far + 1, 1, 2)];
        let expected = expected.map(|(first, pages, count)| (Run { first, pages }, count));
        assert_eq!(counts, expected);
    }

    #[test]
    fn every_second_page_has_single_gaps() {
        assert_eq!(single_gaps(&runs([(0, 1), (2, 1), (4, 1)])), 1.0);
        assert_eq!(single_gaps(&runs([(0, 1), (2, 1), (9, 1)])), 0.5);
        // A single gap says nothing of many pages.
        assert_eq!(single_gaps(&runs([(0, 1), (2, 100)])), 0.01);
        assert_eq!((single_gaps(&runs([(0, 9)])), single_gaps(&[])), (0.0, 0.0));
    }
}
