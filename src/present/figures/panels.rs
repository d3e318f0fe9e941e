//! A grid of panels for lines that are too many for one: their places, and the names beside them.

use super::WIDTH;
use super::axis::Tick;
use super::canvas::{Align, Canvas, Point, Type};
use super::parts::{MARGIN, SMALL};
use super::series::spread;
use super::text::cut;
use crate::present::palette::{GRID, INK, MUTED, Style, family_rank};
use crate::present::view::{Group, Shown, family};
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
    /// A grid whose plots have room for `most` names beside them, and are `least` high at least.
    pub fn new(top: f64, most: usize, least: f64, beside: (f64, f64), panels: usize) -> Grid {
        Grid { top, plot: (LABEL_GAP * most as f64).max(least), beside, panels }
    }

    /// A panel for each family.
    pub fn of_families(top: f64, families: &[(&str, Vec<Shown>)], beside: (f64, f64)) -> Grid {
        let most = families.iter().map(|(_, cells)| cells.len()).max().unwrap_or(0);
        Grid::new(top, most, 190.0, beside, families.len())
    }

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

    /// All panels, by rows.
    pub fn panels(self) -> impl Iterator<Item = Panel> {
        (0..self.panels).map(move |index| self.panel(index))
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

/// The cells that are drawn by their families, families in the order in which all figures have them, cells by `key` and
/// name.
pub fn families<'a, K: Ord>(
    group: &Group<'a>,
    drawn: impl Fn(Shown) -> bool,
    key: impl Fn(Shown) -> K,
) -> Vec<(&'a str, Vec<Shown<'a>>)> {
    let mut cells: Vec<Shown> = group.cells.iter().copied().filter(|cell| drawn(*cell)).collect();
    cells.sort_by_key(|cell| (family_rank(cell.name()), family(cell.name()), key(*cell), cell.name()));
    let by_family = cells.chunk_by(|a, b| family(a.name()) == family(b.name()));
    by_family.map(|cells| (family(cells[0].name()), cells.to_vec())).collect()
}

impl Panel {
    /// What the panel shows, and of which quantity.
    pub fn title(&self, canvas: &mut Canvas, title: &str, quantity: &str) {
        let title = cut(&printable(title), TITLE.face(), self.x.1 + self.names - self.left);
        canvas.text(&title, self.left, self.top + 12.0, TITLE, Align::Left);
        let after = self.left + TITLE.face().width(&title) + 14.0;
        canvas.text(quantity, after, self.top + 12.0, SMALL, Align::Left);
    }

    /// Grid lines at the ticks of what goes up, and marks at those of what goes right, which is counted in `unit`.
    pub fn axes(&self, canvas: &mut Canvas, up: &[Tick], right: &[Tick], unit: &str) {
        let ((x0, x1), (_, bottom)) = (self.x, self.y);
        for tick in up {
            canvas.line((x0, tick.at), (x1, tick.at), GRID, 1.5);
            canvas.text(&tick.label, x0 - 8.0, tick.at, SMALL, Align::Right);
        }
        for tick in right {
            canvas.line((tick.at, bottom), (tick.at, bottom + 5.0), MUTED, 1.5);
            canvas.text(&tick.label, tick.at, bottom + 19.0, SMALL, Align::Middle);
        }
        canvas.text(unit, x1 + 24.0, bottom + 19.0, SMALL, Align::Left);
    }

    /// Where the names of lines that end at these heights go, none of them above `top`.
    pub fn names(&self, ends: &[f64], top: f64) -> Vec<f64> {
        spread(ends, LABEL_GAP, top, self.y.1 - 6.0)
    }

    /// A line from the end of a strategy's own to its name at height `y`.
    pub fn lead(&self, canvas: &mut Canvas, end: Point, y: f64, style: Style) {
        let edge = self.x.1;
        canvas.path(&[end, (edge + 4.0, end.1), (edge + 16.0, y)], style.colour, 1.0);
    }

    /// A strategy's marker, name and value right of the plot.
    pub fn name(&self, canvas: &mut Canvas, y: f64, style: Style, name: &str, value: &str) {
        let x = self.x.1 + 22.0;
        canvas.marker((x, y), 5.5, style);
        let room = self.names - 46.0 - LABEL.face().width(value) - 8.0;
        let name = cut(&printable(name), LABEL.face(), room);
        canvas.text(&name, x + 11.0, y, LABEL, Align::Left);
        let after = x + 11.0 + LABEL.face().width(&name) + 8.0;
        canvas.text(value, after, y, SMALL, Align::Left);
    }
}
