//! `profile`: where a block's time goes.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use reset_strategies::{Strategy, registry};

use super::select::{strategies, workloads};
use super::{code, tell, unequal};
use crate::analyse::summary::Equivalence;
use crate::cli::ProfileArgs;
use crate::files;
use crate::hosts::Host;
use crate::launch::folder;
use crate::launch::record::{command_line, wasmtime_version};
use crate::launch::stage::Stage;
use crate::machine::{Machine, pace};
use crate::profile::bench::{Bench, Setting};
use crate::profile::files::Files;
use crate::profile::report::{Cell, Report, SCHEMA};
use crate::profile::table::tables;
use crate::prose::{enumerated, printable};
use crate::protocol::Planted;

/// The strategy beside the baseline where none is named.
const BESIDE: &str = "adaptive/hot-cold";

/// Profiles strategies on workloads.
///
/// # Errors
/// When the command line names what is not there, or files cannot be written.
pub fn run(args: &ProfileArgs) -> Result<ExitCode> {
    let usual = ["indexer/lru"];
    let workloads = workloads(&args.filter, &args.own, &args.params, true, |definition| {
        usual.contains(&&*definition.name) || args.own.blocks.is_some() && definition.category == "indexer"
    })?;
    let host = args.on.of(&workloads);
    let strategies = chosen(args, host)?;
    let stage = Stage::new(args.output.quiet)?;
    let folder = folder::fresh(&folder::wanted(args.output.out.as_deref()))?;
    stage.progress.note(&format!(
        "{} on {}, {} s each besides what it takes to verify them, into {}",
        enumerated(&strategies.iter().map(|(strategy, _)| strategy.name().into()).collect::<Vec<_>>()),
        enumerated(&workloads.iter().map(|workload| printable(&workload.name)).collect::<Vec<_>>()),
        args.seconds,
        folder.display()
    ));
    let setting = Setting {
        time: Duration::from_secs_f64(args.seconds),
        frequency: args.frequency,
        sampling: !args.no_sampling,
        timeout: pace::seconds(args.timeout, 60),
    };
    let mut bench = Bench::new(&stage, host, setting);
    let stacks = Files { folder: &folder, frequency: args.frequency };
    let (mut cells, mut written) = (Vec::new(), Ok(()));
    for workload in &workloads {
        if stage.stopped() {
            break;
        }
        let course = bench.course(workload)?;
        let mut first = None;
        for (strategy, planted) in &strategies {
            if stage.stopped() {
                break;
            }
            let mut profiled = bench.cell(&course, strategy, *planted);
            written = written.and(stacks.write(&mut profiled, &mut first));
            cells.push(profiled.cell);
        }
    }
    stage.progress.finish();
    let report = Report {
        schema: SCHEMA,
        command: command_line(),
        version: env!("CARGO_PKG_VERSION").into(),
        executable_sha256: stage.binary.sha256().ok(),
        wasmtime: wasmtime_version().into(),
        host: host.clone(),
        machine: Machine::read(),
        frequency_hz: args.frequency,
        interrupted: stage.stopped(),
        notes: std::mem::take(&mut bench.notes),
        cells,
    };
    tell(args.output.json, &report, || tables(&report.cells))?;
    // What was found is told even where it cannot be written.
    written.and(files::write_json(&folder.join("profile.json"), &report))?;
    if !args.output.quiet {
        eprint!("{}", where_they_are(&report, &folder));
    }
    Ok(code(&stage, judged(&report.cells)))
}

/// The strategies that are named, or the baseline and the one beside it; each with what is planted in it.
fn chosen(args: &ProfileArgs, host: &Host) -> Result<Vec<(&'static Strategy, Option<Planted>)>> {
    let named = match args.filter.strategies.as_slice() {
        [] => vec![host.baseline.clone(), BESIDE.into()],
        named => named.to_vec(),
    };
    // In the order in which they are named: the first is what others are compared with.
    let mut found: Vec<&'static Strategy> = Vec::new();
    for pattern in named {
        for strategy in strategies(std::slice::from_ref(&pattern))? {
            if !found.iter().any(|known| known.name() == strategy.name()) {
                found.push(strategy);
            }
        }
    }
    if let Some(plant) =
        args.plants.iter().find(|plant| !found.iter().any(|known| known.name() == plant.strategy))
    {
        bail!("--plant: `{}` does not run here: choose it with --strategy", printable(&plant.strategy));
    }
    let planted = |strategy: &Strategy| {
        args.plants.iter().find(|plant| plant.strategy == strategy.name()).map(|plant| plant.planted)
    };
    Ok(found.into_iter().map(|strategy| (strategy, planted(strategy))).collect())
}

/// Whether something was profiled, and nothing that claims to be sound is not. Says what is wrong.
fn judged(cells: &[Cell]) -> bool {
    let wrong = |cell: &&Cell| {
        let control = registry::find(&cell.strategy).is_some_and(Strategy::is_control);
        !control && cell.equivalence == Equivalence::Diverged
    };
    for cell in cells.iter().filter(wrong) {
        unequal(&cell.strategy, &cell.workload, cell.reason.as_deref().unwrap_or_default());
    }
    let any = cells.iter().any(|cell| cell.profile.is_some());
    if !any {
        eprintln!("error: nothing could be profiled");
    }
    any && !cells.iter().any(|cell| wrong(&cell))
}

/// Where files are, and how they are opened.
fn where_they_are(report: &Report, folder: &Path) -> String {
    let mut text = format!("\nall figures are in {}\n", folder.join("profile.json").display());
    if report.cells.iter().any(|cell| cell.profile.as_ref().is_some_and(|profile| !profile.files.is_empty()))
    {
        text += &format!(
            "flame graphs are in {}: open them in a browser; diff-A-B.svg shows B against A\nstacks are in {}, a line each\nNAME.profile.json opens in \
             https://profiler.firefox.com (Load a profile from file): nothing of it is sent anywhere\n",
            folder.join("flame").display(),
            folder.join("folded").display(),
        );
    }
    text
}
