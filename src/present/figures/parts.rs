//! What all figures share: the heading, rows with a strategy's name, and the strategies that have no figures.

use anyhow::Result;
use plotters::prelude::DrawingBackend;

use super::canvas::{Align, Canvas, Type};
use super::text::{cut, wrap};
use super::{WIDTH, axis::Tick};
use crate::present::palette::{Colour, GRID, INK, MUTED, PAPER, STRIPE, Style};
use crate::present::view::{Group, Shown, word};
use crate::prose::printable;

/// Space left free at each side.
pub const MARGIN: f64 = 24.0;
/// Height of a row with a strategy's name.
pub const ROW: f64 = 31.0;

/// Subject of a figure.
const TITLE: Type = Type::new(27.0, INK).bold();
/// Finding, below the subject.
const FINDING: Type = Type::new(21.0, INK);
/// Names and values.
pub const BODY: Type = Type::new(19.0, INK);
/// Headings of columns, ticks, notes.
pub const SMALL: Type = Type::new(17.5, MUTED);
const LINE: f64 = 25.0;

fn inner() -> f64 {
    f64::from(WIDTH) - 2.0 * MARGIN
}

fn finding_lines(finding: &str) -> Vec<String> {
    wrap(&printable(finding), FINDING.face(), inner())
}

/// Height of the heading.
pub fn heading_height(finding: &str) -> f64 {
    54.0 + 28.0 * finding_lines(finding).len() as f64 + 8.0
}

/// Draws subject and finding at the top.
pub fn heading<B: DrawingBackend>(canvas: &Canvas<B>, (subject, finding): &(String, String)) -> Result<()> {
    let subject = cut(&printable(subject), TITLE.face(), inner());
    canvas.text(&subject, MARGIN, 32.0, TITLE, Align::Left)?;
    for (i, line) in finding_lines(finding).iter().enumerate() {
        canvas.text(line, MARGIN, 66.0 + 28.0 * i as f64, FINDING, Align::Left)?;
    }
    Ok(())
}

/// The lines that say which strategies are not drawn and why.
pub fn missing(group: &Group, drawn: impl Fn(Shown) -> bool) -> Vec<String> {
    let absent: Vec<Shown> = group.cells.iter().copied().filter(|cell| !drawn(*cell)).collect();
    if absent.is_empty() {
        return Vec::new();
    }
    let list = |say: &dyn Fn(Shown) -> String| {
        let items: Vec<String> =
            absent.iter().map(|cell| format!("{} ({})", cell.name(), say(*cell))).collect();
        wrap(&printable(&format!("Not drawn: {}.", items.join("; "))), SMALL.face(), inner())
    };
    let full = list(&|cell| cell.why_missing().unwrap_or_else(|| "not measured in this run".into()));
    // More than a few lines are no longer read; the table beside the figure has the reasons too.
    if full.len() <= 5 {
        return full;
    }
    list(&|cell| word(cell.equivalence()).unwrap_or("not measured").into())
}

/// Height of the lines below a figure.
pub fn notes_height(lines: &[String]) -> f64 {
    if lines.is_empty() { 12.0 } else { LINE * lines.len() as f64 + 22.0 }
}

/// Draws the lines below a figure, from `y` down.
pub fn notes<B: DrawingBackend>(canvas: &Canvas<B>, lines: &[String], y: f64) -> Result<()> {
    for (i, line) in lines.iter().enumerate() {
        canvas.text(line, MARGIN, y + 14.0 + LINE * i as f64, SMALL, Align::Left)?;
    }
    Ok(())
}

/// The colour behind a row: every second one is striped, to lead the eye.
pub fn background(index: usize) -> Colour {
    if index.is_multiple_of(2) { STRIPE } else { PAPER }
}

/// A row's background, marker and name.
pub fn row<B: DrawingBackend>(
    canvas: &Canvas<B>,
    index: usize,
    y: f64,
    style: Style,
    name: &str,
    width: f64,
) -> Result<()> {
    let right = f64::from(WIDTH) - MARGIN / 2.0;
    canvas.rect((MARGIN / 2.0, y - ROW / 2.0), (right, y + ROW / 2.0), background(index))?;
    canvas.marker(MARGIN + 8.0, y, 7.0, style)?;
    let name = cut(&printable(name), BODY.face(), width - 26.0);
    canvas.text(&name, MARGIN + 26.0, y, BODY, Align::Left)
}

/// The places of rows: contenders, then a line of words, then controls.
pub struct Rows {
    top: f64,
    contenders: usize,
    controls: usize,
}

impl Rows {
    /// Rows from `top` down.
    pub fn new(top: f64, contenders: usize, controls: usize) -> Rows {
        Rows { top, contenders, controls }
    }

    /// Centre of row `index`.
    pub fn centre(&self, index: usize) -> f64 {
        let apart = if index >= self.contenders { self.apart() } else { 0.0 };
        self.top + ROW * (index as f64 + 0.5) + apart
    }

    /// Lower edge of the last row.
    pub fn bottom(&self) -> f64 {
        self.top + ROW * (self.contenders + self.controls) as f64 + self.apart()
    }

    fn apart(&self) -> f64 {
        if self.controls == 0 { 0.0 } else { ROW }
    }

    /// Says where the controls begin.
    pub fn divider<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Result<()> {
        if self.controls == 0 {
            return Ok(());
        }
        let y = self.top + ROW * self.contenders as f64 + ROW * 0.55;
        canvas.text("controls, never recommended", MARGIN, y, SMALL, Align::Left)
    }
}

/// Vertical grid lines with their labels below.
pub fn x_axis<B: DrawingBackend>(canvas: &Canvas<B>, ticks: &[Tick], top: f64, bottom: f64) -> Result<()> {
    for tick in ticks {
        canvas.line((tick.at, top), (tick.at, bottom), GRID, 1.5)?;
        canvas.text(&tick.label, tick.at, bottom + 17.0, SMALL, Align::Middle)?;
    }
    Ok(())
}
