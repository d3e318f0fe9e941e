//! What all figures share: the heading, rows with a strategy's name, and the strategies that have no figures.

use super::canvas::{Align, Canvas, Type};
use super::text::{cut, wrap};
use super::{WIDTH, axis::Tick};
use crate::present::palette::{Colour, GRID, INK, MUTED, PAPER, Palette, STRIPE};
use crate::present::view::{Group, Shown, word};
use crate::prose::printable;

/// Space left free at each side.
pub const MARGIN: f64 = 24.0;
/// Height of a row with a strategy's name.
pub const ROW: f64 = 31.0;
/// Where the names of rows end.
pub const NAME: f64 = 306.0;

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

/// Draws subject and finding at the top, and returns the lower edge.
pub fn heading(canvas: &mut Canvas, subject: &str, finding: &str) -> f64 {
    let subject = cut(&printable(subject), TITLE.face(), inner());
    canvas.text(&subject, MARGIN, 32.0, TITLE, Align::Left);
    let lines = wrap(&printable(finding), FINDING.face(), inner());
    for (i, line) in lines.iter().enumerate() {
        canvas.text(line, MARGIN, 66.0 + 28.0 * i as f64, FINDING, Align::Left);
    }
    54.0 + 28.0 * lines.len() as f64 + 8.0
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

/// Draws the lines below a figure, from `y` down, and returns their height.
pub fn notes(canvas: &mut Canvas, lines: &[String], y: f64) -> f64 {
    for (i, line) in lines.iter().enumerate() {
        canvas.text(line, MARGIN, y + 14.0 + LINE * i as f64, SMALL, Align::Left);
    }
    if lines.is_empty() { 12.0 } else { LINE * lines.len() as f64 + 22.0 }
}

/// The colour behind a row: every second one is striped, to lead the eye.
pub fn background(index: usize) -> Colour {
    if index.is_multiple_of(2) { STRIPE } else { PAPER }
}

/// The places of rows: contenders, then a line of words, then controls.
pub struct Rows {
    pub top: f64,
    contenders: usize,
    controls: usize,
}

impl Rows {
    /// Draws a row for each name from `top` down; the last of them are `controls`.
    pub fn new(canvas: &mut Canvas, top: f64, names: &[&str], controls: usize, palette: &Palette) -> Rows {
        let rows = Rows { top, contenders: names.len() - controls, controls };
        let right = f64::from(WIDTH) - MARGIN / 2.0;
        for (index, name) in names.iter().enumerate() {
            let y = rows.centre(index);
            canvas.rect((MARGIN / 2.0, y - ROW / 2.0), (right, y + ROW / 2.0), background(index));
            canvas.marker((MARGIN + 8.0, y), 7.0, palette.style(name));
            let name = cut(&printable(name), BODY.face(), NAME - MARGIN - 26.0);
            canvas.text(&name, MARGIN + 26.0, y, BODY, Align::Left);
        }
        if controls > 0 {
            let y = top + ROW * rows.contenders as f64 + ROW * 0.55;
            canvas.text("controls, never recommended", MARGIN, y, SMALL, Align::Left);
        }
        rows
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

    /// Vertical grid lines through all rows, with their labels below.
    pub fn axis(&self, canvas: &mut Canvas, ticks: &[Tick]) {
        for tick in ticks {
            canvas.line((tick.at, self.top), (tick.at, self.bottom()), GRID, 1.5);
            canvas.text(&tick.label, tick.at, self.bottom() + 17.0, SMALL, Align::Middle);
        }
    }
}
