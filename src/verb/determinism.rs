//! `determinism`: the same blocks under many limits, and whether the same is stored.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::run::{INTERRUPTED, fresh_folder, watch_for_interrupt};
use crate::cli::DeterminismArgs;
use crate::determinism::environment::parse_limit;
use crate::determinism::runner::{Runner, row};
use crate::determinism::{Cell, Outcome, SCHEMA, group, matrix, plan, process, word};
use crate::launch::record::wasmtime_version;
use crate::machine::Machine;
use crate::measure::writer::RowWriter;
use crate::present::figures::determinism as figure;
use crate::progress::Progress;

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
    let folder = fresh_folder(args.out.as_deref())?;
    let progress = Progress::new(args.quiet);
    let staging = tempfile::tempdir().context("cannot make a folder for the children's files")?;
    let environments = plan::environments(args.profile, &limits);
    let mut runner = Runner::new(staging.path().into(), &interrupted)?;
    let mut rows = RowWriter::create(&folder.join("rows.ndjson"))?;
    let run = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let cases = plan::cases(args.profile, &environments);
    progress.note(&format!("{} cases, into {}", cases.len(), folder.display()));
    let until = Instant::now() + plan::budget(args.profile);
    let mut cells = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let name = format!("{} in {}, {}", case.policy, case.environment, word(case.mitigation));
        progress.say(&format!("{}/{}: {} with {name}", number + 1, cases.len(), word(case.guest)));
        let cell = if interrupted.load(Ordering::Relaxed) {
            runner.cell(case, process::not_run("interrupted".into()))
        } else if Instant::now() > until {
            let reason = "no time left: this profile ends here, --profile full runs all";
            runner.cell(case, process::not_run(reason.into()))
        } else {
            runner.judged(case)?
        };
        rows.write(&row(&run, &cell))?;
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
