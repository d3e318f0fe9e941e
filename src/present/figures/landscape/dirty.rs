//! What a block costs over the number of its dirty pages: a panel per pattern, and where the best strategy changes.

use anyhow::Result;
use plotters::prelude::DrawingBackend;

use super::setting::{Curve, Setting};
use crate::present::figures::axis::{CloseTime, Tick};
use crate::present::figures::canvas::{Align, Canvas};
use crate::present::figures::panels::{Grid, LABEL_GAP, Panel};
use crate::present::figures::parts::{SMALL, heading, heading_height};
use crate::present::figures::series::spread;
use crate::present::figures::{Figure, Numbers};
use crate::present::palette::{GRID, MUTED, Palette, Style};
use crate::present::view::{Group, Shown};
use crate::units::{ns, ratio};

const TICKS: f64 = 78.0;
const LABELS: f64 = 304.0;
/// The strip above the lines in which crossovers are named.
const STRIP: f64 = 30.0;
/// Height that a tick's label needs, and width.
const TICK: (f64, f64) = (24.0, 14.0);

/// Cycle over dirty pages, all patterns of one setting.
pub struct DirtyFigure<'a> {
    subject: String,
    finding: String,
    panels: Vec<Lines<'a>>,
}

/// The lines of one pattern.
struct Lines<'a> {
    curve: &'a Curve<'a>,
    lines: Vec<Line<'a>>,
}

struct Line<'a> {
    name: &'a str,
    style: Style,
    /// Dirty pages and the median cycle.
    points: Vec<(u64, u64)>,
}

impl<'a> DirtyFigure<'a> {
    /// The figure, unless no pattern has more than one number of dirty pages.
    pub fn new(setting: &'a Setting<'a>, palette: &Palette) -> Option<DirtyFigure<'a>> {
        let curves: Vec<&Curve> = setting.curves.iter().filter(|curve| curve.places.len() > 1).collect();
        let finding = finding(&curves)?;
        Some(DirtyFigure {
            subject: format!("{}: cost of a block over its dirty pages", setting.title),
            finding,
            panels: curves.into_iter().map(|curve| Lines { curve, lines: lines(curve, palette) }).collect(),
        })
    }

    fn grid(&self) -> Grid {
        let most = self.panels.iter().map(|panel| panel.lines.len()).max().unwrap_or(0);
        Grid {
            top: heading_height(&self.finding) + 14.0,
            plot: (LABEL_GAP * most as f64).max(230.0) + STRIP,
            beside: (TICKS, LABELS),
            panels: self.panels.len(),
        }
    }

    fn draw_panel<B: DrawingBackend>(&self, canvas: &Canvas<B>, lines: &Lines, panel: Panel) -> Result<()> {
        let ((x0, x1), (y0, y1)) = (panel.x, panel.y);
        let top = y0 + STRIP;
        let all = || self.panels.iter().flat_map(|panel| &panel.lines).flat_map(|line| &line.points);
        let y = CloseTime::spanning(all().map(|(_, cycle)| *cycle), y1, top);
        let pages = Pages::spanning(all().map(|(dirty, _)| *dirty), x0, x1);
        panel.title(canvas, &lines.curve.pattern, "cycle (log scale)")?;
        for tick in y.ticks(TICK.0).into_iter().filter(|tick| !tick.label.is_empty()) {
            canvas.line((x0, tick.at), (x1, tick.at), GRID, 1.5)?;
            canvas.text(&tick.label, x0 - 8.0, tick.at, SMALL, Align::Right)?;
        }
        for tick in pages.ticks() {
            canvas.line((tick.at, y1), (tick.at, y1 + 5.0), MUTED, 1.5)?;
            canvas.text(&tick.label, tick.at, y1 + 19.0, SMALL, Align::Middle)?;
        }
        canvas.text("dirty pages", x1 + 40.0, y1 + 19.0, SMALL, Align::Left)?;
        self.draw_crossovers(canvas, lines.curve, &pages, (y0, y1))?;

        let place = |(dirty, cycle): &(u64, u64)| (pages.place(*dirty as f64), y.place(*cycle));
        let ends: Vec<f64> = lines.lines.iter().map(|l| l.points.last().map_or(y1, |p| place(p).1)).collect();
        for (line, label) in lines.lines.iter().zip(spread(&ends, LABEL_GAP, top, y1 - 6.0)) {
            let points: Vec<(f64, f64)> = line.points.iter().map(place).collect();
            let Some(end) = points.last().copied() else { continue };
            canvas.path(&points, line.style.colour, 2.5)?;
            for (x, y) in &points {
                canvas.marker(*x, *y, 4.5, line.style)?;
            }
            canvas.path(&[end, (x1 + 4.0, end.1), (x1 + 16.0, label)], line.style.colour, 1.0)?;
            let last = line.points.last().map_or(String::new(), |(_, cycle)| ns(*cycle));
            panel.name(canvas, label, line.style, (line.name, &last))?;
        }
        Ok(())
    }

    fn draw_crossovers<B: DrawingBackend>(
        &self,
        canvas: &Canvas<B>,
        curve: &Curve,
        pages: &Pages,
        (top, bottom): (f64, f64),
    ) -> Result<()> {
        let places: Vec<f64> = curve.crossovers.iter().map(|c| pages.place(c.dirty.value)).collect();
        let labels = spread(&places, 62.0, pages.from + 10.0, pages.to - 10.0);
        for ((crossover, place), label) in curve.crossovers.iter().zip(places).zip(labels) {
            let (low, high) = (pages.place(crossover.dirty.low), pages.place(crossover.dirty.high));
            canvas.rect((low - 1.0, top + 20.0), (high + 1.0, bottom), GRID)?;
            canvas.line((place, top + 20.0), (place, bottom), MUTED, 1.5)?;
            let dirty = crossover.dirty.value.round();
            canvas.text(&format!("≈ {dirty}"), label, top + 8.0, SMALL, Align::Middle)?;
        }
        Ok(())
    }
}

/// The contenders of a curve.
fn lines<'a>(curve: &'a Curve<'a>, palette: &Palette) -> Vec<Line<'a>> {
    let mut lines: Vec<Line> = Vec::new();
    for (dirty, group) in &curve.places {
        for cell in group.cells.iter().filter(|cell| !cell.control()) {
            let Some(cycle) = cell.cycle() else { continue };
            let point = (*dirty, cycle.p50);
            match lines.iter_mut().find(|line| line.name == cell.name()) {
                Some(line) => line.points.push(point),
                None => lines.push(Line {
                    name: cell.name(),
                    style: palette.style(cell.name()),
                    points: vec![point],
                }),
            }
        }
    }
    lines
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

/// The axis of dirty pages: logarithmic, with a place for none.
struct Pages {
    values: Vec<u64>,
    from: f64,
    to: f64,
}

impl Pages {
    fn spanning(values: impl Iterator<Item = u64>, from: f64, to: f64) -> Pages {
        let values: std::collections::BTreeSet<u64> = values.collect();
        Pages { values: values.into_iter().collect(), from, to }
    }

    /// Where a number lies; none is as far left of one as four is right of it.
    fn place(&self, dirty: f64) -> f64 {
        let log = |dirty: f64| dirty.max(0.25).log2();
        let ends = (self.values.first().copied().unwrap_or(0), self.values.last().copied().unwrap_or(1));
        let (low, high) = (log(ends.0 as f64), log(ends.1 as f64));
        let share = if high > low { (log(dirty) - low) / (high - low) } else { 0.5 };
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// The measured numbers, named from the largest down as far as there is room.
    fn ticks(&self) -> Vec<Tick> {
        let mut left = f64::INFINITY;
        let mut ticks: Vec<Tick> = Vec::new();
        for value in self.values.iter().rev() {
            let (at, label) = (self.place(*value as f64), value.to_string());
            let half = SMALL.face().width(&label) / 2.0;
            let fits = at + half + TICK.1 <= left;
            if fits {
                left = at - half;
            }
            ticks.push(Tick { at, label: if fits { label } else { String::new() } });
        }
        ticks
    }
}

impl Figure for DirtyFigure<'_> {
    fn kind(&self) -> &'static str {
        "dirty"
    }

    fn title(&self) -> (String, String) {
        (self.subject.clone(), self.finding.clone())
    }

    fn caption(&self) -> String {
        "Each line is the median cycle of a strategy over the pages that a block dirties; lower is faster. Both axes are \
         logarithmic, with a place for no dirty page at all, and all panels share them; each panel is one pattern in \
         which the pages lie and move. Where the best strategy changes for certain, a vertical line says at about how many \
         dirty pages; the grey band around it is where nobody can tell. The figure beside a name is its cycle with the \
         most dirty pages."
            .into()
    }

    fn numbers(&self) -> Numbers {
        let head = [
            "pattern",
            "dirty pages",
            "best",
            "cycle p50",
            "next best",
            "times the best's cycle",
            "crossover after it",
        ];
        let mut rows = Vec::new();
        for Lines { curve, .. } in &self.panels {
            for (dirty, group) in &curve.places {
                let Some(best) = group.best() else { continue };
                let next = super::portrait::next(group);
                let crossing = curve.crossovers.iter().find(|c| c.before == best.name());
                rows.push(vec![
                    curve.pattern.clone(),
                    dirty.to_string(),
                    best.name().into(),
                    best.cycle().map_or("-".into(), |q| ns(q.p50)),
                    next.map_or("-".into(), |cell| cell.name().into()),
                    next.and_then(Shown::regret).map_or("-".into(), |r| ratio(r.value)),
                    crossing.map_or("-".into(), |c| c.sentence.replace('`', "")),
                ]);
            }
        }
        Numbers { head: head.map(String::from).to_vec(), rows }
    }

    fn height(&self) -> u32 {
        self.grid().bottom() as u32
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Result<()> {
        heading(canvas, &self.title())?;
        for (i, lines) in self.panels.iter().enumerate() {
            self.draw_panel(canvas, lines, self.grid().panel(i))?;
        }
        Ok(())
    }
}
