//! Quantiles and medians, each with one definition.
//!
//! **Quantiles of samples** (`p50`, `p95`, `p99` of block times) use the *nearest rank*: of `n` sorted samples,
//! the one of rank `ceil(n * percent / 100)`, counted from 1 (type 1 of Hyndman and Fan 1996). The reasons:
//!
//! - every figure is a sample that was measured, and stays an integer in the unit of the rows;
//! - it never reports a time between two modes (blocks with and without a collection, say) that no block took;
//! - the rank is computed in integers, so that no rounding of `0.95 * n` moves it.
//!
//! The usual alternative, type 7 (linear interpolation; R, NumPy, criterion), invents such values and differs only when
//! there are few samples. With fewer than 100 samples `p99` is the maximum, by either honest reading.
//!
//! **Medians of a few groups** (rounds in a launch, launches in a run) use the *midpoint* of the two middle values when
//! their number is even, so that neither direction is favoured: the lower of two launches would flatter, and the
//! median log ratio of A to B is exactly minus that of B to A.

use std::cmp::Ordering;

/// A number that can be ordered totally and halved: what a median needs.
pub trait Middle: Copy {
    /// The total order; for floats the one of IEEE 754, so that no NaN can make a sort panic.
    fn order(&self, other: &Self) -> Ordering;
    /// Half-way between two values, rounded towards zero for integers.
    fn between(self, other: Self) -> Self;
}

macro_rules! middle {
    ($($number:ty: $order:path),*) => {$(
        impl Middle for $number {
            fn order(&self, other: &Self) -> Ordering {
                $order(self, other)
            }

            fn between(self, other: Self) -> Self {
                <$number>::midpoint(self, other)
            }
        }
    )*};
}
middle!(u64: Ord::cmp, i64: Ord::cmp, f64: f64::total_cmp);

/// The quantile of sorted samples by nearest rank; `None` without samples.
///
/// `percent` is 0 to 100: 0 is the smallest sample, 100 the largest, more counts as 100.
pub fn quantile<T: Copy>(sorted: &[T], percent: u8) -> Option<T> {
    let last = sorted.len().checked_sub(1)?;
    let rank = (sorted.len() as u128 * u128::from(percent)).div_ceil(100);
    Some(sorted[usize::try_from(rank).map_or(last, |rank| rank.saturating_sub(1).min(last))])
}

/// The median, by the midpoint when there are two middle values; `None` without values.
///
/// Takes the values in any order and leaves them in another.
pub fn median<T: Middle>(values: &mut [T]) -> Option<T> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let even = values.len().is_multiple_of(2);
    let (below, upper, _) = values.select_nth_unstable_by(middle, T::order);
    let lower = below.iter().max_by(|a, b| a.order(b)).filter(|_| even);
    Some(lower.map_or(*upper, |lower| lower.between(*upper)))
}

/// Sorts in place by [`Middle::order`].
pub fn sort<T: Middle>(values: &mut [T]) {
    values.sort_unstable_by(T::order);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nearest_rank_takes_a_sample_that_was_measured() {
        let ten: Vec<u64> = (1..=10).map(|i| i * 10).collect();
        assert_eq!(quantile(&ten, 0), Some(10));
        assert_eq!(quantile(&ten, 50), Some(50));
        assert_eq!(quantile(&ten, 51), Some(60));
        assert_eq!(quantile(&ten, 95), Some(100));
        assert_eq!(quantile(&ten, 100), Some(100));
        assert_eq!(quantile(&ten, 255), Some(100));
    }

    #[test]
    fn p99_of_a_hundred_leaves_out_one() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!(quantile(&hundred, 99), Some(99));
        assert_eq!(quantile(&hundred[..99], 99), Some(99));
    }

    #[test]
    fn one_sample_is_every_quantile() {
        assert_eq!(quantile(&[7], 1), Some(7));
        assert_eq!(quantile(&[7], 99), Some(7));
        assert_eq!(median(&mut [7_u64]), Some(7));
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(quantile::<u64>(&[], 50), None);
        assert_eq!(median::<u64>(&mut []), None);
    }

    #[test]
    fn an_even_number_of_groups_gives_the_midpoint() {
        assert_eq!(median(&mut [40_u64, 10, 20, 30]), Some(25));
        assert_eq!(median(&mut [-3_i64, 4]), Some(0));
        assert_eq!(median(&mut [1.0, 2.0]), Some(1.5));
        assert_eq!(median(&mut [u64::MAX, u64::MAX]), Some(u64::MAX));
    }

    #[test]
    fn one_outlier_does_not_move_the_median() {
        assert_eq!(median(&mut [100_u64, 101, 1_000_000, 99, 102]), Some(101));
    }

    proptest! {
        #[test]
        fn a_quantile_is_a_sample_and_grows_with_percent(
            mut samples in prop::collection::vec(any::<u64>(), 1..80),
            a in 0_u8..=100,
            b in 0_u8..=100,
        ) {
            sort(&mut samples);
            let (low, high) = (quantile(&samples, a.min(b)).unwrap(), quantile(&samples, a.max(b)).unwrap());
            prop_assert!(samples.contains(&low));
            prop_assert!(low <= high);
        }

        #[test]
        fn at_least_that_share_is_not_above(
            mut samples in prop::collection::vec(0_u64..50, 1..80),
            percent in 0_u8..=100,
        ) {
            sort(&mut samples);
            let at = quantile(&samples, percent).unwrap();
            let share = samples.iter().filter(|&&sample| sample <= at).count();
            prop_assert!(share * 100 >= usize::from(percent) * samples.len());
        }

        #[test]
        fn the_median_lies_between_and_ignores_order(mut samples in prop::collection::vec(any::<i64>(), 1..80)) {
            let middle = median(&mut samples.clone()).unwrap();
            samples.reverse();
            prop_assert_eq!(median(&mut samples.clone()), Some(middle));
            sort(&mut samples);
            prop_assert!(samples[0] <= middle && middle <= samples[samples.len() - 1]);
        }
    }
}
