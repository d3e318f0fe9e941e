//! What a block costs beyond the floor, and where it is paid.
//!
//! Costs span four orders of magnitude, and a stack on a logarithmic axis lies: its upper part looks small whatever it
//! is. So the figure answers two questions side by side: *how much*, as a dot on a logarithmic axis, and *where*, as a
//! bar of shares with both amounts in words. What noise made negative has a place of its own left of the axis.

use anyhow::Result;
use plotters::prelude::DrawingBackend;

use super::axis::LogTime;
use super::canvas::{Align, Canvas};
use super::parts::{
    BODY, MARGIN, Rows, SMALL, heading, heading_height, missing, notes, notes_height, row, x_axis,
};
use super::{Figure, Numbers};
use crate::analyse::summary::Overhead;
use crate::present::palette::{GRID, MUTED, Palette, SOFT, Style};
use crate::present::view::{Group, Shown};
use crate::units::signed_ns;

/// Left edges and widths of the figure's columns.
const NAME: f64 = 306.0;
const AXIS: (f64, f64) = (350.0, 690.0);
const GUTTER: f64 = 62.0;
/// Room for the label of a tick.
const TICK: f64 = 76.0;
const TOTAL: f64 = 806.0;
const GUEST: f64 = 922.0;
const BAR: (f64, f64) = (936.0, 1066.0);
const RESET: f64 = 1176.0;

/// Per-block overhead of all strategies on one workload.
pub struct OverheadFigure {
    subject: String,
    finding: String,
    rows: Vec<Line>,
    controls: usize,
    /// The baseline's median.
    baseline: Option<i64>,
    missing: Vec<String>,
}

struct Line {
    name: String,
    style: Style,
    cost: Overhead,
}

impl OverheadFigure {
    /// The figure, unless no sound strategy has an overhead (there was no floor to compare with).
    pub fn new(group: &Group, palette: &Palette) -> Option<OverheadFigure> {
        let cells = |control| {
            let cells = group.sorted(control, |cell| cell.overhead().map(|o| o.p50));
            cells.into_iter().filter_map(|cell| Some((cell, cell.overhead()?))).collect::<Vec<_>>()
        };
        let (contenders, controls) = (cells(false), cells(true));
        if contenders.is_empty() && controls.is_empty() {
            return None;
        }
        let finding = finding(group, &contenders);
        let rows = contenders.iter().chain(&controls).map(|(cell, cost)| Line {
            name: cell.name().into(),
            style: palette.style(cell.name()),
            cost: *cost,
        });
        Some(OverheadFigure {
            subject: format!("{}: cost per block beyond the floor", group.title()),
            finding,
            rows: rows.collect(),
            controls: controls.len(),
            baseline: contenders
                .iter()
                .chain(&controls)
                .find(|(c, _)| c.name() == group.baseline)
                .map(|(_, o)| o.p50),
            missing: missing(group, |cell| cell.overhead().is_some()),
        })
    }

    fn top(&self) -> f64 {
        heading_height(&self.finding) + 58.0
    }

    fn places(&self) -> Rows {
        Rows::new(self.top(), self.rows.len() - self.controls, self.controls)
    }
}

fn finding(group: &Group, contenders: &[(Shown, Overhead)]) -> String {
    let Some((least, cost)) = contenders.first() else {
        return "only controls have figures".into();
    };
    let mut text = format!("{} adds least: {} a block", least.name(), signed_ns(cost.p50));
    if let Some((_, cost)) =
        contenders.iter().find(|(cell, _)| cell.name() == group.baseline && cell.name() != least.name())
    {
        text += &format!("; the baseline {} adds {}", group.baseline, signed_ns(cost.p50));
    }
    text
}

impl Figure for OverheadFigure {
    fn kind(&self) -> &'static str {
        "overhead"
    }

    fn title(&self) -> (String, String) {
        (self.subject.clone(), self.finding.clone())
    }

    fn caption(&self) -> String {
        "Each dot is the median cost of a block beyond the time that the floor (a reset that knows the dirty pages \
         beforehand) spends in the guest; the line reaches to the 95th percentile. The axis is logarithmic: from one \
         power of ten to the next the cost is tenfold. The bar shows where the cost is paid: in the guest, as page faults \
         during execute (coloured, amount on its left), or in the reset (grey, amount on its right). Hollow marks at \
         ≤ 0 are medians that noise made negative: too small to tell from nothing."
            .into()
    }

    fn numbers(&self) -> Numbers {
        let head = [
            "strategy",
            "overhead p50",
            "p95",
            "p99",
            "max",
            "in the guest p50",
            "in the reset p50",
            "blocks",
        ];
        let rows = self.rows.iter().map(|line| {
            let c = &line.cost;
            let times = [c.p50, c.p95, c.p99, c.max, c.execute_side_p50, c.reset_p50].map(signed_ns);
            [line.name.clone()].into_iter().chain(times).chain([c.n.to_string()]).collect()
        });
        Numbers { head: head.map(String::from).to_vec(), rows: rows.collect() }
    }

    fn height(&self) -> u32 {
        (self.places().bottom() + 44.0 + notes_height(&self.missing)) as u32
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Result<()> {
        heading(canvas, &self.title())?;
        let places = self.places();
        let (top, bottom) = (self.top(), places.bottom());
        for (index, line) in self.rows.iter().enumerate() {
            row(canvas, index, places.centre(index), line.style, &line.name, NAME - MARGIN)?;
        }
        places.divider(canvas)?;

        let header = top - 36.0;
        canvas.text("median, line to p95 (log scale)", AXIS.0 - 10.0, header, SMALL, Align::Left)?;
        canvas.text("together", TOTAL, header, SMALL, Align::Right)?;
        canvas.text("in the", GUEST, header, SMALL, Align::Right)?;
        canvas.text("guest", GUEST, header + 22.0, SMALL, Align::Right)?;
        canvas.text("shares", (BAR.0 + BAR.1) / 2.0, header + 22.0, SMALL, Align::Middle)?;
        canvas.text("in the", RESET, header, SMALL, Align::Right)?;
        canvas.text("reset", RESET, header + 22.0, SMALL, Align::Right)?;

        let noise = self.rows.iter().any(|line| line.cost.p50 <= 0);
        let left = if noise { AXIS.0 + GUTTER } else { AXIS.0 };
        // What is noise at the median must not stretch the axis by the decades that its tail begins in.
        let positive = self.rows.iter().filter(|line| line.cost.p50 > 0);
        let positive = positive.flat_map(|line| [line.cost.p50, line.cost.p95.max(line.cost.p50)]);
        let axis = LogTime::spanning(positive.filter_map(|v| u64::try_from(v).ok()), left, AXIS.1);
        x_axis(canvas, &axis.ticks(TICK), top, bottom)?;
        if noise {
            canvas.line((AXIS.0, top), (AXIS.0, bottom), GRID, 1.5)?;
            canvas.text("≤ 0", AXIS.0, bottom + 17.0, SMALL, Align::Middle)?;
        }
        if let Some(baseline) = self.baseline.and_then(|p50| u64::try_from(p50).ok()).filter(|p50| *p50 > 0) {
            let x = axis.place(baseline);
            canvas.text("baseline", x, header + 22.0, SMALL, Align::Middle)?;
            canvas.line((x, top), (x, bottom), MUTED, 1.5)?;
        }
        for (index, line) in self.rows.iter().enumerate() {
            self.draw_line(canvas, line, places.centre(index), &axis)?;
        }
        notes(canvas, &self.missing, bottom + 36.0)
    }
}

impl OverheadFigure {
    fn draw_line<B: DrawingBackend>(
        &self,
        canvas: &Canvas<B>,
        line: &Line,
        y: f64,
        axis: &LogTime,
    ) -> Result<()> {
        let cost = &line.cost;
        let tail = u64::try_from(cost.p95).ok().filter(|p95| cost.p95 > cost.p50 && axis.holds(*p95));
        let tail = tail.map(|p95| axis.place(p95));
        match u64::try_from(cost.p50) {
            Ok(p50) if p50 > 0 => {
                let x = axis.place(p50);
                if let Some(tail) = tail {
                    canvas.line((x, y), (tail, y), line.style.colour, 3.0)?;
                    canvas.line((tail, y - 5.0), (tail, y + 5.0), line.style.colour, 3.0)?;
                }
                canvas.marker(x, y, 7.5, line.style)?;
            }
            _ => {
                if let Some(tail) = tail {
                    canvas.line((AXIS.0, y), (tail, y), line.style.colour, 1.5)?;
                    canvas.line((tail, y - 5.0), (tail, y + 5.0), line.style.colour, 3.0)?;
                }
                canvas.hollow_marker(AXIS.0, y, 7.5, line.style)?;
            }
        }
        canvas.text(&signed_ns(cost.p50), TOTAL, y, BODY.bold(), Align::Right)?;
        canvas.text(&signed_ns(cost.execute_side_p50), GUEST, y, BODY, Align::Right)?;
        canvas.text(&signed_ns(cost.reset_p50), RESET, y, BODY, Align::Right)?;

        let (guest, reset) = (cost.execute_side_p50.max(0) as f64, cost.reset_p50.max(0) as f64);
        if guest + reset <= 0.0 {
            return canvas.line((BAR.0, y), (BAR.1, y), MUTED, 1.0);
        }
        let split = BAR.0 + (BAR.1 - BAR.0) * guest / (guest + reset);
        canvas.rect((BAR.0, y - 8.0), (split, y + 8.0), line.style.colour)?;
        canvas.rect((split, y - 8.0), (BAR.1, y + 8.0), SOFT)
    }
}
