//! `pages`: which pages each block dirties, and what that predicts.

use std::path::Path;

use anyhow::{Result, ensure};

use super::select::workloads;
use super::tell;
use crate::cli::PagesArgs;
use crate::files;
use crate::launch::stage::Stage;
use crate::machine::{Machine, pace};
use crate::present::table::Options;
use crate::profile::dirty::{Bench, Theme};
use crate::profile::fingerprint::measured::Source;
use crate::profile::fingerprint::report::{Entry, Report, SCHEMA};

/// Runs workloads and says which pages they dirty.
///
/// # Errors
/// When the command line names what is not there, or a workload does not run.
pub fn run(args: &PagesArgs) -> Result<()> {
    // With the parameters of a quick run, which is what most results are of.
    let workloads = workloads(&args.filter, &args.own, &args.params, true, |_| true)?;
    let stage = Stage::new(args.quiet)?;
    let source = Source::of(args.from.as_deref())?;
    match &source {
        None => stage.progress.warn(
            "there is no landscape here to predict from: name the folder of a run that has one with --from",
        ),
        Some(source) if source.machine.class != Machine::read().class => stage.progress.note(&format!(
            "predictions are for the machine of the landscape: {}",
            source.machine.sentence()
        )),
        Some(_) => {}
    }
    let bench = Bench { stage: &stage, host: args.on.of(&workloads), timeout: pace::seconds(None, 60) };
    let mut report = Report { schema: SCHEMA, workloads: Vec::new() };
    for workload in &workloads {
        if stage.stopped() {
            break;
        }
        stage.progress.say(&workload.name);
        match bench.see(workload).and_then(|seen| Entry::of(workload, &seen, source.as_ref())) {
            Ok(entry) => report.workloads.push(entry),
            // The others are told all the same.
            Err(error) if workloads.len() > 1 => stage.progress.warn(&format!("left out: {error:#}")),
            Err(error) => return Err(error),
        }
    }
    stage.progress.finish();
    ensure!(!report.workloads.is_empty(), "no workload has run");
    if let Some(folder) = &args.out {
        draw(folder, &report)?;
    }
    tell(args.json, &report, || words(&report, args.table))
}

/// Maps and fingerprints, and a table of them where there are several.
fn words(report: &Report, only_table: bool) -> String {
    let width = Options::for_stdout().width;
    let mut parts = Vec::new();
    if !only_table {
        parts.extend(report.workloads.iter().map(|entry| entry.map.text(width.min(80)) + &entry.text()));
    }
    if only_table || report.workloads.len() > 1 {
        parts.push(report.table());
    }
    parts.extend(report.verdict().map(|verdict| verdict + "\n"));
    parts.join("\n")
}

/// Writes the maps as pictures, and all figures beside them.
fn draw(folder: &Path, report: &Report) -> Result<()> {
    files::make_folder(folder)?;
    files::write_json(&folder.join("profile.json"), report)?;
    for entry in &report.workloads {
        let name = entry.map.workload.replace('/', "-");
        for (theme, ending) in [(Theme::Light, "svg"), (Theme::Dark, "dark.svg")] {
            files::write(&folder.join(format!("dirty-map-{name}.{ending}")), entry.map.svg(theme))?;
        }
    }
    Ok(())
}
