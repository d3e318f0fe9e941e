//! What a host has spent after its first blocks: cumulative cycles from the start of a process, a panel per family.
//!
//! A strategy that learns pays for it at the beginning. Where its curve crosses that of the baseline for good, it has paid.

use std::collections::BTreeMap;

use super::axis::Axis;
use super::canvas::Point;
use super::panels::{Grid, families};
use super::parts::missing;
use super::series::spent;
use super::{Figure, Numbers};
use crate::analyse::spent::Spent;
use crate::measure::row::Row;
use crate::present::growth::grouped;
use crate::present::palette::{MUTED, Palette};
use crate::present::view::{Group, Shown, family as of_family, variant};
use crate::units::{gained_ns, ns};

/// Room for tick labels left of a panel, and for names right of it.
const BESIDE: (f64, f64) = (70.0, 280.0);

/// Fewest and most blocks that are drawn.
const BLOCKS: (u64, u64) = (10, 400);

const CAPTION: &str = "Execute and reset of all blocks since the start of a process, added up: the median over launches, block by \
    block until it is steady, and a straight line from there on. Startup, and the very first block with it, is not in it. The thin grey curve is the baseline; \
    the large mark is the block from which on a strategy has spent less than it in all. The figure beside a name is what \
    became of it by the last block drawn.";

/// The first blocks of all strategies on one workload, unless no sound strategy was seen to settle.
pub fn figure(group: &Group, palette: &Palette, rows: &[Row]) -> Option<Figure> {
    let curves = spent(group, rows);
    let baseline = curves.get(group.baseline)?;
    let drawn = |cell: Shown| cell.settling().is_some() && curves.contains_key(cell.name());
    let families = families(group, drawn, |cell| cell.cycle().map(|q| q.p50));
    let cells: Vec<Shown> = families.iter().flat_map(|(_, cells)| cells).copied().collect();
    let reach = cells.iter().filter_map(|cell| cell.settling());
    let reach = reach.map(|settling| 2 * settling.blocks.max(settling.pays_after.unwrap_or(0))).max()?;
    let blocks = reach.clamp(BLOCKS.0, BLOCKS.1);
    let subject = format!("{}: the first {} blocks", group.title(), grouped(blocks));
    let numbers = numbers(&cells);
    let mut figure = Figure::new("settling", &subject, &finding(&cells, group.baseline), CAPTION, numbers);
    let canvas = &mut figure.canvas;
    let grid = Grid::of_families(figure.top + 14.0, &families, BESIDE);
    let largest = cells.iter().map(|cell| curves[cell.name()].after(blocks)).fold(0.0, f64::max);
    for (panel, (family, cells)) in grid.panels().zip(&families) {
        let (y0, y1) = panel.y;
        let x = Axis::decimal(blocks, 4, panel.x);
        let y = Axis::decimal(largest as u64, 4, (y1, y0));
        let place = |spent: &Spent, at: u64| -> Point { (x.place(at as f64), y.place(spent.after(at))) };
        let curve = |spent: &Spent| (0..=blocks).map(|at| place(spent, at)).collect::<Vec<_>>();
        panel.title(canvas, family, "time spent since the start");
        panel.axes(canvas, &y.ticks(|time| ns(time as u64)), &x.ticks(|n| grouped(n as u64)), "blocks");
        if of_family(group.baseline) != *family {
            canvas.path(&curve(baseline), MUTED, 1.5);
        }
        let ends: Vec<f64> = cells.iter().map(|cell| place(&curves[cell.name()], blocks).1).collect();
        let labels = panel.names(&ends, y0 - 6.0);
        for ((cell, end), label) in cells.iter().zip(ends).zip(labels) {
            let (style, spent) = (palette.style(cell.name()), &curves[cell.name()]);
            canvas.path(&curve(spent), style.colour, 2.5);
            let paid = cell.settling().and_then(|settling| settling.pays_after);
            if let Some(at) = paid.filter(|at| *at <= blocks) {
                canvas.marker(place(spent, at), 7.0, style);
            }
            panel.lead(canvas, (x.place(blocks as f64), end), label, style);
            let saved = spent.after(blocks) - baseline.after(blocks);
            panel.name(canvas, label, style, variant(cell.name()), &gained_ns(saved));
        }
    }
    Some(figure.noting(&missing(group, drawn), grid.bottom(), 0.0))
}

fn numbers(cells: &[Shown]) -> Numbers {
    let head = [
        "strategy",
        "blocks until steady",
        "taken by them",
        "beyond steady ones",
        "longest block",
        "has paid from block",
        "launches that did not settle",
    ];
    let rows = cells.iter().filter_map(|cell| {
        let settling = cell.settling()?;
        Some(vec![
            cell.name().into(),
            grouped(settling.blocks),
            ns(settling.ns),
            gained_ns(settling.beyond_ns as f64),
            ns(settling.longest_ns),
            settling.pays_after.map_or("-".into(), grouped),
            settling.unsettled.to_string(),
        ])
    });
    Numbers::new(&head, rows)
}

fn finding(cells: &[Shown], baseline: &str) -> String {
    let contenders = cells.iter().filter(|cell| !cell.control() && cell.name() != baseline);
    let paid: BTreeMap<u64, &str> =
        contenders.filter_map(|cell| Some((cell.settling()?.pays_after?, cell.name()))).collect();
    match (paid.first_key_value(), paid.last_key_value()) {
        (Some((&first, _)), Some((&last, _))) if first == last => {
            format!("who takes less than {baseline} does so from block {} on", grouped(first))
        }
        (Some((&first, _)), Some((&last, name))) => format!(
            "who takes less than {baseline} does so from block {} on, and from block {} at the latest ({name})",
            grouped(first),
            grouped(last)
        ),
        _ => format!("no strategy ever takes less than {baseline}"),
    }
}
