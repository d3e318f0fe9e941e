//! `startup`: from exec to the first block ready, by path and by what is committed.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;

use super::run::{INTERRUPTED, watch_for_interrupt};
use crate::cli::StartupArgs;
use crate::launch::folder;
use crate::launch::record::{command_line, wasmtime_version};
use crate::machine::Machine;
use crate::measure::writer::RowWriter;
use crate::progress::Progress;
use crate::startup::SCHEMA;
use crate::startup::bench::{self, Bench, Effort};
use crate::startup::report::{self, Report, Results};

/// Measures startups.
///
/// # Errors
/// When files cannot be written or no child can be started at all.
pub fn run(args: &StartupArgs) -> Result<ExitCode> {
    let interrupted = Arc::new(AtomicBool::new(false));
    watch_for_interrupt(&interrupted)?;
    let seed = args.seed.unwrap_or_else(rand::random);
    let folder = folder::fresh(&folder::wanted(args.out.as_deref()))?;
    let progress = Progress::new(args.quiet);
    let staging = folder::staging()?;
    progress
        .note(&format!("generating and compiling a module of 3 MB; seed {seed}, into {}", folder.display()));
    let bench = Bench::prepare(staging.path(), seed)?;
    let mut rows = RowWriter::create(&folder.join("rows.ndjson"))?;
    let run = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut results = Results::new();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let Effort { sizes, rounds } = bench::effort(args.profile);
    'rounds: for round in 0..rounds {
        let mut turns = bench::turns(sizes, round);
        // Interleaved: whatever the machine does meanwhile is done to all.
        turns.iter_mut().for_each(|jobs| jobs.shuffle(&mut random));
        for (order, job) in turns.into_iter().flatten().enumerate() {
            if interrupted.load(Ordering::Relaxed) {
                break 'rounds;
            }
            progress.say(&format!("round {} of {rounds}: {}", round + 1, job.label()));
            let launched = bench.launch(&job);
            for row in job.rows(&run, round, u32::try_from(order)?, &launched) {
                rows.write(&row)?;
            }
            results.entry(job).or_default().push(launched);
        }
    }
    progress.finish();
    let stopped = interrupted.load(Ordering::Relaxed);
    let report = Report {
        schema: SCHEMA,
        command: command_line(),
        machine: Machine::read().sentence(),
        wasmtime: wasmtime_version().into(),
        seed,
        module_bytes: bench.module_bytes()?,
        interrupted: stopped,
        paths: report::paths(&results),
        commits: report::commits(&results),
    };
    let text = serde_json::to_string_pretty(&report)? + "\n";
    // What was measured is told even where it cannot be written.
    if args.json {
        print!("{text}")
    } else {
        print!("{}", report.tables())
    }
    rows.keep()?;
    let path = folder.join("startup.json");
    std::fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(match report.paths.is_empty() {
        _ if stopped => ExitCode::from(INTERRUPTED),
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}
