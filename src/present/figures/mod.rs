//! Figures: one file each, every one drawn once and written as SVG and as PNG.
//!
//! A figure is a function that draws on the canvas of a [`Figure`], below the heading that it comes with. The axes are
//! our own, because what these figures need (names as rows, a place for values that a logarithm does not have, labels at
//! the ends of lines) the charts of drawing libraries do not offer.
//!
//! To add one: a file with such a function, and a line in [`of`], or in [`landscape::of`] if it is drawn over all workloads.

mod axis;
pub(crate) mod canvas;
mod cycles;
pub mod determinism;
mod growth;
pub mod history;
pub mod landscape;
mod overhead;
mod panels;
mod pareto;
pub(crate) mod parts;
mod raster;
mod rss;
mod series;
pub mod serving;
mod settling;
pub mod stacked;
mod startup;
pub(crate) mod text;

use anyhow::{Context as _, Result};

use self::canvas::Canvas;
use super::palette::Palette;
use super::view::Group;
use crate::analyse::distribution::Distribution;
use crate::measure::row::Row;

/// Width of every figure in units of the SVG, which are pixels of the PNG.
///
/// Text is never smaller than 17 units, so that a figure at half of this width can still be read.
pub const WIDTH: u32 = 1200;

/// A drawing and the words that go with it.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Start of the file's name: `overhead`.
    pub kind: &'static str,
    /// What is shown, and the finding in it, in one line.
    pub title: String,
    /// How to read it.
    pub caption: String,
    /// The figures behind the drawing, for those who cannot see it.
    pub numbers: Numbers,
    pub(crate) canvas: Canvas,
    /// Lower edge of the heading.
    pub(crate) top: f64,
    /// Height for [`WIDTH`].
    height: u32,
}

/// A table of text: the first column names the row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Headings of the columns.
    pub head: Vec<String>,
    /// As many fields as there are headings.
    pub rows: Vec<Vec<String>>,
}

impl Numbers {
    pub(crate) fn new(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Numbers {
        Numbers {
            head: head.iter().map(|name| (*name).to_owned()).collect(),
            rows: rows.into_iter().collect(),
        }
    }
}

impl Figure {
    /// A figure of which nothing is drawn yet but its heading: the subject, and below it the finding.
    pub(crate) fn new(
        kind: &'static str,
        subject: &str,
        finding: &str,
        caption: impl Into<String>,
        numbers: Numbers,
    ) -> Figure {
        let mut canvas = Canvas::default();
        let top = parts::heading(&mut canvas, subject, finding);
        let title = format!("{subject}: {finding}");
        Figure { kind, title, caption: caption.into(), numbers, canvas, top, height: 0 }
    }

    /// The finished figure, which ends at `bottom`.
    fn ending(self, bottom: f64) -> Figure {
        Figure { height: bottom as u32, ..self }
    }

    /// The finished figure, with lines of text from `y` down, and some space below them.
    pub(crate) fn noting(mut self, lines: &[String], y: f64, space: f64) -> Figure {
        let height = parts::notes(&mut self.canvas, lines, y);
        self.ending(y + space + height)
    }

    /// Draws the SVG.
    pub fn svg(&self) -> String {
        self.canvas.svg((WIDTH, self.height), &self.title)
    }

    /// Draws the PNG.
    ///
    /// # Errors
    /// When the drawing library fails.
    pub fn png(&self) -> Result<Vec<u8>> {
        let size = (WIDTH, self.height);
        raster::png(size, &self.canvas.on_paper(size))
            .with_context(|| format!("drawing {} as PNG", self.kind))
    }
}

/// All figures of one workload that its data allow.
pub fn of(group: &Group, palette: &Palette, distributions: &[Distribution], rows: &[Row]) -> Vec<Figure> {
    let figures = [
        overhead::figure(group, palette),
        cycles::figure(group, palette, distributions),
        rss::figure(group, palette, rows),
        growth::figure(group, palette, rows),
        pareto::figure(group, palette),
        startup::figure(group, palette),
        settling::figure(group, palette, rows),
    ];
    figures.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
