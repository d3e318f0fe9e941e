//! Ratios to the baseline over the nights, a panel per workload, with the nights on which they changed.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Result;
use plotters::prelude::DrawingBackend;

use super::axis::Ratios;
use super::canvas::{Align, Canvas};
use super::panels::{Grid, LABEL_GAP, Panel};
use super::parts::{SMALL, heading, heading_height};
use super::series::spread;
use super::{Figure, Numbers};
use crate::analyse::summary::Ratio;
use crate::gate::course::{ChangePoint, Course, Stop};
use crate::present::palette::{GRID, MUTED, PAPER, Palette, Style};
use crate::units::ratio;

/// Room for tick labels left of a panel, and for names right of it.
const BESIDE: (f64, f64) = (62.0, 300.0);
const PLOT: f64 = 210.0;
/// Lines of one panel that can still be told apart.
const FEW: usize = 5;
/// Between two lines of change points, and between two of them on a line.
const LINE: f64 = 24.0;
const APART: f64 = 34.0;
/// Room for a date below the plot.
const DATE: f64 = 130.0;

/// Ratios of the best strategies of each workload on all nights of a machine class.
pub struct HistoryFigure<'a> {
    subject: String,
    finding: String,
    panels: Vec<Lines<'a>>,
    courses: &'a [Course],
    /// When the first and the last night began.
    span: (u64, u64),
}

/// The lines of one workload.
struct Lines<'a> {
    place: String,
    lines: Vec<(&'a Course, Style)>,
    /// How many there are with those that are not drawn.
    of: usize,
}

/// A change point and where it is written.
struct Label {
    text: String,
    style: Style,
    /// Middle of its text, and its line from the top.
    x: f64,
    line: usize,
    point: (f64, f64),
}

impl<'a> HistoryFigure<'a> {
    /// The figure, unless there is no course. `class` is the machine's, `baseline` what the ratios are to.
    pub fn new(
        courses: &'a [Course],
        palette: &Palette,
        class: &str,
        baseline: &str,
    ) -> Option<HistoryFigure<'a>> {
        let mut places = BTreeMap::<String, Vec<&Course>>::new();
        for course in courses {
            places.entry(course.series.place()).or_default().push(course);
        }
        let panels = places.into_iter().map(|(place, mut courses)| {
            let last = |course: &Course| course.nights.last().map_or(f64::INFINITY, |stop| stop.ratio);
            courses.sort_by(|a, b| {
                (a.changes.is_empty().cmp(&b.changes.is_empty())).then(last(a).total_cmp(&last(b)))
            });
            let of = courses.len();
            courses.truncate(FEW);
            courses.sort_by(|a, b| b.series.strategy.cmp(&a.series.strategy));
            let style = |course: &'a Course| (course, palette.style(&course.series.strategy));
            Lines { place, lines: courses.into_iter().map(style).collect(), of }
        });
        let nights = || courses.iter().flat_map(|course| &course.nights).map(|stop| stop.at);
        Some(HistoryFigure {
            subject: format!("Cycle over the nights, as ratio to {baseline}, on {class}"),
            finding: finding(courses),
            panels: panels.collect(),
            courses,
            span: (nights().min()?, nights().max()?),
        })
    }

    /// Where a night lies between two edges; a single one in their middle.
    fn night(&self, at: u64, (left, right): (f64, f64)) -> f64 {
        let (first, last) = self.span;
        if first == last {
            return f64::midpoint(left, right);
        }
        left + (at - first) as f64 / (last - first) as f64 * (right - left)
    }

    /// Panels below one another, since a month of nights needs the whole width.
    fn grids(&self) -> Vec<Grid> {
        let mut top = heading_height(&self.finding) + 14.0;
        let grid = |lines: &Lines| {
            let grid = Grid { top, plot: PLOT, beside: BESIDE, panels: 1 };
            let strip = LINE * self.labels(lines, grid.panel(0)).1 as f64;
            let grid = Grid { plot: PLOT + strip, ..grid };
            top = grid.bottom();
            grid
        };
        self.panels.iter().map(grid).collect()
    }

    /// The change points of a panel with their texts side by side, and the lines that these need.
    fn labels(&self, lines: &Lines, panel: Panel) -> (Vec<Label>, usize) {
        let (x0, x1) = panel.x;
        let mut changes: Vec<(&Course, Style, &ChangePoint)> = Vec::new();
        for (course, style) in &lines.lines {
            changes.extend(course.changes.iter().map(|change| (*course, *style, change)));
        }
        changes.sort_by_key(|(course, _, change)| course.nights[change.night].at);
        let mut ends: Vec<f64> = Vec::new();
        let labels = changes.into_iter().map(|(course, style, change)| {
            let stop = &course.nights[change.night];
            let text = label(stop, change);
            let half = SMALL.face().width(&text) / 2.0;
            let at = self.night(stop.at, panel.x);
            let x = at.max(x0 + half + 16.0).min(x1 - half);
            let line = ends.iter().position(|end| end + APART <= x - half).unwrap_or(ends.len());
            match ends.get_mut(line) {
                Some(end) => *end = x + half,
                None => ends.push(x + half),
            }
            Label { text, style, x, line, point: (at, stop.ratio) }
        });
        let labels: Vec<Label> = labels.collect();
        (labels, ends.len())
    }

    fn draw_panel<B: DrawingBackend>(&self, canvas: &Canvas<B>, lines: &Lines, panel: Panel) -> Result<()> {
        let ((x0, x1), (y0, y1)) = (panel.x, panel.y);
        let (labels, strip) = self.labels(lines, panel);
        let top = y0 + LINE * strip as f64;
        let stops = || lines.lines.iter().flat_map(|(course, _)| &course.nights);
        let values = stops()
            .flat_map(|stop| [Some(stop.ratio), stop.interval.map(|i| i[0]), stop.interval.map(|i| i[1])]);
        let y = Ratios::spanning(values.flatten(), y1, top + 6.0);
        let count = match lines.of - lines.lines.len() {
            0 => String::new(),
            1 => ", 1 other in the table".into(),
            others => format!(", {others} others in the table"),
        };
        panel.title(canvas, &lines.place, &format!("ratio to the baseline (log scale){count}"))?;
        for tick in y.ticks() {
            canvas.line((x0, tick.at), (x1, tick.at), GRID, 1.5)?;
            canvas.text(&tick.label, x0 - 8.0, tick.at, SMALL, Align::Right)?;
        }
        self.draw_dates(canvas, panel)?;
        for label in &labels {
            let (x, from) = (label.point.0, y0 + LINE * (label.line as f64 + 0.5) + 10.0);
            canvas.line((x, from), (x, y.place(label.point.1)), MUTED, 1.0)?;
        }
        let ends: Vec<f64> = lines
            .lines
            .iter()
            .map(|(course, _)| course.nights.last().map_or(y1, |stop| y.place(stop.ratio)))
            .collect();
        let names = spread(&ends, LABEL_GAP, top, y1 - 6.0);
        for ((course, style), name) in lines.lines.iter().zip(names) {
            let place = |stop: &Stop| (self.night(stop.at, panel.x), y.place(stop.ratio));
            let quiet: Vec<(f64, f64)> = course.nights.iter().filter(|stop| !stop.noisy).map(place).collect();
            canvas.path(&quiet, style.colour, 1.5)?;
            for stop in &course.nights {
                let (x, at) = place(stop);
                if let Some([low, high]) = stop.interval {
                    canvas.line((x, y.place(low)), (x, y.place(high)), style.colour, 1.5)?;
                }
                if stop.noisy {
                    canvas.hollow_marker(x, at, 5.5, *style)?;
                } else {
                    canvas.marker(x, at, 3.0, *style)?;
                }
            }
            for change in &course.changes {
                let (x, at) = place(&course.nights[change.night]);
                canvas.marker(x, at, 8.0, *style)?;
            }
            let Some(last) = course.nights.last() else { continue };
            let end = place(last);
            canvas.path(&[end, (x1 + 6.0, end.1), (x1 + 16.0, name)], style.colour, 1.0)?;
            panel.name(canvas, name, *style, (&course.series.strategy, &ratio(last.ratio)))?;
        }
        for label in &labels {
            let at = y0 + LINE * (label.line as f64 + 0.5) - 4.0;
            let half = SMALL.face().width(&label.text) / 2.0;
            let left = label.x - half;
            // The lines to other change points end behind the text.
            canvas.rect((left - 18.0, at - LINE / 2.0), (label.x + half + 2.0, at + LINE / 2.0), PAPER)?;
            canvas.marker(left - 10.0, at, 5.5, label.style)?;
            canvas.text(&label.text, label.x, at, SMALL, Align::Middle)?;
        }
        Ok(())
    }

    /// As many dates as there is room for, the first and the last among them.
    fn draw_dates<B: DrawingBackend>(&self, canvas: &Canvas<B>, panel: Panel) -> Result<()> {
        let ((x0, x1), y) = (panel.x, panel.y.1);
        let mut nights: Vec<u64> = self.courses.iter().flat_map(|c| &c.nights).map(|stop| stop.at).collect();
        nights.sort_unstable();
        nights.dedup();
        let mut free = (x0 - DATE, self.night(self.span.1, panel.x));
        for at in nights {
            let x = self.night(at, panel.x);
            canvas.line((x, y), (x, y + 5.0), MUTED, 1.5)?;
            if at == self.span.1 || (x - free.0 >= DATE && free.1 - x >= DATE) {
                canvas.text(&date(at), x, y + 19.0, SMALL, Align::Middle)?;
                free.0 = x;
            }
        }
        canvas.text("night", x1 + 60.0, y + 19.0, SMALL, Align::Left)
    }
}

/// `2026-01-21`, in UTC.
fn date(at: u64) -> String {
    let mut text = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(at)).to_string();
    text.truncate("2026-01-21".len());
    text
}

fn percent(change: &Ratio) -> String {
    format!("{:+.1} %", (change.value - 1.0) * 100.0)
}

/// `2026-01-21 +5.0 %`.
fn label(stop: &Stop, change: &ChangePoint) -> String {
    let once = if change.twice { "" } else { " (seen once)" };
    format!("{} {}{once}", date(stop.at), percent(&change.change))
}

fn finding(courses: &[Course]) -> String {
    let nights = courses.iter().map(|course| course.nights.len()).max().unwrap_or(0);
    let nights = if nights == 1 { "1 night".into() } else { format!("{nights} nights") };
    let changes = || courses.iter().flat_map(|c| c.changes.iter().map(move |change| (c, change)));
    let last = changes().max_by_key(|(course, change)| course.nights[change.night].at);
    let Some((course, change)) = last else { return format!("no change point in {nights}") };
    let count = match changes().count() {
        1 => "1 change point".into(),
        count => format!("{count} change points"),
    };
    format!(
        "{count} in {nights}; the last is {} on {}, {}",
        course.series.strategy,
        course.series.place(),
        label(&course.nights[change.night], change)
    )
}

impl Figure for HistoryFigure<'_> {
    fn kind(&self) -> &'static str {
        "history"
    }

    fn title(&self) -> (String, String) {
        (self.subject.clone(), self.finding.clone())
    }

    fn caption(&self) -> String {
        "Each mark is a strategy's cycle over the baseline's of the same night, the upright line its interval; lower is \
         faster, and each panel has its own logarithmic axis. Drawn are those that changed and the fastest, five at most. \
         A hollow mark is a noisy night, which no line passes through and which judges nobody. A large mark is a change \
         point, with its date and its size above: a night beyond the threshold of the nights before it, held against the \
         night of the change before or the first one, and seen again on the next quiet night. What only the last night \
         shows is seen once unless it was run again. Nights on other blocks or another module are left out."
            .into()
    }

    fn numbers(&self) -> Numbers {
        let head = [
            "strategy",
            "workload",
            "nights",
            "of them noisy",
            "first ratio",
            "last ratio",
            "interval",
            "change points",
        ];
        let rows = self.courses.iter().map(|course| {
            let (first, last) = (course.nights.first(), course.nights.last());
            let value = |stop: Option<&Stop>| stop.map_or("-".into(), |stop| ratio(stop.ratio));
            let interval = last.and_then(|stop| stop.interval);
            let changes: Vec<String> =
                course.changes.iter().map(|change| label(&course.nights[change.night], change)).collect();
            vec![
                course.series.strategy.clone(),
                course.series.place(),
                course.nights.len().to_string(),
                course.nights.iter().filter(|stop| stop.noisy).count().to_string(),
                value(first),
                value(last),
                interval.map_or("-".into(), |[low, high]| format!("{} to {}", ratio(low), ratio(high))),
                if changes.is_empty() { "none".into() } else { changes.join(", ") },
            ]
        });
        Numbers { head: head.map(String::from).to_vec(), rows: rows.collect() }
    }

    fn height(&self) -> u32 {
        self.grids().last().map_or(0, |grid| grid.bottom() as u32)
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Result<()> {
        heading(canvas, &self.title())?;
        for (lines, grid) in self.panels.iter().zip(self.grids()) {
            self.draw_panel(canvas, lines, grid.panel(0))?;
        }
        Ok(())
    }
}
