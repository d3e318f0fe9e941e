//! What it takes from process start to the first block ready, stage by stage.
//!
//! Times of stages add up, so this is the one figure with a linear axis and stacked bars. One stage (compiling, as a
//! rule) often hides all others; then a second panel shows the same bars without it.

use anyhow::Result;
use plotters::prelude::DrawingBackend;

use super::axis::{Linear, round_ns};
use super::canvas::{Align, Canvas, Type};
use super::parts::{
    BODY, MARGIN, Rows, SMALL, background, heading, heading_height, missing, notes, notes_height, row, x_axis,
};
use super::{Figure, Numbers, WIDTH};
use crate::present::palette::{INK, Palette, Style, stage};
use crate::present::view::Group;
use crate::prose::printable;
use crate::units::ns;

const NAME: f64 = 306.0;
const RIGHT: f64 = 1182.0;
/// Room for the total behind a bar.
const TOTAL: f64 = 92.0;
/// From this share of all time on, a stage gets out of the others' way.
const DOMINANT: f64 = 0.6;
const LEGEND: Type = Type::new(19.0, INK);

/// Startup of all strategies on one workload.
pub struct StartupFigure {
    subject: String,
    finding: String,
    /// Names of the stages in their order.
    stages: Vec<String>,
    rows: Vec<Line>,
    controls: usize,
    missing: Vec<String>,
    dominant: Option<usize>,
}

struct Line {
    name: String,
    style: Style,
    /// By index of the stage; `None` where the strategy has no such stage.
    times: Vec<Option<u64>>,
    /// Fewest launches behind any stage.
    n: u32,
}

impl Line {
    fn total(&self, without: Option<usize>) -> u64 {
        let times = self.times.iter().enumerate().filter(|(i, _)| Some(*i) != without);
        times.fold(0, |sum, (_, time)| sum.saturating_add(time.unwrap_or(0)))
    }
}

impl StartupFigure {
    /// The figure, unless no sound strategy has stages.
    pub fn new(group: &Group, palette: &Palette) -> Option<StartupFigure> {
        let mut stages: Vec<String> = Vec::new();
        for cell in &group.cells {
            // A stage that only some strategies have goes behind the one it follows there.
            let mut next = 0;
            for stage in cell.startup() {
                next = match stages.iter().position(|known| *known == stage.name) {
                    Some(known) => known + 1,
                    None => {
                        stages.insert(next, stage.name.clone());
                        next + 1
                    }
                };
            }
        }
        if stages.is_empty() {
            return None;
        }
        let mut rows: Vec<Line> = Vec::new();
        let mut controls = 0;
        for control in [false, true] {
            for cell in group.sorted(control, |cell| cell.startup_total()) {
                if cell.startup().is_empty() {
                    continue;
                }
                controls += usize::from(control);
                let time = |name: &String| {
                    let same = cell.startup().iter().filter(|s| s.name == *name);
                    same.map(|s| s.ns).reduce(u64::saturating_add)
                };
                rows.push(Line {
                    name: cell.name().into(),
                    style: palette.style(cell.name()),
                    times: stages.iter().map(time).collect(),
                    n: cell.startup().iter().map(|s| s.n).min().unwrap_or(0),
                });
            }
        }
        let dominant = dominant(&rows, stages.len());
        let finding = finding(&rows[..rows.len() - controls], &stages, dominant);
        Some(StartupFigure {
            subject: format!("{}: startup, from process start to first block ready", group.title()),
            finding,
            stages,
            rows,
            controls,
            missing: missing(group, |cell| !cell.startup().is_empty()),
            dominant,
        })
    }

    /// Rows of the legend, each an offset from the left and a stage.
    fn legend(&self) -> Vec<Vec<(f64, usize)>> {
        let mut lines = vec![Vec::new()];
        let mut x = MARGIN;
        for (i, name) in self.stages.iter().enumerate() {
            let width = 30.0 + LEGEND.face().width(&printable(name)) + 26.0;
            if x + width > f64::from(WIDTH) - MARGIN && x > MARGIN {
                x = MARGIN;
                lines.push(Vec::new());
            }
            lines.last_mut().expect("there is a first line").push((x, i));
            x += width;
        }
        lines
    }

    fn legend_height(&self) -> f64 {
        28.0 * self.legend().len() as f64
    }

    fn top(&self) -> f64 {
        heading_height(&self.finding)
            + self.legend_height()
            + if self.dominant.is_some() { 40.0 } else { 12.0 }
    }

    fn places(&self) -> Rows {
        Rows::new(self.top(), self.rows.len() - self.controls, self.controls)
    }

    fn panel<B: DrawingBackend>(
        &self,
        canvas: &Canvas<B>,
        from: f64,
        to: f64,
        without: Option<usize>,
    ) -> Result<()> {
        let places = self.places();
        let ticks = if to - from > 600.0 { 6 } else { 4 };
        let longest = self.rows.iter().map(|line| line.total(without)).max().unwrap_or(0);
        let axis = Linear::decimal(longest, ticks, from, to - TOTAL);
        x_axis(canvas, &axis.ticks(round_ns), self.top(), places.bottom())?;
        for (index, line) in self.rows.iter().enumerate() {
            let y = places.centre(index);
            let mut sum: u64 = 0;
            for (i, time) in line.times.iter().enumerate().filter(|(i, _)| Some(*i) != without) {
                let start = axis.place(sum);
                sum = sum.saturating_add(time.unwrap_or(0));
                // A hair of paper between stages keeps neighbours apart.
                let end = axis.place(sum) - 1.0;
                canvas.rect((start, y - 9.5), (end, y + 9.5), stage(i))?;
            }
            let (total, x) = (ns(sum), axis.place(sum) + 8.0);
            canvas.rect(
                (x - 2.0, y - 11.0),
                (x + BODY.face().width(&total) + 2.0, y + 11.0),
                background(index),
            )?;
            canvas.text(&total, x, y, BODY, Align::Left)?;
        }
        Ok(())
    }
}

/// The stage that takes most of all strategies' time together, if it takes enough to hide the rest.
fn dominant(rows: &[Line], stages: usize) -> Option<usize> {
    let sum = |i: usize| rows.iter().map(|line| line.times[i].unwrap_or(0) as f64).sum::<f64>();
    let all: f64 = (0..stages).map(sum).sum();
    (0..stages).find(|i| sum(*i) > DOMINANT * all && stages > 1 && sum(*i) < all)
}

fn finding(contenders: &[Line], stages: &[String], dominant: Option<usize>) -> String {
    let (Some(first), Some(last)) = (contenders.first(), contenders.last()) else {
        return "only controls have figures".into();
    };
    let mut text = format!("{} is ready first, after {}", first.name, ns(first.total(None)));
    if contenders.len() > 1 {
        text += &format!("; {} last, after {}", last.name, ns(last.total(None)));
    }
    if let Some(stage) = dominant {
        text += &format!("; most of it is {}", stages[stage]);
    }
    text
}

impl Figure for StartupFigure {
    fn kind(&self) -> &'static str {
        "startup"
    }

    fn title(&self) -> (String, String) {
        (self.subject.clone(), self.finding.clone())
    }

    fn caption(&self) -> String {
        let mut text = "Each bar is one strategy's startup, from process start to the first block ready, as medians \
            over launches; its parts are the stages in the order in which they happen, and the figure behind it is \
            their sum. The axis is linear, so lengths can be compared."
            .to_owned();
        if let Some(stage) = self.dominant {
            text += &format!(
                " Because {} takes most of the time, the panel on the right repeats the bars without it, \
                 on an axis of its own.",
                self.stages[stage]
            );
        }
        text
    }

    fn numbers(&self) -> Numbers {
        let mut head = vec!["strategy".to_owned()];
        head.extend(self.stages.iter().cloned());
        head.extend(["total".into(), "launches".into()]);
        let rows = self.rows.iter().map(|line| {
            let mut row = vec![line.name.clone()];
            row.extend(line.times.iter().map(|time| time.map_or("-".into(), ns)));
            row.extend([ns(line.total(None)), line.n.to_string()]);
            row
        });
        Numbers { head, rows: rows.collect() }
    }

    fn height(&self) -> u32 {
        (self.places().bottom() + 44.0 + notes_height(&self.missing)) as u32
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Result<()> {
        heading(canvas, &self.title())?;
        let legend = heading_height(&self.finding) + 14.0;
        for (i, line) in self.legend().into_iter().enumerate() {
            let y = legend + 28.0 * i as f64;
            for (x, i) in line {
                canvas.rect((x, y - 8.0), (x + 22.0, y + 8.0), stage(i))?;
                canvas.text(&self.stages[i], x + 30.0, y, LEGEND, Align::Left)?;
            }
        }
        let places = self.places();
        for (index, line) in self.rows.iter().enumerate() {
            row(canvas, index, places.centre(index), line.style, &line.name, NAME - MARGIN)?;
        }
        places.divider(canvas)?;
        match self.dominant {
            None => self.panel(canvas, NAME + 14.0, RIGHT, None)?,
            Some(stage) => {
                let middle = 730.0;
                let header = self.top() - 18.0;
                canvas.text("all stages", NAME + 14.0, header, SMALL.bold(), Align::Left)?;
                self.panel(canvas, NAME + 14.0, middle, None)?;
                canvas.text(
                    &format!("without {}", self.stages[stage]),
                    middle + 22.0,
                    header,
                    SMALL.bold(),
                    Align::Left,
                )?;
                self.panel(canvas, middle + 22.0, RIGHT, Some(stage))?;
            }
        }
        notes(canvas, &self.missing, places.bottom() + 36.0)
    }
}
