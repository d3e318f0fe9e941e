//! `run`: verify and measure, then summarise and draw.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reset_strategies::registry;
use serde_json::Value;

use super::report::Files;
use super::select::matching;
use crate::analyse::summary::{Cell, Equivalence};
use crate::cli::{Filter, Own, RunArgs};
use crate::launch::plan::Plan;
use crate::launch::record::Record;
use crate::launch::runner::Runner;
use crate::machine;
use crate::measure::row::Params;
use crate::measure::writer::RowWriter;
use crate::progress::Progress;
use crate::workload::blocks::{self, Block};
use crate::workload::definition::Definition;
use crate::workload::{Workload, bundled, user};

/// The exit code of a run that was stopped by Ctrl-C, as shells have it.
pub(super) const INTERRUPTED: u8 = 130;

/// How long the machine's noise is watched before a run.
const WATCH: Duration = Duration::from_millis(300);

/// Runs strategies on workloads.
///
/// # Errors
/// When the command line names what is not there, or files cannot be written.
pub fn run(args: &RunArgs) -> Result<ExitCode> {
    let strategies = matching("strategy", &args.filter.strategies, registry::all(), |s| s.name().into())?;
    let plan = Plan {
        strategies: Plan::with_yardsticks(strategies),
        // Other compilers' guests are there for the verifier, and the empty one for the harness.
        workloads: workloads(&args.filter, &args.own, &args.params, args.profile.is_quick(), |d| {
            d.category != "foreign" && d.name != "stress/noop"
        })?,
        effort: args.profile.effort(),
        seed: args.seed.unwrap_or_else(rand::random),
        timeout: Duration::from_secs(args.timeout),
    };
    let interrupted = Arc::new(AtomicBool::new(false));
    watch_for_interrupt(&interrupted)?;
    let progress = Progress::new(args.quiet);
    let folder = fresh_folder(args.out.as_deref())?;
    let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    announce(&progress, &plan, &folder);

    let command = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    let noise = machine::noise(WATCH);
    let mut record = Record::new(&name, args.profile, &plan, format!("resetbench {command}"), noise);
    record.write(&folder.join("run.json"))?;
    let staging = tempfile::tempdir().context("cannot make a folder for the children's files")?;
    let mut runner = Runner {
        plan: &plan,
        run: &name,
        binary: std::env::current_exe().context("cannot find this program")?.into(),
        staging: staging.path().into(),
        rows: RowWriter::create(&folder.join("rows.ndjson"))?,
        progress: &progress,
        interrupted: &interrupted,
    };
    let outcome = runner.run();
    let stopped = interrupted.load(Ordering::Relaxed);
    record.finish(stopped || outcome.is_err());
    record.write(&folder.join("run.json"))?;
    outcome?;
    if stopped && fs::metadata(folder.join("rows.ndjson")).is_ok_and(|rows| rows.len() == 0) {
        eprintln!("interrupted before anything was measured");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    present(args, &folder, stopped)
}

/// Summarises, draws and prints; decides the exit code.
fn present(args: &RunArgs, folder: &Path, stopped: bool) -> Result<ExitCode> {
    let files = Files::read(folder)?;
    files.present(folder)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&files.summary)?);
    } else {
        print!("{}", files.tables());
    }
    if !args.quiet {
        eprintln!("\nrows, summary, figures and report.html are in {}", folder.display());
    }
    if stopped {
        eprintln!("interrupted: what was measured until then is kept");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    let cells = &files.summary.cells;
    for cell in cells.iter().filter(|cell| unsound(cell)) {
        let reason = cell.reason.as_deref().unwrap_or_default();
        eprintln!("error: {} on {} is not equal to a fresh instance: {reason}", cell.strategy, cell.workload);
    }
    let measured = cells.iter().any(|cell| cell.cycle_ns.is_some());
    if !measured {
        eprintln!("error: nothing could be measured");
    }
    Ok(if measured && !cells.iter().any(unsound) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A strategy that claims to be sound and is not.
fn unsound(cell: &Cell) -> bool {
    !cell.control && cell.equivalence == Equivalence::Diverged
}

fn announce(progress: &Progress, plan: &Plan, folder: &Path) {
    let names: Vec<_> = plan.workloads.iter().map(|workload| workload.name.as_str()).collect();
    progress.note(&format!(
        "{} strategies on {}; about {} s, seed {}, into {}",
        plan.strategies.len(),
        names.join(", "),
        plan.effort.budget.as_secs(),
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

/// The workloads that the command line asks for; where it names none, those that are `usual`.
pub(super) fn workloads(
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
        return Ok(vec![user::workload(module, given.as_deref())?]);
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
            bundled.workload(params, given.as_deref())
        })
        .collect()
}

fn given_blocks(own: &Own) -> Result<Option<Vec<Block>>> {
    let Some(path) = &own.blocks else { return Ok(None) };
    let trace = blocks::read(path, own.start_height, Some(own.limit))?;
    for note in &trace.notes {
        eprintln!("note: {note}");
    }
    Ok(Some(trace.blocks))
}

fn params(pairs: &[String]) -> Result<Params> {
    pairs
        .iter()
        .map(|pair| {
            let (name, value) =
                pair.split_once('=').with_context(|| format!("`{pair}` is not of the form NAME=VALUE"))?;
            let value: u64 = value
                .parse()
                .with_context(|| format!("`{pair}`: the value of a parameter is a whole number"))?;
            Ok((name.to_owned(), Value::from(value)))
        })
        .collect()
}

fn check_params<'a>(chosen: &Params, definitions: impl Iterator<Item = &'a Definition>) -> Result<()> {
    let known: Vec<_> = definitions.flat_map(|definition| definition.params.keys()).collect();
    for name in chosen.keys() {
        if !known.contains(&name) {
            bail!("no workload has a parameter `{name}`; `resetbench list --json` shows all");
        }
    }
    Ok(())
}

/// Makes a folder that did not exist: the one asked for, or that name with the next free number.
fn fresh_folder(asked: Option<&Path>) -> Result<PathBuf> {
    let default = || {
        let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
        Path::new("resetbench-results").join(now.replace(':', "").trim_end_matches('Z'))
    };
    let wanted = asked.map_or_else(default, Path::to_path_buf);
    if let Some(parent) = wanted.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    for number in 1.. {
        let folder = if number == 1 {
            wanted.clone()
        } else {
            let mut name = wanted.clone().into_os_string();
            name.push(format!("-{number}"));
            name.into()
        };
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| {
                    format!("cannot make {}: choose another folder with --out", folder.display())
                });
            }
        }
    }
    unreachable!("there is always a next number")
}
