//! Instances at once: what a cycle costs when neighbours reset too.
//!
//! Resets that change page tables share a lock, and the processors' address caches, with all other instances of the
//! process; those that only copy share no more than the memory's bandwidth.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::setting::{Setting, pages};
use crate::analyse::summary::Quantiles;
use crate::present::figures::axis::{Axis, round_ns};
use crate::present::figures::canvas::Align;
use crate::present::figures::parts::{BODY, Rows, SMALL};
use crate::present::figures::{Figure, Numbers};
use crate::present::palette::Palette;
use crate::units::{ns, ratio};
use crate::workload::landscape::describe;

const AXIS: (f64, f64) = (350.0, 850.0);
const TICK: f64 = 80.0;
/// Dirty pages at which a landscape begins.
const USUAL: u64 = 256;
/// Right edges of the figures beside the axis.
const FIGURES: [f64; 3] = [960.0, 1070.0, 1176.0];

const CAPTION: &str = "The hollow mark is the median cycle of one instance alone, the filled one that of each of several in \
    threads of one process; the line between them is what neighbours cost, and the thin line reaches on to the 95th \
    percentile. On a machine that scales perfectly both marks coincide. The two were measured one after the other and not in \
    the same rounds, so that small differences mean nothing. The axis is logarithmic.";

/// Cycles by strategy and instances at once.
type ByThreads<'a> = BTreeMap<&'a str, BTreeMap<u64, Quantiles>>;

/// A strategy with at least two numbers of instances at once.
struct Line<'a> {
    name: &'a str,
    cycles: BTreeMap<u64, Quantiles>,
    /// The cycle with the fewest instances, and that with the most.
    one: Quantiles,
    most: Quantiles,
}

impl<'a> Line<'a> {
    fn new(name: &'a str, cycles: BTreeMap<u64, Quantiles>) -> Option<Line<'a>> {
        let (one, most) = (*cycles.values().next()?, *cycles.values().next_back()?);
        (cycles.len() > 1).then_some(Line { name, cycles, one, most })
    }

    fn slowdown(&self) -> f64 {
        self.most.p50 as f64 / self.one.p50.max(1) as f64
    }
}

/// Cycles of all strategies with one instance and with the most, at the place of the landscape at which most was measured,
/// unless none has more than one number of instances.
pub fn figure(settings: &[Setting], palette: &Palette) -> Option<Figure> {
    let (place, cells) = place(settings)?;
    let mut lines: Vec<Line> =
        cells.into_iter().filter_map(|(name, cycles)| Line::new(name, cycles)).collect();
    lines.sort_by_key(|line| (line.most.p50, line.name));
    let most = lines.iter().filter_map(|line| line.cycles.keys().next_back()).max()?;
    let (subject, finding) = (format!("{place}: instances at once"), finding(&lines, *most));
    let mut figure = Figure::new("threads", &subject, &finding, CAPTION, numbers(&lines));
    let canvas = &mut figure.canvas;
    let names: Vec<&str> = lines.iter().map(|line| line.name).collect();
    let places = Rows::new(canvas, figure.top + 58.0, &names, 0, palette);
    canvas.text("cycle (log scale)", AXIS.0 - 10.0, places.top - 36.0, SMALL, Align::Left);
    let heads = ["1 alone".to_owned(), format!("{most} at once"), "slower".to_owned()];
    for (head, right) in heads.iter().zip(FIGURES) {
        canvas.text(head, right, places.top - 14.0, SMALL, Align::Right);
    }
    let times = lines.iter().flat_map(|line| line.cycles.values().flat_map(|q| [q.p50, q.p95]));
    let axis = Axis::close(times, TICK, AXIS);
    places.axis(canvas, &axis.ticks(round_ns));
    for (index, line) in lines.iter().enumerate() {
        let (y, style) = (places.centre(index), palette.style(line.name));
        let [from, to, end] = [line.one.p50, line.most.p50, line.most.p95].map(|ns| axis.place(ns as f64));
        canvas.line((to, y), (end, y), style.colour, 1.0);
        canvas.line((from, y), (to, y), style.colour, 3.0);
        canvas.marker((to, y), 7.5, style);
        canvas.hollow_marker((from, y), 7.5, style);
        let slower = format!("×{}", ratio(line.slowdown()));
        for (text, right) in [ns(line.one.p50), ns(line.most.p50), slower].iter().zip(FIGURES) {
            canvas.text(text, right, y, BODY, Align::Right);
        }
    }
    Some(figure.ending(places.bottom() + 48.0))
}

/// The place at which most strategies ran with several numbers of instances, and their cycles there.
fn place<'a>(settings: &'a [Setting]) -> Option<(String, ByThreads<'a>)> {
    let mut places = BTreeMap::<(u64, String), (usize, ByThreads)>::new();
    for (order, curve) in settings.iter().flat_map(|setting| &setting.curves).enumerate() {
        let Some(threads) = curve.params.get("threads").and_then(serde_json::Value::as_u64) else {
            continue;
        };
        let mut others = curve.params.clone();
        others.remove("threads");
        let pattern = describe(&others);
        for (dirty, group) in &curve.places {
            let place = format!("{}, {}, {pattern}", group.workload, pages(*dirty));
            let (_, cells) = places.entry((*dirty, place)).or_insert_with(|| (order, BTreeMap::new()));
            for cell in group.cells.iter().filter(|cell| !cell.control()) {
                if let Some(cycle) = cell.cycle() {
                    cells.entry(cell.name()).or_default().insert(threads, cycle);
                }
            }
        }
    }
    let full = |cells: &ByThreads| cells.values().filter(|cycles| cycles.len() > 1).count();
    // Of those that say as much, the one closest to where the landscape begins.
    let rank = |dirty: u64, order: usize| Reverse((order, dirty.abs_diff(USUAL)));
    let ((_, place), (_, cells)) =
        places.into_iter().max_by_key(|((dirty, _), (order, cells))| (full(cells), rank(*dirty, *order)))?;
    Some((place, cells))
}

fn finding(lines: &[Line], most: u64) -> String {
    let by = |line: &&Line| (line.slowdown() * 1e6) as u64;
    let (Some(least), Some(worst)) = (lines.iter().min_by_key(by), lines.iter().max_by_key(by)) else {
        return String::new();
    };
    format!(
        "{most} at once: {} loses most, with {} times its cycle alone; {} least, with {}",
        worst.name,
        ratio(worst.slowdown()),
        least.name,
        ratio(least.slowdown())
    )
}

fn numbers(lines: &[Line]) -> Numbers {
    let head = ["strategy", "instances at once", "cycle p50", "p95", "p99", "times that of the fewest"];
    let rows = lines.iter().flat_map(|line| {
        line.cycles.iter().map(|(threads, cycle)| {
            let times = [cycle.p50, cycle.p95, cycle.p99].map(ns);
            let slower = ratio(cycle.p50 as f64 / line.one.p50.max(1) as f64);
            [line.name.to_owned(), threads.to_string()].into_iter().chain(times).chain([slower]).collect()
        })
    });
    Numbers::new(&head, rows)
}
