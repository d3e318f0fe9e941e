//! Times of the new build over those of the old one: which are dearer beyond doubt, and what could have been seen.
//!
//! # The error rate of a night
//! A night asks one question per strategy and workload, and 75 answers at 99 % would be wrong in every second night. So the
//! rate is held for the night: of nights in which nothing changed, at most [`ERROR_RATE`] have a finding. Four fifths of it
//! are spent on cycles and a fifth on resets, each by [`holm`](super::holm) over all strategies and workloads. The
//! probability of each ratio is Student's, one-sided, over launches. Its standard error is taken from the interval of the
//! summary, which is at least Student's own ([`crate::analyse::bootstrap`]), together with those of the other strategies of
//! the workload ([`moderated`](super::moderated)). The simulation beside this file counts nights.
//!
//! # Noise where it is
//! What such an interval cannot know, an A/A pair shows: the same contender twice. Where its interval reaches to 1.04,
//! a change of 4 % is no finding, on that workload and on no other. The baseline against itself in the old build serves as
//! such a pair as long as it cannot be told from 1; else it has changed, and is a finding of its own.
//!
//! # What is too small
//! Two builds of one source differ by how the linker placed them. Below [`FLOOR`] nothing is told, nor is a reset that adds
//! less than that to its cycle.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::cells::{Both, Cells};
use super::finding::{Ground, Told};
use super::holm::rejected;
use super::moderated::{Common, Error};
use super::sound::shortened;
use crate::analyse::LEVEL;
use crate::analyse::quantile::median;
use crate::analyse::student::{above, two_sided};
use crate::analyse::summary::{Cell, Change, Equivalence, Quantiles, Ratio};

/// The share of nights without any change that may have a finding of times.
pub const ERROR_RATE: f64 = 0.01;

/// What of it is spent on cycles; the rest is for resets.
const ON_CYCLES: f64 = 0.8;

/// Changes of the cycle below this share are not told, however certain.
pub const FLOOR: f64 = 0.01;

/// What the times of a night say.
#[derive(Clone, Debug, Serialize, JsonSchema, PartialEq)]
pub struct Times {
    /// The largest change of a cycle that might have gone unseen, as a share: that of the series with the widest interval.
    pub resolution: Option<f64>,
    /// What would have been seen in half of the series.
    pub typical: Option<f64>,
    pub places: Vec<Place>,
    pub series: Vec<Series>,
    /// What has no ratio although it is sound in both builds, as sentences.
    pub unjudged: Vec<String>,
}

/// A workload.
#[derive(Clone, Debug, Serialize, JsonSchema, PartialEq)]
pub struct Place {
    pub workload: String,
    /// The A/A pair of the new build; absent where there is none.
    pub pair: Option<Ratio>,
    /// The largest change of a cycle that might have gone unseen here, as a share.
    pub resolution: f64,
}

/// A strategy on a workload.
#[derive(Clone, Debug, Serialize, JsonSchema, PartialEq)]
pub struct Series {
    pub strategy: String,
    pub workload: String,
    pub cycle: Change,
    pub execute: Option<Change>,
    pub reset: Option<Change>,
    pub kind: Kind,
    /// The smallest change of the cycle that would have been told, as a share.
    pub resolution: f64,
    /// Its place in [`Cells::both`].
    #[serde(skip)]
    pub cell: usize,
    /// Whether it is the reset alone that is beyond doubt.
    pub by_reset: bool,
    #[serde(skip)]
    pub build: String,
}

/// What a series is.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Dearer,
    Cheaper,
    /// It would be one of these if the A/A pair of its workload had not moved as far.
    WithinNoise,
    Steady,
}

/// What is asked of one strategy on one workload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    pub cycle: Change,
    pub reset: Option<Change>,
    /// Questions of one workload have the same number.
    pub workload: usize,
    /// The share of the reset in the cycle.
    pub reset_share: f64,
    /// How far the A/A pairs of the workload reach from 1, as a ratio above it.
    pub reach: f64,
    /// Likewise that of their resets.
    pub reset_reach: f64,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Answer {
    pub kind: Kind,
    pub by_reset: bool,
    pub resolution: f64,
}

/// The standard errors behind an interval: on the side of 1, and on the wider side.
fn errors(change: &Change) -> [Error; 2] {
    let Ratio { value, low, high } = change.ratio;
    let launches = change.launches;
    let (below, beyond) = ((value / low).ln(), (high / value).ln());
    let toward_one = if value >= 1.0 { below } else { beyond };
    let scale = two_sided(LEVEL, launches.saturating_sub(1));
    [toward_one, below.max(beyond)].map(|half| Error { standard: half / scale, launches })
}

/// What the questions of each workload have in common.
fn common(asked: &[(usize, Change)]) -> BTreeMap<usize, Common> {
    let mut all = BTreeMap::<usize, Vec<Error>>::new();
    for (workload, change) in asked {
        all.entry(*workload).or_default().push(errors(change)[0]);
    }
    all.into_iter().map(|(workload, errors)| (workload, Common::of(&errors))).collect()
}

/// The probabilities of ratios at least so far from 1, were there no change: of dearer ones, and of cheaper ones.
fn probabilities(asked: &[(usize, Change)]) -> [Vec<f64>; 2] {
    let common = common(asked);
    [1.0, -1.0].map(|side| {
        let tail = |(workload, change): &(usize, Change)| {
            let (error, df) = common[workload].moderate(errors(change)[0]);
            let log = side * change.ratio.value.ln();
            if log > 0.0 { above(log / error, df) } else { 1.0 }
        };
        asked.iter().map(tail).collect()
    })
}

/// Answers all questions of a night.
pub(super) fn decide(questions: &[Question]) -> Vec<Answer> {
    let cycles: Vec<(usize, Change)> =
        questions.iter().map(|question| (question.workload, question.cycle)).collect();
    let [cycles_dearer, cycles_cheaper] =
        probabilities(&cycles).map(|asked| rejected(&asked, ERROR_RATE * ON_CYCLES));
    let common = common(&cycles);
    let (places, resets): (Vec<usize>, Vec<(usize, Change)>) = (0..)
        .zip(questions)
        .filter_map(|(index, question)| Some((index, (question.workload, question.reset?))))
        .unzip();
    let [asked, _] = probabilities(&resets);
    let mut resets_dearer = vec![false; questions.len()];
    for (index, dearer) in places.iter().zip(rejected(&asked, ERROR_RATE * (1.0 - ON_CYCLES))) {
        resets_dearer[*index] = dearer;
    }
    let level = 1.0 - 2.0 * ERROR_RATE * ON_CYCLES / questions.len().max(1) as f64;
    let answer = |(index, question): (usize, &Question)| {
        let Ratio { value, high, .. } = question.cycle.ratio;
        let added =
            question.reset.map_or(0.0, |reset| (1.0 - 1.0 / reset.ratio.value) * question.reset_share);
        let reset_beyond = question.reset.is_some_and(|reset| reset.ratio.value > question.reset_reach);
        let by_cycle = cycles_dearer[index] && value >= 1.0 + FLOOR;
        // What the reset does for the sake of execute is no finding.
        let by_reset = resets_dearer[index] && added >= FLOOR && high >= 1.0;
        let cheaper = cycles_cheaper[index] && value <= 1.0 / (1.0 + FLOOR);
        let kind = match (by_cycle && value > question.reach, by_reset && reset_beyond) {
            (true, _) | (_, true) => Kind::Dearer,
            _ if cheaper && value < 1.0 / question.reach => Kind::Cheaper,
            _ if by_cycle || by_reset || cheaper => Kind::WithinNoise,
            _ => Kind::Steady,
        };
        let (error, df) = common[&question.workload].moderate(errors(&question.cycle)[1]);
        let told = (error * two_sided(level, df)).exp().max(question.reach).max(1.0 + FLOOR);
        Answer {
            kind,
            by_reset: kind == Kind::Dearer && !(by_cycle && value > question.reach),
            resolution: told - 1.0,
        }
    };
    questions.iter().enumerate().map(answer).collect()
}

/// Judges the times of a run.
pub fn judge(cells: &Cells) -> Times {
    let (mut questions, mut asked, mut unjudged) = (Vec::new(), Vec::new(), Vec::new());
    let mut workloads = Vec::new();
    for (index, both) in cells.both.iter().enumerate() {
        let sound = |cell: &Cell| cell.equivalence == Equivalence::Equivalent;
        let Some(counterpart) = both.new.counterpart.as_ref().filter(|_| sound(both.new) && sound(both.old))
        else {
            continue;
        };
        let Some(cycle) = counterpart.cycle else {
            let reason = both.new.reason.as_ref().or(both.old.reason.as_ref());
            let reason =
                reason.map_or_else(|| "too few rounds of both".to_owned(), |reason| shortened(reason));
            unjudged.push(cells.sentence(both, &format!("could not be compared: {reason}")));
            continue;
        };
        let middle = |quantiles: Option<Quantiles>| quantiles.map_or(0.0, |quantiles| quantiles.p50 as f64);
        let whole = middle(both.new.cycle_ns).max(1.0);
        let workload = (&both.new.workload, &both.new.params);
        questions.push(Question {
            cycle,
            reset: counterpart.reset,
            workload: workloads.iter().position(|known| *known == workload).unwrap_or_else(|| {
                workloads.push(workload);
                workloads.len() - 1
            }),
            reset_share: (middle(both.new.reset_ns) / whole).min(1.0),
            reach: reach(cells, both, |counterpart| counterpart.cycle),
            reset_reach: reach(cells, both, |counterpart| counterpart.reset),
        });
        asked.push((index, both, counterpart));
    }
    let answers = decide(&questions);
    let series: Vec<Series> = asked
        .iter()
        .zip(&questions)
        .zip(&answers)
        .map(|((&(cell, both, counterpart), question), answer)| Series {
            strategy: both.new.strategy.clone(),
            workload: cells.place(both),
            cycle: question.cycle,
            execute: counterpart.execute,
            reset: counterpart.reset,
            kind: answer.kind,
            resolution: answer.resolution,
            cell,
            by_reset: answer.by_reset,
            build: cells.build.clone(),
        })
        .collect();
    let mut places: Vec<Place> = Vec::new();
    for one in &series {
        match places.iter_mut().find(|place| place.workload == one.workload) {
            Some(place) => place.resolution = place.resolution.max(one.resolution),
            None => places.push(Place {
                workload: one.workload.clone(),
                pair: cells.pairs(cells.both[one.cell].new).find_map(|pair| ratio(pair, |c| c.cycle)),
                resolution: one.resolution,
            }),
        }
    }
    let mut all: Vec<f64> = series.iter().map(|series| series.resolution).collect();
    let resolution = all.iter().copied().max_by(f64::total_cmp);
    Times { resolution, typical: median(&mut all), places, series, unjudged }
}

type Of = fn(&crate::analyse::summary::Counterpart) -> Option<Change>;

fn ratio(cell: &Cell, of: Of) -> Option<Ratio> {
    Some(of(cell.counterpart.as_ref()?)?.ratio)
}

/// How far the A/A pairs of a workload reach from 1, either way.
fn reach(cells: &Cells, both: &Both, of: Of) -> f64 {
    let pairs = cells.pairs(both.new).filter_map(|pair| ratio(pair, of));
    let baseline = cells.beside(both.new).find(|cell| cell.strategy == cells.summary.baseline);
    let baseline = baseline.filter(|baseline| baseline.strategy != both.new.strategy);
    let unmoved = |ratio: &Ratio| ratio.low <= 1.0 && ratio.high >= 1.0;
    let baseline = baseline.and_then(|cell| ratio(cell, of)).filter(unmoved);
    pairs.chain(baseline).fold(1.0, |reach, ratio| reach.max(ratio.high).max(1.0 / ratio.low))
}

impl Series {
    /// The change that was told: of the reset where that alone is beyond doubt.
    pub fn change(&self) -> Change {
        self.reset.filter(|_| self.by_reset).unwrap_or(self.cycle)
    }

    /// The change in words.
    pub fn told(&self) -> Told {
        let build = &self.build;
        let of = |ratio: &Ratio| {
            let more = if ratio.value >= 1.0 { "more" } else { "less" };
            let share = signed(ratio.value);
            format!(
                "{} {more} than in `{build}` ({} to {}",
                share.trim_start_matches(['+', '-']),
                signed(ratio.low),
                signed(ratio.high)
            )
        };
        let part =
            |name: &str, change: Option<Change>| change.map(|c| format!("{name} {}", signed(c.ratio.value)));
        let words = match self.reset.filter(|_| self.by_reset) {
            Some(reset) => format!(
                "takes {}) in the reset; the cycle {}, which alone could not be told",
                of(&reset.ratio),
                signed(self.cycle.ratio.value)
            ),
            None => {
                let parts = [part("execute", self.execute), part("reset", self.reset)];
                let parts: Vec<String> = parts.into_iter().flatten().collect();
                let parts = if parts.is_empty() { String::new() } else { format!("; {}", parts.join(", ")) };
                format!("takes {}{parts})", of(&self.cycle.ratio))
            }
        };
        Told { ground: Ground::Time, words, size: self.cycle.ratio.value }
    }
}

/// A ratio as a change: `+5.1 %`, `-12 %`.
pub fn signed(ratio: f64) -> String {
    let change = (ratio - 1.0) * 100.0;
    let decimals = usize::from(change.abs() < 9.95);
    format!("{change:+.decimals$} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of eight launches, with an interval of so many per cent to either side.
    fn change(value: f64, per_cent: f64) -> Change {
        let half = per_cent / 100.0;
        let ratio = Ratio { value, low: value * f64::exp(-half), high: value * f64::exp(half) };
        Change { ratio, launches: 8, rounds: 80 }
    }

    fn question(cycle: Change) -> Question {
        Question { cycle, reset: None, workload: 0, reset_share: 0.1, reach: 1.0, reset_reach: 1.0 }
    }

    fn kinds(questions: &[Question]) -> Vec<Kind> {
        decide(questions).into_iter().map(|answer| answer.kind).collect()
    }

    #[test]
    fn the_more_is_asked_the_surer_an_answer_has_to_be() {
        // 3.4 %, with an interval of half as much: t is 7.0, which happens by chance once in 9,400 times.
        let asked = question(change(1.034, 1.67));
        assert_eq!(kinds(&[asked]), [Kind::Dearer]);
        let steady = question(change(1.0, 1.67));
        // Each on a workload of its own, so that nothing is known of its spread but its launches.
        let among = |others: usize| {
            let others = (1..=others).map(|workload| Question { workload, ..steady });
            kinds(&[asked].into_iter().chain(others).collect::<Vec<_>>())[0]
        };
        assert_eq!((among(49), among(149)), (Kind::Dearer, Kind::Steady));
        let beside = kinds(&[vec![asked], vec![steady; 149]].concat())[0];
        assert_eq!(beside, Kind::Dearer, "the others tell of their common spread");
    }

    #[test]
    fn what_is_small_is_not_told_however_certain() {
        assert_eq!(kinds(&[question(change(1.009, 0.01))]), [Kind::Steady]);
        assert_eq!(kinds(&[question(change(1.011, 0.01))]), [Kind::Dearer]);
        assert_eq!(kinds(&[question(change(0.98, 0.01))]), [Kind::Cheaper]);
    }

    #[test]
    fn a_pair_mutes_its_own_workload_up_to_where_it_reaches() {
        let dearer = change(1.05, 0.5);
        let asked = [1.0, 1.04, 1.06].map(|reach| Question { reach, ..question(dearer) });
        assert_eq!(kinds(&asked), [Kind::Dearer, Kind::Dearer, Kind::WithinNoise]);
        let answers = decide(&asked);
        assert!(answers[0].resolution < 0.02 && (answers[2].resolution - 0.06).abs() < 1e-12, "{answers:?}");
    }

    #[test]
    fn a_reset_is_told_where_the_cycle_is_too_noisy_and_only_if_it_matters() {
        let noisy = Question { reset: Some(change(1.3, 2.0)), ..question(change(1.02, 6.0)) };
        let answer = decide(&[noisy])[0];
        assert_eq!((answer.kind, answer.by_reset), (Kind::Dearer, true));
        assert_eq!(kinds(&[Question { reset_share: 0.01, ..noisy }]), [Kind::Steady], "0.2 % of the cycle");
        let cheaper = Question { cycle: change(0.9, 1.0), ..noisy };
        assert_eq!(kinds(&[cheaper]), [Kind::Cheaper], "it does so for the sake of execute");
        assert_eq!(kinds(&[Question { reset_reach: 1.4, ..noisy }]), [Kind::WithinNoise]);
    }

    #[test]
    fn the_resolution_is_what_would_just_have_been_told() {
        let wide = question(change(1.0, 3.0));
        let resolution = decide(&[wide; 60])[0].resolution;
        let at = |value: f64| {
            let mut asked = [wide; 60];
            asked[0].cycle = change(value, 3.0);
            kinds(&asked)[0]
        };
        assert_eq!(at(1.0 + resolution * 0.99), Kind::Steady);
        assert_eq!(at(1.0 + resolution * 1.01), Kind::Dearer);
        assert!((0.03..0.04).contains(&resolution), "{resolution}");
    }

    #[test]
    fn changes_are_told_with_their_sign() {
        assert_eq!([1.0514, 0.877, 1.0, 2.4].map(signed), ["+5.1 %", "-12 %", "+0.0 %", "+140 %"]);
    }
}
