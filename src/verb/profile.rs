//! `profile`: where a block's time goes, and which pages it dirties.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
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
use crate::present::table::Options;
use crate::profile::bench::{Bench, Setting};
use crate::profile::dirty;
use crate::profile::files::Files;
use crate::profile::fingerprint::measured::Source;
use crate::profile::fingerprint::report::Entry;
use crate::profile::fingerprint::words::{table, verdict};
use crate::profile::report::{Cell, Report, SCHEMA};
use crate::profile::table::tables;
use crate::prose::{enumerated, printable};
use crate::protocol::Planted;
use crate::workload::Workload;

/// The strategy beside the baseline where none is named.
const BESIDE: &str = "adaptive/hot-cold";

/// Profiles strategies on workloads.
///
/// # Errors
/// When the command line names what is not there, or files cannot be written.
pub fn run(args: &ProfileArgs) -> Result<ExitCode> {
    let usual = ["indexer/lru"];
    let workloads = workloads(&args.filter, &args.own, &args.params, true, |definition| {
        args.pages
            || usual.contains(&&*definition.name)
            || args.own.blocks.is_some() && definition.category == "indexer"
    })?;
    let host = args.on.of(&workloads);
    let strategies = chosen(args, host)?;
    let stage = Stage::new(args.output.quiet)?;
    let source = source(args, &stage)?;
    let folder = folder::fresh(&folder::wanted(args.output.out.as_deref()))?;
    stage.progress.note(&format!("{}, into {}", aim(args, &strategies, &workloads), folder.display()));
    let timeout = pace::seconds(args.timeout, 60);
    let setting = Setting {
        time: Duration::from_secs_f64(args.seconds),
        frequency: args.frequency,
        sampling: !args.no_sampling,
        timeout,
    };
    let mut bench = Bench::new(&stage, host, setting);
    let pager = dirty::Bench { stage: &stage, host, timeout };
    let drawn = Files { folder: &folder, frequency: args.frequency };
    let (mut pages, mut cells, mut written) = (Vec::new(), Vec::new(), Ok(()));
    for workload in &workloads {
        if stage.stopped() {
            break;
        }
        stage.progress.say(&format!("{}: its pages", workload.name));
        match pager.see(workload).and_then(|seen| Entry::of(workload, &seen, source.as_ref())) {
            Ok(entry) => {
                written = written.and(drawn.draw(&entry.map));
                pages.push(entry);
            }
            // What else there is to tell of it, and the other workloads, are told all the same.
            Err(error) => {
                stage.progress.warn(&format!("no pages of {}: {error:#}", printable(&workload.name)))
            }
        }
        if args.pages {
            continue;
        }
        let course = bench.course(workload)?;
        let mut first = None;
        for (strategy, planted) in &strategies {
            if stage.stopped() {
                break;
            }
            let mut profiled = bench.cell(&course, strategy, *planted);
            written = written.and(drawn.write(&mut profiled, &mut first));
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
        pages,
        cells,
    };
    ensure!(!args.pages || !report.pages.is_empty(), "no workload has run");
    tell(args.output.json, &report, || words(&report, args.table))?;
    // What was found is told even where it cannot be written.
    written.and(files::write_json(&folder.join("profile.json"), &report)).and(drawn.page(&report))?;
    if !args.output.quiet {
        eprint!("{}", where_they_are(&report, &folder));
    }
    Ok(code(&stage, args.pages || judged(&report.cells)))
}

/// What is going to be done.
fn aim(args: &ProfileArgs, strategies: &[(&Strategy, Option<Planted>)], workloads: &[Workload]) -> String {
    let workloads =
        enumerated(&workloads.iter().map(|workload| printable(&workload.name)).collect::<Vec<_>>());
    if args.pages {
        return format!("pages of {workloads}");
    }
    let strategies =
        enumerated(&strategies.iter().map(|(strategy, _)| strategy.name().into()).collect::<Vec<_>>());
    format!("{strategies} on {workloads}, {} s each besides what it takes to verify them", args.seconds)
}

/// What predictions rest on. Says what there is none of, and whose it is.
fn source(args: &ProfileArgs, stage: &Stage) -> Result<Option<Source>> {
    let source = Source::of(args.from.as_deref())?;
    match &source {
        None => stage.progress.note(
            "there is no landscape here to predict from: name the folder of a run that has one with --from",
        ),
        Some(source) if source.machine.class != Machine::read().class => stage.progress.note(&format!(
            "predictions are for the machine of the landscape: {}",
            source.machine.sentence()
        )),
        Some(_) => {}
    }
    Ok(source)
}

/// Maps and fingerprints, a table of them where there are several, and where time goes.
fn words(report: &Report, only_table: bool) -> String {
    let width = Options::for_stdout().width.min(80);
    let mut parts = Vec::new();
    if !only_table {
        parts.extend(report.pages.iter().map(|entry| entry.map.text(width) + &entry.text()));
    }
    if only_table || report.pages.len() > 1 {
        parts.push(table(&report.pages));
    }
    parts.extend(verdict(&report.pages).map(|verdict| verdict + "\n"));
    if !report.cells.is_empty() {
        parts.push(tables(&report.cells));
    }
    parts.join("\n")
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
    let mut text = format!(
        "\n{} shows all of it, and {} has the figures\n",
        folder.join("report.html").display(),
        folder.join("profile.json").display()
    );
    if !report.pages.is_empty() {
        text += "dirty-map-NAME.svg shows the pages of a workload\n";
    }
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
