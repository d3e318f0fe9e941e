//! `determinism`: the same blocks under many limits, and whether the same is stored.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use reset_strategies::commit::{self, Policy, room};
use reset_strategies::registry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::run::{INTERRUPTED, watch_for_interrupt};
use crate::cli::DeterminismArgs;
use crate::determinism::child::Spec;
use crate::determinism::environment::parse_limit;
use crate::determinism::process::{self, Ended, Ending};
use crate::determinism::{
    BUDGET, Case, Cell, Environment, Guest, Mitigation, Outcome, SCHEMA, group, matrix, plan, word,
};
use crate::launch::folder;
use crate::launch::record::wasmtime_version;
use crate::launch::staging::{self, Staged};
use crate::machine::Machine;
use crate::measure::row::{Params, Phase, Row, Status, Unit};
use crate::measure::writer::RowWriter;
use crate::present::figures::determinism as figure;
use crate::progress::Progress;
use crate::workload::{Workload, bundled};

/// The strategy under which policies commit that need their memory kept.
const KEEPING: &str = "copy/full";

/// `determinism.json`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    pub schema: u32,
    pub command: String,
    pub machine: String,
    pub wasmtime: String,
    pub overcommit: String,
    pub interrupted: bool,
    pub cells: Vec<Cell>,
}

/// Runs all cases of a profile.
///
/// # Errors
/// When a limit makes no sense, or files cannot be written.
pub fn run(args: &DeterminismArgs) -> Result<ExitCode> {
    let limits = args.limits.iter().map(|text| parse_limit(text)).collect::<Result<Vec<_>>>()?;
    group::sweep();
    let interrupted = Arc::new(AtomicBool::new(false));
    watch_for_interrupt(&interrupted)?;
    let folder = folder::fresh(&folder::wanted(args.out.as_deref()))?;
    let progress = Progress::new(args.quiet);
    let staging = tempfile::tempdir().context("cannot make a folder for the children's files")?;
    let environments = plan::environments(args.profile, &limits);
    let mut runner = Runner {
        binary: std::env::current_exe().context("cannot find this program")?.into(),
        staging: staging.path(),
        interrupted: &interrupted,
        rows: RowWriter::create(&folder.join("rows.ndjson"))?,
        run: folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        staged: BTreeMap::new(),
        references: BTreeMap::new(),
    };
    let cases = plan::cases(args.profile, &environments);
    progress.note(&format!("{} cases, into {}", cases.len(), folder.display()));
    let until = Instant::now() + plan::budget(args.profile);
    let mut cells = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let name = format!("{} in {}, {}", case.policy, case.environment, word(case.mitigation));
        progress.say(&format!("{}/{}: {} with {name}", number + 1, cases.len(), word(case.guest)));
        let ended = if interrupted.load(Ordering::Relaxed) {
            process::not_run("interrupted".into())
        } else if Instant::now() > until {
            process::not_run("no time left: this profile ends here, --profile full runs all".into())
        } else {
            runner.run(case)?
        };
        let cell = runner.cell(case, ended);
        runner.write(&cell)?;
        cells.push(cell);
    }
    progress.finish();
    let stopped = interrupted.load(Ordering::Relaxed);
    let report = Report::new(cells, stopped);
    report.write(&folder)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}\n{}", matrix::tables(&report.cells), matrix::reasons(&report.cells));
    }
    if !args.quiet {
        eprintln!("\nrows, determinism.json and the heat map are in {}", folder.display());
    }
    Ok(match report.cells.iter().any(|cell| cell.outcome != Outcome::NotRun) {
        _ if stopped => ExitCode::from(INTERRUPTED),
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

impl Report {
    fn new(cells: Vec<Cell>, interrupted: bool) -> Self {
        let machine = Machine::read();
        Self {
            schema: SCHEMA,
            command: format!("resetbench {}", std::env::args().skip(1).collect::<Vec<_>>().join(" ")),
            machine: machine.sentence(),
            wasmtime: wasmtime_version().into(),
            overcommit: machine.memory.overcommit.map(word).unwrap_or_else(|| "unknown".into()),
            interrupted,
            cells,
        }
    }

    fn write(&self, folder: &Path) -> Result<()> {
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
        };
        write("determinism.json", (serde_json::to_string_pretty(self)? + "\n").as_bytes())?;
        let (svg, png) = figure::draw(&self.cells)?;
        write("determinism.svg", svg.as_bytes())?;
        write("determinism.png", &png)
    }
}

/// Runs cases one after the other, and knows what they are compared with.
struct Runner<'a> {
    binary: std::ffi::OsString,
    staging: &'a Path,
    interrupted: &'a AtomicBool,
    rows: RowWriter,
    run: String,
    staged: BTreeMap<(Guest, &'static str), (Workload, Staged)>,
    references: BTreeMap<(Guest, Mitigation), String>,
}

impl Runner<'_> {
    fn run(&mut self, case: &Case) -> Result<Ended> {
        let policy = commit::find(case.policy).expect("the plan takes policies from the registry");
        if let Err(reason) = policy.available() {
            return Ok(process::not_run(reason));
        }
        let (workload, staged) = self.stage(case)?.clone();
        let spec = spec(case, policy, &workload, &staged);
        // A policy that does not look before it takes could take it from others.
        let most = case.environment.limit.unwrap_or(u64::MAX).min(commit::WHOLE_MEMORY);
        if let Err(shortage) = room::check(most)
            && case.policy != commit::CANARY.name()
        {
            return Ok(process::not_run(shortage.to_string()));
        }
        let binary: &OsStr = &self.binary;
        process::run(binary, case.environment, &spec, plan::PATIENCE, self.interrupted)
    }

    fn stage(&mut self, case: &Case) -> Result<&(Workload, Staged)> {
        let (name, params) = case.guest.workload(case.mitigation);
        let key = (case.guest, name);
        if !self.staged.contains_key(&key) {
            let params = params.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value)));
            let workload = bundled::named(name, &params.collect())?;
            let folder = self.staging.join(word(case.guest));
            let staged = staging::stage(&folder, &workload)?;
            self.staged.insert(key, (workload, staged));
        }
        Ok(&self.staged[&key])
    }

    /// Compares an end with the reference, or makes it the reference.
    fn cell(&mut self, case: &Case, ended: Ended) -> Cell {
        let key = (case.guest, case.mitigation);
        let (outcome, reason, root, stored) = match ended.outcome {
            Ending::Other(outcome) => (outcome, ended.reason, None, None),
            Ending::Completed { root, stored } => {
                if case.environment == Environment::AS_FOUND && case.policy == commit::LAZY.name() {
                    self.references.insert(key, root.clone());
                }
                let said = stored.as_deref().unwrap_or("other bytes");
                let (outcome, reason) = match self.references.get(&key) {
                    Some(reference) if *reference == root => (Outcome::Reference, None),
                    Some(_) => (Outcome::Diverged, Some(format!("it stored {said}"))),
                    None => (Outcome::NotRun, Some("there is no reference to compare it with".into())),
                };
                (outcome, reason, Some(root), stored)
            }
        };
        Cell {
            environment: case.environment.name().into(),
            limit_bytes: case.environment.limit,
            commit: case.policy.into(),
            mitigation: case.mitigation,
            guest: case.guest,
            outcome,
            reason,
            exit_code: ended.exit_code,
            root,
            stored,
            committed_bytes: ended.committed_bytes,
            wall_ns: u64::try_from(ended.wall.as_nanos()).unwrap_or(u64::MAX),
        }
    }

    fn write(&mut self, cell: &Cell) -> Result<()> {
        self.rows.write(&row(&self.run, cell))
    }
}

/// A cell as a row, like any other verification.
fn row(run: &str, cell: &Cell) -> Row {
    let status = match cell.outcome {
        Outcome::Reference => Status::Ok,
        Outcome::Diverged => Status::Diverged,
        Outcome::Refused => Status::Refused,
        Outcome::KilledAtStartup | Outcome::KilledInBlock => Status::Killed,
        Outcome::Trapped => Status::Failed,
        Outcome::NotRun => Status::Unavailable,
    };
    let params = [
        ("environment", Value::from(cell.environment.as_str())),
        ("limit_bytes", Value::from(cell.limit_bytes)),
        ("commit", Value::from(cell.commit.as_str())),
        ("mitigation", Value::from(word(cell.mitigation))),
        ("outcome", Value::from(word(cell.outcome))),
    ];
    let params: Params = params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Row {
        run: run.into(),
        launch: 0,
        round: None,
        order: None,
        strategy: strategy(commit::find(&cell.commit)).into(),
        workload: word(cell.guest),
        params,
        phase: Phase::Verify,
        metric: "determinism".into(),
        unit: Unit::Nanoseconds,
        value: (status == Status::Ok).then_some(cell.wall_ns),
        samples: Vec::new(),
        at_ns: None,
        status,
        error: cell.reason.clone(),
    }
}

fn strategy(policy: Option<&Policy>) -> &'static str {
    if policy.is_some_and(Policy::needs_kept_memory) { KEEPING } else { registry::BASELINE }
}

fn spec(case: &Case, policy: &Policy, workload: &Workload, staged: &Staged) -> Spec {
    let budget = (case.mitigation == Mitigation::Budget).then_some(BUDGET);
    Spec {
        strategy: strategy(Some(policy)).into(),
        policy: case.policy.into(),
        // What the guest cannot have need not be committed.
        commit_bytes: budget.unwrap_or(commit::WHOLE_MEMORY),
        module: staged.module.clone(),
        trace: staged.trace.clone(),
        cache: staged.cache.clone(),
        store: workload.store.clone(),
        blocks: case.guest.blocks(),
        budget,
        fail_fast: case.mitigation == Mitigation::FailFast,
        requirement: (case.mitigation == Mitigation::Preflight).then_some(plan::REQUIREMENT),
    }
}
