//! RSS over the blocks of the long run: what each strategy gained and lost, a panel per family.
//!
//! Drawn is the difference to the first reading: a leak of a few bytes per block cannot be seen beside the tens of MiB
//! that a process has anyway. The bar right of the lines is the interval of the growth, as bytes over as many blocks, so
//! that a climb is not taken for growth where the windows say that it may be chance.

use std::collections::BTreeMap;

use anyhow::Result;
use plotters::prelude::DrawingBackend;

use super::axis::{Gains, Linear};
use super::canvas::Canvas;
use super::panels::{Grid, LABEL_GAP, Panel, families};
use super::parts::{heading, heading_height, missing, notes, notes_height};
use super::series::{long_runs, spread};
use super::{Figure, Numbers};
use crate::analyse::evidence::LongRun;
use crate::analyse::summary::Growth;
use crate::measure::row::Row;
use crate::present::growth::{grouped, interval};
use crate::present::palette::{MUTED, Palette, Style};
use crate::present::view::{Group, Shown, variant};
use crate::prose::percent;
use crate::units::{bytes, gained};

/// Room for tick labels left of a panel, and for names right of it.
const TICKS: f64 = 60.0;
const LABELS: f64 = 280.0;
/// From one strategy's bar to the next.
const LANE: f64 = 9.0;

/// RSS over blocks of all strategies on one workload.
pub struct GrowthFigure {
    subject: String,
    finding: String,
    families: Vec<Family>,
    numbers: Numbers,
    missing: Vec<String>,
    /// Blocks of the longest run.
    blocks: u64,
    level: f64,
}

struct Family {
    name: String,
    lines: Vec<Line>,
}

struct Line {
    variant: String,
    style: Style,
    /// Blocks and bytes since the first reading.
    points: Vec<(u64, f64)>,
    /// What the run gained, and the ends of its interval, in bytes.
    gain: f64,
    bar: Option<(f64, f64)>,
}

impl Line {
    fn new(cell: &Shown, run: &LongRun, palette: &Palette) -> Line {
        let first = run.rss.first().map_or(0.0, |bytes| *bytes as f64);
        let readings = (0..).zip(&run.rss);
        let blocks = run.blocks() as f64;
        Line {
            variant: variant(cell.name()).into(),
            style: palette.style(cell.name()),
            points: readings.map(|(i, bytes)| (run.window * i, *bytes as f64 - first)).collect(),
            gain: run.gained(),
            bar: cell.growth().map(|growth| (growth.low * blocks, growth.high * blocks)),
        }
    }

    /// Everything that has to be on the axis.
    fn values(&self) -> impl Iterator<Item = f64> {
        let bar = self.bar.into_iter().flat_map(|(low, high)| [low, high]);
        self.points.iter().map(|(_, value)| *value).chain(bar)
    }
}

impl GrowthFigure {
    /// The figure, unless no sound strategy had a long run.
    pub fn new(group: &Group, palette: &Palette, rows: &[Row]) -> Option<GrowthFigure> {
        let runs = long_runs(group, rows);
        let blocks = runs.values().map(LongRun::blocks).max()?;
        let drawn = group.cells.iter().copied().filter(|cell| runs.contains_key(cell.name()));
        let by_family = families(drawn.collect());
        let cells: Vec<Shown> = by_family.iter().flat_map(|(_, cells)| cells).copied().collect();
        let line = |cell: &Shown| Line::new(cell, &runs[cell.name()], palette);
        let family = |(name, cells): (&str, Vec<Shown>)| Family {
            name: name.into(),
            lines: cells.iter().map(line).collect(),
        };
        Some(GrowthFigure {
            subject: format!("{}: resident memory over {} blocks", group.title(), grouped(blocks)),
            finding: finding(&cells),
            numbers: numbers(&cells, &runs),
            families: by_family.into_iter().map(family).collect(),
            missing: missing(group, |cell| runs.contains_key(cell.name())),
            blocks,
            level: group.method.level,
        })
    }

    /// Lines of the fullest panel.
    fn most(&self) -> f64 {
        self.families.iter().map(|family| family.lines.len()).max().unwrap_or(0) as f64
    }

    fn grid(&self) -> Grid {
        Grid {
            top: heading_height(&self.finding) + 14.0,
            plot: (LABEL_GAP * self.most()).max(190.0),
            beside: (TICKS, LABELS),
            panels: self.families.len(),
        }
    }

    fn draw_panel<B: DrawingBackend>(&self, canvas: &Canvas<B>, family: &Family, panel: Panel) -> Result<()> {
        let ((x0, x1), (y0, y1)) = (panel.x, panel.y);
        // Bars stand side by side, right of the lines.
        let bars = x1 - LANE * self.most();
        let x = Linear::decimal(self.blocks, 2, x0, bars - LANE);
        let values = self.families.iter().flat_map(|family| &family.lines).flat_map(Line::values);
        let y = Gains::spanning(values, 5, y1, y0);
        panel.title(canvas, &family.name, &format!("RSS gained, in {}", y.unit().unit))?;
        panel.axes(canvas, &y.ticks(), &x.ticks(grouped), "blocks")?;
        canvas.line((x0, y.place(0.0)), (x1, y.place(0.0)), MUTED, 1.5)?;

        let ends: Vec<f64> = family.lines.iter().map(|line| y.place(line.gain)).collect();
        let labels = spread(&ends, LABEL_GAP, y0 - 6.0, y1 - 6.0);
        for (lane, ((line, end), label)) in (0..).zip(family.lines.iter().zip(ends).zip(labels)) {
            let points: Vec<(f64, f64)> =
                line.points.iter().map(|(at, value)| (x.place(*at), y.place(*value))).collect();
            canvas.path(&points, line.style.colour, 2.5)?;
            let last = points.last().map_or(bars, |(at, _)| *at);
            panel.lead(canvas, (last, end), label, line.style)?;
            let at = bars + LANE * (f64::from(lane) + 0.5);
            if let Some((low, high)) = line.bar {
                canvas.line((at, y.place(low)), (at, y.place(high)), line.style.colour, 3.0)?;
            }
            canvas.marker(at, end, 4.0, line.style)?;
            panel.name(canvas, label, line.style, (&line.variant, &gained(line.gain)))?;
        }
        Ok(())
    }
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
    Numbers { head: head.map(String::from).into(), rows: cells.iter().map(row).collect() }
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

impl Figure for GrowthFigure {
    fn kind(&self) -> &'static str {
        "growth"
    }

    fn title(&self) -> (String, String) {
        (self.subject.clone(), self.finding.clone())
    }

    fn caption(&self) -> String {
        format!(
            "Resident set over the blocks of the long run, as what it gained since its first reading; it is read between \
             windows of whole traces, while the process waits. One panel per family, all on the same axes. The bar right \
             of the lines is the {} interval of a strategy's growth over all these blocks: where it lies above zero, memory \
             grows, and where it reaches across, a climb may be chance or a step that was taken once.",
            percent(self.level)
        )
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
