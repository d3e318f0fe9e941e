//! Everything that people see of a run, written into one folder.
//!
//! | file | what it is |
//! |---|---|
//! | `overhead-<workload>.svg`, `.png` and so on | every figure of every workload |
//! | `dirty-<setting>.svg` and so on | the figures of a landscape, instead of those of its places |
//! | `report.md` | the tables and figures for a repository's pages |
//! | `report.html` | all of it in one file that needs nothing else |

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::appendix::Appendix;
use super::book::{Book, Chapter, Material, Plate, Terrain};
use super::figures::landscape::setting::settings;
use super::figures::{self, Figure};
use super::html;
use super::markdown;
use super::palette::Palette;
use super::serving;
use super::view::Group;

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
    let served = material.serving.iter().flat_map(|report| &report.cells);
    let added = material.appendix.map(Appendix::strategies).unwrap_or_default();
    let names = cells.map(|cell| &*cell.strategy).chain(served.map(|cell| &*cell.strategy)).chain(added);
    let palette = Palette::new(names);
    let mut files = Files { dir, written: Vec::new() };
    let mut chapters = Vec::new();
    for (group, slug) in with_slugs(Group::all(summary)) {
        let (mut figures, mut absent) = (Vec::new(), Vec::new());
        if !material.is_landscape() {
            figures = figures::of(&group, &palette, distributions, rows);
            absent = missing(&figures);
        }
        for figure in &figures {
            files.figure(figure, &slug).with_context(|| format!("workload {}", group.title()))?;
        }
        chapters.push(Chapter { absent, group, slug, figures });
    }
    let mut plates = Vec::new();
    if let Some(Terrain { landscape, summary, .. }) = material.landscape {
        for (slug, figure) in figures::landscape::of(&settings(summary, landscape), &palette) {
            let file = files.figure(&figure, &slug).context("the landscape")?;
            plates.push(Plate { file, figure });
        }
    }
    let determinism = match material.determinism {
        [] => None,
        cells => {
            let figure = figures::determinism::figure(cells);
            Some(Plate { file: files.figure(&figure, "")?, figure })
        }
    };
    let mut serving = Vec::new();
    for group in material.serving.map(serving::Group::all).unwrap_or_default() {
        let plates = figures::serving::of(&group, &palette).into_iter();
        let plate = |figure: Figure| Ok(Plate { file: files.figure(&figure, &group.slug())?, figure });
        serving.push(plates.map(plate).collect::<Result<_>>()?);
    }
    let topic = material.appendix.map(|appendix| appendix.topic(&palette));
    for part in topic.iter().flat_map(|topic| &topic.parts) {
        for figure in &part.figures {
            files.figure(figure, &part.slug)?;
        }
    }
    let book = Book { material, chapters, landscape: plates, determinism, serving, topic };
    files.put("report.md", markdown::page(&book).as_bytes())?;
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

    /// Writes a figure, and returns the name of its files without their endings.
    fn figure(&mut self, figure: &Figure, slug: &str) -> Result<String> {
        let file = if slug.is_empty() { figure.kind.to_owned() } else { format!("{}-{slug}", figure.kind) };
        self.put(&format!("{file}.svg"), figure.svg().as_bytes())?;
        self.put(&format!("{file}.png"), &figure.png()?)?;
        Ok(file)
    }
}

/// Why a figure that readers expect is not there.
fn missing(figures: &[Figure]) -> Vec<&'static str> {
    let reasons = [
        ("overhead", "There is no figure of the overhead: no sound strategy was timed beside a sound floor."),
        ("cycles", "There is no figure of single blocks: no sound strategy has their times."),
        ("rss", "There is no figure of resident memory: no sound strategy was sampled."),
        ("startup", "There is no figure of the startup: no sound strategy has its stages measured."),
    ];
    let drawn = |kind: &str| figures.iter().any(|figure| figure.kind == kind);
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

#[cfg(test)]
mod tests;
