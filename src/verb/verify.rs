//! `verify`: is every reset what it claims to be, on the bundled workloads or on the user's own?

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::select::{all_strategies, matching, workloads};
use super::{code, tell};
use crate::cli::VerifyArgs;
use crate::launch::plan::Profile;
use crate::launch::stage::Stage;
use crate::machine::pace;
use crate::protocol::schedule::Schedule;
use crate::verify::matrix::Matrix;

/// Verifies strategies on workloads.
///
/// # Errors
/// When the command line names what is not there, or files cannot be written.
pub fn run(args: &VerifyArgs) -> Result<ExitCode> {
    let strategies = all_strategies(&args.filter.strategies)?;
    let mut schedules = matching("schedule", &args.schedules, &Schedule::ALL, |s| s.to_string())?;
    // The small parameters: how much memory there is to reset decides what a reset costs, not whether it is right.
    let workloads = workloads(&args.filter, &args.own, &args.params, true, |_| true)?;
    if workloads.iter().all(|workload| workload.filled.is_none()) {
        schedules.retain(|schedule| *schedule != Schedule::Concurrent);
        ensure!(
            !schedules.is_empty(),
            "--schedule {} is for views: choose view/..., or name the views of your module (--view)",
            Schedule::Concurrent
        );
    }
    let stage = Stage::new(args.quiet)?;
    let budget = match (args.budget, args.blocks_count) {
        (Some(budget), _) => Some(budget),
        // Who says how many blocks there are to be has said how long it may take.
        (None, Some(_)) => None,
        (None, None) => Some(pace::patience(Duration::from_secs(match args.profile {
            Profile::Smoke => 10 * 60,
            Profile::Quick => 15 * 60,
            Profile::Full => 40 * 60,
        }))),
    };
    let matrix = Matrix {
        host: args.on.of(&workloads),
        strategies: &strategies,
        workloads: &workloads,
        schedules: &schedules,
        policy: args.policy,
        seed: args.seed.unwrap_or_else(rand::random),
        blocks: args.blocks_count.unwrap_or(match args.profile {
            Profile::Smoke => 0,
            Profile::Quick => 10_000,
            Profile::Full => 100_000,
        }),
        budget,
        timeout: pace::seconds(args.timeout, 10),
        stage: &stage,
    };
    stage.progress.note(&format!(
        "{} strategies on {} workloads, {} schedules, seed {}",
        strategies.len(),
        workloads.len(),
        schedules.len(),
        matrix.seed
    ));
    let report = matrix.run()?;
    tell(args.json, &report, || report.text())?;
    if stage.stopped() {
        return Ok(code(&stage, true));
    }
    // What there was no time for is said once, for all cells.
    for cell in report.uncompared().filter(|cell| cell.schedules.iter().all(|ran| !ran.left_out)) {
        let reason = cell.reason.as_deref().unwrap_or_default();
        eprintln!("warning: nothing was compared for {}: {reason}", cell.place());
    }
    if let Some(omissions) = report.omissions() {
        eprintln!("warning: {omissions}");
    }
    // A schedule that is named has to run; of a pattern, whatever can.
    let named = |schedule: &Schedule| args.schedules.iter().any(|name| *name == schedule.to_string());
    let chosen: Vec<_> = schedules.iter().copied().filter(named).collect();
    let failures = report.failures(&chosen);
    for failure in &failures {
        eprintln!("error: {failure}");
    }
    Ok(code(&stage, failures.is_empty()))
}
