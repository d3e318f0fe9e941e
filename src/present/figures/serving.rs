//! Serving: calls over callers, latency over load, and memory over callers; a panel per family in each.

use super::axis::{Axis, Tick, round_ns};
use super::canvas::{Canvas, Point};
use super::panels::{Grid, Panel};
use super::{Figure, Numbers};
use crate::present::growth::grouped;
use crate::present::palette::{MUTED, Palette, family_rank};
use crate::present::serving::{Group, calls, most};
use crate::present::view::{family, variant};
use crate::serving::report::{Cell, Closed, Open};
use crate::units::{bytes, ns, ratio};

/// Room for tick labels left of a panel, and for names right of it.
const BESIDE: (f64, f64) = (84.0, 270.0);

/// A latency so many times that at the lowest load is beyond the knee.
const KNEE: f64 = 2.0;

const RATES: &str = "Each caller calls again as soon as it has its answer and the session is given back. The thin grey line is what the \
    strategy's own calls with the fewest callers would come to if each further caller had a CPU of its own, as many as there \
    are. The figure beside a name is the rate with the most callers.";

const LATENCIES: &str = "Requests arrive by themselves, at a share of what the strategy itself served with callers that wait for nothing. From \
    arrival to answer: the line is the 99th percentile of a typical slice, the thin one the median of all calls. The large \
    mark is the knee, the first load at which the 99th percentile is more than twice that at the lowest load. The axis of \
    time is logarithmic. The figure beside a name is the 99th percentile at the highest load.";

const MEMORY: &str = "The most that was resident of the process while so many callers called, all places of the pool included. The figure \
    beside a name is that with the most callers.";

/// The figures of one workload, of those that its data allow.
pub fn of(group: &Group, palette: &Palette) -> Vec<Figure> {
    [rates(group, palette), latencies(group, palette), memory(group, palette)].into_iter().flatten().collect()
}

/// A strategy's line in a panel.
struct Line<'a> {
    name: &'a str,
    /// Along and up, in the figure's own quantities.
    points: Vec<(f64, f64)>,
    /// A second, thin line.
    thin: Vec<(f64, f64)>,
    /// What is marked on the line.
    mark: Option<(f64, f64)>,
    /// Beside the name.
    value: String,
}

/// What all panels of a figure share.
struct Frame {
    /// Along: least and most, the ticks, and whether it is logarithmic.
    along: (f64, f64),
    steps: Vec<f64>,
    label: fn(f64) -> String,
    unit: &'static str,
    quantity: &'static str,
    /// From a panel's lower and upper edge to the axis of what goes up.
    up: Box<dyn Fn((f64, f64)) -> Axis>,
    up_label: fn(f64) -> String,
    /// Whether the thin line is muted, as what might be, or has the strategy's colour.
    muted: bool,
}

fn log2(value: f64) -> f64 {
    value.max(1.0).log2()
}

fn linear(value: f64) -> f64 {
    value
}

/// Calls per second over callers, with the linear ideal.
fn rates(group: &Group, palette: &Palette) -> Option<Figure> {
    let cpus = group.cpus() as f64;
    let lines: Vec<Line> = group
        .cells()
        .iter()
        .filter(|cell| cell.closed.len() > 1)
        .map(|cell| {
            let points: Vec<(f64, f64)> = cell
                .closed
                .iter()
                .map(|closed| (f64::from(closed.callers), closed.calls_per_second))
                .collect();
            let (callers, rate) = points[0];
            let ideal = |at: f64| rate / callers.min(cpus) * at.min(cpus);
            let thin = points.iter().map(|(at, _)| (*at, ideal(*at))).collect();
            let value = calls(points[points.len() - 1].1);
            Line { name: &cell.strategy, points, thin, mark: None, value }
        })
        .collect();
    let largest = lines.iter().flat_map(|line| line.points.iter().chain(&line.thin)).map(|(_, up)| *up);
    let largest = largest.fold(1.0, f64::max);
    let frame = Frame {
        label: |callers| grouped(callers as u64),
        unit: "callers",
        quantity: "calls per second",
        up: Box::new(move |edges| Axis::decimal(largest as u64, 4, edges)),
        up_label: |rate| grouped(rate as u64),
        muted: true,
        ..Frame::of_callers(&lines)?
    };
    let head = ["strategy", "callers", "calls per second", "times the baseline's", "share of the reset"];
    let numbers = numbers(group, &head, |cell| {
        cell.closed
            .iter()
            .map(|closed| {
                vec![
                    closed.callers.to_string(),
                    calls(closed.calls_per_second),
                    closed.ratio_to_baseline.map_or("-".into(), |found| ratio(found.value)),
                    format!("{:.1} %", closed.per_call.reset_share * 100.0),
                ]
            })
            .collect()
    });
    let subject = format!("{}: calls over callers", group.title());
    let figure = Figure::new("serving-rates", &subject, &best(group)?, RATES, numbers);
    Some(draw(figure, &lines, &frame, palette))
}

/// The median and the 99th percentile of latency over load.
fn latencies(group: &Group, palette: &Palette) -> Option<Figure> {
    let lines: Vec<Line> = group
        .cells()
        .iter()
        .filter(|cell| cell.open.len() > 1)
        .map(|cell| {
            let of = |pick: fn(&Open) -> u64| {
                let open = cell.open.iter();
                open.map(|open| (open.load, pick(open) as f64)).collect::<Vec<_>>()
            };
            let (points, thin) = (of(|open| open.p99_ns), of(|open| open.times.latency_ns.p50));
            let mark = points.iter().copied().find(|(_, p99)| *p99 > KNEE * points[0].1);
            let value = ns(points[points.len() - 1].1 as u64);
            Line { name: &cell.strategy, points, thin, mark, value }
        })
        .collect();
    let times: Vec<u64> = lines
        .iter()
        .flat_map(|line| line.points.iter().chain(&line.thin))
        .map(|(_, up)| *up as u64)
        .collect();
    let mut steps: Vec<f64> = lines.iter().flat_map(|line| &line.points).map(|(load, _)| *load).collect();
    steps.sort_by(f64::total_cmp);
    steps.dedup();
    let frame = Frame {
        along: (*steps.first()?, *steps.last()?),
        steps,
        label: |load| format!("{:.0}%", load * 100.0),
        unit: "load",
        quantity: "latency: p99, thin p50",
        up: Box::new(move |edges| Axis::close(times.iter().copied(), 40.0, edges)),
        up_label: round_ns,
        muted: false,
    };
    let head =
        ["strategy", "load", "calls per second", "latency p50", "p95", "p99", "p99.9", "max", "waiting p99"];
    let numbers = numbers(group, &head, |cell| {
        cell.open
            .iter()
            .map(|open| {
                let latency = open.times.latency_ns;
                let times = [latency.p50, latency.p95, open.p99_ns, latency.p999, latency.max];
                [format!("{:.0} %", open.load * 100.0), calls(open.calls_per_second)]
                    .into_iter()
                    .chain(times.map(ns))
                    .chain([ns(open.times.waiting_ns.p99)])
                    .collect()
            })
            .collect()
    });
    let subject = format!("{}: latency over load", group.title());
    let figure = Figure::new("serving-latency", &subject, &calmest(&lines)?, LATENCIES, numbers);
    Some(draw(figure, &lines, &frame, palette))
}

/// Peak resident memory over callers.
fn memory(group: &Group, palette: &Palette) -> Option<Figure> {
    let lines: Vec<Line> = group
        .cells()
        .iter()
        .filter_map(|cell| {
            let peak = |closed: &Closed| Some((f64::from(closed.callers), closed.memory?.peak as f64));
            let points: Vec<(f64, f64)> = cell.closed.iter().filter_map(peak).collect();
            let (_, last) = *points.last().filter(|_| points.len() > 1)?;
            Some(Line {
                name: &cell.strategy,
                points,
                thin: Vec::new(),
                mark: None,
                value: bytes(last as u64),
            })
        })
        .collect();
    let largest = lines.iter().flat_map(|line| &line.points).map(|(_, up)| *up).fold(1.0, f64::max) as u64;
    let frame = Frame {
        label: |callers| grouped(callers as u64),
        unit: "callers",
        quantity: "RSS peak",
        up: Box::new(move |edges| Axis::bytes(largest, 4, edges)),
        up_label: |size| bytes(size as u64),
        muted: true,
        ..Frame::of_callers(&lines)?
    };
    let head = ["strategy", "callers", "RSS peak", "RSS after", "places", "per place"];
    let numbers = numbers(group, &head, |cell| {
        let read = cell.closed.iter().filter_map(|closed| Some((closed.callers, closed.memory?)));
        read.map(|(callers, memory)| {
            let sizes = [memory.peak, memory.steady].map(bytes);
            [callers.to_string()]
                .into_iter()
                .chain(sizes)
                .chain([memory.places.to_string(), bytes(memory.per_place())])
                .collect()
        })
        .collect()
    });
    let subject = format!("{}: memory over callers", group.title());
    let figure = Figure::new("serving-memory", &subject, &leanest(group)?, MEMORY, numbers);
    Some(draw(figure, &lines, &frame, palette))
}

impl Frame {
    /// Numbers of callers along, in doublings.
    fn of_callers(lines: &[Line]) -> Option<Self> {
        let mut steps: Vec<f64> = lines.iter().flat_map(|line| &line.points).map(|(at, _)| *at).collect();
        steps.sort_by(f64::total_cmp);
        steps.dedup();
        Some(Self {
            along: (*steps.first()?, *steps.last()?),
            steps,
            label: |_| String::new(),
            unit: "",
            quantity: "",
            up: Box::new(|edges| Axis::decimal(1, 1, edges)),
            up_label: |_| String::new(),
            muted: true,
        })
    }

    fn axis(&self, edges: (f64, f64)) -> Axis {
        let scale = if self.unit == "callers" { log2 } else { linear };
        Axis::new(scale, self.along, edges, self.steps.clone())
    }
}

/// Draws all lines in panels by family.
fn draw(mut figure: Figure, lines: &[Line], frame: &Frame, palette: &Palette) -> Figure {
    let mut lines: Vec<&Line> = lines.iter().collect();
    lines.sort_by_key(|line| (family_rank(line.name), family(line.name), line.name));
    let families: Vec<&[&Line]> = lines.chunk_by(|a, b| family(a.name) == family(b.name)).collect();
    let most = families.iter().map(|lines| lines.len()).max().unwrap_or(0);
    let grid = Grid::new(figure.top + 14.0, most, 190.0, BESIDE, families.len());
    for (panel, lines) in grid.panels().zip(families) {
        panel_of(&mut figure.canvas, &panel, lines, frame, palette);
    }
    figure.noting(&[], grid.bottom(), 0.0)
}

fn panel_of(canvas: &mut Canvas, panel: &Panel, lines: &[&Line], frame: &Frame, palette: &Palette) {
    let (y0, y1) = panel.y;
    let (x, y) = (frame.axis(panel.x), (frame.up)((y1, y0)));
    let place = |(along, up): (f64, f64)| -> Point { (x.place(along), y.place(up)) };
    let curve = |points: &[(f64, f64)]| points.iter().copied().map(place).collect::<Vec<Point>>();
    let up: Vec<Tick> = y.ticks(frame.up_label);
    panel.title(canvas, lines.first().map_or("", |line| family(line.name)), frame.quantity);
    panel.axes(canvas, &up, &x.ticks(frame.label), frame.unit);
    let end = |line: &Line| line.points.last().copied().map_or((0.0, 0.0), place);
    let ends: Vec<f64> = lines.iter().map(|line| end(line).1).collect();
    let labels = panel.names(&ends, y0 - 6.0);
    for (line, label) in lines.iter().zip(labels) {
        let style = palette.style(line.name);
        canvas.path(&curve(&line.thin), if frame.muted { MUTED } else { style.colour }, 1.0);
        canvas.path(&curve(&line.points), style.colour, 2.5);
        for point in &line.points {
            canvas.marker(place(*point), 4.0, style);
        }
        if let Some(mark) = line.mark {
            canvas.marker(place(mark), 8.0, style);
        }
        panel.lead(canvas, end(line), label, style);
        panel.name(canvas, label, style, variant(line.name), &line.value);
    }
}

fn numbers(group: &Group, head: &[&str], rows: impl Fn(&Cell) -> Vec<Vec<String>>) -> Numbers {
    let named = |cell: &&Cell| {
        let name = cell.strategy.clone();
        rows(cell).into_iter().map(move |row| [vec![name.clone()], row].concat()).collect::<Vec<_>>()
    };
    Numbers::new(head, group.cells().iter().flat_map(named))
}

/// Who serves most calls.
fn best(group: &Group) -> Option<String> {
    let contenders = group.cells().iter().filter(|cell| !cell.control);
    let rates = contenders.filter_map(|cell| Some((cell, most(cell)?)));
    let (cell, closed) = rates.max_by(|(_, a), (_, b)| a.calls_per_second.total_cmp(&b.calls_per_second))?;
    let held =
        closed.ratio_to_baseline.map(|found| format!(", {} times {}", ratio(found.value), group.baseline()));
    Some(format!(
        "{} serves most with {} callers, {} calls a second{}",
        cell.strategy,
        closed.callers,
        calls(closed.calls_per_second),
        held.unwrap_or_default()
    ))
}

/// Whose callers wait least at the highest load.
fn calmest(lines: &[Line]) -> Option<String> {
    let last = |line: &&Line| line.points.last().copied();
    let contenders = lines.iter().filter(|line| family(line.name) != "control");
    let (line, (load, p99)) = contenders
        .filter_map(|line| Some((line, last(&line)?)))
        .min_by(|(_, a), (_, b)| a.1.total_cmp(&b.1))?;
    Some(format!(
        "at {:.0} % of its own most, {} keeps the 99th percentile at {}",
        load * 100.0,
        line.name,
        ns(p99 as u64)
    ))
}

/// Who needs least memory.
fn leanest(group: &Group) -> Option<String> {
    let contenders = group.cells().iter().filter(|cell| !cell.control);
    let (cell, peak, callers) = contenders
        .filter_map(|cell| {
            let closed = most(cell)?;
            Some((cell, closed.memory?.peak, closed.callers))
        })
        .min_by_key(|(_, peak, _)| *peak)?;
    Some(format!("{} needs least with {callers} callers, {} at the most", cell.strategy, bytes(peak)))
}
