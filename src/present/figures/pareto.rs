//! Time against memory: which strategies no other one beats in both.
//!
//! Points lie close together, so every one is named at the right edge, beside its height, and the front is in bold.

use super::axis::{Axis, plain, round_ns};
use super::canvas::{Align, Canvas, Point, Type};
use super::panels::LABEL_GAP;
use super::parts::{MARGIN, SMALL, missing};
use super::series::spread;
use super::text::cut;
use super::{Figure, Numbers, WIDTH};
use crate::analyse::summary::{Quantiles, Residency};
use crate::present::palette::{GRID, INK, MUTED, Palette, SOFT};
use crate::present::view::{Group, Shown};
use crate::prose::printable;
use crate::units::{Quantity, bytes, ns, ratio};

const PLOT: (f64, f64) = (110.0, 800.0);
/// Where names begin.
const NAME: f64 = 856.0;
const LABEL: Type = Type::new(17.5, INK);
/// Room for the label of a tick.
const TICK: f64 = 80.0;

const CAPTION: &str = "Further left is faster, further down needs less memory. Each mark is the median cycle and the peak \
    of the resident set; the thin lines reach to the cycle's 95th percentile and to the steady resident set. The names in \
    bold, on the stepped line, are those that no other strategy beats in both; differences of a few per cent are \
    within the noise (see the table's intervals). Controls are drawn, but beat no one. Cycles are on a logarithmic axis, \
    memory is on a linear one that begins at zero.";

struct Mark<'a> {
    cell: Shown<'a>,
    cycle: Quantiles,
    rss: Residency,
    front: bool,
}

/// Peak memory against cycle of all strategies on one workload, unless fewer than two contenders have both a time and a
/// peak.
pub fn figure<'a>(group: &Group<'a>, palette: &Palette) -> Option<Figure> {
    let mark = |cell: Shown<'a>| Some(Mark { cell, cycle: cell.cycle()?, rss: cell.rss()?, front: false });
    let mut marks: Vec<Mark> =
        [false, true].into_iter().flat_map(|control| group.by_cycle(control)).filter_map(mark).collect();
    if marks.iter().filter(|mark| !mark.cell.control()).count() < 2 {
        return None;
    }
    // By cycle: whoever needs less than all before it is not beaten.
    let mut least = u64::MAX;
    for mark in marks.iter_mut().filter(|mark| !mark.cell.control()) {
        mark.front = mark.rss.peak < least;
        least = least.min(mark.rss.peak);
    }
    let subject = format!("{}: time against memory", group.title());
    let mut figure = Figure::new("pareto", &subject, &finding(&marks), CAPTION, numbers(&marks));
    let canvas = &mut figure.canvas;
    let top = figure.top + 40.0;
    let bottom = top + (LABEL_GAP * marks.len() as f64).max(360.0);
    let x = Axis::close(marks.iter().flat_map(|m| [m.cycle.p50, m.cycle.p95]), TICK, PLOT);
    let largest = marks.iter().map(|m| m.rss.peak.max(m.rss.steady)).max().unwrap_or(1);
    let y = Axis::bytes(largest, 6, (bottom, top));
    let unit = y.unit(Quantity::Bytes, 1);
    canvas.text(&format!("peak RSS in {}", unit.unit), MARGIN, top - 26.0, SMALL, Align::Left);
    canvas.text("cycle, line to p95 (log scale)", PLOT.1, bottom + 42.0, SMALL, Align::Right);
    for tick in y.ticks(|value| plain(unit, value)) {
        canvas.line((PLOT.0, tick.at), (PLOT.1, tick.at), GRID, 1.5);
        canvas.text(&tick.label, PLOT.0 - 10.0, tick.at, SMALL, Align::Right);
    }
    for tick in x.ticks(round_ns) {
        canvas.line((tick.at, top), (tick.at, bottom), GRID, 1.5);
        canvas.text(&tick.label, tick.at, bottom + 18.0, SMALL, Align::Middle);
    }
    let place = |m: &Mark| (x.place(m.cycle.p50 as f64), y.place(m.rss.peak as f64));
    steps(canvas, &marks.iter().filter(|m| m.front).map(place).collect::<Vec<_>>());
    let places: Vec<Point> = marks.iter().map(place).collect();
    let heights: Vec<f64> = places.iter().map(|at| at.1).collect();
    for ((mark, at), label) in marks.iter().zip(places).zip(spread(&heights, LABEL_GAP, top, bottom)) {
        let style = palette.style(mark.cell.name());
        canvas.line(at, (x.place(mark.cycle.p95 as f64).max(at.0), at.1), style.colour, 2.0);
        canvas.line(at, (at.0, y.place(mark.rss.steady as f64)), style.colour, 2.0);
        canvas.marker(at, 7.5, style);
        canvas.line((PLOT.1 + 6.0, at.1), (NAME - 16.0, label), SOFT, 1.0);
        canvas.marker((NAME - 6.0, label), 5.5, style);
        let kind = if mark.front { LABEL.bold() } else { LABEL };
        let room = f64::from(WIDTH) - MARGIN - NAME - 8.0;
        let name = cut(&printable(mark.cell.name()), kind.face(), room);
        canvas.text(&name, NAME + 8.0, label, kind, Align::Left);
    }
    Some(figure.noting(&missing(group, |cell| cell.cycle().and(cell.rss()).is_some()), bottom + 60.0, 6.0))
}

/// The steps between what no one beats.
fn steps(canvas: &mut Canvas, front: &[Point]) {
    let mut steps: Vec<Point> = front.first().copied().into_iter().collect();
    for pair in front.windows(2) {
        steps.extend([(pair[1].0, pair[0].1), pair[1]]);
    }
    if steps.len() > 1 {
        canvas.path(&steps, MUTED, 1.5);
    }
}

fn finding(marks: &[Mark]) -> String {
    let front: Vec<&Mark> = marks.iter().filter(|mark| mark.front).collect();
    match front.as_slice() {
        [only] => format!("{} is both fastest and smallest", only.cell.name()),
        [fastest, .., smallest] => format!(
            "{} is fastest with {}; {} needs least, {}, at {} times the cycle",
            fastest.cell.name(),
            bytes(fastest.rss.peak),
            smallest.cell.name(),
            bytes(smallest.rss.peak),
            ratio(smallest.cycle.p50 as f64 / fastest.cycle.p50.max(1) as f64),
        ),
        [] => String::new(),
    }
}

fn numbers(marks: &[Mark]) -> Numbers {
    let head = ["strategy", "cycle p50", "p95", "RSS steady", "peak", "beaten in both"];
    let rows = marks.iter().map(|m| {
        let beaten = match m.cell.control() {
            true => "control",
            false if m.front => "no",
            false => "yes",
        };
        let (cycle, rss) = (m.cycle, m.rss);
        let figures = [ns(cycle.p50), ns(cycle.p95), bytes(rss.steady), bytes(rss.peak), beaten.into()];
        [m.cell.name().to_owned()].into_iter().chain(figures).collect()
    });
    Numbers::new(&head, rows)
}
