//! What a block costs beyond the floor, and where it is paid.
//!
//! Costs span four orders of magnitude, and a stack on a logarithmic axis lies: its upper part looks small whatever it
//! is. So the figure answers two questions side by side: *how much*, as a dot on a logarithmic axis, and *where*, as a
//! bar of shares with both amounts in words. What noise made negative has a place of its own left of the axis.

use super::axis::{Axis, round_ns};
use super::canvas::{Align, Canvas};
use super::parts::{BODY, Rows, SMALL, missing};
use super::{Figure, Numbers};
use crate::analyse::summary::Overhead;
use crate::present::palette::{GRID, MUTED, Palette, SOFT, Style};
use crate::present::view::{Group, Shown};
use crate::units::signed_ns;

/// Left edges and widths of the figure's columns.
const AXIS: (f64, f64) = (350.0, 690.0);
const GUTTER: f64 = 62.0;
/// Room for the label of a tick.
const TICK: f64 = 76.0;
const TOTAL: f64 = 806.0;
const GUEST: f64 = 922.0;
const BAR: (f64, f64) = (936.0, 1066.0);
const RESET: f64 = 1176.0;

const CAPTION: &str = "Each dot is the median cost of a block beyond the time that the floor (a reset that knows the dirty \
    pages beforehand) spends in the guest; the line reaches to the 95th percentile. The axis is logarithmic: from one \
    power of ten to the next the cost is tenfold. The bar shows where the cost is paid: in the guest, as page faults \
    during execute (coloured, amount on its left), or in the reset (grey, amount on its right). Hollow marks at \
    ≤ 0 are medians that noise made negative: too small to tell from nothing.";

/// Per-block overhead of all strategies on one workload, unless no sound strategy has one (there was no floor to compare
/// with).
pub fn figure(group: &Group, palette: &Palette) -> Option<Figure> {
    let cells = |control| {
        let cells = group.sorted(control, |cell| cell.overhead().map(|o| o.p50));
        cells.into_iter().filter_map(|cell| Some((cell, cell.overhead()?))).collect::<Vec<_>>()
    };
    let (contenders, controls) = (cells(false), cells(true));
    let rows = [contenders.as_slice(), &controls].concat();
    if rows.is_empty() {
        return None;
    }
    let subject = format!("{}: cost per block beyond the floor", group.title());
    let mut figure = Figure::new("overhead", &subject, &finding(group, &contenders), CAPTION, numbers(&rows));
    let names: Vec<&str> = rows.iter().map(|(cell, _)| cell.name()).collect();
    let canvas = &mut figure.canvas;
    let places = Rows::new(canvas, figure.top + 58.0, &names, controls.len(), palette);
    let (top, bottom) = (places.top, places.bottom());

    let header = top - 36.0;
    canvas.text("median, line to p95 (log scale)", AXIS.0 - 10.0, header, SMALL, Align::Left);
    canvas.text("together", TOTAL, header, SMALL, Align::Right);
    canvas.text("in the", GUEST, header, SMALL, Align::Right);
    canvas.text("guest", GUEST, header + 22.0, SMALL, Align::Right);
    canvas.text("shares", (BAR.0 + BAR.1) / 2.0, header + 22.0, SMALL, Align::Middle);
    canvas.text("in the", RESET, header, SMALL, Align::Right);
    canvas.text("reset", RESET, header + 22.0, SMALL, Align::Right);

    let noise = rows.iter().any(|(_, cost)| cost.p50 <= 0);
    let left = if noise { AXIS.0 + GUTTER } else { AXIS.0 };
    // What is noise at the median must not stretch the axis by the decades that its tail begins in.
    let positive = rows.iter().filter(|(_, cost)| cost.p50 > 0);
    let positive = positive.flat_map(|(_, cost)| [cost.p50, cost.p95.max(cost.p50)]);
    let axis = Axis::decades(positive.filter_map(|v| u64::try_from(v).ok()), TICK, (left, AXIS.1));
    places.axis(canvas, &axis.ticks(round_ns));
    if noise {
        canvas.line((AXIS.0, top), (AXIS.0, bottom), GRID, 1.5);
        canvas.text("≤ 0", AXIS.0, bottom + 17.0, SMALL, Align::Middle);
    }
    let baseline = rows.iter().find(|(cell, cost)| cell.name() == group.baseline && cost.p50 > 0);
    if let Some((_, baseline)) = baseline {
        let x = axis.place(baseline.p50 as f64);
        canvas.text("baseline", x, header + 22.0, SMALL, Align::Middle);
        canvas.line((x, top), (x, bottom), MUTED, 1.5);
    }
    for (index, (cell, cost)) in rows.iter().enumerate() {
        line(canvas, cost, palette.style(cell.name()), places.centre(index), &axis);
    }
    let missing = missing(group, |cell| cell.overhead().is_some());
    Some(figure.noting(&missing, bottom + 36.0, 8.0))
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

fn numbers(rows: &[(Shown, Overhead)]) -> Numbers {
    let head =
        ["strategy", "overhead p50", "p95", "p99", "max", "in the guest p50", "in the reset p50", "blocks"];
    let rows = rows.iter().map(|(cell, c)| {
        let times = [c.p50, c.p95, c.p99, c.max, c.execute_side_p50, c.reset_p50].map(signed_ns);
        [cell.name().to_owned()].into_iter().chain(times).chain([c.n.to_string()]).collect()
    });
    Numbers::new(&head, rows)
}

/// The marks of one strategy, and its amounts.
fn line(canvas: &mut Canvas, cost: &Overhead, style: Style, y: f64, axis: &Axis) {
    let tail = u64::try_from(cost.p95).ok().filter(|p95| cost.p95 > cost.p50 && axis.holds(*p95));
    // Noise has a thinner line, from its own place.
    let (x, width) = if cost.p50 > 0 { (axis.place(cost.p50 as f64), 3.0) } else { (AXIS.0, 1.5) };
    if let Some(tail) = tail.map(|p95| axis.place(p95 as f64)) {
        canvas.line((x, y), (tail, y), style.colour, width);
        canvas.line((tail, y - 5.0), (tail, y + 5.0), style.colour, 3.0);
    }
    if cost.p50 > 0 {
        canvas.marker((x, y), 7.5, style);
    } else {
        canvas.hollow_marker((x, y), 7.5, style);
    }
    canvas.text(&signed_ns(cost.p50), TOTAL, y, BODY.bold(), Align::Right);
    canvas.text(&signed_ns(cost.execute_side_p50), GUEST, y, BODY, Align::Right);
    canvas.text(&signed_ns(cost.reset_p50), RESET, y, BODY, Align::Right);

    let (guest, reset) = (cost.execute_side_p50.max(0) as f64, cost.reset_p50.max(0) as f64);
    if guest + reset <= 0.0 {
        return canvas.line((BAR.0, y), (BAR.1, y), MUTED, 1.0);
    }
    let split = BAR.0 + (BAR.1 - BAR.0) * guest / (guest + reset);
    canvas.rect((BAR.0, y - 8.0), (split, y + 8.0), style.colour);
    canvas.rect((split, y - 8.0), (BAR.1, y + 8.0), SOFT);
}
