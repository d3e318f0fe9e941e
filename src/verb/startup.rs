//! `startup`: from exec to the first block ready, by path and by what is committed.

use std::process::ExitCode;

use anyhow::Result;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;

use super::{code, conclude};
use crate::cli::StartupArgs;
use crate::launch::record::{command_line, wasmtime_version};
use crate::launch::stage::{Results, Stage};
use crate::machine::Machine;
use crate::startup::SCHEMA;
use crate::startup::bench::{self, Bench, Effort};
use crate::startup::report::{self, Launches, Report};

/// Measures startups.
///
/// # Errors
/// When files cannot be written or no child can be started at all.
pub fn run(args: &StartupArgs) -> Result<ExitCode> {
    let stage = Stage::new(args.output.quiet)?;
    let mut results = Results::new(args.output.out.as_deref())?;
    let seed = args.seed.unwrap_or_else(rand::random);
    let shown = results.folder.display();
    stage.progress.note(&format!("generating and compiling a module of 3 MB; seed {seed}, into {shown}"));
    let bench = Bench::prepare(&stage, seed)?;
    let mut launches = Launches::new();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let Effort { sizes, rounds } = bench::effort(args.profile);
    'rounds: for round in 0..rounds {
        let mut turns = bench::turns(sizes, round);
        // Interleaved: whatever the machine does meanwhile is done to all.
        turns.iter_mut().for_each(|jobs| jobs.shuffle(&mut random));
        for (order, job) in (0..).zip(turns.into_iter().flatten()) {
            if stage.stopped() {
                break 'rounds;
            }
            stage.progress.say(&format!("round {} of {rounds}: {}", round + 1, job.label()));
            let launched = bench.launch(&job);
            results.rows.write_all(job.rows(&results.run, round, order, &launched))?;
            launches.entry(job).or_default().push(launched);
        }
    }
    stage.progress.finish();
    let report = Report {
        schema: SCHEMA,
        command: command_line(),
        machine: Machine::read().sentence(),
        wasmtime: wasmtime_version().into(),
        seed,
        module_bytes: bench.module_bytes,
        interrupted: stage.stopped(),
        paths: report::paths(&launches),
        commits: report::commits(&launches),
    };
    conclude(&mut results, "startup.json", &report, &args.output, || report.tables())?;
    Ok(code(&stage, !report.paths.is_empty()))
}
