//! RSS over the blocks of the long run: what each strategy gained and lost, a panel per family.
//!
//! Drawn is the difference to the first reading: a leak of a few bytes per block cannot be seen beside the tens of MiB
//! that a process has anyway. The bar right of the lines is the interval of the growth, as bytes over as many blocks, so
//! that a climb is not taken for growth where the windows say that it may be chance.

use std::collections::BTreeMap;

use super::axis::{Axis, plain};
use super::canvas::Point;
use super::panels::{Grid, families};
use super::parts::missing;
use super::series::long_runs;
use super::{Figure, Numbers};
use crate::analyse::evidence::LongRun;
use crate::analyse::summary::Growth;
use crate::measure::row::Row;
use crate::present::growth::{grouped, interval};
use crate::present::palette::{MUTED, Palette};
use crate::present::view::{Group, Shown, variant};
use crate::prose::percent;
use crate::units::{Quantity, bytes, gained};

/// Room for tick labels left of a panel, and for names right of it.
const BESIDE: (f64, f64) = (60.0, 280.0);
/// From one strategy's bar to the next.
const LANE: f64 = 9.0;

/// RSS over blocks of all strategies on one workload, unless no sound strategy had a long run.
pub fn figure(group: &Group, palette: &Palette, rows: &[Row]) -> Option<Figure> {
    let runs = long_runs(group, rows);
    let blocks = runs.values().map(LongRun::blocks).max()?;
    let drawn = |cell: Shown| runs.contains_key(cell.name());
    let families = families(group, drawn, |_| ());
    let cells: Vec<Shown> = families.iter().flat_map(|(_, cells)| cells).copied().collect();
    let subject = format!("{}: resident memory over {} blocks", group.title(), grouped(blocks));
    let numbers = numbers(&cells, &runs);
    let mut figure = Figure::new("growth", &subject, &finding(&cells), caption(group.method.level), numbers);
    let canvas = &mut figure.canvas;
    let grid = Grid::of_families(figure.top + 14.0, &families, BESIDE);
    let bars = cells.iter().filter_map(|cell| bar(*cell, &runs[cell.name()]));
    let values: Vec<f64> = bars
        .flat_map(|(low, high)| [low, high])
        .chain(runs.values().flat_map(readings).map(|(_, value)| value))
        .collect();
    let most = families.iter().map(|(_, cells)| cells.len()).max().unwrap_or(0);
    for (panel, (family, cells)) in grid.panels().zip(&families) {
        let ((x0, x1), (y0, y1)) = (panel.x, panel.y);
        // Bars stand side by side, right of the lines.
        let bars = x1 - LANE * most as f64;
        let x = Axis::decimal(blocks, 2, (x0, bars - LANE));
        let y = Axis::gains(values.iter().copied(), 5, (y1, y0));
        let unit = y.unit(Quantity::Bytes, 3);
        panel.title(canvas, family, &format!("RSS gained, in {}", unit.unit));
        let right = x.ticks(|blocks| grouped(blocks as u64));
        panel.axes(canvas, &y.ticks(|bytes| plain(unit, bytes)), &right, "blocks");
        canvas.line((x0, y.place(0.0)), (x1, y.place(0.0)), MUTED, 1.5);

        let ends: Vec<f64> = cells.iter().map(|cell| y.place(runs[cell.name()].gained())).collect();
        let labels = panel.names(&ends, y0 - 6.0);
        for (lane, ((cell, end), label)) in cells.iter().zip(ends).zip(labels).enumerate() {
            let (style, run) = (palette.style(cell.name()), &runs[cell.name()]);
            let points: Vec<Point> =
                readings(run).map(|(at, value)| (x.place(at as f64), y.place(value))).collect();
            canvas.path(&points, style.colour, 2.5);
            let last = points.last().map_or(bars, |(at, _)| *at);
            panel.lead(canvas, (last, end), label, style);
            let at = bars + LANE * (lane as f64 + 0.5);
            if let Some((low, high)) = bar(*cell, run) {
                canvas.line((at, y.place(low)), (at, y.place(high)), style.colour, 3.0);
            }
            canvas.marker((at, end), 4.0, style);
            panel.name(canvas, label, style, variant(cell.name()), &gained(run.gained()));
        }
    }
    Some(figure.noting(&missing(group, drawn), grid.bottom(), 0.0))
}

/// Blocks, and bytes since the first reading.
fn readings(run: &LongRun) -> impl Iterator<Item = (u64, f64)> {
    let first = run.rss.first().map_or(0.0, |bytes| *bytes as f64);
    (0..).zip(&run.rss).map(move |(i, bytes)| (run.window * i, *bytes as f64 - first))
}

/// The interval of what a run gained, in bytes.
fn bar(cell: Shown, run: &LongRun) -> Option<(f64, f64)> {
    let blocks = run.blocks() as f64;
    cell.growth().map(|growth| (growth.low * blocks, growth.high * blocks))
}

fn caption(level: f64) -> String {
    format!(
        "Resident set over the blocks of the long run, as what it gained since its first reading; it is read between \
         windows of whole traces, while the process waits. One panel per family, all on the same axes. The bar right \
         of the lines is the {} interval of a strategy's growth over all these blocks: where it lies above zero, memory \
         grows, and where it reaches across, a climb may be chance or a step that was taken once.",
        percent(level)
    )
}

fn numbers(cells: &[Shown], runs: &BTreeMap<&str, LongRun>) -> Numbers {
    let head = [
        "strategy",
        "first reading",
        "last reading",
        "gained",
        "blocks",
        "growth in bytes per block",
        "finding",
    ];
    let row = |cell: &Shown| {
        let run = &runs[cell.name()];
        let reading = |bytes_read: Option<&u64>| bytes_read.map_or("-".into(), |read| bytes(*read));
        let growth = cell.growth();
        vec![
            cell.name().into(),
            reading(run.rss.first()),
            reading(run.rss.last()),
            gained(run.gained()),
            grouped(run.blocks()),
            growth.map_or("-".into(), |growth| interval(&growth)),
            growth.map_or("too few readings", |growth| word(&growth)).into(),
        ]
    };
    Numbers::new(&head, cells.iter().map(row))
}

fn word(growth: &Growth) -> &'static str {
    match growth.direction() {
        1 => "grows",
        -1 => "shrinks",
        _ => "no growth is seen",
    }
}

fn finding(cells: &[Shown]) -> String {
    let measured: Vec<(&str, Growth)> =
        cells.iter().filter_map(|cell| Some((cell.name(), cell.growth()?))).collect();
    let verb = |count: usize, verb: &str| format!("{count} {verb}{}", if count == 1 { "s" } else { "" });
    let growing = || measured.iter().filter(|(_, growth)| growth.direction() > 0);
    let shrinking = measured.iter().filter(|(_, growth)| growth.direction() < 0).count();
    let steepest = growing().max_by(|(_, a), (_, b)| a.bytes_per_block.total_cmp(&b.bytes_per_block));
    let mut text = match (measured.len(), steepest) {
        (0, _) => return "too few readings to tell whether memory grows".into(),
        (1, None) => "it is not seen to grow".into(),
        (n, None) => format!("none of {n} strategies is seen to grow"),
        (n, Some((name, growth))) => format!(
            "of {n} strategies {}, most of all {name}: {} bytes per block",
            verb(growing().count(), "grow"),
            interval(growth)
        ),
    };
    if shrinking > 0 {
        text += &format!("; {}", verb(shrinking, "shrink"));
    }
    text
}
