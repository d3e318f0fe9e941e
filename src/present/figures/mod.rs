//! Figures: one file each, every one drawn once and written as SVG and as PNG.
//!
//! A [`Figure`] draws on a [`Canvas`], which hides whether plotters writes vectors or pixels beneath. The axes are our
//! own rather than plotters' charts, because what these figures need (names as rows, a place for values that a
//! logarithm does not have, labels at the ends of lines) its charts do not offer.
//!
//! To add one: a file with a `Figure`, and a line in [`of`], or in [`landscape::of`] if it is drawn over all workloads.

mod axis;
mod canvas;
mod cycles;
pub mod determinism;
mod growth;
mod history;
pub mod landscape;
mod overhead;
mod panels;
mod pareto;
mod parts;
mod raster;
mod rss;
mod series;
mod startup;
mod text;

pub use canvas::Canvas;
pub use cycles::CyclesFigure;
pub use growth::GrowthFigure;
pub use history::HistoryFigure;
pub use overhead::OverheadFigure;
pub use pareto::ParetoFigure;
pub use rss::RssFigure;
pub use startup::StartupFigure;

use anyhow::{Context as _, Result};
use plotters::prelude::{DrawingBackend, SVGBackend};

use super::palette::Palette;
use super::view::Group;
use crate::analyse::distribution::Distribution;
use crate::measure::row::Row;
use crate::prose::printable;

/// Width of every figure in units of the SVG, which are pixels of the PNG.
///
/// Text is never smaller than 17 units, so that a figure at half of this width can still be read.
pub const WIDTH: u32 = 1200;

/// A drawing and the words that go with it.
pub trait Figure {
    /// Start of the file's name: `overhead`.
    fn kind(&self) -> &'static str;
    /// What is shown, and the finding in it.
    fn title(&self) -> (String, String);
    /// How to read it.
    fn caption(&self) -> String;
    /// The figures behind the drawing, for those who cannot see it.
    fn numbers(&self) -> Numbers;
    /// Height for [`WIDTH`].
    fn height(&self) -> u32;
    /// Draws onto an empty canvas of [`WIDTH`] and [`Figure::height`].
    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Result<()>;
}

/// A table of text: the first column names the row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Headings of the columns.
    pub head: Vec<String>,
    /// As many fields as there are headings.
    pub rows: Vec<Vec<String>>,
}

/// A figure in all its forms.
#[derive(Clone, Debug)]
pub struct Drawing {
    /// Start of the file's name.
    pub kind: &'static str,
    /// Subject and finding in one line.
    pub title: String,
    /// How to read it.
    pub caption: String,
    /// The figures behind it.
    pub numbers: Numbers,
    /// The picture.
    pub svg: String,
}

/// All figures of one workload that its data allow.
pub fn of(
    group: &Group,
    palette: &Palette,
    distributions: &[Distribution],
    rows: &[Row],
) -> Vec<Box<dyn Drawable>> {
    let mut figures: Vec<Box<dyn Drawable>> = Vec::new();
    if let Some(figure) = OverheadFigure::new(group, palette) {
        figures.push(Box::new(figure));
    }
    if let Some(figure) = CyclesFigure::new(group, palette, distributions) {
        figures.push(Box::new(figure));
    }
    if let Some(figure) = RssFigure::new(group, palette, rows) {
        figures.push(Box::new(figure));
    }
    if let Some(figure) = GrowthFigure::new(group, palette, rows) {
        figures.push(Box::new(figure));
    }
    if let Some(figure) = ParetoFigure::new(group, palette) {
        figures.push(Box::new(figure));
    }
    if let Some(figure) = StartupFigure::new(group, palette) {
        figures.push(Box::new(figure));
    }
    figures
}

/// A [`Figure`] whose backend has been chosen, so that figures fit into one list.
pub trait Drawable {
    /// Draws the SVG and collects the words.
    fn drawing(&self) -> Result<Drawing>;
    /// Draws the PNG.
    fn png(&self) -> Result<Vec<u8>>;
}

impl<F: Figure> Drawable for F {
    fn drawing(&self) -> Result<Drawing> {
        let (subject, finding) = self.title();
        let title = format!("{subject}: {finding}");
        let svg = svg(self, &title).with_context(|| format!("drawing {}", self.kind()))?;
        Ok(Drawing { kind: self.kind(), title, caption: self.caption(), numbers: self.numbers(), svg })
    }

    fn png(&self) -> Result<Vec<u8>> {
        raster::png((WIDTH, self.height()), |canvas| self.draw(canvas))
            .with_context(|| format!("drawing {} as PNG", self.kind()))
    }
}

fn svg<F: Figure>(figure: &F, title: &str) -> Result<String> {
    let mut out = String::new();
    {
        let backend = SVGBackend::with_string(&mut out, (WIDTH, figure.height()));
        let canvas = Canvas::new(backend, 1)?;
        figure.draw(&canvas)?;
        canvas.finish()?;
    }
    // Plotters writes no accessible name; without one a screen reader spells out every tick.
    let named = format!("<svg role=\"img\" aria-label=\"{}\" ", attribute(&printable(title)));
    Ok(out.replacen("<svg ", &named, 1))
}

fn attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
