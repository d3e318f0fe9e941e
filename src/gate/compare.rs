//! Two runs: what changed in each strategy's ratio to the baseline.

use anyhow::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::likeness;
use super::series::{Metric, Series, change, ratios};
use crate::analyse::summary::{Cell, Equivalence, Ratio, Verdict};
use crate::analyse::verdict::verdict;
use crate::launch::saved::Saved;
use crate::prose::markdown;
use crate::units;

/// Version of the comparison's JSON.
pub const SCHEMA: u32 = 1;

/// What changed from one run to another.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Comparison {
    pub schema: u32,
    /// The earlier run, and the later one.
    pub runs: [String; 2],
    /// What is unlike in the two, and what was left out for it.
    pub notes: Vec<String>,
    /// Cells that are equal to a fresh instance in only one of the runs.
    pub equivalence: Vec<String>,
    pub changes: Vec<Change>,
}

/// One series in both runs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Change {
    pub series: Series,
    /// The ratio to the baseline strategy in each run.
    pub before: Ratio,
    pub after: Ratio,
    /// The later ratio over the earlier one.
    pub change: Ratio,
    pub verdict: Verdict,
    pub sentence: String,
}

/// Compares two runs, `a` being the earlier one.
///
/// # Errors
/// When they have nothing in common that can be compared.
pub fn compare(a: &Saved, b: &Saved) -> Result<Comparison> {
    let common = likeness::common(a, b)?;
    let (before, after) = (ratios(&a.summary), ratios(&b.summary));
    let changes =
        before.into_iter().filter(|(series, _)| common.holds(series)).filter_map(|(series, before)| {
            let after = *after.get(&series)?;
            let change = change(&before, &after);
            let verdict = judge(series.metric, &change);
            let sentence = sentence(&series, &before, &after, &change, verdict);
            Some(Change { series, before, after, change, verdict, sentence })
        });
    Ok(Comparison {
        schema: SCHEMA,
        runs: [a.record.run.clone(), b.record.run.clone()],
        notes: common.notes.clone(),
        equivalence: turned(a, b),
        changes: changes.collect(),
    })
}

/// Memory has no interval, so that only a change beyond the metric's floor is one.
fn judge(metric: Metric, change: &Ratio) -> Verdict {
    match metric {
        Metric::Rss if change.value.ln().abs() <= metric.floor() => Verdict::Same,
        Metric::Cycle | Metric::Rss => verdict(change),
    }
}

fn sentence(series: &Series, before: &Ratio, after: &Ratio, change: &Ratio, verdict: Verdict) -> String {
    let ending = match verdict {
        Verdict::Faster => "less than before",
        Verdict::Slower => "more than before",
        Verdict::Same => "the same",
        Verdict::Unsure | Verdict::Baseline | Verdict::None => "unsure",
    };
    format!(
        "{series}: {} of the baseline's, after {} ({} to {} times the earlier ratio): {ending}.",
        times(after.value),
        times(before.value),
        units::ratio(change.low),
        units::ratio(change.high),
    )
}

/// A ratio with the ends of its interval.
pub(super) fn interval(ratio: &Ratio) -> String {
    format!("{} [{}, {}]", units::ratio(ratio.value), units::ratio(ratio.low), units::ratio(ratio.high))
}

/// A factor with its sign.
pub(super) fn times(ratio: f64) -> String {
    format!("{}x", units::ratio(ratio))
}

/// Cells whose soundness is not the same in both runs, as sentences.
pub(super) fn turned(a: &Saved, b: &Saved) -> Vec<String> {
    let mut sentences = Vec::new();
    for cell in &a.summary.cells {
        let same = |other: &&Cell| {
            other.strategy == cell.strategy && other.workload == cell.workload && other.params == cell.params
        };
        let Some(other) = b.summary.cells.iter().find(same) else { continue };
        if cell.equivalence != other.equivalence {
            let reason = other.reason.as_deref().map_or(String::new(), |reason| format!(" ({reason})"));
            sentences.push(format!(
                "`{}` on `{}` was {} and is {}{reason}.",
                cell.strategy,
                super::series::place(&cell.workload, &cell.params),
                word(cell.equivalence),
                word(other.equivalence),
            ));
        }
    }
    sentences
}

/// An equivalence as `summary.json` spells it.
pub fn word(equivalence: Equivalence) -> &'static str {
    match equivalence {
        Equivalence::Equivalent => "equivalent",
        Equivalence::Diverged => "diverged",
        Equivalence::Refused => "refused",
        Equivalence::Unavailable => "unavailable",
        Equivalence::NotRun => "not run",
    }
}

impl Comparison {
    /// The comparison for a page, most notable first.
    pub fn markdown(&self) -> String {
        let [a, b] = &self.runs;
        let mut out = format!("# `{a}` and `{b}`\n\n");
        list(&mut out, "Unlike in the two", &self.notes);
        list(&mut out, "Soundness", &self.equivalence);
        out += "| strategy | workload | of | before | after | change | verdict |\n|:--|:--|:--|--:|--:|--:|:--|\n";
        let mut changes: Vec<&Change> = self.changes.iter().collect();
        changes.sort_by(|a, b| b.change.value.ln().abs().total_cmp(&a.change.value.ln().abs()));
        for Change { series, before, after, change, verdict, .. } in changes {
            let verdict = match verdict {
                Verdict::Faster => "less",
                Verdict::Slower => "**more**",
                Verdict::Same => "same",
                _ => "unsure",
            };
            out += &format!(
                "| `{}` | `{}` | {} | {} | {} | {} | {verdict} |\n",
                series.strategy,
                series.place(),
                series.metric,
                units::ratio(before.value),
                units::ratio(after.value),
                interval(change),
            );
        }
        out += "\nBefore and after are ratios to the baseline strategy of the same run; the change is one over the other.\n";
        out
    }
}

/// A heading with its points, or nothing.
pub(super) fn list(out: &mut String, heading: &str, points: &[String]) {
    if points.is_empty() {
        return;
    }
    *out += &format!("## {heading}\n\n");
    for point in points {
        *out += &format!("- {}\n", markdown::sentence(point));
    }
    *out += "\n";
}
