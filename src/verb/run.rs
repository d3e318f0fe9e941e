//! `run`: verify and measure, then summarise and draw.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::report::Files;
use super::select::{pairs, strategies, workloads};
use super::{tell, unequal};
use crate::analyse::counterpart::split;
use crate::analyse::summary::{Cell, Equivalence};
use crate::cli::{RunArgs, Suite};
use crate::launch::build::Build;
use crate::launch::harness;
use crate::launch::landscape;
use crate::launch::plan::{Contender, Effort, Plan, Profile};
use crate::launch::record::{Record, command_line};
use crate::launch::runner::Runner;
use crate::launch::stage::{INTERRUPTED, Results, Stage};
use crate::machine::pinning::Pinning;
use crate::machine::{self, pace};
use crate::progress::Progress;
use crate::prose::printable;
use crate::serving::suite::{SHARE, Wanted, serve};
use crate::workload::Workload;
use crate::workload::definition::Definition;
use crate::workload::landscape::Part;

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
    let strategies = strategies(&args.filter.strategies)?;
    let wanted = (args.suite == Suite::Landscape).then(|| part(args)).transpose()?;
    let workloads = if wanted.is_some() { Vec::new() } else { suite(args)? };
    let host = args.on.of(&workloads);
    let mut contenders = Plan::with_yardsticks(strategies, host);
    contenders.extend(args.aa.then(|| Contender::again(host)));
    if let Some(against) = &args.against {
        contenders = Plan::with_build(contenders, &Build::ask(against)?);
    }
    for plant in &args.plants {
        plant.within(&mut contenders)?;
    }
    let effort = args.profile.effort();
    let budget = args.budget.unwrap_or_else(|| args.suite.usual(effort.budget));
    let for_serving = if args.suite == Suite::Views { budget.mul_f64(SHARE) } else { Duration::ZERO };
    let plan = Plan {
        host,
        contenders,
        workloads,
        effort: Effort { budget: budget - for_serving, long_blocks: args.long_blocks, ..effort },
        seed: args.seed.unwrap_or_else(rand::random),
        timeout: pace::seconds(args.timeout, 60),
    };
    let mut stage = Stage::new(args.output.quiet)?;
    if args.unpinned {
        stage.pinning = Pinning::none();
    }
    let mut results = Results::new(args.output.out.as_deref())?;
    let folder = results.folder.clone();
    announce(&stage.progress, &plan, &folder);
    let executable_sha256 = stage.binary.sha256().ok();
    if let Some(build) = plan.build() {
        stage.progress.note(&beside(build, executable_sha256.as_deref()));
    }

    let noise = machine::noise(WATCH);
    let mut record = Record::new(&results.run, args.profile, &plan, command_line(), noise);
    record.executable_sha256 = executable_sha256;
    record.cpus = stage.pinning.cpus().to_vec();
    record.write(&folder)?;
    let mut runner = Runner { plan: &plan, stage: &stage, results: &mut results };
    let began = Instant::now();
    let outcome = match &wanted {
        None => runner.run(),
        Some(wanted) => landscape::explore(&mut runner, wanted).map(|explored| {
            record.workloads = explored.measured;
            record.left_out = explored.left_out;
        }),
    };
    let unused = plan.effort.budget.saturating_sub(began.elapsed());
    let mut stopped = stage.stopped();
    if outcome.is_ok() && !stopped {
        record.harness = harness::measure(&runner)?;
    }
    record.finish(stopped || outcome.is_err());
    let kept = results.rows.keep().and_then(|()| record.write(&folder));
    // Why it ended comes before what became of it.
    outcome.with_context(|| match &kept {
        Ok(()) => format!("the run ended early (resetbench report {} shows what it has)", folder.display()),
        Err(error) => format!("the run ended early, and {error}"),
    })?;
    kept?;
    if !for_serving.is_zero() && !stopped {
        let wanted = Wanted {
            profile: args.profile,
            all: args.profile == Profile::Full || !args.filter.strategies.is_empty(),
            while_indexing: args.while_indexing,
            budget: for_serving + unused,
        };
        serve(&plan, wanted, &stage, &folder).context("what was measured before is kept")?;
        stopped = stage.stopped();
    }
    if let (Some(harness), false) = (&record.harness, args.output.quiet) {
        eprintln!("{}", harness.sentence());
    }
    Ok((folder, stopped))
}

/// Summarises, draws and prints; decides the exit code.
fn present(args: &RunArgs, folder: &Path, stopped: bool) -> Result<ExitCode> {
    let files = Files::read(folder)?;
    // What was measured is told even where it cannot be drawn.
    let drawn = files.present(folder);
    let tables = files.tables()?;
    tell(args.output.json, files.summary(), || {
        if args.explain { tables + &files.explanation() } else { tables }
    })?;
    drawn?;
    if !args.output.quiet {
        let served = if args.suite == Suite::Views { " (what was served: serving/serving.json)" } else { "" };
        eprintln!("\nrows, summary, figures and report.html are in {}{served}", folder.display());
    }
    if stopped {
        eprintln!("interrupted: what was measured until then is kept");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    let cells = &files.summary().cells;
    for cell in cells.iter().filter(|cell| unsound(cell)) {
        let reason = cell.reason.as_deref().unwrap_or_default();
        unequal(&cell.strategy, &cell.workload, reason);
    }
    for cell in cells.iter().filter(|cell| cell.control && cell.equivalence == Equivalence::Diverged) {
        if let (Some((_, build)), Some(reason)) = (split(&cell.strategy), &cell.reason) {
            eprintln!(
                "warning: {} on {} is not equal to a fresh instance, which is a fault of `{build}`: {reason}",
                cell.strategy, cell.workload
            );
        }
    }
    let measured = cells.iter().any(|cell| cell.cycle_ns.is_some());
    if !measured {
        let reason = cells.iter().find_map(|cell| cell.reason.as_deref());
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        eprintln!("error: nothing could be measured{reason}");
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
    progress.note(&plan.host.sentence());
}

/// Which build runs beside this one, whose file has that hash.
fn beside(build: &Build, own: Option<&str>) -> String {
    let same =
        if own == Some(&build.sha256) { ": the same file, so that all that differs is noise" } else { "" };
    format!(
        "beside it runs `{}`, resetbench {} with wasmtime {}, sha256 {:.12}{same}",
        build.name, build.about.version, build.about.wasmtime, build.sha256
    )
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

/// The workloads of a suite. Other compilers' guests are there for the verifier, the empty one for the harness, and the chunked
/// one for `determinism`; what serves views is measured where it is asked for.
fn suite(args: &RunArgs) -> Result<Vec<Workload>> {
    let views = args.suite == Suite::Views;
    if args.while_indexing && !views {
        bail!("--while-indexing is about serving: it goes with --suite views");
    }
    let chosen = |definition: &Definition| match &*definition.category {
        "view" => views,
        "foreign" => false,
        _ => !views && !["stress/noop", "stress/allocate-chunked"].contains(&&*definition.name),
    };
    let found = workloads(&args.filter, &args.own, &args.params, args.profile.is_quick(), chosen)?;
    match found.iter().find(|workload| views && workload.filled.is_none()) {
        None => Ok(found),
        Some(blocks) => bail!(
            "--suite views serves views, and {} runs blocks: choose view/..., or name the views of your module (--view)",
            printable(&blocks.name)
        ),
    }
}
