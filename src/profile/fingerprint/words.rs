//! Fingerprints and what they predict, in words.

use std::fmt::Write;

use super::report::Entry;
use super::{Fingerprint, MIB, Shape};
use crate::present::table::hanging;
use crate::prose::{enumerated, percent};
use crate::units::{bytes, count, ns, ratio, several};

/// Columns of a terminal.
const WIDTH: usize = 80;

/// Strategies that are listed of a prediction.
const LISTED: usize = 5;

/// A share without decimals.
fn share(share: f64) -> String {
    percent((share * 100.0).round() / 100.0)
}

fn mib(value: f64) -> String {
    bytes((value * MIB) as u64)
}

impl Fingerprint {
    /// The fingerprint as names and values.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let shape = match self.shape() {
            Shape::Contiguous => "mostly contiguous",
            Shape::EverySecond => "about every second page",
            Shape::Random => "scattered",
        };
        vec![
            ("dirty pages", format!("{}, of a footprint of {}", count(self.dirty), count(self.footprint))),
            ("fragmentation", format!("{} runs per page: {shape}", count(self.fragmentation))),
            ("faults", format!("{} per page where none is there", count(self.faults))),
            ("motion", format!("{} of a block's pages are not the last block's", share(self.motion))),
            (
                "memory",
                format!(
                    "{}, image {}, growth {}",
                    mib(self.memory_mib),
                    mib(self.image_mib),
                    mib(self.growth_mib)
                ),
            ),
        ]
    }
}

impl Entry {
    /// Fingerprint, neighbours and prediction, for a terminal.
    pub fn text(&self) -> String {
        lines("fingerprint", &self.fingerprint.rows()) + &lines("prediction", &self.rows())
    }

    /// Neighbours and prediction as names and values.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![("execute", format!("{} per block by itself", ns(self.execute_ns)))];
        if let Some(alike) = &self.resembles {
            rows.push(("resembles", format!("{}, {} away", alike.workload, count(alike.distance))));
        }
        if let Some(prediction) = &self.prediction {
            let near = prediction.neighbours.iter();
            let near: Vec<_> = near
                .map(|near| format!("{} ({} away, {})", near.place, count(near.distance), share(near.weight)))
                .collect();
            rows.push(("near", near.join("; ")));
            rows.extend(self.predicted_on.clone().map(|machine| ("landscape of", machine)));
            if self.fingerprint.grows > 0.0 && !prediction.knows_growth {
                let why = "what growing takes: no place of that landscape grows and dirties nothing else";
                rows.push(("not in it", why.to_owned()));
            }
            let first = prediction.ranking.iter().take(LISTED);
            let first: Vec<_> = first.map(|p| format!("{} {}", p.strategy, ns(p.cycle_ns as u64))).collect();
            rows.push(("predicted", first.join(", ")));
        }
        if let Some(held) = &self.held {
            let first = held.ranking.iter().take(LISTED);
            let first: Vec<_> =
                first.map(|pair| format!("{} {}", pair.strategy, ns(pair.measured_ns))).collect();
            rows.push(("measured", first.join(", ")));
            rows.push(("error", format!(
                "the predicted best takes {} times the measured best's cycle; cycles are {} off in the median",
                ratio(held.ratio),
                share(held.error)
            )));
        }
        rows
    }
}

/// A heading and named values below it.
fn lines(heading: &str, rows: &[(&str, String)]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!("{heading}\n");
    for (name, value) in rows {
        text += &hanging(&format!("  {name:<18} "), value, WIDTH);
    }
    text
}

/// What the columns of the table are called.
const HEAD: [&str; 12] = [
    "workload",
    "dirty",
    "footprint",
    "runs/page",
    "motion",
    "growth",
    "image",
    "nearest place",
    "predicted best",
    "measured best",
    "ratio",
    "error",
];

/// All workloads in a table of Markdown, as documents take it.
pub fn table(entries: &[Entry]) -> String {
    let rows = entries.iter().map(|entry| {
        let Fingerprint { dirty, footprint, fragmentation, motion, growth_mib, image_mib, .. } =
            entry.fingerprint;
        let near = entry.prediction.as_ref().and_then(|prediction| prediction.neighbours.first());
        let predicted = entry.prediction.as_ref().and_then(|prediction| prediction.ranking.first());
        let held = entry.held.as_ref();
        let or = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        [
            entry.map.workload.clone(),
            count(dirty),
            count(footprint),
            count(fragmentation),
            share(motion),
            mib(growth_mib),
            mib(image_mib),
            or(near.map(|near| format!("{} ({})", near.place, count(near.distance)))),
            or(held.map(|held| held.predicted_best.clone()).or(predicted.map(|best| best.strategy.clone()))),
            or(held.map(|held| held.measured_best.clone())),
            or(held.map(|held| ratio(held.ratio))),
            or(held.map(|held| share(held.error))),
        ]
    });
    let rows: Vec<_> = [HEAD.map(str::to_owned)].into_iter().chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; HEAD.len()] = std::array::from_fn(width);
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!(" {cell:<width$} "));
        let _ = writeln!(text, "|{}|", cells.collect::<Vec<_>>().join("|"));
        if index == 0 {
            let rules = widths.map(|width| "-".repeat(width + 2));
            let _ = writeln!(text, "|{}|", rules.join("|"));
        }
    }
    text
}

/// How well the predictions hold, in a sentence; nothing where nothing was measured.
pub fn verdict(entries: &[Entry]) -> Option<String> {
    let held: Vec<_> =
        entries.iter().filter_map(|entry| Some((&entry.map.workload, entry.held.as_ref()?))).collect();
    let (_, worst) = held.iter().max_by(|(_, a), (_, b)| a.ratio.total_cmp(&b.ratio))?;
    let at: Vec<_> =
        held.iter().filter(|(_, h)| h.ratio == worst.ratio).map(|(name, _)| (*name).clone()).collect();
    Some(format!(
        "Held against measurements of {}: the predicted best takes at most {} times the best's cycle ({}).",
        several(held.len(), "workload"),
        ratio(worst.ratio),
        enumerated(&at)
    ))
}
