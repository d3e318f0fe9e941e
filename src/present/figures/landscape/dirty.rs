//! What a block costs over the number of its dirty pages: a panel per pattern, and where the best strategy changes.

use std::collections::BTreeSet;

use super::setting::{Curve, Setting};
use crate::present::figures::axis::{Axis, Tick, round_ns};
use crate::present::figures::canvas::{Align, Canvas, Point};
use crate::present::figures::panels::{Grid, Panel};
use crate::present::figures::parts::SMALL;
use crate::present::figures::series::spread;
use crate::present::figures::{Figure, Numbers};
use crate::present::palette::{GRID, MUTED, Palette};
use crate::present::view::{Group, Shown};
use crate::units::{ns, ratio};

/// Room for tick labels left of a panel, and for names right of it.
const BESIDE: (f64, f64) = (78.0, 304.0);
/// The strip above the lines in which crossovers are named.
const STRIP: f64 = 30.0;
/// Height that a tick's label needs, and width.
const TICK: (f64, f64) = (24.0, 14.0);

const CAPTION: &str = "Each line is the median cycle of a strategy over the pages that a block dirties; lower is faster. Both \
    axes are logarithmic, with a place for no dirty page at all, and all panels share them; each panel is one pattern in \
    which the pages lie and move. Where the best strategy changes for certain, a vertical line says at about how many \
    dirty pages; the grey band around it is where nobody can tell. The figure beside a name is its cycle with the \
    most dirty pages.";

/// Cycle over dirty pages, all patterns of one setting, unless no pattern has more than one number of dirty pages.
pub fn figure(setting: &Setting, palette: &Palette) -> Option<Figure> {
    let curves: Vec<&Curve> = setting.curves.iter().filter(|curve| curve.places.len() > 1).collect();
    let subject = format!("{}: cost of a block over its dirty pages", setting.title);
    let mut figure = Figure::new("dirty", &subject, &finding(&curves)?, CAPTION, numbers(&curves));
    let canvas = &mut figure.canvas;
    let panels: Vec<Vec<Line>> = curves.iter().map(|curve| lines(curve)).collect();
    let most = panels.iter().map(Vec::len).max().unwrap_or(0);
    let grid = Grid::new(figure.top + 14.0, most, 230.0, BESIDE, curves.len());
    let grid = Grid { plot: grid.plot + STRIP, ..grid };
    let all = || panels.iter().flatten().flat_map(|(_, points)| points);
    for ((panel, curve), lines) in grid.panels().zip(curves).zip(&panels) {
        let ((x1, y1), top) = ((panel.x.1, panel.y.1), panel.y.0 + STRIP);
        let y = Axis::close(all().map(|(_, cycle)| *cycle), TICK.0, (y1, top));
        let numbers: BTreeSet<u64> = all().map(|(dirty, _)| *dirty).collect();
        let (x, right) = pages(&numbers, panel.x);
        panel.title(canvas, &curve.pattern, "cycle (log scale)");
        let up: Vec<Tick> = y.ticks(round_ns).into_iter().filter(|tick| !tick.label.is_empty()).collect();
        panel.axes(canvas, &up, &right, "");
        canvas.text("dirty pages", x1 + 40.0, y1 + 19.0, SMALL, Align::Left);
        crossovers(canvas, curve, &x, panel);

        let place = |(dirty, cycle): &(u64, u64)| (x.place(*dirty as f64), y.place(*cycle as f64));
        let ends: Vec<f64> =
            lines.iter().map(|(_, points)| points.last().map_or(y1, |p| place(p).1)).collect();
        for ((name, points), label) in lines.iter().zip(panel.names(&ends, top)) {
            let Some((_, last)) = points.last() else { continue };
            let (style, points) = (palette.style(name), points.iter().map(place).collect::<Vec<Point>>());
            canvas.path(&points, style.colour, 2.5);
            for point in &points {
                canvas.marker(*point, 4.5, style);
            }
            panel.lead(canvas, points[points.len() - 1], label, style);
            panel.name(canvas, label, style, name, &ns(*last));
        }
    }
    Some(figure.ending(grid.bottom()))
}

/// A contender, and its median cycle by dirty pages.
type Line<'a> = (&'a str, Vec<(u64, u64)>);

fn lines<'a>(curve: &'a Curve) -> Vec<Line<'a>> {
    let mut lines: Vec<Line> = Vec::new();
    for (dirty, group) in &curve.places {
        for cell in group.cells.iter().filter(|cell| !cell.control()) {
            let Some(cycle) = cell.cycle() else { continue };
            let point = (*dirty, cycle.p50);
            match lines.iter_mut().find(|(name, _)| *name == cell.name()) {
                Some((_, points)) => points.push(point),
                None => lines.push((cell.name(), vec![point])),
            }
        }
    }
    lines
}

/// The axis of dirty pages, logarithmic with a place for none, as far left of one as four is right of it. Its ticks are the
/// measured numbers, named from the largest down as far as there is room.
fn pages(numbers: &BTreeSet<u64>, edges: (f64, f64)) -> (Axis, Vec<Tick>) {
    let log = |dirty: f64| dirty.max(0.25).log2();
    let ends = [numbers.first(), numbers.last()].map(|end| end.map_or(1.0, |dirty| *dirty as f64));
    let axis = Axis::new(log, ends.into(), edges, numbers.iter().map(|dirty| *dirty as f64).collect());
    let mut ticks = axis.ticks(|dirty| dirty.to_string());
    ticks.reverse();
    let mut left = f64::INFINITY;
    for tick in &mut ticks {
        let half = SMALL.face().width(&tick.label) / 2.0;
        if tick.at + half + TICK.1 <= left {
            left = tick.at - half;
        } else {
            tick.label.clear();
        }
    }
    (axis, ticks)
}

fn crossovers(canvas: &mut Canvas, curve: &Curve, x: &Axis, panel: Panel) {
    let (top, bottom) = panel.y;
    let places: Vec<f64> = curve.crossovers.iter().map(|c| x.place(c.dirty.value)).collect();
    let labels = spread(&places, 62.0, panel.x.0 + 10.0, panel.x.1 - 10.0);
    for ((crossover, place), label) in curve.crossovers.iter().zip(places).zip(labels) {
        let (low, high) = (x.place(crossover.dirty.low), x.place(crossover.dirty.high));
        canvas.rect((low - 1.0, top + 20.0), (high + 1.0, bottom), GRID);
        canvas.line((place, top + 20.0), (place, bottom), MUTED, 1.5);
        let dirty = crossover.dirty.value.round();
        canvas.text(&format!("≈ {dirty}"), label, top + 8.0, SMALL, Align::Middle);
    }
}

fn finding(curves: &[&Curve]) -> Option<String> {
    let curve = curves.first()?;
    let best = |(dirty, group): &(u64, Group)| Some((*dirty, group.best().map(Shown::name)?.to_owned()));
    let (least, first) = curve.places.first().and_then(best)?;
    let (most, last) = curve.places.last().and_then(best)?;
    let changes = match curves.iter().map(|curve| curve.crossovers.len()).sum::<usize>() {
        0 => "no crossover is certain".to_owned(),
        1 => "one certain crossover".to_owned(),
        n => format!("{n} certain crossovers"),
    };
    Some(if first == last {
        format!("{}: {first} is best with {least} and with {most}; {changes}", curve.pattern)
    } else {
        format!("{}: {first} is best with {least}, {last} with {most}; {changes}", curve.pattern)
    })
}

fn numbers(curves: &[&Curve]) -> Numbers {
    let head = [
        "pattern",
        "dirty pages",
        "best",
        "cycle p50",
        "next best",
        "times the best's cycle",
        "crossover after it",
    ];
    let rows = curves.iter().flat_map(|curve| {
        curve.winners().map(|(winner, group)| {
            let next = group.next();
            let crossing =
                curve.crossovers.iter().find(|c| Some(c.before.as_str()) == group.best().map(Shown::name));
            let more = [
                next.and_then(Shown::regret).map_or("-".into(), |r| ratio(r.value)),
                crossing.map_or("-".into(), |c| c.sentence.replace('`', "")),
            ];
            winner.into_iter().chain(more).collect()
        })
    });
    Numbers::new(&head, rows)
}
