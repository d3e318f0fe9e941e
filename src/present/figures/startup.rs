//! What it takes from process start to the first block ready, stage by stage.
//!
//! Compiling, as a rule, hides all other stages; then a second panel shows the same bars without it.

use super::parts::missing;
use super::stacked::{Bars, Line};
use super::{Figure, Numbers};
use crate::present::palette::Palette;
use crate::present::view::{Group, Shown};
use crate::units::ns;

/// Times by index of the stage.
fn line<'a>(cell: Shown<'a>, stages: &[&str]) -> Line<'a> {
    let time = |name: &&str| {
        let same = cell.startup().iter().filter(|s| s.name == *name);
        same.map(|s| s.ns).reduce(u64::saturating_add)
    };
    Line { name: cell.name(), times: stages.iter().map(time).collect() }
}

/// Startup of all strategies on one workload, unless no sound strategy has stages.
pub fn figure(group: &Group, palette: &Palette) -> Option<Figure> {
    let stages = stages(group);
    if stages.is_empty() {
        return None;
    }
    let cells = |control| {
        let cells = group.sorted(control, |cell| cell.startup_total()).into_iter();
        cells.filter(|cell| !cell.startup().is_empty()).collect::<Vec<_>>()
    };
    let (mut shown, controls) = (cells(false), cells(true));
    let contenders = shown.len();
    shown.extend(&controls);
    let lines: Vec<Line> = shown.iter().map(|cell| line(*cell, &stages)).collect();
    let bars = Bars { parts: &stages, whole: "all stages", lines: &lines, controls: controls.len() };
    let dominant = bars.dominant().map(|stage| stages[stage]);
    let subject = format!("{}: startup, from process start to first block ready", group.title());
    let finding = finding(&lines[..contenders], dominant);
    // Fewest launches behind any stage.
    let launches = shown.iter().map(|cell| cell.startup().iter().map(|s| s.n).min().unwrap_or(0));
    let numbers = numbers(&lines, launches, &stages);
    let mut figure = Figure::new("startup", &subject, &finding, caption(dominant), numbers);
    let bottom = bars.draw(&mut figure, palette);
    let missing = missing(group, |cell| !cell.startup().is_empty());
    Some(figure.noting(&missing, bottom, 8.0))
}

/// Names of all stages in their order.
fn stages<'a>(group: &Group<'a>) -> Vec<&'a str> {
    let mut stages: Vec<&str> = Vec::new();
    for cell in &group.cells {
        // A stage that only some strategies have goes behind the one it follows there.
        let mut next = 0;
        for stage in cell.startup() {
            let known = stages.iter().position(|known| *known == stage.name);
            let at = known.unwrap_or_else(|| {
                stages.insert(next, &stage.name);
                next
            });
            next = at + 1;
        }
    }
    stages
}

fn finding(contenders: &[Line], dominant: Option<&str>) -> String {
    let (Some(first), Some(last)) = (contenders.first(), contenders.last()) else {
        return "only controls have figures".into();
    };
    let mut text = format!("{} is ready first, after {}", first.name, ns(first.total(None)));
    if contenders.len() > 1 {
        text += &format!("; {} last, after {}", last.name, ns(last.total(None)));
    }
    if let Some(name) = dominant {
        text += &format!("; most of it is {name}");
    }
    text
}

fn caption(dominant: Option<&str>) -> String {
    let mut text = "Each bar is one strategy's startup, from process start to the first block ready, as medians \
        over launches; its parts are the stages in the order in which they happen, and the figure behind it is \
        their sum. The axis is linear, so lengths can be compared."
        .to_owned();
    if let Some(name) = dominant {
        text += &format!(
            " Because {name} takes most of the time, the panel on the right repeats the bars without it, on an axis of \
             its own."
        );
    }
    text
}

fn numbers(lines: &[Line], launches: impl Iterator<Item = u32>, stages: &[&str]) -> Numbers {
    let head = [&["strategy"][..], stages, &["total", "launches"]].concat();
    let rows = lines.iter().zip(launches).map(|(line, launches)| {
        let times = line.times.iter().map(|time| time.map_or("-".into(), ns));
        let sums = [ns(line.total(None)), launches.to_string()];
        [line.name.to_owned()].into_iter().chain(times).chain(sums).collect()
    });
    Numbers::new(&head, rows)
}
