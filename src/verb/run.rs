//! `run`: verify and measure, then summarise and draw.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use reset_strategies::registry;
use serde_json::Value;

use super::report::Files;
use super::select::{matching, nearest};
use crate::analyse::summary::{Cell, Equivalence};
use crate::cli::{Filter, Own, RunArgs, Suite};
use crate::launch::folder;
use crate::launch::harness;
use crate::launch::landscape;
use crate::launch::plan::{Contender, Effort, Plan};
use crate::launch::record::{Record, command_line};
use crate::launch::runner::Runner;
use crate::machine::{self, pace};
use crate::measure::row::Params;
use crate::measure::writer::RowWriter;
use crate::progress::Progress;
use crate::prose::printable;
use crate::workload::blocks::{self, Trace};
use crate::workload::definition::Definition;
use crate::workload::landscape::Part;
use crate::workload::{Workload, bundled, one_block, user};

/// The exit code of a run that was stopped by Ctrl-C, as shells have it.
pub(super) const INTERRUPTED: u8 = 130;

/// How long the machine's noise is watched before a run.
const WATCH: Duration = Duration::from_millis(300);

/// Runs strategies on workloads.
///
/// # Errors
/// When the command line names what is not there, or files cannot be written.
pub fn run(args: &RunArgs) -> Result<ExitCode> {
    let (folder, stopped) = measure(args)?;
    if stopped && fs::metadata(folder.join("rows.ndjson")).is_ok_and(|rows| rows.len() == 0) {
        eprintln!("interrupted before anything was measured");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    present(args, &folder, stopped)
}

/// Measures, and returns the folder of the run and whether it was stopped by hand.
///
/// # Errors
/// As [`run`].
pub(super) fn measure(args: &RunArgs) -> Result<(PathBuf, bool)> {
    let strategies = matching("strategy", &args.filter.strategies, registry::all(), |s| s.name().into())?;
    let mut contenders = Plan::with_yardsticks(strategies);
    contenders.extend(args.aa.then(Contender::again));
    let wanted = (args.suite == Suite::Landscape).then(|| part(args)).transpose()?;
    let effort = args.profile.effort();
    let budget = args.budget.unwrap_or(effort.budget);
    let plan = Plan {
        contenders,
        workloads: if wanted.is_some() { Vec::new() } else { usual(args)? },
        effort: Effort { budget, long_blocks: args.long_blocks, ..effort },
        seed: args.seed.unwrap_or_else(rand::random),
        timeout: pace::seconds(args.timeout, 60),
    };
    let interrupted = Arc::new(AtomicBool::new(false));
    watch_for_interrupt(&interrupted)?;
    let progress = Progress::new(args.quiet);
    let folder = folder::fresh(&folder::wanted(args.out.as_deref()))?;
    let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    announce(&progress, &plan, &folder);

    let noise = machine::noise(WATCH);
    let mut record = Record::new(&name, args.profile, &plan, command_line(), noise);
    record.write(&folder.join("run.json"))?;
    let staging = folder::staging()?;
    let mut runner = Runner {
        plan: &plan,
        run: &name,
        binary: crate::launch::program()?.into(),
        staging: staging.path().into(),
        rows: RowWriter::create(&folder.join("rows.ndjson"))?,
        progress: &progress,
        interrupted: &interrupted,
    };
    let outcome = match &wanted {
        None => runner.run(),
        Some(wanted) => landscape::explore(&mut runner, wanted).map(|explored| {
            record.workloads = explored.measured;
            record.left_out = explored.left_out;
        }),
    };
    let stopped = interrupted.load(Ordering::Relaxed);
    if outcome.is_ok() && !stopped {
        record.harness = harness::measure(&runner)?;
    }
    record.finish(stopped || outcome.is_err());
    let kept = runner.rows.keep().and_then(|()| record.write(&folder.join("run.json")));
    // Why it ended comes before what became of it.
    outcome.with_context(|| match &kept {
        Ok(()) => format!("the run ended early (resetbench report {} shows what it has)", folder.display()),
        Err(error) => format!("the run ended early, and {error}"),
    })?;
    kept?;
    if let (Some(harness), false) = (&record.harness, args.quiet) {
        eprintln!("{}", harness.sentence());
    }
    Ok((folder, stopped))
}

/// Summarises, draws and prints; decides the exit code.
fn present(args: &RunArgs, folder: &Path, stopped: bool) -> Result<ExitCode> {
    let files = Files::read(folder)?;
    // What was measured is told even where it cannot be drawn.
    let drawn = files.present(folder);
    if args.json {
        println!("{}", serde_json::to_string_pretty(files.summary())?);
    } else {
        print!("{}", files.tables()?);
        if args.explain {
            print!("{}", files.explanation());
        }
    }
    drawn?;
    if !args.quiet {
        eprintln!("\nrows, summary, figures and report.html are in {}", folder.display());
    }
    if stopped {
        eprintln!("interrupted: what was measured until then is kept");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    let cells = &files.summary().cells;
    for cell in cells.iter().filter(|cell| unsound(cell)) {
        let reason = cell.reason.as_deref().unwrap_or_default();
        eprintln!("error: {} on {} is not equal to a fresh instance: {reason}", cell.strategy, cell.workload);
    }
    let measured = cells.iter().any(|cell| cell.cycle_ns.is_some());
    if !measured {
        let reason = cells.iter().find_map(|cell| cell.reason.as_deref());
        eprintln!(
            "error: nothing could be measured{}",
            reason.map(|reason| format!(": {reason}")).unwrap_or_default()
        );
    }
    Ok(if measured && !cells.iter().any(unsound) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A strategy that claims to be sound and is not.
fn unsound(cell: &Cell) -> bool {
    !cell.control && cell.equivalence == Equivalence::Diverged
}

fn announce(progress: &Progress, plan: &Plan, folder: &Path) {
    let mut names: Vec<_> = plan.workloads.iter().map(|workload| workload.name.as_str()).collect();
    if names.is_empty() {
        names.push("the landscape");
    }
    progress.note(&format!(
        "{} strategies on {}; about {} s{}, seed {}, into {}",
        plan.contenders.len(),
        names.join(", "),
        plan.effort.budget.as_secs(),
        if plan.effort.long_blocks.is_some() { " and the long runs" } else { "" },
        plan.seed,
        folder.display()
    ));
}

/// The first Ctrl-C ends the run in order; a second one ends it at once.
pub(super) fn watch_for_interrupt(interrupted: &Arc<AtomicBool>) -> Result<()> {
    let interrupted = interrupted.clone();
    ctrlc::set_handler(move || {
        if interrupted.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into());
        }
        eprintln!("\nstopping after this step; Ctrl-C again to stop at once");
    })
    .context("cannot watch for Ctrl-C")
}

/// The part of the landscape that is asked for: each parameter has one of the values given for it.
fn part(args: &RunArgs) -> Result<Part> {
    let own = args.own.module.is_some() || args.own.blocks.is_some();
    if own || !args.filter.workloads.is_empty() {
        bail!(
            "--suite landscape has a workload of its own: only strategies and its parameters can be chosen"
        );
    }
    if args.long_blocks.is_some() {
        bail!(
            "--long-blocks is for the standard suite: the landscape has too many places to stay long in each"
        );
    }
    Part::new(pairs(&args.params)?)
}

/// Other compilers' guests are there for the verifier, the empty one for the harness, and the chunked one for
/// `determinism`.
fn usual(args: &RunArgs) -> Result<Vec<Workload>> {
    workloads(&args.filter, &args.own, &args.params, args.profile.is_quick(), |definition| {
        definition.category != "foreign"
            && !["stress/noop", "stress/allocate-chunked"].contains(&definition.name.as_str())
    })
}

/// The workloads that the command line asks for; where it names none, those that are `usual`.
pub(super) fn workloads(
    filter: &Filter,
    own: &Own,
    chosen: &[String],
    quick: bool,
    usual: impl Fn(&Definition) -> bool,
) -> Result<Vec<Workload>> {
    let found = chosen_workloads(filter, own, chosen, quick, usual)?;
    let one: Vec<&str> = found
        .iter()
        .filter(|workload| workload.repeats_one_block())
        .map(|workload| &*workload.name)
        .collect();
    if !one.is_empty() {
        eprintln!("note: {}", one_block(&one));
    }
    Ok(found)
}

fn chosen_workloads(
    filter: &Filter,
    own: &Own,
    chosen: &[String],
    quick: bool,
    usual: impl Fn(&Definition) -> bool,
) -> Result<Vec<Workload>> {
    let given = given_blocks(own)?;
    if let Some(module) = &own.module {
        if !filter.workloads.is_empty() {
            bail!("--module runs your own indexer: it cannot be combined with --workload");
        }
        return Ok(vec![user::workload(module, given.as_ref())?]);
    }
    let chosen = params(chosen)?;
    let mut named = Vec::new();
    for bundled in bundled::all() {
        named.push((bundled, bundled.definition()?));
    }
    check_params(&chosen, named.iter().map(|(_, definition)| definition))?;
    let all: Vec<_> = named.iter().collect();
    let picked = if filter.workloads.is_empty() {
        let indexers = |d: &Definition| given.is_none() || d.category == "indexer";
        all.into_iter().filter(|(_, d)| usual(d) && indexers(d)).collect()
    } else {
        matching("workload", &filter.workloads, &all, |(_, definition)| definition.name.clone())?
    };
    picked
        .into_iter()
        .map(|(bundled, definition)| {
            let params = definition.params(quick, &chosen);
            bundled.workload(params, given.as_ref())
        })
        .collect()
}

fn given_blocks(own: &Own) -> Result<Option<Trace>> {
    let Some(path) = &own.blocks else { return Ok(None) };
    // Names of files may hold anything, and messages are lines.
    let trace = blocks::read(path, own.start_height, Some(own.limit))
        .map_err(|error| anyhow!("{}", printable(&error.to_string())))?;
    for note in trace.notes.iter().chain([&trace.sentence()]) {
        eprintln!("note: {}", printable(note));
    }
    Ok(Some(trace))
}

fn params(chosen: &[String]) -> Result<Params> {
    Ok(pairs(chosen)?.into_iter().map(|(name, value)| (name, Value::from(value))).collect())
}

fn pairs(chosen: &[String]) -> Result<Vec<(String, u64)>> {
    chosen
        .iter()
        .map(|pair| {
            let (name, value) =
                pair.split_once('=').with_context(|| format!("`{pair}` is not of the form NAME=VALUE"))?;
            let value: u64 = value
                .parse()
                .with_context(|| format!("`{pair}`: the value of a parameter is a whole number"))?;
            Ok((name.to_owned(), value))
        })
        .collect()
}

fn check_params<'a>(chosen: &Params, definitions: impl Iterator<Item = &'a Definition>) -> Result<()> {
    let known: Vec<_> = definitions.flat_map(|definition| definition.params.keys()).collect();
    for name in chosen.keys() {
        if !known.contains(&name) {
            let names: Vec<String> = known.iter().map(ToString::to_string).collect();
            let meant = nearest(name, &names);
            bail!("no workload has a parameter `{name}`{meant}; `resetbench list --json` shows all");
        }
    }
    Ok(())
}
