//! How long single blocks take: the cumulative distribution of the cycle, a panel per family.
//!
//! Means hide what an indexer feels, so the vertical axis is stretched towards its upper end: from 90 to 99 per cent
//! is as far as from 0 to 90. On a linear axis the tail would be the last tenth of the height.

use anyhow::Result;
use plotters::prelude::DrawingBackend;

use super::axis::CloseTime;
use super::canvas::{Align, Canvas};
use super::panels::{Grid, LABEL_GAP, Panel};
use super::parts::{SMALL, heading, heading_height, missing, notes, notes_height};
use super::{Figure, Numbers};
use crate::analyse::distribution::{Distribution, Place};
use crate::analyse::summary::Quantiles;
use crate::present::palette::{GRID, MUTED, Palette, Style, family_rank};
use crate::present::view::{Group, Shown, family as of_family, variant};
use crate::units::ns;

const TICKS: f64 = 62.0;
const LABELS: f64 = 270.0;
/// Room for the label of a tick.
const TICK: f64 = 72.0;
/// What the vertical axis names, in per cent; also its ends.
const NAMED: [u8; 5] = [0, 50, 90, 95, 99];
/// Where curves are marked.
const MARKED: [u8; 3] = [50, 95, 99];

/// Cycle times of all strategies on one workload.
pub struct CyclesFigure {
    subject: String,
    finding: String,
    families: Vec<Family>,
    missing: Vec<String>,
    baseline: Option<(String, Vec<Place>)>,
}

struct Family {
    name: String,
    lines: Vec<Line>,
}

struct Line {
    name: String,
    style: Style,
    /// Up to 99 per cent.
    places: Vec<Place>,
    cycle: Quantiles,
}

impl CyclesFigure {
    /// The figure, unless no sound strategy has times of single blocks.
    pub fn new(group: &Group, palette: &Palette, distributions: &[Distribution]) -> Option<CyclesFigure> {
        let find = |name: &str| {
            let here = |d: &&Distribution| d.workload == group.workload && d.params == *group.params;
            distributions.iter().filter(here).find(|d| d.strategy == name)
        };
        let shown = |cell: Shown| Some((find(cell.name())?, cell.cycle()?));
        let mut cells: Vec<Shown> = group.cells.iter().copied().filter(|c| shown(*c).is_some()).collect();
        cells.sort_by_key(|cell| {
            (family_rank(cell.name()), of_family(cell.name()), cell.cycle().map(|q| q.p50), cell.name())
        });
        let mut families: Vec<Family> = Vec::new();
        for cell in &cells {
            let Some((distribution, cycle)) = shown(*cell) else { continue };
            let line = Line {
                name: cell.name().into(),
                style: palette.style(cell.name()),
                places: within(&distribution.places),
                cycle,
            };
            match families.last_mut().filter(|known| known.name == of_family(cell.name())) {
                Some(family) => family.lines.push(line),
                None => families.push(Family { name: of_family(cell.name()).into(), lines: vec![line] }),
            }
        }
        if families.is_empty() {
            return None;
        }
        let baseline =
            cells.iter().find(|cell| cell.name() == group.baseline).and_then(|cell| find(cell.name()));
        Some(CyclesFigure {
            subject: format!("{}: how long single blocks take", group.title()),
            finding: finding(&cells),
            families,
            missing: missing(group, |cell| shown(cell).is_some()),
            baseline: baseline.map(|d| (d.strategy.clone(), within(&d.places))),
        })
    }

    fn grid(&self) -> Grid {
        let most = self.families.iter().map(|family| family.lines.len()).max().unwrap_or(0);
        Grid {
            top: heading_height(&self.finding) + 14.0,
            plot: (LABEL_GAP * most as f64).max(190.0),
            beside: (TICKS, LABELS),
            panels: self.families.len(),
        }
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        self.families.iter().flat_map(|family| &family.lines)
    }

    fn draw_panel<B: DrawingBackend>(&self, canvas: &Canvas<B>, family: &Family, panel: Panel) -> Result<()> {
        let ((x0, x1), (y0, y1)) = (panel.x, panel.y);
        let times = self.lines().flat_map(|line| &line.places).flat_map(|p| [p.low, p.middle, p.high]);
        let x = CloseTime::spanning(times, x0, x1);
        panel.title(canvas, &family.name, "blocks done within a time")?;
        for percent in NAMED {
            let at = height(percent, y0, y1);
            canvas.line((x0, at), (x1, at), GRID, 1.5)?;
            canvas.text(&format!("{percent} %"), x0 - 8.0, at, SMALL, Align::Right)?;
        }
        for tick in x.ticks(TICK) {
            canvas.line((tick.at, y1), (tick.at, y1 + 5.0), MUTED, 1.5)?;
            canvas.text(&tick.label, tick.at, y1 + 19.0, SMALL, Align::Middle)?;
        }
        let curve = |places: &[Place]| -> Vec<(f64, f64)> {
            places.iter().map(|p| (x.place(p.middle), height(p.percent, y0, y1))).collect()
        };
        if let Some((name, places)) = &self.baseline
            && of_family(name) != family.name
        {
            canvas.path(&curve(places), MUTED, 1.5)?;
        }
        for line in &family.lines {
            canvas.path(&curve(&line.places), line.style.colour, 2.5)?;
            for place in line.places.iter().filter(|place| MARKED.contains(&place.percent)) {
                let at = height(place.percent, y0, y1);
                let (low, high) = (x.place(place.low), x.place(place.high));
                canvas.line((low, at), (high, at), line.style.colour, 1.0)?;
                canvas.marker(x.place(place.middle), at, 5.0, line.style)?;
            }
        }
        for (i, line) in family.lines.iter().enumerate() {
            let at = y0 + 4.0 + LABEL_GAP * i as f64;
            panel.name(canvas, at, line.style, (variant(&line.name), &ns(line.cycle.p50)))?;
        }
        Ok(())
    }
}

/// The places that the axis has room for: the last per cent has no end on it.
fn within(places: &[Place]) -> Vec<Place> {
    places.iter().copied().filter(|place| place.percent <= NAMED[NAMED.len() - 1]).collect()
}

/// Where a share of blocks lies, the axis being logarithmic in what is still missing to all of them.
fn height(percent: u8, top: f64, bottom: f64) -> f64 {
    let left = |percent: u8| (f64::from(100 - percent.min(99)) / 100.0).log10();
    bottom - left(percent) / left(99) * (bottom - top)
}

fn finding(cells: &[Shown]) -> String {
    let contenders = || cells.iter().filter(|cell| !cell.control());
    let least = contenders().min_by_key(|cell| (cell.cycle().map(|q| q.p99), cell.name()));
    let median = contenders().min_by_key(|cell| (cell.cycle().map(|q| q.p50), cell.name()));
    let (Some(least), Some(median)) = (least, median) else {
        return "only controls have figures".into();
    };
    let p99 = |cell: &Shown| cell.cycle().map_or("-".into(), |q| ns(q.p99));
    // What reads the same is not to be told apart by its name.
    if p99(least) == p99(median) {
        return format!(
            "{} is fastest in the median, and no one is faster at p99 ({})",
            median.name(),
            p99(median)
        );
    }
    format!(
        "{} is fastest in the median (p99 {}), {} at p99 ({})",
        median.name(),
        p99(median),
        least.name(),
        p99(least)
    )
}

impl Figure for CyclesFigure {
    fn kind(&self) -> &'static str {
        "cycles"
    }

    fn title(&self) -> (String, String) {
        (self.subject.clone(), self.finding.clone())
    }

    fn caption(&self) -> String {
        let mut text = "Each curve says which share of the blocks had its cycle done within a time; further left is \
            faster, and a curve that leans to the right has slow blocks. Both axes are logarithmic, the vertical one in \
            the share that is left, so that the tail can be seen; it ends at 99 %. The marks are p50, p95 and p99, each \
            the median over launches, and the thin lines through them reach from the least to the largest launch. The \
            figure beside a name is its p50."
            .to_owned();
        if let Some((name, _)) = &self.baseline {
            text += &format!(" The thin grey curve in the other panels is the baseline, {name}.");
        }
        text
    }

    fn numbers(&self) -> Numbers {
        let head = ["strategy", "cycle p50", "p95", "p99", "max", "p99 of launches", "blocks"];
        let rows = self.lines().map(|line| {
            let c = line.cycle;
            let range = line.places.iter().find(|place| place.percent == 99);
            let range = range.map_or("-".into(), |p| format!("{} to {}", ns(p.low), ns(p.high)));
            let times = [c.p50, c.p95, c.p99, c.max].map(ns);
            [line.name.clone()].into_iter().chain(times).chain([range, c.n.to_string()]).collect()
        });
        Numbers { head: head.map(String::from).to_vec(), rows: rows.collect() }
    }

    fn height(&self) -> u32 {
        (self.grid().bottom() + notes_height(&self.missing)) as u32
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Result<()> {
        heading(canvas, &self.title())?;
        let grid = self.grid();
        for (i, family) in self.families.iter().enumerate() {
            self.draw_panel(canvas, family, grid.panel(i))?;
        }
        notes(canvas, &self.missing, grid.bottom())
    }
}
