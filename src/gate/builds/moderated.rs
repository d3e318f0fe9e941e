//! Standard errors of strategies that ran side by side, each of which is known from a few launches only.
//!
//! Eight launches know their own spread badly: to be sure at the rate of a whole night, Student's t then asks for seven
//! standard errors. But the strategies of a workload ran in the same minutes on the same machine, so that their spreads have
//! much in common. How much is estimated from the spreads themselves: their logarithms scatter by what few launches explain,
//! and by what truly differs between strategies (Smyth: Linear models and empirical Bayes methods, *Statistical Applications
//! in Genetics and Molecular Biology* 3, 2004, section 6.2). The less truly differs, the more launches the common spread is
//! worth.
//!
//! A strategy that spreads more than the others is never given less than its own spread, as Smyth's would: among others that
//! are alike it would be found to have changed more often than promised. `simulation.rs` counts nights whose spreads
//! are alike, or five times as large in one of fifteen, for normal noise and heavy tails.

use std::f64::consts::E;

/// The standard error of a mean over launches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Error {
    pub standard: f64,
    pub launches: u32,
}

impl Error {
    fn df(self) -> f64 {
        f64::from(self.launches.saturating_sub(1))
    }

    /// The variance of a launch.
    fn variance(self) -> f64 {
        self.standard.powi(2) * f64::from(self.launches)
    }
}

/// What the strategies of a workload have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Common {
    variance: f64,
    /// What it is worth, in degrees of freedom; 0 where nothing is known.
    df: f64,
}

/// Spreads without which nothing is said of what they have in common.
const FEWEST: usize = 3;

/// A common spread is never worth more: about as many launches as a long run has of one strategy each.
const MOST: f64 = 400.0;

impl Common {
    /// Of some standard errors.
    pub fn of(errors: &[Error]) -> Self {
        let known = errors.iter().copied().filter(|error| error.df() > 0.0 && error.standard > 0.0);
        let known: Vec<Error> = known.filter(|error| error.standard.is_finite()).collect();
        if known.len() < FEWEST {
            return Self { variance: 0.0, df: 0.0 };
        }
        let count = known.len() as f64;
        // What the logarithm of each would be, were it known from many launches.
        let logs: Vec<f64> =
            known.iter().map(|e| e.variance().ln() - digamma(e.df() / 2.0) + (e.df() / 2.0).ln()).collect();
        let mean = logs.iter().sum::<f64>() / count;
        let scatter = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let explained = known.iter().map(|error| trigamma(error.df() / 2.0)).sum::<f64>() / count;
        let df = match scatter - explained {
            truly if truly > 0.0 => (2.0 * trigamma_inverse(truly)).min(MOST),
            _ => MOST,
        };
        Self { variance: (mean + digamma(df / 2.0) - (df / 2.0).ln()).exp(), df }
    }

    /// A standard error with what is known of the others, and its degrees of freedom.
    pub fn moderate(self, error: Error) -> (f64, u32) {
        let df = self.df + error.df();
        let own = error.variance();
        let variance = if df > 0.0 { (self.df * self.variance + error.df() * own) / df } else { own };
        ((variance.max(own) / f64::from(error.launches.max(1))).sqrt(), df as u32)
    }
}

/// The derivative of the logarithm of the gamma function: Abramowitz and Stegun (1964), 6.3.5 and 6.3.18.
fn digamma(mut x: f64) -> f64 {
    let mut sum = 0.0;
    while x < 6.0 {
        sum -= 1.0 / x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    sum + x.ln() - 0.5 / x - square * (1.0 / 12.0 - square * (1.0 / 120.0 - square / 252.0))
}

/// Its derivative: 6.4.6 and 6.4.12.
fn trigamma(mut x: f64) -> f64 {
    let mut sum = 0.0;
    while x < 6.0 {
        sum += 1.0 / (x * x);
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    sum + 1.0 / x + square / 2.0 + square / x * (1.0 / 6.0 - square * (1.0 / 30.0 - square / 42.0))
}

/// Where it has a value above 0, by halving on logarithms: it falls from infinity to 0.
fn trigamma_inverse(value: f64) -> f64 {
    let (mut low, mut high) = (-20.0, 20.0);
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        if trigamma(E.powf(middle)) > value {
            low = middle;
        } else {
            high = middle;
        }
    }
    E.powf(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(standard: &[f64]) -> Vec<Error> {
        standard.iter().map(|&standard| Error { standard, launches: 8 }).collect()
    }

    #[test]
    fn agrees_with_the_printed_table() {
        // Abramowitz and Stegun, table 6.1: psi and psi' at 1, 1.5 and 2.
        for (x, psi, prime) in [
            (1.0, -0.577_215_66, 1.644_934_07),
            (1.5, 0.036_489_97, 0.934_802_2),
            (2.0, 0.422_784_34, 0.644_934_07),
        ] {
            assert!((digamma(x) - psi).abs() < 1e-7 && (trigamma(x) - prime).abs() < 1e-6, "{x}");
            assert!((trigamma_inverse(prime) / x - 1.0).abs() < 1e-5, "{x}");
        }
    }

    #[test]
    fn what_is_alike_is_known_from_all_launches() {
        // As eight launches scatter by themselves.
        let alike = errors(&[0.8, 0.9, 0.95, 1.0, 1.0, 1.05, 1.1, 1.3]);
        let common = Common::of(&alike);
        let (error, df) = common.moderate(alike[0]);
        assert!(df == 407 && (0.95..1.1).contains(&error), "{error} {df}");
        let (error, _) = common.moderate(alike[7]);
        assert_eq!(error, 1.3, "never less than its own");
    }

    #[test]
    fn what_differs_has_little_in_common() {
        let unlike = errors(&[0.01, 0.1, 1.0, 10.0, 100.0]);
        let (error, df) = Common::of(&unlike).moderate(unlike[1]);
        assert!(df == 7 && (0.1..0.4).contains(&error), "{error} {df}");
    }

    #[test]
    fn few_are_taken_by_themselves() {
        let few = errors(&[0.5, 1.0]);
        assert_eq!(Common::of(&few).moderate(few[0]), (0.5, 7));
        let still = errors(&[0.0, 0.0, 0.0, 1.0]);
        assert_eq!(Common::of(&still).moderate(still[0]), (0.0, 7));
        let one = Error { standard: f64::NAN, launches: 1 };
        assert_eq!(Common::of(&[one; 4]).moderate(one).1, 0);
    }
}
