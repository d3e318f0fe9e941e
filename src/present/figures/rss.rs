//! Resident memory over time, a panel per family.
//!
//! Seventeen lines in one panel cannot be told apart. The panels share both axes, so that families can be compared;
//! each line is named at its end, where it also says how much memory it ended with.

use super::axis::{Axis, plain};
use super::canvas::Point;
use super::panels::{Grid, families};
use super::parts::missing;
use super::series::{Series, series, thin};
use super::{Figure, Numbers};
use crate::measure::row::Row;
use crate::present::palette::{MUTED, Palette};
use crate::present::view::{Group, Shown, family as of_family, variant};
use crate::units::{Quantity, bytes};

/// Room for tick labels left of a panel, and for names right of it.
const BESIDE: (f64, f64) = (52.0, 290.0);

const CAPTION: &str = "Resident set of the process over the time of the memory pass, sampled from outside while \
    blocks run; one panel per family, all on the same axes. Each line is one launch, the one with the median \
    peak; its name and last value stand at its right. A line that climbs gives nothing back.";

/// RSS of all strategies on one workload, unless no sound strategy was sampled.
pub fn figure(group: &Group, palette: &Palette, rows: &[Row]) -> Option<Figure> {
    let series = series(group, rows);
    let drawn = |cell: Shown| series.contains_key(cell.name());
    let families = families(group, drawn, |_| ());
    let cells: Vec<Shown> = families.iter().flat_map(|(_, cells)| cells).copied().collect();
    let longest = series.values().flatten().map(|(at, _)| *at).max()?;
    let largest = series.values().flatten().map(|(_, value)| *value).max()?;
    let mut caption = CAPTION.to_owned();
    if series.contains_key(group.baseline) {
        caption += &format!(" The thin grey line in the other panels is the baseline, {}.", group.baseline);
    }
    let subject = format!("{}: resident memory while blocks run", group.title());
    let finding = finding(&cells, &series, group.baseline);
    let mut figure = Figure::new("rss", &subject, &finding, caption, numbers(&cells, &series));
    let canvas = &mut figure.canvas;
    let grid = Grid::of_families(figure.top + 14.0, &families, BESIDE);
    for (panel, (family, cells)) in grid.panels().zip(&families) {
        let x = Axis::decimal(longest, 4, panel.x);
        let y = Axis::bytes(largest, 5, (panel.y.1, panel.y.0));
        let (x_unit, y_unit) = (x.unit(Quantity::Time, 1), y.unit(Quantity::Bytes, 1));
        panel.title(canvas, family, &format!("RSS in {}", y_unit.unit));
        let (up, right) = (y.ticks(|value| plain(y_unit, value)), x.ticks(|value| plain(x_unit, value)));
        panel.axes(canvas, &up, &right, &format!("time in {}", x_unit.unit));

        let curve = |name: &str| -> Vec<Point> {
            let points = thin(series.get(name).map_or(&[], Vec::as_slice)).into_iter();
            points.map(|(at, value)| (x.place(at as f64), y.place(value as f64))).collect()
        };
        if of_family(group.baseline) != *family && series.contains_key(group.baseline) {
            canvas.path(&curve(group.baseline), MUTED, 1.5);
        }
        let curves: Vec<Vec<Point>> = cells.iter().map(|cell| curve(cell.name())).collect();
        let ends: Vec<f64> = curves.iter().map(|curve| curve.last().map_or(panel.y.1, |end| end.1)).collect();
        let labels = panel.names(&ends, panel.y.0 - 6.0);
        for ((cell, curve), label) in cells.iter().zip(curves).zip(labels) {
            let (Some(end), Some((_, last))) = (curve.last(), series[cell.name()].last()) else { continue };
            let style = palette.style(cell.name());
            canvas.path(&curve, style.colour, 2.5);
            panel.lead(canvas, *end, label, style);
            canvas.marker(*end, 5.0, style);
            panel.name(canvas, label, style, variant(cell.name()), &bytes(*last));
        }
    }
    Some(figure.noting(&missing(group, drawn), grid.bottom(), 0.0))
}

fn numbers(cells: &[Shown], series: &Series) -> Numbers {
    let head = ["strategy", "first sample", "last sample", "largest sample", "steady", "peak (VmHWM)"];
    let rows = cells.iter().map(|cell| {
        let mut values = series[cell.name()].iter().map(|(_, value)| *value);
        let rss = cell.rss();
        let (first, most, last) = (values.clone().next(), values.clone().max(), values.next_back());
        let sizes = [first, last, most, rss.map(|rss| rss.steady), rss.map(|rss| rss.peak)];
        let sizes = sizes.map(|size| size.map_or("-".into(), bytes));
        [cell.name().to_owned()].into_iter().chain(sizes).collect()
    });
    Numbers::new(&head, rows)
}

fn finding(cells: &[Shown], series: &Series, baseline: &str) -> String {
    // The high-water mark of the tables where there is one: samples can miss the moment of the peak.
    let mark = |name: &str| cells.iter().find(|cell| cell.name() == name)?.rss().map(|rss| rss.peak);
    let sampled = |name: &str| series.get(name)?.iter().map(|(_, value)| *value).max();
    let peak = |name: &str| mark(name).or_else(|| sampled(name));
    let contenders = || cells.iter().filter(|cell| !cell.control()).map(|cell| cell.name());
    let least = contenders().min_by_key(|name| peak(name));
    let most = contenders().max_by_key(|name| peak(name));
    let (Some(least), Some(most)) = (least, most) else {
        return "only controls have figures".into();
    };
    let size = |name: &str| peak(name).map_or("-".into(), bytes);
    let say = |name: &str| {
        // Equal as far as the text shows: the first by name must not look like the only one.
        let others = match contenders().filter(|other| size(other) == size(name)).count() - 1 {
            0 => String::new(),
            1 => " and one other".into(),
            n => format!(" and {n} others"),
        };
        format!("{name}{others} ({})", size(name))
    };
    if size(least) == size(most) && least != most {
        return format!("all peak at {}", size(least));
    }
    let mut text = format!("lowest peak {}", say(least));
    if most != least {
        text += &format!(", highest {}", say(most));
    }
    if peak(baseline).is_some() && ![least, most].contains(&baseline) {
        text += &format!("; the baseline {baseline} ({})", size(baseline));
    }
    text
}
