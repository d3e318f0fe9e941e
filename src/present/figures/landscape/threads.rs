//! Instances at once: what a cycle costs when neighbours reset too.
//!
//! Resets that change page tables share a lock, and the processors' address caches, with all other instances of the
//! process; those that only copy share no more than the memory's bandwidth.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use anyhow::Result;
use plotters::prelude::DrawingBackend;

use super::setting::{Setting, pages};
use crate::analyse::summary::Quantiles;
use crate::present::figures::axis::CloseTime;
use crate::present::figures::canvas::{Align, Canvas};
use crate::present::figures::parts::{BODY, MARGIN, Rows, SMALL, heading, heading_height, row, x_axis};
use crate::present::figures::{Figure, Numbers};
use crate::present::palette::{Palette, Style};
use crate::present::view::Shown;
use crate::units::{ns, ratio};
use crate::workload::landscape::describe;

const NAME: f64 = 306.0;
const AXIS: (f64, f64) = (350.0, 850.0);
const TICK: f64 = 80.0;
/// Dirty pages at which a landscape begins.
const USUAL: u64 = 256;
/// Right edges of the figures beside the axis.
const FIGURES: [f64; 3] = [960.0, 1070.0, 1176.0];

/// Cycles of all strategies with one instance and with the most, at one place of the landscape.
pub struct ThreadsFigure {
    subject: String,
    finding: String,
    lines: Vec<Line>,
    most: u64,
}

struct Line {
    name: String,
    style: Style,
    /// By instances at once; at least two of them.
    cycles: BTreeMap<u64, Quantiles>,
}

impl Line {
    fn ends(&self) -> Option<(Quantiles, Quantiles)> {
        Some((*self.cycles.values().next()?, *self.cycles.values().next_back()?))
    }

    /// The cycle with the most instances over that with the fewest.
    fn slowdown(&self) -> Option<f64> {
        self.ends().map(|(one, most)| most.p50 as f64 / one.p50.max(1) as f64)
    }
}

/// Cycles by strategy and instances at once.
type ByThreads<'a> = BTreeMap<&'a str, BTreeMap<u64, Quantiles>>;

impl ThreadsFigure {
    /// The figure of the place at which most was measured, unless none has more than one number of instances.
    pub fn new(settings: &[Setting], palette: &Palette) -> Option<ThreadsFigure> {
        let mut places = BTreeMap::<(u64, String), (usize, ByThreads)>::new();
        let curves = settings.iter().flat_map(|setting| &setting.curves);
        for (order, curve) in curves.enumerate() {
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
                    let cycle: Option<Quantiles> = Shown::cycle(*cell);
                    if let Some(cycle) = cycle {
                        cells.entry(cell.name()).or_default().insert(threads, cycle);
                    }
                }
            }
        }
        let full = |cells: &ByThreads| cells.values().filter(|cycles| cycles.len() > 1).count();
        // Of those that say as much, the one closest to where the landscape begins.
        let rank = |dirty: u64, order: usize| Reverse((order, dirty.abs_diff(USUAL)));
        let ((_, place), (_, cells)) = places
            .into_iter()
            .max_by_key(|((dirty, _), (order, cells))| (full(cells), rank(*dirty, *order)))?;
        let mut lines: Vec<Line> = cells
            .into_iter()
            .filter(|(_, cycles)| cycles.len() > 1)
            .map(|(name, cycles)| Line { name: name.into(), style: palette.style(name), cycles })
            .collect();
        lines.sort_by_key(|line| (line.ends().map(|(_, most)| most.p50), line.name.clone()));
        let most = lines.iter().filter_map(|line| line.cycles.keys().next_back().copied()).max()?;
        Some(ThreadsFigure {
            subject: format!("{place}: instances at once"),
            finding: finding(&lines, most),
            lines,
            most,
        })
    }

    fn places(&self) -> Rows {
        Rows::new(heading_height(&self.finding) + 58.0, self.lines.len(), 0)
    }
}

fn finding(lines: &[Line], most: u64) -> String {
    let by = |line: &&Line| line.slowdown().map_or(u64::MAX, |slowdown| (slowdown * 1e6) as u64);
    let (Some(least), Some(worst)) = (lines.iter().min_by_key(by), lines.iter().max_by_key(by)) else {
        return String::new();
    };
    let times = |line: &Line| line.slowdown().map_or("-".into(), ratio);
    format!(
        "{most} at once: {} loses most, with {} times its cycle alone; {} least, with {}",
        worst.name,
        times(worst),
        least.name,
        times(least)
    )
}

impl Figure for ThreadsFigure {
    fn kind(&self) -> &'static str {
        "threads"
    }

    fn title(&self) -> (String, String) {
        (self.subject.clone(), self.finding.clone())
    }

    fn caption(&self) -> String {
        "The hollow mark is the median cycle of one instance alone, the filled one that of each of several in threads of \
         one process; the line between them is what neighbours cost, and the thin line reaches on to the 95th percentile. \
         On a machine that scales perfectly both marks coincide. The two were measured one after the other and not in \
         the same rounds, so that small differences mean nothing. The axis is logarithmic."
            .into()
    }

    fn numbers(&self) -> Numbers {
        let head = ["strategy", "instances at once", "cycle p50", "p95", "p99", "times that of the fewest"];
        let rows = self.lines.iter().flat_map(|line| {
            let one = line.cycles.values().next().map_or(1, |cycle| cycle.p50.max(1));
            line.cycles.iter().map(move |(threads, cycle)| {
                vec![
                    line.name.clone(),
                    threads.to_string(),
                    ns(cycle.p50),
                    ns(cycle.p95),
                    ns(cycle.p99),
                    ratio(cycle.p50 as f64 / one as f64),
                ]
            })
        });
        Numbers { head: head.map(String::from).to_vec(), rows: rows.collect() }
    }

    fn height(&self) -> u32 {
        (self.places().bottom() + 48.0) as u32
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Result<()> {
        heading(canvas, &self.title())?;
        let places = self.places();
        let (top, bottom) = (heading_height(&self.finding) + 58.0, places.bottom());
        for (index, line) in self.lines.iter().enumerate() {
            row(canvas, index, places.centre(index), line.style, &line.name, NAME - MARGIN)?;
        }
        canvas.text("cycle (log scale)", AXIS.0 - 10.0, top - 36.0, SMALL, Align::Left)?;
        let heads = ["1 alone".to_owned(), format!("{} at once", self.most), "slower".to_owned()];
        for (head, right) in heads.iter().zip(FIGURES) {
            canvas.text(head, right, top - 14.0, SMALL, Align::Right)?;
        }
        let times = self.lines.iter().flat_map(|line| line.cycles.values().flat_map(|q| [q.p50, q.p95]));
        let axis = CloseTime::spanning(times, AXIS.0, AXIS.1);
        x_axis(canvas, &axis.ticks(TICK), top, bottom)?;
        for (index, line) in self.lines.iter().enumerate() {
            let y = places.centre(index);
            let Some((one, most)) = line.ends() else { continue };
            let (from, to) = (axis.place(one.p50), axis.place(most.p50));
            canvas.line((to, y), (axis.place(most.p95), y), line.style.colour, 1.0)?;
            canvas.line((from, y), (to, y), line.style.colour, 3.0)?;
            canvas.marker(to, y, 7.5, line.style)?;
            canvas.hollow_marker(from, y, 7.5, line.style)?;
            let slowdown = line.slowdown().map_or("-".into(), |slowdown| format!("×{}", ratio(slowdown)));
            for (text, right) in [ns(one.p50), ns(most.p50), slowdown].iter().zip(FIGURES) {
                canvas.text(text, right, y, BODY, Align::Right)?;
            }
        }
        Ok(())
    }
}
