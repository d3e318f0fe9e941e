//! A grid of panels for lines that are too many for one: their places, and the names beside them.

use anyhow::Result;
use plotters::prelude::DrawingBackend;

use super::WIDTH;
use super::axis::Tick;
use super::canvas::{Align, Canvas, Type};
use super::parts::{MARGIN, SMALL};
use super::text::cut;
use crate::present::palette::{GRID, INK, MUTED, Style, family_rank};
use crate::present::view::{Shown, family};
use crate::prose::printable;

/// Height that a name beside a panel needs.
pub const LABEL_GAP: f64 = 22.0;
const TITLE: Type = Type::new(20.0, INK).bold();
const LABEL: Type = Type::new(17.5, INK);
/// From a panel's top to its plot, and from the plot to the next panel.
const ABOVE: f64 = 36.0;
const BELOW: f64 = 58.0;

/// The grid: panels of one size.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// Upper edge of the first row.
    pub top: f64,
    /// Height of a plot.
    pub plot: f64,
    /// Room left of a plot for its ticks, and right of it for names.
    pub beside: (f64, f64),
    /// How many panels there are: two stand in a row, a single one has it for itself.
    pub panels: usize,
}

/// One panel and its plot.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    left: f64,
    top: f64,
    /// From left to right.
    pub x: (f64, f64),
    /// From top to bottom.
    pub y: (f64, f64),
    names: f64,
}

impl Grid {
    /// Lower edge of the last row.
    pub fn bottom(&self) -> f64 {
        self.top + self.panels.div_ceil(self.columns()) as f64 * self.panel_height()
    }

    fn columns(&self) -> usize {
        self.panels.clamp(1, 2)
    }

    fn panel_height(&self) -> f64 {
        self.plot + ABOVE + BELOW
    }

    /// Panel `index`, by rows.
    pub fn panel(&self, index: usize) -> Panel {
        let width = (f64::from(WIDTH) - 2.0 * MARGIN) / self.columns() as f64;
        let left = MARGIN + (index % self.columns()) as f64 * width;
        let top = self.top + (index / self.columns()) as f64 * self.panel_height();
        Panel {
            left,
            top,
            x: (left + self.beside.0, left + width - self.beside.1),
            y: (top + ABOVE, top + ABOVE + self.plot),
            names: self.beside.1,
        }
    }
}

/// The cells of each family, families and cells in the order in which all figures have them.
pub fn families<'a>(mut cells: Vec<Shown<'a>>) -> Vec<(&'a str, Vec<Shown<'a>>)> {
    cells.sort_by_key(|cell| (family_rank(cell.name()), family(cell.name()), cell.name()));
    let by_family = cells.chunk_by(|a, b| family(a.name()) == family(b.name()));
    by_family.map(|cells| (family(cells[0].name()), cells.to_vec())).collect()
}

impl Panel {
    /// What the panel shows, and of which quantity.
    pub fn title<B: DrawingBackend>(&self, canvas: &Canvas<B>, title: &str, quantity: &str) -> Result<()> {
        let title = cut(&printable(title), TITLE.face(), self.x.1 + self.names - self.left);
        canvas.text(&title, self.left, self.top + 12.0, TITLE, Align::Left)?;
        let after = self.left + TITLE.face().width(&title) + 14.0;
        canvas.text(quantity, after, self.top + 12.0, SMALL, Align::Left)
    }

    /// Grid lines at the ticks of what goes up, and marks at those of what goes right, which is counted in `unit`.
    pub fn axes<B: DrawingBackend>(
        &self,
        canvas: &Canvas<B>,
        up: &[Tick],
        right: &[Tick],
        unit: &str,
    ) -> Result<()> {
        let ((x0, x1), (_, bottom)) = (self.x, self.y);
        for tick in up {
            canvas.line((x0, tick.at), (x1, tick.at), GRID, 1.5)?;
            canvas.text(&tick.label, x0 - 8.0, tick.at, SMALL, Align::Right)?;
        }
        for tick in right {
            canvas.line((tick.at, bottom), (tick.at, bottom + 5.0), MUTED, 1.5)?;
            canvas.text(&tick.label, tick.at, bottom + 19.0, SMALL, Align::Middle)?;
        }
        canvas.text(unit, x1 + 24.0, bottom + 19.0, SMALL, Align::Left)
    }

    /// A line from the end of a strategy's own to its name at height `y`.
    pub fn lead<B: DrawingBackend>(
        &self,
        canvas: &Canvas<B>,
        end: (f64, f64),
        y: f64,
        style: Style,
    ) -> Result<()> {
        let edge = self.x.1;
        canvas.path(&[end, (edge + 4.0, end.1), (edge + 16.0, y)], style.colour, 1.0)
    }

    /// A strategy's marker, name and value right of the plot.
    pub fn name<B: DrawingBackend>(
        &self,
        canvas: &Canvas<B>,
        y: f64,
        style: Style,
        (name, value): (&str, &str),
    ) -> Result<()> {
        let x = self.x.1 + 22.0;
        canvas.marker(x, y, 5.5, style)?;
        let room = self.names - 46.0 - LABEL.face().width(value) - 8.0;
        let name = cut(&printable(name), LABEL.face(), room);
        canvas.text(&name, x + 11.0, y, LABEL, Align::Left)?;
        let after = x + 11.0 + LABEL.face().width(&name) + 8.0;
        canvas.text(value, after, y, SMALL, Align::Left)
    }
}
