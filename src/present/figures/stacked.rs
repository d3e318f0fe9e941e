//! Times that add up: a row for each strategy, whose bar is made of parts, on a linear axis.
//!
//! One part often hides all others (compiling, or the guest's own code); then a second panel shows the same bars without it.

use super::axis::{Axis, round_ns};
use super::canvas::{Align, Canvas, Type};
use super::parts::{BODY, MARGIN, NAME, Rows, SMALL, background};
use super::{Figure, WIDTH};
use crate::present::palette::{INK, Palette, stage};
use crate::prose::printable;
use crate::units::ns;

const LEFT: f64 = NAME + 14.0;
const RIGHT: f64 = 1182.0;
/// Where the first of two panels ends, and the second begins.
const SPLIT: (f64, f64) = (730.0, 752.0);
/// Room for the total behind a bar.
const TOTAL: f64 = 92.0;
/// From this share of all time on, a part gets out of the others' way.
const DOMINANT: f64 = 0.6;
const LEGEND: Type = Type::new(19.0, INK);

/// What is drawn of a strategy.
pub struct Line<'a> {
    pub name: &'a str,
    /// In nanoseconds, by index of the part; `None` where the strategy has no such part.
    pub times: Vec<Option<u64>>,
}

impl Line<'_> {
    /// All parts together, but one.
    pub fn total(&self, without: Option<usize>) -> u64 {
        let times = self.times.iter().enumerate().filter(|(i, _)| Some(*i) != without);
        times.fold(0, |sum, (_, time)| sum.saturating_add(time.unwrap_or(0)))
    }
}

/// Bars whose parts have names.
pub struct Bars<'a> {
    pub parts: &'a [&'a str],
    /// What they come to together, above the first of two panels.
    pub whole: &'a str,
    pub lines: &'a [Line<'a>],
    /// How many of the lines, the last ones, are controls.
    pub controls: usize,
}

impl Bars<'_> {
    /// The part that takes most of all lines' time together, if it takes enough to hide the rest.
    pub fn dominant(&self) -> Option<usize> {
        let sum = |i: usize| self.lines.iter().map(|line| line.times[i].unwrap_or(0) as f64).sum::<f64>();
        let parts = self.parts.len();
        let all: f64 = (0..parts).map(sum).sum();
        (0..parts).find(|i| sum(*i) > DOMINANT * all && parts > 1 && sum(*i) < all)
    }

    /// Draws them below a figure's heading, and returns where they end.
    pub fn draw(&self, figure: &mut Figure, palette: &Palette) -> f64 {
        let dominant = self.dominant();
        let canvas = &mut figure.canvas;
        let legend = self.legend(canvas, figure.top + 14.0);
        let top = figure.top + legend + if dominant.is_some() { 40.0 } else { 12.0 };
        let names: Vec<&str> = self.lines.iter().map(|line| line.name).collect();
        let places = Rows::new(canvas, top, &names, self.controls, palette);
        match dominant {
            None => self.panel(canvas, &places, (LEFT, RIGHT), None),
            Some(part) => {
                let header = top - 18.0;
                canvas.text(self.whole, LEFT, header, SMALL.bold(), Align::Left);
                self.panel(canvas, &places, (LEFT, SPLIT.0), None);
                let without = format!("without {}", self.parts[part]);
                canvas.text(&without, SPLIT.1, header, SMALL.bold(), Align::Left);
                self.panel(canvas, &places, (SPLIT.1, RIGHT), Some(part));
            }
        }
        places.bottom() + 36.0
    }

    /// Draws colours and names of the parts, in as many lines as they need, and returns the height of these.
    fn legend(&self, canvas: &mut Canvas, top: f64) -> f64 {
        let (mut x, mut y) = (MARGIN, top);
        for (i, name) in self.parts.iter().enumerate() {
            let width = 30.0 + LEGEND.face().width(&printable(name)) + 26.0;
            if x + width > f64::from(WIDTH) - MARGIN && x > MARGIN {
                (x, y) = (MARGIN, y + 28.0);
            }
            canvas.rect((x, y - 8.0), (x + 22.0, y + 8.0), stage(i));
            canvas.text(name, x + 30.0, y, LEGEND, Align::Left);
            x += width;
        }
        y - top + 28.0
    }

    /// The bars of all strategies between two edges, `without` a part.
    fn panel(&self, canvas: &mut Canvas, places: &Rows, (from, to): (f64, f64), without: Option<usize>) {
        let ticks = if to - from > 600.0 { 6 } else { 4 };
        let longest = self.lines.iter().map(|line| line.total(without)).max().unwrap_or(0);
        let axis = Axis::decimal(longest, ticks, (from, to - TOTAL));
        places.axis(canvas, &axis.ticks(round_ns));
        for (index, line) in self.lines.iter().enumerate() {
            let y = places.centre(index);
            let mut sum: u64 = 0;
            for (i, time) in line.times.iter().enumerate().filter(|(i, _)| Some(*i) != without) {
                let Some(time) = time.filter(|time| *time > 0) else { continue };
                let start = axis.place(sum as f64);
                sum = sum.saturating_add(time);
                // A hair of paper between parts keeps neighbours apart.
                let end = axis.place(sum as f64) - 1.0;
                canvas.rect((start, y - 9.5), (end, y + 9.5), stage(i));
            }
            let (total, x) = (ns(sum), axis.place(sum as f64) + 8.0);
            let end = x + BODY.face().width(&total) + 2.0;
            canvas.rect((x - 2.0, y - 11.0), (end, y + 11.0), background(index));
            canvas.text(&total, x, y, BODY, Align::Left);
        }
    }
}
