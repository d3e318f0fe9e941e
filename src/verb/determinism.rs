//! `determinism`: the same blocks under many limits, and whether the same is stored.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};

use super::run::{INTERRUPTED, watch_for_interrupt};
use crate::cli::DeterminismArgs;
use crate::determinism::environment::parse_limit;
use crate::determinism::report::Report;
use crate::determinism::runner::{Runner, row};
use crate::determinism::{Outcome, matrix, plan, process, word};
use crate::launch::folder;
use crate::machine::group;
use crate::measure::writer::RowWriter;
use crate::present::figures::determinism::figure;
use crate::progress::Progress;

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
    let staging = folder::staging()?;
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
    // What was found is told even where it cannot be written.
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}\n{}", matrix::tables(&report.cells), matrix::reasons(&report.cells));
    }
    rows.keep()?;
    report.write(&folder)?;
    let figure = figure(&report.cells);
    let (svg, png) = (figure.svg(), figure.png()?);
    for (name, bytes) in [("determinism.svg", svg.as_bytes()), ("determinism.png", &png)] {
        let path = folder.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
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
