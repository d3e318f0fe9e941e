//! Time against memory: which strategies no other one beats in both.
//!
//! Points lie close together, so every one is named at the right edge, beside its height, and the front is in bold.

use anyhow::Result;
use plotters::prelude::DrawingBackend;

use super::axis::{CloseTime, Linear};
use super::canvas::{Align, Canvas, Type};
use super::panels::LABEL_GAP;
use super::parts::{MARGIN, SMALL, heading, heading_height, missing, notes, notes_height};
use super::series::spread;
use super::text::cut;
use super::{Figure, Numbers, WIDTH};
use crate::analyse::summary::{Quantiles, Residency};
use crate::present::palette::{GRID, INK, MUTED, Palette, SOFT, Style};
use crate::present::view::{Group, Shown};
use crate::prose::printable;
use crate::units::{Quantity, bytes, ns, ratio};

const PLOT: (f64, f64) = (110.0, 800.0);
/// Where names begin.
const NAME: f64 = 856.0;
const LABEL: Type = Type::new(17.5, INK);
/// Room for the label of a tick.
const TICK: f64 = 80.0;

/// Peak memory against cycle of all strategies on one workload.
pub struct ParetoFigure {
    subject: String,
    finding: String,
    points: Vec<Point>,
    missing: Vec<String>,
}

struct Point {
    name: String,
    style: Style,
    cycle: Quantiles,
    rss: Residency,
    control: bool,
    front: bool,
}

impl ParetoFigure {
    /// The figure, unless fewer than two contenders have both a time and a peak.
    pub fn new(group: &Group, palette: &Palette) -> Option<ParetoFigure> {
        let shown = |cell: Shown| Some((cell.cycle()?, cell.rss()?));
        let by_cycle = |control| group.sorted(control, |cell| cell.cycle().map(|q| q.p50));
        let mut points: Vec<Point> = [false, true]
            .into_iter()
            .flat_map(by_cycle)
            .filter_map(|cell| {
                let (cycle, rss) = shown(cell)?;
                let (name, style) = (cell.name().into(), palette.style(cell.name()));
                Some(Point { name, style, cycle, rss, control: cell.control(), front: false })
            })
            .collect();
        if points.iter().filter(|point| !point.control).count() < 2 {
            return None;
        }
        // By cycle: whoever needs less than all before it is not beaten.
        let mut least = u64::MAX;
        for point in points.iter_mut().filter(|point| !point.control) {
            point.front = point.rss.peak < least;
            least = least.min(point.rss.peak);
        }
        Some(ParetoFigure {
            subject: format!("{}: time against memory", group.title()),
            finding: finding(&points),
            missing: missing(group, |cell| shown(cell).is_some()),
            points,
        })
    }

    fn plot(&self) -> (f64, f64) {
        let top = heading_height(&self.finding) + 40.0;
        (top, top + (LABEL_GAP * self.points.len() as f64).max(360.0))
    }
}

fn finding(points: &[Point]) -> String {
    let front: Vec<&Point> = points.iter().filter(|point| point.front).collect();
    match front.as_slice() {
        [only] => format!("{} is both fastest and smallest", only.name),
        [fastest, .., smallest] => format!(
            "{} is fastest with {}; {} needs least, {}, at {} times the cycle",
            fastest.name,
            bytes(fastest.rss.peak),
            smallest.name,
            bytes(smallest.rss.peak),
            ratio(smallest.cycle.p50 as f64 / fastest.cycle.p50.max(1) as f64),
        ),
        [] => String::new(),
    }
}

impl Figure for ParetoFigure {
    fn kind(&self) -> &'static str {
        "pareto"
    }

    fn title(&self) -> (String, String) {
        (self.subject.clone(), self.finding.clone())
    }

    fn caption(&self) -> String {
        "Further left is faster, further down needs less memory. Each mark is the median cycle and the peak of the \
         resident set; the thin lines reach to the cycle's 95th percentile and to the steady resident set. The names in \
         bold, on the stepped line, are those that no other strategy beats in both; differences of a few per cent are \
         within the noise (see the table's intervals). Controls are drawn, but beat no one. Cycles are on a logarithmic axis, memory is on a linear one that \
         begins at zero."
            .into()
    }

    fn numbers(&self) -> Numbers {
        let head = ["strategy", "cycle p50", "p95", "RSS steady", "peak", "beaten in both"];
        let rows = self.points.iter().map(|p| {
            vec![
                p.name.clone(),
                ns(p.cycle.p50),
                ns(p.cycle.p95),
                bytes(p.rss.steady),
                bytes(p.rss.peak),
                if p.control {
                    "control"
                } else if p.front {
                    "no"
                } else {
                    "yes"
                }
                .into(),
            ]
        });
        Numbers { head: head.map(String::from).to_vec(), rows: rows.collect() }
    }

    fn height(&self) -> u32 {
        (self.plot().1 + 66.0 + notes_height(&self.missing)) as u32
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Result<()> {
        heading(canvas, &self.title())?;
        let (top, bottom) = self.plot();
        let times = self.points.iter().flat_map(|p| [p.cycle.p50, p.cycle.p95]);
        let x = CloseTime::spanning(times, PLOT.0, PLOT.1);
        let largest = self.points.iter().map(|p| p.rss.peak.max(p.rss.steady)).max().unwrap_or(1);
        let y = Linear::bytes(largest, 6, bottom, top).to_next_tick();
        let unit = y.unit(Quantity::Bytes);
        canvas.text(&format!("peak RSS in {}", unit.unit), MARGIN, top - 26.0, SMALL, Align::Left)?;
        canvas.text("cycle, line to p95 (log scale)", PLOT.1, bottom + 42.0, SMALL, Align::Right)?;
        for tick in y.ticks(|value| unit.write(value as f64)) {
            canvas.line((PLOT.0, tick.at), (PLOT.1, tick.at), GRID, 1.5)?;
            canvas.text(&tick.label, PLOT.0 - 10.0, tick.at, SMALL, Align::Right)?;
        }
        for tick in x.ticks(TICK) {
            canvas.line((tick.at, top), (tick.at, bottom), GRID, 1.5)?;
            canvas.text(&tick.label, tick.at, bottom + 18.0, SMALL, Align::Middle)?;
        }
        let place = |p: &Point| (x.place(p.cycle.p50), y.place(p.rss.peak));
        self.draw_front(canvas, &self.points.iter().filter(|p| p.front).map(place).collect::<Vec<_>>())?;
        let places: Vec<f64> = self.points.iter().map(|p| place(p).1).collect();
        let labels = spread(&places, LABEL_GAP, top, bottom);
        for (point, label) in self.points.iter().zip(&labels) {
            let at = place(point);
            canvas.line(at, (x.place(point.cycle.p95).max(at.0), at.1), point.style.colour, 2.0)?;
            canvas.line(at, (at.0, y.place(point.rss.steady)), point.style.colour, 2.0)?;
            canvas.marker(at.0, at.1, 7.5, point.style)?;
            canvas.line((PLOT.1 + 6.0, at.1), (NAME - 16.0, *label), SOFT, 1.0)?;
            canvas.marker(NAME - 6.0, *label, 5.5, point.style)?;
            let kind = if point.front { LABEL.bold() } else { LABEL };
            let name = cut(&printable(&point.name), kind.face(), f64::from(WIDTH) - MARGIN - NAME - 8.0);
            canvas.text(&name, NAME + 8.0, *label, kind, Align::Left)?;
        }
        notes(canvas, &self.missing, bottom + 60.0)
    }
}

impl ParetoFigure {
    /// The steps between what no one beats.
    fn draw_front<B: DrawingBackend>(&self, canvas: &Canvas<B>, front: &[(f64, f64)]) -> Result<()> {
        let mut steps: Vec<(f64, f64)> = front.first().copied().into_iter().collect();
        for pair in front.windows(2) {
            steps.extend([(pair[1].0, pair[0].1), pair[1]]);
        }
        if steps.len() < 2 { Ok(()) } else { canvas.path(&steps, MUTED, 1.5) }
    }
}
