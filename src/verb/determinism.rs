//! `determinism`: the same blocks under many limits, and whether the same is stored.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

use super::{code, conclude};
use crate::cli::DeterminismArgs;
use crate::determinism::environment::parse_limit;
use crate::determinism::report::Report;
use crate::determinism::runner::{Runner, row};
use crate::determinism::{Outcome, matrix, plan, process, word};
use crate::files;
use crate::launch::stage::{Results, Stage};
use crate::machine::group;
use crate::present::figures::determinism::figure;

/// Runs all cases of a profile.
///
/// # Errors
/// When a limit makes no sense, or files cannot be written.
pub fn run(args: &DeterminismArgs) -> Result<ExitCode> {
    let limits = args.limits.iter().map(|text| parse_limit(text)).collect::<Result<Vec<_>>>()?;
    group::sweep();
    let stage = Stage::new(args.output.quiet)?;
    let mut results = Results::new(args.output.out.as_deref())?;
    let mut runner = Runner::new(&stage);
    let cases = plan::cases(args.profile, &plan::environments(args.profile, &limits));
    stage.progress.note(&format!("{} cases, into {}", cases.len(), results.folder.display()));
    let until = Instant::now() + plan::budget(args.profile);
    let mut cells = Vec::new();
    for (number, case) in (1..).zip(&cases) {
        let name = format!("{} in {}, {}", case.policy, case.environment, word(case.mitigation));
        stage.progress.say(&format!("{number}/{}: {} with {name}", cases.len(), word(case.guest)));
        let cell = if stage.stopped() {
            runner.cell(case, process::not_run("interrupted".into()))
        } else if Instant::now() > until {
            let reason = "no time left: this profile ends here, --profile full runs all";
            runner.cell(case, process::not_run(reason.into()))
        } else {
            runner.judged(case)?
        };
        results.rows.write(&row(&results.run, &cell))?;
        cells.push(cell);
    }
    stage.progress.finish();
    let report = Report::new(cells, stage.stopped());
    conclude(&mut results, "determinism.json", &report, &args.output, || {
        format!("{}\n{}", matrix::tables(&report.cells), matrix::reasons(&report.cells))
    })?;
    let figure = figure(&report.cells);
    files::write(&results.folder.join("determinism.svg"), figure.svg())?;
    files::write(&results.folder.join("determinism.png"), figure.png()?)?;
    if !args.output.quiet {
        eprintln!("\nrows, determinism.json and the heat map are in {}", results.folder.display());
    }
    Ok(code(&stage, report.cells.iter().any(|cell| cell.outcome != Outcome::NotRun)))
}
