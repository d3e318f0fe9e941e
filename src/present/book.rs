//! A report before it is written: what it is made of, and its figures, in chapters.

use std::collections::BTreeMap;

use super::appendix::{Appendix, Topic};
use super::figures::Figure;
use super::view::{Group, plain};
use crate::analyse::counterpart::split;
use crate::analyse::crossover::Landscape;
use crate::analyse::distribution::Distribution;
use crate::analyse::summary::Summary;
use crate::claims::report::Checked;
use crate::determinism;
use crate::launch::plan::is_again;
use crate::measure::row::Row;
use crate::policies::report as policies;
use crate::prose::printable;
use crate::{serving, startup};

/// What a run says of itself, taken from `run.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Heading of the report.
    pub title: String,
    /// Identifier of the run.
    pub run: String,
    /// When it began, as text.
    pub started: String,
    /// The host under whose settings it ran.
    pub host: String,
    /// The profile that chose its length.
    pub profile: String,
    /// The command that repeats it.
    pub command: String,
    /// Kernel, processor and so on: name and value.
    pub machine: Vec<(String, String)>,
    /// Effective configuration by strategy.
    pub strategies: Vec<(String, String)>,
    /// From which it drew its orders.
    pub seed: u64,
    /// Whether it ended before its plan did.
    pub interrupted: bool,
}

/// All that a report is made of. What is empty was not in the run's folder and has no section.
#[derive(Clone, Copy, Debug)]
pub struct Material<'a> {
    pub facts: &'a Facts,
    pub summary: &'a Summary,
    /// For what changes over time.
    pub rows: &'a [Row],
    /// Of single blocks.
    pub distributions: &'a [Distribution],
    /// Of a run over many places.
    pub landscape: Option<Terrain<'a>>,
    /// Of `startup.json`.
    pub startup: Option<&'a startup::report::Report>,
    /// Of `determinism.json`.
    pub determinism: &'a [determinism::Cell],
    /// Of `claims.json`.
    pub claims: &'a [Checked],
    /// Of `policies.json`.
    pub policies: &'a [policies::Cell],
    /// Of `serving/serving.json`.
    pub serving: Option<&'a serving::report::Report>,
    /// What has a section to add.
    pub appendix: Option<&'a dyn Appendix>,
}

/// A landscape, and the cells that it is made of.
#[derive(Clone, Copy, Debug)]
pub struct Terrain<'a> {
    pub landscape: &'a Landscape,
    pub summary: &'a Summary,
    /// What its run says of itself, where it lies in `landscape/` beside the one that is reported.
    pub beside: Option<&'a Facts>,
}

impl Material<'_> {
    /// Whether the run's own cells are the places of a landscape.
    pub fn is_landscape(&self) -> bool {
        self.landscape.is_some_and(|terrain| terrain.beside.is_none())
    }
}

/// A report whose figures are drawn.
#[derive(Debug)]
pub struct Book<'a> {
    pub material: Material<'a>,
    pub chapters: Vec<Chapter<'a>>,
    /// Over all places of a landscape.
    pub landscape: Vec<Plate>,
    pub determinism: Option<Plate>,
    /// Of each workload that was served, in their order.
    pub serving: Vec<Vec<Plate>>,
    /// The section that was added.
    pub topic: Option<Topic>,
}

/// A figure of no single workload, and its file without the ending.
#[derive(Debug)]
pub struct Plate {
    pub file: String,
    pub figure: Figure,
}

/// One workload of the report.
#[derive(Clone, Debug)]
pub struct Chapter<'a> {
    /// The workload's cells.
    pub group: Group<'a>,
    /// Its name in files and links; no other chapter has it.
    pub slug: String,
    /// Its figures.
    pub figures: Vec<Figure>,
    /// Sentences about figures that could not be drawn.
    pub absent: Vec<&'static str>,
}

/// The command that measures one cell again, with the baseline and the floor beside it.
pub fn again(facts: &Facts, group: &Group, strategy: &str) -> String {
    // The baseline's second contender is no strategy of its own, nor is what another build has; where that is now, nothing
    // says.
    let contender = match split(strategy) {
        _ if is_again(strategy) => "--aa".into(),
        Some((own, build)) => format!("-s {} --against PROGRAM={}", shell(own), shell(build)),
        None => format!("-s {}", shell(strategy)),
    };
    // Where a module of one's own is now, only the command of the run can say.
    if group.workload.starts_with("user/") {
        return format!("{} {contender}", facts.command);
    }
    let Facts { profile, seed, host, .. } = facts;
    let mut command = format!(
        "resetbench run --host {} --profile {profile} --seed {seed} -w {}",
        shell(host),
        shell(group.workload)
    );
    for (name, value) in group.params {
        command += &format!(" -p {}", shell(&format!("{name}={}", plain(value))));
    }
    format!("{command} {contender}")
}

/// A word that a shell takes as it is.
fn shell(word: &str) -> String {
    let harmless = |b: u8| b.is_ascii_alphanumeric() || b"/-_.=:,".contains(&b);
    let word = printable(word);
    if !word.is_empty() && word.bytes().all(harmless) {
        word
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// What this run saw of a strategy's soundness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// `family/variant`.
    pub strategy: String,
    /// Workloads on which its reset equalled a fresh instance.
    pub equivalent: usize,
    /// Workloads on which it was to run.
    pub total: usize,
    /// Everything else: the reason, and the workloads that it holds for.
    pub otherwise: Vec<(String, Vec<String>)>,
}

/// One finding per strategy, in the order in which the summary first names them.
pub fn soundness(chapters: &[Chapter]) -> Vec<Finding> {
    let mut order: Vec<&str> = Vec::new();
    let mut findings: BTreeMap<&str, Finding> = BTreeMap::new();
    for chapter in chapters {
        for cell in &chapter.group.cells {
            let finding = findings.entry(cell.name()).or_insert_with(|| {
                order.push(cell.name());
                Finding { strategy: cell.name().into(), equivalent: 0, total: 0, otherwise: Vec::new() }
            });
            finding.total += 1;
            finding.equivalent += usize::from(cell.sound());
            let Some(reason) = cell.why_missing().filter(|_| !cell.sound()) else { continue };
            let title = chapter.group.title();
            match finding.otherwise.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, workloads)) => workloads.push(title),
                None => finding.otherwise.push((reason, vec![title])),
            }
        }
    }
    order.into_iter().filter_map(|name| findings.remove(name)).collect()
}
