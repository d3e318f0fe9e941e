//! A run that holds two builds: what the new one does worse than the old one, strategy by strategy, in the same rounds.
//!
//! | step | file |
//! |---|---|
//! | which cells are held against which, and under what names they are told | [`cells`] |
//! | times: findings at an error rate that holds for the whole night, and what could have been seen | [`times`] |
//! | many questions at one error rate | [`holm`] |
//! | spreads that few launches know badly | [`moderated`] |
//! | what is counted, compared exactly | [`counts`] |
//! | what is resident | [`memory`] |
//! | soundness lost | [`sound`] |
//! | what a finding is | [`finding`] |
//! | findings that somebody has accepted, with a reason and an end | [`acknowledged`] |
//! | the text | [`words`] |
//! | old and new side by side | [`picture`] |
//! | the same for the pages of a change | [`annotations`] |
//!
//! Machine and night are common to both builds and cancel. So there is nothing that makes a whole night unusable: an A/A
//! pair judges its own workload, and a night that is too noisy says how large a change it would have shown.

pub mod acknowledged;
pub mod annotations;
pub mod cells;
pub mod counts;
pub mod finding;
pub mod holm;
pub mod memory;
pub mod moderated;
pub mod picture;
pub mod sound;
pub mod times;
pub mod words;

use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::Serialize;

use self::acknowledged::Acknowledgements;
use self::cells::{Both, Cells};
use self::finding::{Finding, Told};
use self::times::{Kind, Times};
use crate::launch::saved::Saved;

/// Version of the report's JSON.
pub const SCHEMA: u32 = 1;

/// What a night was.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing above the resolution.
    Fine,
    /// Something is worse than in the old build.
    Finding,
    /// Nothing was found, and what was asked to be seen could not have been.
    Coarse,
}

/// The judgement of a run that holds two builds.
#[derive(Clone, Debug, Serialize, JsonSchema, PartialEq)]
pub struct Report {
    pub schema: u32,
    pub outcome: Outcome,
    pub run: String,
    /// The name of the old build.
    pub against: String,
    pub class: String,
    /// The host under whose settings both builds ran.
    pub host: String,
    /// The largest share of nights without any change that have a finding of times all the same.
    pub error_rate: f64,
    pub times: Times,
    /// The worst first.
    pub findings: Vec<Finding>,
    /// What is better than in the old build, as sentences.
    pub better: Vec<String>,
    pub notes: Vec<String>,
    /// Notes that nobody should miss: what was made worse on purpose, and acknowledgements that are of no use any more.
    pub warnings: Vec<String>,
    /// What the resolution should be at most, as a share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<f64>,
}

/// Judges a run that holds two builds. `asked` is what the resolution should be at most, as a share.
///
/// # Errors
/// When it holds one build or several old ones, or nothing in it can be compared. A strategy that was made worse on purpose
/// is judged like any other, and a warning says so: that is how the gate itself is tried.
pub fn judge(saved: &Saved, acknowledgements: &Acknowledgements, asked: Option<f64>) -> Result<Report> {
    let cells = Cells::of(saved)?;
    let times = times::judge(&cells);
    ensure!(
        !times.series.is_empty() || cells.both.iter().any(sound::is_lost),
        "`{}` has no strategy that was timed in both builds{}",
        cells.run,
        times.unjudged.first().map_or(String::new(), |why| format!(": {why}")),
    );
    let (counted, mut notes) = counts::compare(&cells, &saved.rows, saved.record.machine.memory.page_bytes);
    let mut report = Report {
        schema: SCHEMA,
        outcome: Outcome::Fine,
        run: cells.run.to_owned(),
        against: cells.build.clone(),
        class: saved.record.machine.class.clone(),
        host: saved.record.host().name.clone(),
        error_rate: times::ERROR_RATE,
        times,
        findings: Vec::new(),
        better: Vec::new(),
        notes: Vec::new(),
        warnings: saved.record.made_worse().into_iter().collect(),
        asked,
    };
    for (index, both) in cells.both.iter().enumerate() {
        report.add(&cells, both, sound::worse(both, &cells.build).into_iter().collect());
        let better = sound::better(both, &cells.build);
        report.better.extend(better.map(|words| cells.sentence(both, &words)));
        notes.extend(sound::wrong_in_both(both).map(|words| cells.sentence(both, words)));
        let series: Vec<_> =
            report.times.series.iter().filter(|series| series.cell == index).cloned().collect();
        for series in series {
            match series.kind {
                Kind::Dearer => report.add(&cells, both, vec![series.told()]),
                Kind::Cheaper => report.better.push(cells.sentence(both, &series.told().words)),
                Kind::Steady | Kind::WithinNoise => {}
            }
        }
        let counted = &counted[index];
        report.add(&cells, both, counts::told(&counted.more, true, &cells.build).into_iter().collect());
        report.better.extend(
            counts::told(&counted.less, false, &cells.build).map(|told| cells.sentence(both, &told.words)),
        );
        let (more, less) = memory::compare(both);
        report.add(&cells, both, more.into_iter().collect());
        report.better.extend(less.map(|words| cells.sentence(both, &words)));
    }
    report.findings.sort_by(|a, b| a.ground.cmp(&b.ground).then(b.size.total_cmp(&a.size)));
    // A warning is said once, in front of the fold.
    let warned = |note: &&String| report.warnings.iter().any(|warning| note.trim_end_matches('.') == warning);
    notes.extend(cells.notes.iter().filter(|note| !warned(note)).cloned());
    notes.extend(report.times.unjudged.iter().cloned());
    report.notes = notes;
    report.warnings.extend(acknowledgements.apply(&mut report.findings, &saved.record.started));
    report.settle();
    Ok(report)
}

impl Report {
    fn add(&mut self, cells: &Cells, both: &Both, told: Vec<Told>) {
        self.findings.extend(told.into_iter().map(|Told { ground, words, size }| Finding {
            strategy: both.new.strategy.clone(),
            workload: cells.place(both),
            ground,
            sentence: cells.sentence(both, &words),
            command: cells.command(both),
            acknowledged: None,
            size,
        }));
    }

    fn settle(&mut self) {
        let coarse = |asked| {
            let worst = self.times.resolution;
            !self.times.unjudged.is_empty() || worst.is_none_or(|resolution| resolution > asked)
        };
        self.outcome = if self.open().next().is_some() {
            Outcome::Finding
        } else if self.asked.is_some_and(coarse) {
            Outcome::Coarse
        } else {
            Outcome::Fine
        };
    }

    /// The findings that nobody has acknowledged.
    pub fn open(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.acknowledged.is_none())
    }

    /// The exit code of this outcome; 3 is for what cannot be judged.
    pub fn code(&self) -> u8 {
        match self.outcome {
            Outcome::Fine => 0,
            Outcome::Finding => 1,
            Outcome::Coarse => 2,
        }
    }
}

#[cfg(test)]
mod simulation;
