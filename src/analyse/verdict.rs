//! From an interval to a verdict, and from a verdict to a sentence.
//!
//! | the interval of the ratio | verdict |
//! |---|---|
//! | lies within [`MARGIN`] of 1 on both sides | same |
//! | else lies below 1 | faster |
//! | else lies above 1 | slower |
//! | else (it holds 1 and reaches beyond the margin) | unsure |
//!
//! *Faster* and *slower* therefore say: there is a difference, and it may well exceed the margin. A contender compared
//! with itself gets one of them in at most `1 - LEVEL` of cases, and much less often when the interval is narrow, since
//! it has to miss 1 *and* reach beyond the margin. A difference of exactly the margin is found as soon as the interval
//! is narrower than the margin; demanding the whole interval beyond it would never find that.
//! *Same* is an equivalence test (two one-sided tests), not the absence of evidence.

use super::bootstrap::{ADVISED_LAUNCHES, Estimate, MIN_LAUNCHES, MIN_ROUNDS};
use super::student::two_sided;
use super::summary::{Equivalence, More, Ratio, Verdict};
use super::{LEVEL, MARGIN};
use crate::units::several;

/// More launches than this are not estimated: the setup has to become quieter instead.
const MOST_LAUNCHES: u32 = 1_000;

/// The verdict that an interval allows; never `baseline` or `none`, which are not about intervals.
pub fn verdict(ratio: &Ratio) -> Verdict {
    if ratio.low >= 1.0 / (1.0 + MARGIN) && ratio.high <= 1.0 + MARGIN {
        Verdict::Same
    } else if ratio.high < 1.0 {
        Verdict::Faster
    } else if ratio.low > 1.0 {
        Verdict::Slower
    } else {
        Verdict::Unsure
    }
}

/// How much more measuring would settle the comparison, if its value stays what it is; `None` if it is settled.
///
/// The interval has to shrink until it either misses 1 or fits the margin, whichever comes first. Its half-width goes
/// with `t(L-1) / sqrt(L)` in the launches `L`: at first faster than the `1 / sqrt(n)` of textbooks, because Student's
/// quantile falls too. More rounds in the same launches would not do: they do not tell layouts apart.
pub fn more(estimate: &Estimate) -> Option<More> {
    let ratio = &estimate.ratio;
    if verdict(ratio) != Verdict::Unsure {
        return None;
    }
    let half = |launches: u32| two_sided(LEVEL, launches - 1) / f64::from(launches).sqrt();
    let away = ratio.value.ln().abs();
    let wanted = away.max((1.0 + MARGIN).ln() - away);
    let scale = wanted / ((ratio.high.ln() - ratio.low.ln()) / 2.0) * half(estimate.launches);
    let candidates: Vec<u32> = (estimate.launches + 1..=estimate.launches + MOST_LAUNCHES).collect();
    let short = candidates.partition_point(|&launches| half(launches) > scale);
    let launches = u32::try_from(short + 1).unwrap_or(MOST_LAUNCHES).min(MOST_LAUNCHES);
    let rounds = f64::from(estimate.rounds) / f64::from(estimate.launches) * f64::from(launches);
    Some(More { launches, rounds: rounds.ceil() as u32 })
}

/// Whether a run that stops early may stop: the interval is narrow for what it shows.
///
/// Either its half-width is at most an eighth of the (log) difference and a tenth of the ratio, so that more digits would serve
/// nobody, or it is at most half the margin, from [`ADVISED_LAUNCHES`] on: the width that fewer launches show is itself hardly known.
///
/// This asks for the width and not for the verdict, because stopping at the first verdict that comes would break the
/// promise that [`LEVEL`] makes; [`super::bootstrap`] has the figures.
pub fn narrow_enough(estimate: &Estimate) -> bool {
    let ratio = &estimate.ratio;
    let half = (ratio.high.ln() - ratio.low.ln()) / 2.0;
    let settled = estimate.launches as usize >= ADVISED_LAUNCHES && half <= (1.0 + MARGIN).ln() / 2.0;
    settled || half <= (ratio.value.ln().abs() / 8.0).min((1.0 + WIDEST).ln())
}

/// A half-width beyond which nothing is narrow enough, however large the difference: users are to tell apart what differs by that.
const WIDEST: f64 = 0.1;

/// How many times the cycle of the best a strategy takes that is out of the race.
pub const BEATEN: f64 = 1.5;

/// The half-width of the interval that is enough for who is out of the race: a quarter, less what the next launch may add.
pub const ROUGHLY: f64 = 0.2;

/// Whether a strategy is out of the race, and known well enough: the whole interval of its ratio to the best lies above
/// [`BEATEN`], and that of its ratio to the baseline is [`ROUGHLY`] known.
///
/// What the best itself may be wrong by does not matter: with an interval at [`LEVEL`] that has to be wrong by a factor,
/// the strategy that is best ends like this in fewer than one of a thousand runs ([`super::bootstrap`]).
pub fn is_beaten(to_best: &Estimate, to_baseline: &Estimate) -> bool {
    let half = |ratio: &Ratio| (ratio.high.ln() - ratio.low.ln()) / 2.0;
    to_best.ratio.low > BEATEN && half(&to_baseline.ratio) <= (1.0 + ROUGHLY).ln()
}

/// The comparison of a strategy with another in words.
pub fn compared(strategy: &str, other: &str, estimate: &Estimate) -> String {
    let ratio = &estimate.ratio;
    let verdict = verdict(ratio);
    let ending = match verdict {
        Verdict::Faster => "faster".to_owned(),
        Verdict::Slower => "slower".to_owned(),
        Verdict::Same => {
            let within = format!("the same within {}", percent(MARGIN));
            if ratio.high < 1.0 {
                format!("{within}, though measurably faster")
            } else if ratio.low > 1.0 {
                format!("{within}, though measurably slower")
            } else {
                within
            }
        }
        Verdict::Unsure | Verdict::Baseline | Verdict::None => {
            format!("unsure{}", more(estimate).map_or(String::new(), wish))
        }
    };
    format!(
        "`{strategy}` takes {} the cycle of `{other}` ({} to {}, {} interval over {} and {}): {ending}.",
        times(ratio.value),
        times(ratio.low),
        times(ratio.high),
        percent(LEVEL),
        several(estimate.launches as usize, "launch"),
        several(estimate.rounds as usize, "round"),
    )
}

/// That another strategy takes less over whole traces than the one with the shorter median; `ratio` is of their means.
pub fn over_traces(strategy: &str, other: &str, ratio: &Ratio) -> String {
    format!(
        "Over whole traces, in which slow blocks count in full, `{other}` takes less: the mean cycle of `{strategy}` is \
         {} that of `{other}` ({} to {}, {} interval).",
        times(ratio.value),
        times(ratio.low),
        times(ratio.high),
        percent(LEVEL),
    )
}

/// Why two measured strategies have no ratio: too few of their rounds are paired.
pub fn too_few(strategy: &str, other: &str, launches: usize) -> String {
    format!(
        "`{strategy}` cannot be compared with `{other}`: {launches} {} at least {MIN_ROUNDS} rounds of both, and \
         an interval takes {MIN_LAUNCHES} such launches; unsure.",
        if launches == 1 { "launch has" } else { "launches have" },
    )
}

/// Why a measured strategy has no ratio: the other one has no figures.
pub fn nothing_to_compare_with(strategy: &str, other: &str, why: &str) -> String {
    format!("`{strategy}` cannot be compared: `{other}`, the baseline, {why}; unsure.")
}

/// Why a strategy has no figures.
pub fn no_figures(strategy: &str, equivalence: Equivalence, reason: Option<&str>) -> String {
    format!("`{strategy}` has no figures: it {}.", why(equivalence, reason))
}

/// The predicate of a strategy that has no figures.
pub fn why(equivalence: Equivalence, reason: Option<&str>) -> String {
    let what = match equivalence {
        Equivalence::Equivalent => "was verified, but not timed",
        Equivalence::Diverged => "diverged from a fresh instance, and a wrong reset has no time",
        Equivalence::Refused => "refuses this module",
        Equivalence::Unavailable => "is unavailable on this machine",
        Equivalence::NotRun => "was not verified in this run",
    };
    reason.map_or_else(|| what.to_owned(), |reason| format!("{what} ({reason})"))
}

fn wish(more: More) -> String {
    let rounds = several(more.rounds as usize, "more round");
    let launches = several(more.launches as usize, "more launch");
    if more.launches == MOST_LAUNCHES {
        format!("; more than {launches} would be needed to tell, so look for a quieter setup")
    } else {
        format!("; about {rounds} ({launches}) would be needed to tell")
    }
}

/// A factor with as many digits as its distance from 1 deserves: `0.42x`, `1.003x`, `37x`.
fn times(ratio: f64) -> String {
    if (0.9..1.1).contains(&ratio) {
        format!("{ratio:.3}x")
    } else if !(1e-3..1e4).contains(&ratio) {
        format!("{ratio:.1e}x")
    } else if ratio >= 20.0 {
        format!("{ratio:.0}x")
    } else if ratio < 0.1 {
        format!("{ratio:.4}x")
    } else {
        format!("{ratio:.2}x")
    }
}

/// A share as the per cent it was written down as: `2 %`, `99 %`, `99.5 %`.
fn percent(share: f64) -> String {
    format!("{} %", (share * 1e4).round() / 1e2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(low: f64, value: f64, high: f64) -> Ratio {
        Ratio { value, low, high }
    }

    fn estimate(low: f64, value: f64, high: f64, launches: u32, rounds: u32) -> Estimate {
        Estimate { ratio: ratio(low, value, high), launches, rounds }
    }

    #[test]
    fn the_four_verdicts() {
        for (low, value, high, expected) in [
            (0.40, 0.42, 0.44, Verdict::Faster),
            (1.01, 1.03, 1.05, Verdict::Slower),
            (0.99, 1.0, 1.01, Verdict::Same),
            (0.97, 1.0, 1.03, Verdict::Unsure),
            // A small certain difference is within the margin.
            (1.005, 1.01, 1.015, Verdict::Same),
            (1.0, 1.0, 1.0, Verdict::Same),
            // The edges belong to the careful side.
            (1.0 / 1.02, 1.0, 1.02, Verdict::Same),
            (1.0, 1.02, 1.04, Verdict::Unsure),
            (0.96, 0.98, 1.0, Verdict::Unsure),
        ] {
            assert_eq!(verdict(&ratio(low, value, high)), expected, "{low} to {high}");
        }
    }

    #[test]
    fn unsure_says_what_more_it_takes() {
        // Five launches, half-width 3 %, value 1: the margin needs two thirds of that. t(4)/sqrt(5) = 2.059 has to
        // fall to 1.373; t(6)/sqrt(7) = 1.401 is too much, t(7)/sqrt(8) = 1.237 will do.
        let wide = estimate((-0.03_f64).exp(), 1.0, 0.03_f64.exp(), 5, 100);
        assert_eq!(more(&wide), Some(More { launches: 3, rounds: 60 }));
        assert_eq!(more(&estimate(0.99, 1.0, 1.01, 5, 100)), None);
        assert_eq!(more(&estimate(1e-9, 1.0, 1e9, 2, 10)).unwrap().launches, MOST_LAUNCHES);
    }

    #[test]
    fn measuring_may_stop_when_the_interval_is_narrow_for_what_it_shows() {
        assert!(narrow_enough(&estimate(0.991, 1.0, 1.009, 8, 80)));
        assert!(!narrow_enough(&estimate(0.991, 1.0, 1.009, 7, 70)), "too few launches to trust the width");
        assert!(!narrow_enough(&estimate(0.985, 1.0, 1.015, 8, 80)));
        assert!(narrow_enough(&estimate(0.40, 0.42, 0.44, 3, 30)));
        assert!(!narrow_enough(&estimate(1.03, 1.05, 1.07, 8, 80)), "a verdict, but not yet a width");
    }

    #[test]
    fn sentences_name_the_figure_the_evidence_and_the_verdict() {
        let sentence = |estimate: &Estimate| compared("dirty/uffd-wp", "fresh/relink", estimate);
        assert_eq!(
            sentence(&estimate(0.40, 0.42, 0.44, 3, 60)),
            "`dirty/uffd-wp` takes 0.42x the cycle of `fresh/relink` \
             (0.40x to 0.44x, 99 % interval over 3 launches and 60 rounds): faster."
        );
        for (figures, ending) in [
            (estimate(0.995, 1.003, 1.011, 5, 50), "): the same within 2 %."),
            (estimate(1.001, 1.003, 1.011, 5, 50), "the same within 2 %, though measurably slower."),
            (
                estimate((-0.03_f64).exp(), 1.0, 0.03_f64.exp(), 5, 100),
                "unsure; about 60 more rounds (3 more launches) would be needed to tell.",
            ),
        ] {
            assert!(sentence(&figures).ends_with(ending), "{}", sentence(&figures));
        }
        let hopeless = sentence(&estimate(1e-9, 1.0, 1e9, 2, 10));
        assert!(hopeless.contains("more than 1000 more launches"), "{hopeless}");
    }

    #[test]
    fn a_sentence_on_whole_traces_names_both_and_the_interval() {
        assert_eq!(
            over_traces("fresh/relink", "copy/full", &ratio(4.2, 4.46, 4.7)),
            "Over whole traces, in which slow blocks count in full, `copy/full` takes less: the mean cycle of \
             `fresh/relink` is 4.46x that of `copy/full` (4.20x to 4.70x, 99 % interval)."
        );
    }

    #[test]
    fn a_missing_figure_has_a_reason() {
        let lacking = no_figures("a/b", Equivalence::Unavailable, Some("the kernel lacks it"));
        assert_eq!(lacking, "`a/b` has no figures: it is unavailable on this machine (the kernel lacks it).");
        let refused = no_figures("a/b", Equivalence::Refused, Some("table 2"));
        assert!(refused.contains("refuses this module (table 2)"), "{refused}");
        assert!(no_figures("a/b", Equivalence::Diverged, None).contains("a wrong reset has no time"));
        assert!(too_few("a/b", "c/d", 1).contains("1 launch has at least 3 rounds"));
    }

    #[test]
    fn factors_keep_the_digits_that_matter() {
        let written: Vec<String> =
            [0.000_012, 0.012_34, 0.42, 0.998_7, 1.0, 3.21, 37.4, 1e27].into_iter().map(times).collect();
        assert_eq!(written, ["1.2e-5x", "0.0123x", "0.42x", "0.999x", "1.000x", "3.21x", "37x", "1.0e27x"]);
    }
}
