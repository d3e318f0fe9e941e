//! How far two fingerprints are from each other.
//!
//! Sizes count by their logarithms to the base of 2: a distance of 1 is twice as many dirty pages, or a footprint of twice
//! as many times them. The rest are shares, weighed by how many doublings of the number of pages each is worth. The weights
//! are set by what the mechanisms do, and not fitted to any result: whether pages are the same again decides whether there is
//! anything to learn and to keep; how they lie decides how many calls, entries and huge pages they take.

use super::Fingerprint;

/// None of a block's pages again, rather than all.
const MOTION: f64 = 3.0;
/// Each page alone, rather than all in one run.
const FRAGMENTATION: f64 = 2.0;
/// Single pages between them, rather than more.
const SINGLE_GAPS: f64 = 1.0;

impl Fingerprint {
    /// The distance to another one.
    pub fn distance(&self, other: &Self) -> f64 {
        let doublings = |of: fn(&Self) -> f64| (of(self) / of(other)).log2();
        let share = |weight: f64, of: fn(&Self) -> f64| weight * (of(self) - of(other));
        [
            doublings(|f| 1.0 + f.dirty),
            // How much wider than a block, so that the number of pages counts once.
            doublings(|f| (1.0 + f.footprint) / (1.0 + f.dirty)),
            doublings(|f| 1.0 + f.growth_mib),
            doublings(|f| 1.0 + f.image_mib),
            share(MOTION, |f| f.motion),
            share(FRAGMENTATION, |f| f.fragmentation),
            share(SINGLE_GAPS, |f| f.single_gaps),
        ]
        .into_iter()
        .map(|difference| difference * difference)
        .sum::<f64>()
        .sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_in_doublings_of_pages() {
        let one = Fingerprint { dirty: 99.0, footprint: 99.0, ..Fingerprint::default() };
        let twice = Fingerprint { dirty: 199.0, footprint: 199.0, ..one };
        assert_eq!((one.distance(&one), one.distance(&twice), twice.distance(&one)), (0.0, 1.0, 1.0));
        assert_eq!(one.distance(&Fingerprint { footprint: 399.0, ..one }), 2.0);
        assert_eq!(one.distance(&Fingerprint { motion: 1.0, growth_mib: 15.0, ..one }), 5.0);
        // The size of the memory is for the prediction to take into account.
        assert_eq!(one.distance(&Fingerprint { memory_mib: 64.0, ..one }), 0.0);
    }
}
