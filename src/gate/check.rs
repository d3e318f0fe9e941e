//! A night against its baseline: fine, regression, or noisy.
//!
//! Three things make a finding: a change beyond the series' own [`threshold`](super::threshold), an A/A pair of its workload
//! that held still meanwhile or does not reach as far, and, where it was asked for, a second run that shows the same. A pair
//! judges its own workload only. A reset that is no longer equal to a fresh instance is a regression on any night: noise does
//! not do that.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use schemars::JsonSchema;
use serde::Serialize;

use super::compare::{list, times, turned, word};
use super::history::History;
use super::likeness;
use super::series::{Metric, Series, change, place, ratios};
use super::threshold::{Threshold, threshold};
use crate::analyse::summary::{Cell, Equivalence, Ratio};
use crate::hosts::named;
use crate::launch::saved::Saved;

/// Version of the report's JSON.
pub const SCHEMA: u32 = 1;

/// What a night was.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Fine,
    Regression,
    /// Nothing was found, but somewhere the baseline differed from itself, and what lies within that could not be told there.
    Noisy,
}

/// What is told about one series.
#[derive(Clone, Debug, Serialize, JsonSchema, PartialEq)]
pub struct Finding {
    pub series: Series,
    pub kind: Kind,
    /// Tonight's ratio over the baseline night's.
    pub change: Ratio,
    pub threshold: Threshold,
    pub sentence: String,
}

/// Kinds of findings.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Dearer than it was.
    Regression,
    /// Looked dearer, and did not when it was run again.
    NotSeenAgain,
    Improvement,
    /// Beyond its threshold, but the A/A pair of its workload moved and reaches as far.
    WithinNoise,
    /// Beyond its threshold, but too vague to tell and without a history that says how vague it is.
    Unsure,
    /// Within its threshold.
    Steady,
}

/// The judgement of a night.
#[derive(Clone, Debug, Serialize, JsonSchema, PartialEq)]
pub struct Report {
    pub schema: u32,
    pub outcome: Outcome,
    pub run: String,
    pub baseline: String,
    pub class: String,
    /// The host under whose settings the night and what it is held against ran.
    pub host: String,
    /// The A/A pair on each workload, and whether it held still.
    pub pair: Vec<String>,
    /// Strategies that are no longer sound, as sentences.
    pub unsound: Vec<String>,
    pub findings: Vec<Finding>,
    pub notes: Vec<String>,
    /// Whether the regressions were run a second time.
    pub confirmed: bool,
    /// Whether the A/A pair moved, which is so of some nights that are a regression too.
    #[serde(skip)]
    pub noisy: bool,
}

/// Judges a night.
///
/// # Errors
/// When the input allows no judgement.
pub fn check(baseline: &Saved, night: &Saved, history: &History) -> Result<Report> {
    let [accepted, class] = [baseline, night].map(|run| &run.record.machine.class);
    ensure!(
        accepted == class,
        "the baseline is of machine class `{accepted}` and this night of `{class}`: a class needs a baseline of its own"
    );
    let common = likeness::common(baseline, night)?;
    let (pair, moved) = pair(night, history)?;
    let mut notes = common.notes.clone();
    notes.extend(history.notes.iter().cloned());
    let (noisy_ones, quiet): (Vec<_>, Vec<_>) = history.alike(night).partition(|night| night.noisy);
    match quiet.len() {
        0 => notes.push(format!(
            "no earlier quiet night of machine class `{class}` in the history ({} noisy ones, {} of others): every \
             threshold is its floor, and only intervals that do not overlap count",
            noisy_ones.len(),
            history.nights.len() - noisy_ones.len()
        )),
        nights => notes.push(format!("thresholds rest on {nights} earlier quiet nights at most")),
    }
    let (before, after) = (ratios(&baseline.summary), ratios(&night.summary));
    let is_pair = |series: &Series| night.record.again.as_ref() == Some(&series.strategy);
    let gone = before.keys().filter(|series| common.holds(series) && !after.contains_key(series));
    notes.extend(gone.map(|series| format!("{series}: has no figure tonight")));
    let mut findings: Vec<Finding> = before
        .into_iter()
        .filter(|(series, _)| common.holds(series) && !is_pair(series))
        .filter_map(|(series, before)| {
            let after = after.get(&series)?;
            let threshold = threshold(series.metric, &history.of(night, &series));
            Some(Finding::judge(series, &before, after, threshold).within(&moved))
        })
        .collect();
    findings.sort_by(|a, b| {
        let size = |finding: &Finding| finding.change.value.ln().abs();
        a.kind.cmp(&b.kind).then(size(b).total_cmp(&size(a)))
    });
    let unsound = unsound(baseline, night);
    notes.extend(turned(baseline, night).into_iter().filter(|sentence| !unsound.contains(sentence)));
    let mut report = Report {
        schema: SCHEMA,
        outcome: Outcome::Fine,
        run: night.record.run.clone(),
        baseline: baseline.record.run.clone(),
        class: class.clone(),
        host: night.record.host().name.clone(),
        pair,
        unsound,
        findings,
        notes,
        confirmed: false,
        noisy: !moved.is_empty(),
    };
    report.settle();
    Ok(report)
}

/// Sound strategies that tonight were found not to be.
fn unsound(baseline: &Saved, night: &Saved) -> Vec<String> {
    let diverged = |cell: &&Cell| !cell.control && cell.equivalence == Equivalence::Diverged;
    let known = turned(baseline, night);
    let sentence = |cell: &Cell| {
        let start = format!("`{}` on `{}` ", cell.strategy, place(&cell.workload, &cell.params));
        let told = known.iter().find(|sentence| sentence.starts_with(&start)).cloned();
        let reason = cell.reason.as_deref().unwrap_or("no reason given");
        told.unwrap_or_else(|| format!("{start}is {}: {reason}.", word(cell.equivalence)))
    };
    night.summary.cells.iter().filter(diverged).map(sentence).collect()
}

/// How far the A/A pair reaches from 1 on those workloads, with their parameters, on which it moved.
type Moved = BTreeMap<(String, String), f64>;

/// What the A/A pair did on each workload, and where it moved.
///
/// It moved where it left the wobble of its own past nights, which is at least the margin.
fn pair(night: &Saved, history: &History) -> Result<(Vec<String>, Moved)> {
    let none = || {
        let run = &night.record.run;
        format!("`{run}` has no A/A pair, so that its noise is unknown: measure with `resetbench run --aa`")
    };
    let again = night.record.again.as_ref().with_context(none)?;
    let mut sentences = Vec::new();
    let mut reaches = Moved::new();
    for (series, ratio) in ratios(&night.summary) {
        if series.strategy != *again || series.metric != Metric::Cycle {
            continue;
        }
        let threshold = threshold(series.metric, &history.of(night, &series));
        let moved = beyond(ratio.value, threshold.share);
        if moved {
            let reach = ratio.high.max(1.0 / ratio.low);
            reaches.insert((series.workload.clone(), series.params.clone()), reach);
        }
        sentences.push(format!(
            "on `{}` the baseline takes {} of its own cycle ({} to {}): {} {:.1} %.",
            series.place(),
            times(ratio.value),
            times(ratio.low),
            times(ratio.high),
            if moved { "it moved by more than" } else { "within" },
            threshold.share * 100.0,
        ));
    }
    ensure!(!sentences.is_empty(), none());
    Ok((sentences, reaches))
}

/// Whether a change leaves the share on either side.
fn beyond(change: f64, share: f64) -> bool {
    change > 1.0 + share || change < 1.0 / (1.0 + share)
}

/// What a change is, given how much its series may move.
pub(super) fn judge(change: &Ratio, threshold: &Threshold) -> Kind {
    // A series without a past may be noisy in itself: then its intervals have to be apart as well.
    let told = threshold.from_history || change.low > 1.0 || change.high < 1.0;
    match (beyond(change.value, threshold.share), told) {
        (false, _) => Kind::Steady,
        (true, false) => Kind::Unsure,
        (true, true) if change.value > 1.0 => Kind::Regression,
        (true, true) => Kind::Improvement,
    }
}

impl Finding {
    /// No finding after all, if the A/A pair of its workload moved and reaches as far. The pair says nothing about memory.
    fn within(mut self, moved: &Moved) -> Self {
        let workload = (self.series.workload.clone(), self.series.params.clone());
        let Some(share) = moved.get(&workload).map(|reach| reach - 1.0) else { return self };
        let told = matches!(self.kind, Kind::Regression | Kind::Improvement);
        if told && self.series.metric == Metric::Cycle && !beyond(self.change.value, share) {
            self.kind = Kind::WithinNoise;
            self.sentence +=
                &format!(" The baseline differs from itself by up to {:.1} % there.", share * 100.0);
        }
        self
    }

    fn judge(series: Series, before: &Ratio, after: &Ratio, threshold: Threshold) -> Self {
        let change = change(before, after);
        let kind = judge(&change, &threshold);
        let origin = match threshold.from_history {
            true => format!(" from {} nights", threshold.nights),
            false => ", its floor".into(),
        };
        let limit = format!("{:.1} %{origin}", threshold.share * 100.0);
        let sentence = format!(
            "{series}: {} of the baseline strategy's, after {}; the change of {:+.1} % is {} its threshold of {limit}{}.",
            times(after.value),
            times(before.value),
            (change.value - 1.0) * 100.0,
            if kind == Kind::Steady { "within" } else { "beyond" },
            if kind == Kind::Unsure { ", but the intervals overlap" } else { "" },
        );
        Self { series, kind, change, threshold, sentence }
    }
}

impl Report {
    /// The series that look like regressions.
    pub fn suspects(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.kind == Kind::Regression)
    }

    /// The exit code of this outcome; 3 is for what cannot be judged.
    pub fn code(&self) -> u8 {
        match self.outcome {
            Outcome::Fine => 0,
            Outcome::Regression => 1,
            Outcome::Noisy => 2,
        }
    }

    /// Holds the suspects against a second run: what does not show there again is no regression, nor is what lies within the
    /// noise of its workload there. A series that the second run lacks stays a suspect.
    ///
    /// # Errors
    /// When the second run cannot be compared with the baseline.
    pub fn confirm(&mut self, baseline: &Saved, again: &Saved, history: &History) -> Result<()> {
        let common = likeness::common(baseline, again)?;
        let (sentences, moved) = pair(again, history)?;
        self.pair.extend(sentences.into_iter().map(|sentence| format!("run again, {sentence}")));
        self.noisy |= !moved.is_empty();
        let (before, after) = (ratios(&baseline.summary), ratios(&again.summary));
        for finding in self.findings.iter_mut().filter(|finding| finding.kind == Kind::Regression) {
            let ends = (before.get(&finding.series), after.get(&finding.series));
            let ((Some(before), Some(after)), true) = (ends, common.holds(&finding.series)) else { continue };
            let second =
                Finding::judge(finding.series.clone(), before, after, finding.threshold).within(&moved);
            let (kind, words) = match second.kind {
                kind @ Kind::Regression => (kind, "seen twice"),
                kind @ Kind::WithinNoise => (kind, "within the noise of that run"),
                _ => (Kind::NotSeenAgain, "not seen again"),
            };
            finding.kind = kind;
            finding.sentence += &format!(
                " Run again, it changed by {:+.1} %: {words}.",
                (second.change.value - 1.0) * 100.0,
            );
        }
        self.confirmed = true;
        self.settle();
        Ok(())
    }

    /// What was found is told on any night; one on which nothing was found may have been too noisy somewhere.
    fn settle(&mut self) {
        self.outcome = if !self.unsound.is_empty() || self.suspects().next().is_some() {
            Outcome::Regression
        } else if self.noisy {
            Outcome::Noisy
        } else {
            Outcome::Fine
        };
    }

    /// The report for a page.
    pub fn markdown(&self) -> String {
        let count = |kind: Kind| self.findings.iter().filter(|finding| finding.kind == kind).count();
        let headline = match self.outcome {
            Outcome::Fine => "fine",
            Outcome::Regression => "**regression**",
            Outcome::Noisy => "nothing found, but noisy on some workloads",
        };
        let mut out = format!(
            "# {}: {headline}\n\nAgainst `{}`, on `{}`: {} regressed, {} improved, {} within the noise, {} unsure, {} \
             steady.\n\n",
            named(&format!("Night `{}`", self.run), &self.host),
            self.baseline,
            self.class,
            count(Kind::Regression),
            count(Kind::Improvement),
            count(Kind::WithinNoise),
            count(Kind::Unsure),
            count(Kind::Steady) + count(Kind::NotSeenAgain),
        );
        let of = |kind: Kind| -> Vec<String> {
            self.findings.iter().filter(|f| f.kind == kind).map(|f| f.sentence.clone()).collect()
        };
        list(&mut out, "No longer equal to a fresh instance", &self.unsound);
        list(&mut out, if self.confirmed { "Seen twice" } else { "Seen once" }, &of(Kind::Regression));
        list(&mut out, "Not seen again", &of(Kind::NotSeenAgain));
        list(&mut out, "Improved", &of(Kind::Improvement));
        list(&mut out, "Within the noise of their workload", &of(Kind::WithinNoise));
        list(&mut out, "Unsure", &of(Kind::Unsure));
        list(&mut out, "The baseline against itself", &self.pair);
        list(&mut out, "Notes", &self.notes);
        out
    }
}
