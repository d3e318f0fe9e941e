//! How long single blocks take: the cumulative distribution of the cycle, a panel per family.
//!
//! Means hide what an indexer feels, so the vertical axis is stretched towards its upper end: from 90 to 99 per cent
//! is as far as from 0 to 90. On a linear axis the tail would be the last tenth of the height.

use super::axis::{Axis, round_ns};
use super::canvas::Point;
use super::panels::{Grid, LABEL_GAP, families};
use super::parts::missing;
use super::{Figure, Numbers};
use crate::analyse::distribution::{Distribution, Place};
use crate::analyse::summary::Quantiles;
use crate::present::palette::{MUTED, Palette};
use crate::present::view::{Group, Shown, family as of_family, variant};
use crate::units::ns;

/// Room for tick labels left of a panel, and for names right of it.
const BESIDE: (f64, f64) = (62.0, 270.0);
/// Room for the label of a tick.
const TICK: f64 = 72.0;
/// What the vertical axis names, in per cent; also its ends.
const NAMED: [u8; 5] = [0, 50, 90, 95, 99];
/// Where curves are marked.
const MARKED: [u8; 3] = [50, 95, 99];

const CAPTION: &str = "Each curve says which share of the blocks had its cycle done within a time; further left is \
    faster, and a curve that leans to the right has slow blocks. Both axes are logarithmic, the vertical one in \
    the share that is left, so that the tail can be seen; it ends at 99 %. The marks are p50, p95 and p99, each \
    the median over launches, and the thin lines through them reach from the least to the largest launch. The \
    figure beside a name is its p50.";

/// Cycle times of all strategies on one workload, unless no sound strategy has times of single blocks.
pub fn figure(group: &Group, palette: &Palette, distributions: &[Distribution]) -> Option<Figure> {
    // The last per cent has no end on the axis.
    let within = |places: &[Place]| -> Vec<Place> {
        places.iter().copied().filter(|place| place.percent <= NAMED[NAMED.len() - 1]).collect()
    };
    let shown = |cell: Shown| -> Option<(Vec<Place>, Quantiles)> {
        let here = |d: &&Distribution| {
            d.strategy == cell.name() && d.workload == group.workload && d.params == *group.params
        };
        Some((within(&distributions.iter().find(here)?.places), cell.cycle()?))
    };
    let families = families(group, |cell| shown(cell).is_some(), |cell| cell.cycle().map(|q| q.p50));
    let lines = families.iter().flat_map(|(_, cells)| cells).copied();
    let lines: Vec<Line> =
        lines.filter_map(|cell| shown(cell).map(|(places, cycle)| Line { cell, places, cycle })).collect();
    let baseline = lines.iter().find(|line| line.cell.name() == group.baseline);
    lines.first()?;
    let mut caption = CAPTION.to_owned();
    if baseline.is_some() {
        caption += &format!(" The thin grey curve in the other panels is the baseline, {}.", group.baseline);
    }
    let subject = format!("{}: how long single blocks take", group.title());
    let mut figure = Figure::new("cycles", &subject, &finding(&lines), caption, numbers(&lines));
    let canvas = &mut figure.canvas;
    let grid = Grid::of_families(figure.top + 14.0, &families, BESIDE);
    for (panel, (family, _)) in grid.panels().zip(&families) {
        let (y0, y1) = panel.y;
        let times = lines.iter().flat_map(|line| &line.places).flat_map(|p| [p.low, p.middle, p.high]);
        let x = Axis::close(times, TICK, panel.x);
        // Logarithmic in what is still missing to all blocks.
        let y = Axis::new(left_of, (0.0, 99.0), (y1, y0), NAMED.map(f64::from).to_vec());
        let place = |time: u64, percent: u8| -> Point { (x.place(time as f64), y.place(f64::from(percent))) };
        let curve = |line: &Line| line.places.iter().map(|p| place(p.middle, p.percent)).collect::<Vec<_>>();
        panel.title(canvas, family, "blocks done within a time");
        panel.axes(canvas, &y.ticks(|percent| format!("{percent} %")), &x.ticks(round_ns), "");
        if let Some(line) = baseline.filter(|line| of_family(line.cell.name()) != *family) {
            canvas.path(&curve(line), MUTED, 1.5);
        }
        let here = || lines.iter().filter(|line| of_family(line.cell.name()) == *family);
        for line in here() {
            let style = palette.style(line.cell.name());
            canvas.path(&curve(line), style.colour, 2.5);
            for p in line.places.iter().filter(|place| MARKED.contains(&place.percent)) {
                canvas.line(place(p.low, p.percent), place(p.high, p.percent), style.colour, 1.0);
                canvas.marker(place(p.middle, p.percent), 5.0, style);
            }
        }
        for (i, line) in here().enumerate() {
            let (name, at) = (line.cell.name(), y0 + 4.0 + LABEL_GAP * i as f64);
            panel.name(canvas, at, palette.style(name), variant(name), &ns(line.cycle.p50));
        }
    }
    Some(figure.noting(&missing(group, |cell| shown(cell).is_some()), grid.bottom(), 0.0))
}

struct Line<'a> {
    cell: Shown<'a>,
    /// Up to 99 per cent.
    places: Vec<Place>,
    cycle: Quantiles,
}

/// The share that is still missing to all of them, its logarithm the other way round.
fn left_of(percent: f64) -> f64 {
    -((100.0 - percent) / 100.0).log10()
}

fn finding(lines: &[Line]) -> String {
    let contenders = || lines.iter().filter(|line| !line.cell.control());
    let least = contenders().min_by_key(|line| (line.cycle.p99, line.cell.name()));
    let median = contenders().min_by_key(|line| (line.cycle.p50, line.cell.name()));
    let (Some(least), Some(median)) = (least, median) else {
        return "only controls have figures".into();
    };
    let fastest = format!("{} is fastest in the median", median.cell.name());
    let [least_p99, p99] = [least, median].map(|line| ns(line.cycle.p99));
    // What reads the same is not to be told apart by its name.
    if least_p99 == p99 {
        return format!("{fastest}, and no one is faster at p99 ({p99})");
    }
    format!("{fastest} (p99 {p99}), {} at p99 ({least_p99})", least.cell.name())
}

fn numbers(lines: &[Line]) -> Numbers {
    let head = ["strategy", "cycle p50", "p95", "p99", "max", "p99 of launches", "blocks"];
    let rows = lines.iter().map(|line| {
        let c = line.cycle;
        let range = line.places.iter().find(|place| place.percent == 99);
        let range = range.map_or("-".into(), |p| format!("{} to {}", ns(p.low), ns(p.high)));
        let times = [c.p50, c.p95, c.p99, c.max].map(ns);
        [line.cell.name().to_owned()].into_iter().chain(times).chain([range, c.n.to_string()]).collect()
    });
    Numbers::new(&head, rows)
}
