//! Ratios to the baseline over the nights, a panel per workload, with the nights on which they changed.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use super::axis::Axis;
use super::canvas::{Align, Canvas, Point};
use super::panels::{Grid, Panel};
use super::parts::SMALL;
use super::{Figure, Numbers};
use crate::analyse::summary::Ratio;
use crate::gate::course::{ChangePoint, Course, Stop};
use crate::present::palette::{MUTED, PAPER, Palette, Style};
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

const CAPTION: &str = "Each mark is a strategy's cycle over the baseline's of the same night, the upright line its interval; \
    lower is faster, and each panel has its own logarithmic axis. Drawn are those that changed and the fastest, five at most. \
    A hollow mark is a noisy night, which no line passes through and which judges nobody. A large mark is a change \
    point, with its date and its size above: a night beyond the threshold of the nights before it, held against the \
    night of the change before or the first one, and seen again on the next quiet night. What only the last night \
    shows is seen once unless it was run again. Nights on other blocks or another module are left out.";

/// Ratios of the best strategies of each workload on all nights of a machine class, unless there is no course. `class` is
/// the machine's, `baseline` what the ratios are to.
pub fn figure(courses: &[Course], palette: &Palette, class: &str, baseline: &str) -> Option<Figure> {
    let mut places = BTreeMap::<String, Vec<&Course>>::new();
    for course in courses {
        places.entry(course.series.place()).or_default().push(course);
    }
    let mut nights: Vec<u64> = courses.iter().flat_map(|c| &c.nights).map(|stop| stop.at).collect();
    nights.sort_unstable();
    nights.dedup();
    nights.first()?;
    let subject = format!("Cycle over the nights, as ratio to {baseline}, on {class}");
    let mut figure = Figure::new("history", &subject, &finding(courses), CAPTION, numbers(courses));
    let canvas = &mut figure.canvas;
    // Panels below one another, since a month of nights needs the whole width.
    let mut top = figure.top + 14.0;
    for (place, mut courses) in places {
        let of = courses.len();
        courses.sort_by(|a, b| {
            (a.changes.is_empty().cmp(&b.changes.is_empty())).then(last(a).total_cmp(&last(b)))
        });
        courses.truncate(FEW);
        courses.sort_by(|a, b| b.series.strategy.cmp(&a.series.strategy));
        let lines: Vec<(&Course, Style)> =
            courses.into_iter().map(|course| (course, palette.style(&course.series.strategy))).collect();
        let grid = Grid { top, plot: PLOT, beside: BESIDE, panels: 1 };
        let labels = labels(&lines, &nights, grid.panel(0));
        let grid = Grid { plot: PLOT + strip(&labels), ..grid };
        let count = match of - lines.len() {
            0 => String::new(),
            1 => ", 1 other in the table".into(),
            others => format!(", {others} others in the table"),
        };
        let panel = grid.panel(0);
        panel.title(canvas, &place, &format!("ratio to the baseline (log scale){count}"));
        draw(canvas, panel, &lines, &labels, &nights);
        top = grid.bottom();
    }
    Some(figure.ending(top))
}

fn last(course: &Course) -> f64 {
    course.nights.last().map_or(f64::INFINITY, |stop| stop.ratio)
}

/// Where a night lies between the edges of a panel; a single one in their middle.
fn night(at: u64, nights: &[u64], (left, right): (f64, f64)) -> f64 {
    let (first, last) = (nights[0], nights[nights.len() - 1]);
    if first == last {
        return f64::midpoint(left, right);
    }
    left + (at - first) as f64 / (last - first) as f64 * (right - left)
}

/// A change point and where it is written.
struct Label {
    text: String,
    style: Style,
    /// Middle of its text, and its line from the top.
    x: f64,
    line: usize,
    /// Its night's place, and the ratio.
    night: f64,
    ratio: f64,
}

/// The change points of a panel with their texts side by side.
fn labels(lines: &[(&Course, Style)], nights: &[u64], panel: Panel) -> Vec<Label> {
    let mut changes: Vec<(Stop, Style, ChangePoint)> = Vec::new();
    for (course, style) in lines {
        changes.extend(course.changes.iter().map(|change| (course.nights[change.night], *style, *change)));
    }
    changes.sort_by_key(|(stop, ..)| stop.at);
    let mut ends: Vec<f64> = Vec::new();
    let labels = changes.into_iter().map(|(stop, style, change)| {
        let text = label(&stop, &change);
        let half = SMALL.face().width(&text) / 2.0;
        let at = night(stop.at, nights, panel.x);
        let x = at.max(panel.x.0 + half + 16.0).min(panel.x.1 - half);
        let line = ends.iter().position(|end| end + APART <= x - half).unwrap_or(ends.len());
        ends.resize(ends.len().max(line + 1), 0.0);
        ends[line] = x + half;
        Label { text, style, x, line, night: at, ratio: stop.ratio }
    });
    labels.collect()
}

/// The height that the labels need.
fn strip(labels: &[Label]) -> f64 {
    LINE * labels.iter().map(|label| label.line + 1).max().unwrap_or(0) as f64
}

/// The lines of a panel, below a strip with the labels.
fn draw(canvas: &mut Canvas, panel: Panel, lines: &[(&Course, Style)], labels: &[Label], nights: &[u64]) {
    let (x1, (y0, y1)) = (panel.x.1, panel.y);
    let top = y0 + strip(labels);
    let stops = lines.iter().flat_map(|(course, _)| &course.nights);
    let values = stops.flat_map(|stop| stop.interval.into_iter().flatten().chain([stop.ratio]));
    let y = Axis::ratios(values, (y1, top + 6.0));
    panel.axes(canvas, &y.ticks(ratio), &[], "");
    dates(canvas, nights, panel);
    for label in labels {
        let from = y0 + LINE * (label.line as f64 + 0.5) + 10.0;
        canvas.line((label.night, from), (label.night, y.place(label.ratio)), MUTED, 1.0);
    }
    let place = |stop: &Stop| -> Point { (night(stop.at, nights, panel.x), y.place(stop.ratio)) };
    let ends: Vec<f64> =
        lines.iter().map(|(course, _)| course.nights.last().map_or(y1, |stop| place(stop).1)).collect();
    for ((course, style), name) in lines.iter().zip(panel.names(&ends, top)) {
        let quiet: Vec<Point> = course.nights.iter().filter(|stop| !stop.noisy).map(place).collect();
        canvas.path(&quiet, style.colour, 1.5);
        for stop in &course.nights {
            let at = place(stop);
            if let Some([low, high]) = stop.interval {
                canvas.line((at.0, y.place(low)), (at.0, y.place(high)), style.colour, 1.5);
            }
            if stop.noisy {
                canvas.hollow_marker(at, 5.5, *style);
            } else {
                canvas.marker(at, 3.0, *style);
            }
        }
        for change in &course.changes {
            canvas.marker(place(&course.nights[change.night]), 8.0, *style);
        }
        let Some(last) = course.nights.last() else { continue };
        let end = place(last);
        canvas.path(&[end, (x1 + 6.0, end.1), (x1 + 16.0, name)], style.colour, 1.0);
        panel.name(canvas, name, *style, &course.series.strategy, &ratio(last.ratio));
    }
    for label in labels {
        let at = y0 + LINE * (label.line as f64 + 0.5) - 4.0;
        let half = SMALL.face().width(&label.text) / 2.0;
        let left = label.x - half;
        // The lines to other change points end behind the text.
        canvas.rect((left - 18.0, at - LINE / 2.0), (label.x + half + 2.0, at + LINE / 2.0), PAPER);
        canvas.marker((left - 10.0, at), 5.5, label.style);
        canvas.text(&label.text, label.x, at, SMALL, Align::Middle);
    }
}

/// As many dates as there is room for, the first and the last among them.
fn dates(canvas: &mut Canvas, nights: &[u64], panel: Panel) {
    let (x1, y) = (panel.x.1, panel.y.1);
    let last = nights[nights.len() - 1];
    let mut free = (panel.x.0 - DATE, night(last, nights, panel.x));
    for at in nights {
        let x = night(*at, nights, panel.x);
        canvas.line((x, y), (x, y + 5.0), MUTED, 1.5);
        if *at == last || (x - free.0 >= DATE && free.1 - x >= DATE) {
            canvas.text(&date(*at), x, y + 19.0, SMALL, Align::Middle);
            free.0 = x;
        }
    }
    canvas.text("night", x1 + 60.0, y + 19.0, SMALL, Align::Left);
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

fn numbers(courses: &[Course]) -> Numbers {
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
    let rows = courses.iter().map(|course| {
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
    Numbers::new(&head, rows)
}
