//! Student's t distribution for whole degrees of freedom.
//!
//! Two closed forms and a bisection, because that is all the intervals need; the distribution crates bring a linear
//! algebra library into the lock file for it.

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};

/// The share of the distribution within `±tan(theta) * sqrt(df)`: Abramowitz and Stegun (1964), 26.7.3 and 26.7.4.
fn central(theta: f64, df: u32) -> f64 {
    let (sin, cos) = theta.sin_cos();
    // Odd degrees of freedom: cos + 2/3 cos^3 + (2*4)/(3*5) cos^5 + ...; even: 1 + 1/2 cos^2 + (1*3)/(2*4) cos^4 + ...
    let odd = df % 2;
    let mut term = if odd == 1 { cos } else { 1.0 };
    let mut sum = if df == 1 { 0.0 } else { term };
    let mut power = odd + 2;
    while power < df {
        term *= f64::from(power - 1) / f64::from(power) * cos * cos;
        sum += term;
        power += 2;
    }
    if odd == 1 { FRAC_2_PI * (theta + sin * sum) } else { sin * sum }
}

/// The `t` for which `level` of the distribution with `df` degrees of freedom lies within `±t`.
///
/// `level` is at least 0 and below 1. Without degrees of freedom nothing bounds it: infinity.
pub fn two_sided(level: f64, df: u32) -> f64 {
    if df == 0 {
        return f64::INFINITY;
    }
    let (mut low, mut high) = (0.0, FRAC_PI_2);
    // Halving the quarter turn 64 times reaches the last bit of a double.
    for _ in 0..64 {
        let middle = f64::midpoint(low, high);
        if central(middle, df) < level {
            low = middle;
        } else {
            high = middle;
        }
    }
    low.tan() * f64::from(df).sqrt()
}

/// The probability that a `t` with `df` degrees of freedom is at least this large; 1 for what is no number.
///
/// Without degrees of freedom anything may be: 1.
pub fn above(t: f64, df: u32) -> f64 {
    if df == 0 || t.is_nan() {
        return 1.0;
    }
    let within = central((t.abs() / f64::from(df).sqrt()).atan(), df);
    let tail = ((1.0 - within) / 2.0).max(0.0);
    if t < 0.0 { 1.0 - tail } else { tail }
}

/// The mean of the means of some groups, and half of Student's interval around it at `level`, by the spread within groups, which
/// they are taken to have in common. Of one group it is the interval of its mean. Neither is a number where no group has two
/// values.
pub fn mean_and_half(groups: &[Vec<f64>], level: f64) -> (f64, f64) {
    let count = groups.len() as f64;
    let mean = |values: &Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    let squares = |values: &Vec<f64>| -> f64 {
        let mean = mean(values);
        values.iter().map(|value| (value - mean).powi(2)).sum()
    };
    let df = groups.iter().map(|values| values.len().saturating_sub(1)).sum::<usize>();
    let variance = groups.iter().map(squares).sum::<f64>() / df as f64;
    let of_means = groups.iter().map(|values| 1.0 / values.len() as f64).sum::<f64>() / (count * count);
    let t = two_sided(level, u32::try_from(df).unwrap_or(u32::MAX));
    (groups.iter().map(mean).sum::<f64>() / count, t * (variance * of_means).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fisher and Yates' table (1963), as printed in every textbook.
    #[test]
    fn agrees_with_the_printed_table() {
        const DEGREES: [u32; 8] = [1, 2, 3, 4, 7, 9, 30, 120];
        for (level, printed) in [
            (0.99, [63.657, 9.925, 5.841, 4.604, 3.499, 3.250, 2.750, 2.617]),
            (0.95, [12.706, 4.303, 3.182, 2.776, 2.365, 2.262, 2.042, 1.980]),
        ] {
            for (df, expected) in DEGREES.into_iter().zip(printed) {
                let t = two_sided(level, df);
                assert!(
                    (t - expected).abs() < 0.0006,
                    "{level}, {df} degrees of freedom: {t}, not {expected}"
                );
            }
        }
    }

    /// Two groups of means 2 and 12: squares of 2 and 8 within them over four degrees of freedom, a third of a half of 2.5.
    #[test]
    fn groups_are_known_by_the_spread_within_them() {
        let groups = [vec![1.0, 2.0, 3.0], vec![10.0, 12.0, 14.0]];
        let (mean, half) = mean_and_half(&groups, 0.99);
        assert!((mean - 7.0).abs() < 1e-12, "{mean}");
        assert!((half - 4.6041 * (2.5_f64 / 6.0).sqrt()).abs() < 1e-3, "{half}");
        let (mean, half) = mean_and_half(&groups[..1], 0.99);
        assert!((mean - 2.0).abs() < 1e-12 && (half - 9.9248 / 3.0_f64.sqrt()).abs() < 1e-3, "{mean} {half}");
        assert!(!mean_and_half(&[vec![1.0], vec![2.0]], 0.99).1.is_finite());
    }

    #[test]
    fn the_tail_is_what_the_quantile_leaves() {
        for df in [1, 2, 5, 7, 30] {
            for level in [0.5, 0.99, 0.9999] {
                let tail = above(two_sided(level, df), df);
                assert!((tail / ((1.0 - level) / 2.0) - 1.0).abs() < 1e-6, "{df}, {level}: {tail}");
            }
            assert!((above(0.0, df) - 0.5).abs() < 1e-12);
            assert!((above(-2.0, df) + above(2.0, df) - 1.0).abs() < 1e-12);
            assert!(above(f64::INFINITY, df) < 1e-12);
        }
        assert_eq!([above(9.0, 0), above(f64::NAN, 7)], [1.0; 2]);
    }

    #[test]
    fn approaches_the_normal_distribution() {
        assert!((two_sided(0.99, 100_000) - 2.5758).abs() < 0.001);
        assert_eq!(two_sided(0.0, 5), 0.0);
        assert_eq!(two_sided(0.99, 0), f64::INFINITY);
    }
}
