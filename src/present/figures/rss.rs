//! Resident memory over time, a panel per family.
//!
//! Seventeen lines in one panel cannot be told apart. The panels share both axes, so that families can be compared;
//! each line is named at its end, where it also says how much memory it ended with.

use anyhow::Result;
use plotters::prelude::DrawingBackend;

use super::axis::{Linear, plain};
use super::canvas::Canvas;
use super::panels::{Grid, LABEL_GAP, Panel, families};
use super::parts::{heading, heading_height, missing, notes, notes_height};
use super::series::{Point, Series, series, spread, thin};
use super::{Figure, Numbers};
use crate::measure::row::Row;
use crate::present::palette::{MUTED, Palette, Style};
use crate::present::view::{Group, Shown, family as of_family, variant};
use crate::units::{Quantity, bytes};

/// Room for tick labels left of a panel, and for names right of it.
const TICKS: f64 = 52.0;
const LABELS: f64 = 290.0;

/// RSS of all strategies on one workload.
pub struct RssFigure {
    subject: String,
    finding: String,
    families: Vec<Family>,
    numbers: Numbers,
    missing: Vec<String>,
    baseline: Option<(String, Vec<Point>)>,
    longest: u64,
    largest: u64,
}

struct Family {
    name: String,
    lines: Vec<Line>,
}

struct Line {
    variant: String,
    style: Style,
    points: Vec<Point>,
}

impl RssFigure {
    /// The figure, unless no sound strategy was sampled.
    pub fn new(group: &Group, palette: &Palette, rows: &[Row]) -> Option<RssFigure> {
        let series = series(group, rows);
        let drawn = group.cells.iter().copied().filter(|cell| series.contains_key(cell.name()));
        let by_family = families(drawn.collect());
        let cells: Vec<Shown> = by_family.iter().flat_map(|(_, cells)| cells).copied().collect();
        let line = |cell: &Shown| Line {
            variant: variant(cell.name()).into(),
            style: palette.style(cell.name()),
            points: thin(&series[cell.name()]),
        };
        let family = |(name, cells): (&str, Vec<Shown>)| Family {
            name: name.into(),
            lines: cells.iter().map(line).collect(),
        };
        let all = || series.values().flatten();
        let longest = all().map(|(at, _)| *at).max()?;
        let largest = all().map(|(_, value)| *value).max()?;
        let rows = cells.iter().map(|cell| {
            let points = &series[cell.name()];
            let values = || points.iter().map(|(_, value)| *value);
            vec![
                cell.name().into(),
                points.first().map_or("-".into(), |(_, value)| bytes(*value)),
                points.last().map_or("-".into(), |(_, value)| bytes(*value)),
                values().max().map_or("-".into(), bytes),
                cell.rss().map_or("-".into(), |rss| bytes(rss.steady)),
                cell.rss().map_or("-".into(), |rss| bytes(rss.peak)),
            ]
        });
        let head = ["strategy", "first sample", "last sample", "largest sample", "steady", "peak (VmHWM)"];
        let numbers = Numbers { head: head.map(String::from).into(), rows: rows.collect() };
        Some(RssFigure {
            subject: format!("{}: resident memory while blocks run", group.title()),
            finding: finding(&cells, &series, group.baseline),
            numbers,
            families: by_family.into_iter().map(family).collect(),
            missing: missing(group, |cell| series.contains_key(cell.name())),
            baseline: series.get(group.baseline).map(|points| (group.baseline.into(), thin(points))),
            longest,
            largest,
        })
    }

    fn top(&self) -> f64 {
        heading_height(&self.finding) + 14.0
    }

    /// Height of the plot in a panel: enough for the labels of the fullest.
    fn plot_height(&self) -> f64 {
        let most = self.families.iter().map(|family| family.lines.len()).max().unwrap_or(0);
        (LABEL_GAP * most as f64).max(190.0)
    }

    fn grid(&self) -> Grid {
        Grid {
            top: self.top(),
            plot: self.plot_height(),
            beside: (TICKS, LABELS),
            panels: self.families.len(),
        }
    }

    fn draw_panel<B: DrawingBackend>(&self, canvas: &Canvas<B>, family: &Family, panel: Panel) -> Result<()> {
        let ((x0, x1), (y0, y1)) = (panel.x, panel.y);
        let x = Linear::decimal(self.longest, 4, x0, x1);
        let y = Linear::bytes(self.largest, 5, y1, y0).to_next_tick();
        let (x_unit, y_unit) = (x.unit(Quantity::Time), y.unit(Quantity::Bytes));
        panel.title(canvas, &family.name, &format!("RSS in {}", y_unit.unit))?;
        let up = y.ticks(|value| plain(y_unit, value as f64));
        let right = x.ticks(|value| plain(x_unit, value as f64));
        panel.axes(canvas, &up, &right, &format!("time in {}", x_unit.unit))?;

        let place = |(at, value): &(u64, u64)| (x.place(*at), y.place(*value));
        if let Some((name, points)) = &self.baseline
            && of_family(name) != family.name
        {
            let points: Vec<(f64, f64)> = points.iter().map(place).collect();
            canvas.path(&points, MUTED, 1.5)?;
        }
        let ends: Vec<f64> =
            family.lines.iter().map(|line| line.points.last().map_or(y1, |p| place(p).1)).collect();
        let labels = spread(&ends, LABEL_GAP, y0 - 6.0, y1 - 6.0);
        for (line, label) in family.lines.iter().zip(labels) {
            let points: Vec<(f64, f64)> = line.points.iter().map(place).collect();
            let Some(end) = points.last().copied() else { continue };
            canvas.path(&points, line.style.colour, 2.5)?;
            panel.lead(canvas, end, label, line.style)?;
            canvas.marker(end.0, end.1, 5.0, line.style)?;
            let value = line.points.last().map_or(String::new(), |(_, value)| bytes(*value));
            panel.name(canvas, label, line.style, (&line.variant, &value))?;
        }
        Ok(())
    }
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

impl Figure for RssFigure {
    fn kind(&self) -> &'static str {
        "rss"
    }

    fn title(&self) -> (String, String) {
        (self.subject.clone(), self.finding.clone())
    }

    fn caption(&self) -> String {
        let mut text = "Resident set of the process over the time of the memory pass, sampled from outside while \
            blocks run; one panel per family, all on the same axes. Each line is one launch, the one with the median \
            peak; its name and last value stand at its right. A line that climbs gives nothing back."
            .to_owned();
        if let Some((name, _)) = &self.baseline {
            text += &format!(" The thin grey line in the other panels is the baseline, {name}.");
        }
        text
    }

    fn numbers(&self) -> Numbers {
        self.numbers.clone()
    }

    fn height(&self) -> u32 {
        (self.grid().bottom() + notes_height(&self.missing)) as u32
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Result<()> {
        heading(canvas, &self.title())?;
        for (i, family) in self.families.iter().enumerate() {
            self.draw_panel(canvas, family, self.grid().panel(i))?;
        }
        notes(canvas, &self.missing, self.grid().bottom())
    }
}
