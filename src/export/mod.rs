//! A run in the formats of other people's dashboards. All of them are functions of the saved files.

mod bencher;
mod gh_action;
mod junit;
mod openmetrics;

use anyhow::Result;

use crate::analyse::summary::Cell;
use crate::gate::series::place;
use crate::hosts;
use crate::launch::saved::Saved;
use crate::present::markdown;
use crate::present::view::Group;
use crate::prose::markdown::escape;

/// A format that others read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Bencher Metric Format, a JSON object.
    Bencher,
    /// `customSmallerIsBetter` of github-action-benchmark.
    GhAction,
    /// OpenMetrics text, for a textfile collector.
    Openmetrics,
    /// JUnit XML: a test per cell, which fails when its reset is not equal to a fresh instance.
    Junit,
    /// Tables for a page.
    Markdown,
}

/// Writes a run in a format.
///
/// # Errors
/// When a figure is no number, which no format can hold.
pub fn export(saved: &Saved, format: Format) -> Result<String> {
    Ok(match format {
        Format::Bencher => serde_json::to_string_pretty(&bencher::export(saved))? + "\n",
        Format::GhAction => serde_json::to_string_pretty(&gh_action::export(saved))? + "\n",
        Format::Openmetrics => openmetrics::export(saved),
        Format::Junit => junit::export(saved),
        Format::Markdown => tables(saved),
    })
}

fn tables(saved: &Saved) -> String {
    let record = &saved.record;
    let mut out = format!(
        "# `{}`\n\n{}; {}, wasmtime {}; `{}`\n",
        record.run,
        record.host().sentence(),
        record.machine.sentence(),
        record.wasmtime,
        record.command
    );
    for group in Group::all(&saved.summary) {
        out += &format!("\n## {}\n\n{}", escape(&group.title()), markdown::table(&group));
    }
    out
}

/// A cell's name in flat formats.
fn name(saved: &Saved, cell: &Cell) -> String {
    let name = format!("{} on {}", cell.strategy, place(&cell.workload, &cell.params));
    hosts::named(&name, saved.summary.host())
}

/// Cells whose figures may be shown: controls are no contenders.
fn shown(saved: &Saved) -> impl Iterator<Item = &Cell> {
    saved.summary.cells.iter().filter(|cell| !cell.control && cell.cycle_ns.is_some())
}
