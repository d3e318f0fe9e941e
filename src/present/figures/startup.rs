//! What it takes from process start to the first block ready, stage by stage.
//!
//! Times of stages add up, so this is the one figure with a linear axis and stacked bars. One stage (compiling, as a
//! rule) often hides all others; then a second panel shows the same bars without it.

use super::axis::{Axis, round_ns};
use super::canvas::{Align, Canvas, Type};
use super::parts::{BODY, MARGIN, NAME, Rows, SMALL, background, missing};
use super::{Figure, Numbers, WIDTH};
use crate::present::palette::{INK, Palette, stage};
use crate::present::view::{Group, Shown};
use crate::prose::printable;
use crate::units::ns;

const LEFT: f64 = NAME + 14.0;
const RIGHT: f64 = 1182.0;
/// Where the first of two panels ends, and the second begins.
const SPLIT: (f64, f64) = (730.0, 752.0);
/// Room for the total behind a bar.
const TOTAL: f64 = 92.0;
/// From this share of all time on, a stage gets out of the others' way.
const DOMINANT: f64 = 0.6;
const LEGEND: Type = Type::new(19.0, INK);

struct Line<'a> {
    name: &'a str,
    /// By index of the stage; `None` where the strategy has no such stage.
    times: Vec<Option<u64>>,
    /// Fewest launches behind any stage.
    n: u32,
}

impl<'a> Line<'a> {
    fn new(cell: Shown<'a>, stages: &[&str]) -> Line<'a> {
        let time = |name: &&str| {
            let same = cell.startup().iter().filter(|s| s.name == *name);
            same.map(|s| s.ns).reduce(u64::saturating_add)
        };
        let n = cell.startup().iter().map(|s| s.n).min().unwrap_or(0);
        Line { name: cell.name(), times: stages.iter().map(time).collect(), n }
    }

    fn total(&self, without: Option<usize>) -> u64 {
        let times = self.times.iter().enumerate().filter(|(i, _)| Some(*i) != without);
        times.fold(0, |sum, (_, time)| sum.saturating_add(time.unwrap_or(0)))
    }
}

/// Startup of all strategies on one workload, unless no sound strategy has stages.
pub fn figure(group: &Group, palette: &Palette) -> Option<Figure> {
    let stages = stages(group);
    if stages.is_empty() {
        return None;
    }
    let lines = |control| -> Vec<Line> {
        let cells = group.sorted(control, |cell| cell.startup_total()).into_iter();
        cells.filter(|cell| !cell.startup().is_empty()).map(|cell| Line::new(cell, &stages)).collect()
    };
    let (mut rows, controls) = (lines(false), lines(true));
    let contenders = rows.len();
    rows.extend(controls);
    let dominant = dominant(&rows, stages.len()).map(|stage| (stage, stages[stage]));
    let subject = format!("{}: startup, from process start to first block ready", group.title());
    let finding = finding(&rows[..contenders], dominant);
    let numbers = numbers(&rows, &stages);
    let mut figure = Figure::new("startup", &subject, &finding, caption(dominant), numbers);
    let canvas = &mut figure.canvas;
    let legend = legend(canvas, figure.top + 14.0, &stages);
    let top = figure.top + legend + if dominant.is_some() { 40.0 } else { 12.0 };
    let names: Vec<&str> = rows.iter().map(|line| line.name).collect();
    let places = Rows::new(canvas, top, &names, rows.len() - contenders, palette);
    match dominant {
        None => panel(canvas, &places, &rows, (LEFT, RIGHT), None),
        Some((stage, name)) => {
            let header = top - 18.0;
            canvas.text("all stages", LEFT, header, SMALL.bold(), Align::Left);
            panel(canvas, &places, &rows, (LEFT, SPLIT.0), None);
            canvas.text(&format!("without {name}"), SPLIT.1, header, SMALL.bold(), Align::Left);
            panel(canvas, &places, &rows, (SPLIT.1, RIGHT), Some(stage));
        }
    }
    let missing = missing(group, |cell| !cell.startup().is_empty());
    Some(figure.noting(&missing, places.bottom() + 36.0, 8.0))
}

/// Names of all stages in their order.
fn stages<'a>(group: &Group<'a>) -> Vec<&'a str> {
    let mut stages: Vec<&str> = Vec::new();
    for cell in &group.cells {
        // A stage that only some strategies have goes behind the one it follows there.
        let mut next = 0;
        for stage in cell.startup() {
            let known = stages.iter().position(|known| *known == stage.name);
            let at = known.unwrap_or_else(|| {
                stages.insert(next, &stage.name);
                next
            });
            next = at + 1;
        }
    }
    stages
}

/// Draws colours and names of the stages, in as many lines as they need, and returns the height of these.
fn legend(canvas: &mut Canvas, top: f64, stages: &[&str]) -> f64 {
    let (mut x, mut y) = (MARGIN, top);
    for (i, name) in stages.iter().enumerate() {
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

/// The bars of all strategies between two edges, `without` a stage.
fn panel(canvas: &mut Canvas, places: &Rows, rows: &[Line], (from, to): (f64, f64), without: Option<usize>) {
    let ticks = if to - from > 600.0 { 6 } else { 4 };
    let longest = rows.iter().map(|line| line.total(without)).max().unwrap_or(0);
    let axis = Axis::decimal(longest, ticks, (from, to - TOTAL));
    places.axis(canvas, &axis.ticks(round_ns));
    for (index, line) in rows.iter().enumerate() {
        let y = places.centre(index);
        let mut sum: u64 = 0;
        for (i, time) in line.times.iter().enumerate().filter(|(i, _)| Some(*i) != without) {
            let start = axis.place(sum as f64);
            sum = sum.saturating_add(time.unwrap_or(0));
            // A hair of paper between stages keeps neighbours apart.
            let end = axis.place(sum as f64) - 1.0;
            canvas.rect((start, y - 9.5), (end, y + 9.5), stage(i));
        }
        let (total, x) = (ns(sum), axis.place(sum as f64) + 8.0);
        let end = x + BODY.face().width(&total) + 2.0;
        canvas.rect((x - 2.0, y - 11.0), (end, y + 11.0), background(index));
        canvas.text(&total, x, y, BODY, Align::Left);
    }
}

/// The stage that takes most of all strategies' time together, if it takes enough to hide the rest.
fn dominant(rows: &[Line], stages: usize) -> Option<usize> {
    let sum = |i: usize| rows.iter().map(|line| line.times[i].unwrap_or(0) as f64).sum::<f64>();
    let all: f64 = (0..stages).map(sum).sum();
    (0..stages).find(|i| sum(*i) > DOMINANT * all && stages > 1 && sum(*i) < all)
}

fn finding(contenders: &[Line], dominant: Option<(usize, &str)>) -> String {
    let (Some(first), Some(last)) = (contenders.first(), contenders.last()) else {
        return "only controls have figures".into();
    };
    let mut text = format!("{} is ready first, after {}", first.name, ns(first.total(None)));
    if contenders.len() > 1 {
        text += &format!("; {} last, after {}", last.name, ns(last.total(None)));
    }
    if let Some((_, name)) = dominant {
        text += &format!("; most of it is {name}");
    }
    text
}

fn caption(dominant: Option<(usize, &str)>) -> String {
    let mut text = "Each bar is one strategy's startup, from process start to the first block ready, as medians \
        over launches; its parts are the stages in the order in which they happen, and the figure behind it is \
        their sum. The axis is linear, so lengths can be compared."
        .to_owned();
    if let Some((_, name)) = dominant {
        text += &format!(
            " Because {name} takes most of the time, the panel on the right repeats the bars without it, on an axis of \
             its own."
        );
    }
    text
}

fn numbers(rows: &[Line], stages: &[&str]) -> Numbers {
    let head = [&["strategy"][..], stages, &["total", "launches"]].concat();
    let rows = rows.iter().map(|line| {
        let times = line.times.iter().map(|time| time.map_or("-".into(), ns));
        let sums = [ns(line.total(None)), line.n.to_string()];
        [line.name.to_owned()].into_iter().chain(times).chain(sums).collect()
    });
    Numbers::new(&head, rows)
}
