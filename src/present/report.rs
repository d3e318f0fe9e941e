//! Everything that people see of a run, written into one folder.
//!
//! | file | what it is |
//! |---|---|
//! | `overhead-<workload>.svg`, `.png` and so on | every figure of every workload |
//! | `dirty-<setting>.svg` and so on | the figures of a landscape, instead of those of its places |
//! | `report.md` | the tables and figures for a repository's pages |
//! | `report.html` | all of it in one file that needs nothing else |

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::figures::determinism::DeterminismFigure;
use super::figures::landscape::settings;
use super::figures::{self, Drawable, Drawing};
use super::html;
use super::markdown::{code, escape, sentence, table};
use super::palette::Palette;
use super::prose::printable;
use super::view::{Group, plain};
use crate::analyse::crossover::Landscape;
use crate::analyse::distribution::Distribution;
use crate::analyse::summary::Summary;
use crate::claims::report::Checked;
use crate::determinism;
use crate::launch::plan::AGAIN;
use crate::measure::row::Row;
use crate::policies::report as policies;
use crate::startup;

/// What a run says of itself, taken from `run.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Heading of the report.
    pub title: String,
    /// Identifier of the run.
    pub run: String,
    /// When it began, as text.
    pub started: String,
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
}

/// A figure of no single workload, and its file without the ending.
#[derive(Debug)]
pub struct Plate {
    pub file: String,
    pub drawing: Drawing,
}

/// One workload of the report.
#[derive(Clone, Debug)]
pub struct Chapter<'a> {
    /// The workload's cells.
    pub group: Group<'a>,
    /// Its name in files and links; no other chapter has it.
    pub slug: String,
    /// Its figures.
    pub drawings: Vec<Drawing>,
    /// Sentences about figures that could not be drawn.
    pub absent: Vec<&'static str>,
}

/// Draws and writes everything into `dir`, and returns the files in the order in which they were written.
///
/// The places of a landscape have tables but no figures of their own: there are hundreds of them.
///
/// # Errors
/// When a figure cannot be drawn, or the folder cannot be written.
pub fn write(dir: &Path, material: Material) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    let Material { summary, rows, distributions, .. } = material;
    let cells = summary.cells.iter().chain(material.landscape.iter().flat_map(|l| &l.summary.cells));
    let palette = Palette::new(cells.map(|cell| cell.strategy.as_str()));
    let mut files = Files { dir, written: Vec::new() };
    let mut chapters = Vec::new();
    for (group, slug) in with_slugs(Group::all(summary)) {
        let mut drawings = Vec::new();
        if !material.is_landscape() {
            for figure in figures::of(&group, &palette, distributions, rows) {
                let title = || format!("workload {}", group.title());
                drawings.push(files.figure(&*figure, &slug).with_context(title)?.drawing);
            }
        }
        let absent = if material.is_landscape() { Vec::new() } else { absent(&drawings) };
        chapters.push(Chapter { absent, group, slug, drawings });
    }
    let mut plates = Vec::new();
    if let Some(Terrain { landscape, summary, .. }) = material.landscape {
        for (slug, figure) in figures::landscape::of(&settings(summary, landscape), &palette) {
            plates.push(files.figure(&*figure, &slug).context("the landscape")?);
        }
    }
    let determinism = match material.determinism {
        [] => None,
        cells => Some(files.figure(&DeterminismFigure::new(cells), "")?),
    };
    let book = Book { material, chapters, landscape: plates, determinism };
    files.put("report.md", markdown(&book).as_bytes())?;
    files.put("report.html", html::page(&book, &palette).as_bytes())?;
    Ok(files.written)
}

/// A folder, and what has been written into it.
struct Files<'a> {
    dir: &'a Path,
    written: Vec<PathBuf>,
}

impl Files<'_> {
    fn put(&mut self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.dir.join(name);
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
        self.written.push(path);
        Ok(())
    }

    fn figure(&mut self, figure: &dyn Drawable, slug: &str) -> Result<Plate> {
        let (drawing, png) = (figure.drawing()?, figure.png()?);
        let file = if slug.is_empty() { drawing.kind.to_owned() } else { format!("{}-{slug}", drawing.kind) };
        self.put(&format!("{file}.svg"), drawing.svg.as_bytes())?;
        self.put(&format!("{file}.png"), &png)?;
        Ok(Plate { file, drawing })
    }
}

/// The command that measures one cell again, with the baseline and the floor beside it.
pub fn again(facts: &Facts, group: &Group, strategy: &str) -> String {
    // The baseline's second contender is no strategy of its own.
    let contender = if strategy == AGAIN { "--aa".into() } else { format!("-s {}", shell(strategy)) };
    // Where a module of one's own is now, only the command of the run can say.
    if group.workload.starts_with("user/") {
        return format!("{} {contender}", facts.command);
    }
    let Facts { profile, seed, .. } = facts;
    let mut command =
        format!("resetbench run --profile {profile} --seed {seed} -w {}", shell(group.workload));
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

/// Why a figure that readers expect is not there.
fn absent(drawings: &[Drawing]) -> Vec<&'static str> {
    let reasons = [
        ("overhead", "There is no figure of the overhead: no sound strategy was timed beside a sound floor."),
        ("cycles", "There is no figure of single blocks: no sound strategy has their times."),
        ("rss", "There is no figure of resident memory: no sound strategy was sampled."),
        ("startup", "There is no figure of the startup: no sound strategy has its stages measured."),
    ];
    let drawn = |kind: &str| drawings.iter().any(|drawing| drawing.kind == kind);
    reasons.into_iter().filter(|(kind, _)| !drawn(kind)).map(|(_, reason)| reason).collect()
}

/// Gives each group a slug of its own: names that differ only in odd characters must not overwrite each other's files.
fn with_slugs(groups: Vec<Group>) -> Vec<(Group, String)> {
    let mut taken = BTreeSet::new();
    let mut unique = |slug: String| {
        let mut candidate = slug.clone();
        // Some file systems do not tell cases apart.
        for n in 2.. {
            if taken.insert(candidate.to_lowercase()) {
                break;
            }
            candidate = format!("{slug}-{n}");
        }
        candidate
    };
    let slugs: Vec<String> = groups.iter().map(|group| unique(group.slug())).collect();
    groups.into_iter().zip(slugs).collect()
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

/// Text that stays between the fences of a block of code.
fn fenced(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n").replace("```", "'''")
}

/// The report as Markdown, with the pictures beside it.
pub fn markdown(book: &Book) -> String {
    let Book { material: Material { facts, summary, landscape, .. }, chapters, .. } = book;
    let mut out = format!("# {}\n\n", escape(&facts.title));
    out += &format!(
        "Run {}, started {}, profile {}.\n\n",
        code(&facts.run),
        escape(&facts.started),
        escape(&facts.profile)
    );
    if facts.interrupted {
        out += "**This run was interrupted.** What follows is what it had measured until then.\n\n";
    }
    for note in &summary.notes {
        out += &format!("> {}\n\n", sentence(note));
    }
    out += "## The best sound strategy per workload\n\n";
    if chapters.is_empty() {
        out += "This run holds no cells.\n\n";
    }
    for Chapter { group, .. } in chapters {
        let words = match group.best().zip(group.answer()) {
            Some((best, answer)) => {
                let why = best.sentence().into_iter().chain(group.by_mean.map(|by_mean| &*by_mean.sentence));
                let why: String = why.map(|words| format!(" {}", sentence(words))).collect();
                let warning = group
                    .warning()
                    .map_or_else(String::new, |words| format!("**Warning: {}.** ", sentence(&words)));
                format!("{warning}best is {}.{why}", sentence(&answer))
            }
            None => "no sound strategy has a time here.".into(),
        };
        out += &format!("- **{}**: {words}\n", escape(&group.title()));
    }
    if let Some(Terrain { landscape, beside, .. }) = landscape {
        out += "\n## Landscape\n\n";
        if let Some(facts) = beside {
            out += &format!("Measured by `{}`.\n\n", facts.command.replace('`', "'"));
        }
        for crossover in landscape.slices.iter().flat_map(|slice| &slice.crossovers) {
            out += &format!("- {}\n", sentence(&crossover.sentence));
        }
    }
    for Plate { file, drawing } in book.landscape.iter().chain(&book.determinism) {
        out += &format!("\n![{}]({file}.svg)\n\n{}\n", escape(&drawing.title), escape(&drawing.caption));
    }
    for Chapter { group, slug, drawings, absent } in chapters {
        out += &format!("\n## {}\n\n", escape(&group.title()));
        if !group.several && !group.params.is_empty() {
            out += &format!("{}\n\n", escape(&group.parameters()));
        }
        out += &table(group);
        for drawing in drawings {
            let file = format!("{}-{slug}.svg", drawing.kind);
            out += &format!("\n![{}]({file})\n\n{}\n", escape(&drawing.title), escape(&drawing.caption));
        }
        for reason in absent {
            out += &format!("\n{reason}\n");
        }
    }
    out += "\n## Soundness\n\n| strategy | equivalent on | otherwise |\n|:--|--:|:--|\n";
    for finding in soundness(chapters) {
        let reasons =
            finding.otherwise.iter().map(|(why, on)| format!("{} ({})", escape(why), escape(&on.join(", "))));
        let reasons: Vec<String> = reasons.collect();
        out += &format!(
            "| {} | {} of {} | {} |\n",
            code(&finding.strategy),
            finding.equivalent,
            finding.total,
            reasons.join("; ")
        );
    }
    if let Some(startup) = book.material.startup {
        out += &format!("\n## Startup\n\n```\n{}\n```\n", fenced(&startup.tables()));
    }
    out += &format!("\n## Environment\n\n```\n{}\n```\n\n", fenced(&facts.command));
    for (name, value) in &facts.machine {
        out += &format!("- {}: {}\n", escape(name), escape(value));
    }
    if !facts.strategies.is_empty() {
        out += "\nEffective configuration of each strategy:\n\n";
        for (name, value) in &facts.strategies {
            out += &format!("- {}: {}\n", code(name), escape(value));
        }
    }
    out
}

#[cfg(test)]
mod tests;
