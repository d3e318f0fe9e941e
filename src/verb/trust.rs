//! `trust`: does the harness call a difference where there is none, and find one that was planted?
//!
//! A/A: the baseline against itself, many times, while the other core is kept busy. Planted: the baseline against itself with
//! time wasted in every block, 2 % of a cycle by default, in the reset or in execute.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reset_strategies::registry;
use serde::Serialize;

use super::select;
use crate::analyse::first_rounds::{self, Transient};
use crate::analyse::summary::{Ratio, Verdict};
use crate::analyse::{Facts, SEED, evidence, rows_file, summarise};
use crate::cli::{Filter, TrustArgs};
use crate::hosts::Host;
use crate::launch::plan::{Contender, Effort, Plan};
use crate::launch::runner::Runner;
use crate::launch::stage::{Results, Stage};
use crate::machine::pace;
use crate::measure::row::Params;
use crate::protocol::{Planted, Wasted};
use crate::workload::{Workload, bundled};

/// What was tried, and what came out.
#[derive(Debug, Serialize)]
struct Trial {
    /// The second contender.
    contender: String,
    verdict: Verdict,
    ratio: Option<Ratio>,
    /// Cells whose first kept rounds are unlike the later ones.
    transients: Vec<Transient>,
    seconds: f64,
}

/// All trials of one kind.
#[derive(Debug, Serialize)]
struct Series {
    trials: usize,
    verdicts: BTreeMap<String, usize>,
    /// The share of verdicts that should not be (A/A), or that should (planted).
    share: f64,
    /// Trials in which a cell was not steady when its rounds began.
    transients: usize,
    longest_seconds: f64,
}

/// The share of trials, one in so many, that may say so by chance alone: each errs in one of a hundred.
const BY_CHANCE: usize = 20;

/// Tries, and prints what came out as JSON; each trial is told as it ends. Fails where rounds began before cells were steady.
///
/// # Errors
/// When no child can be started.
pub fn run(args: &TrustArgs) -> Result<ExitCode> {
    let workload = workload(args)?;
    let host = args.on.of(std::slice::from_ref(&workload));
    if !args.quiet_core {
        // It ends with this process.
        thread::spawn(busy);
    }
    let mut trials = Vec::new();
    let aa = std::iter::repeat_n(Contender::again(host), args.aa);
    let planted = [Wasted::Execute, Wasted::Reset].into_iter().flat_map(|what| {
        std::iter::repeat_n(Contender::planted(host, Planted { what, amount: args.per_mille }), args.planted)
    });
    for contender in aa.chain(planted) {
        let seconds = if contender.planted.is_some() { args.seconds } else { args.aa_seconds };
        let time = Duration::from_secs_f64(seconds);
        let trial = trial(host, contender, &workload, time, args.launches)?;
        eprintln!("{}", serde_json::to_string(&trial)?);
        trials.push(trial);
    }
    let mut series = BTreeMap::<&str, Vec<&Trial>>::new();
    for trial in &trials {
        series.entry(&trial.contender).or_default().push(trial);
    }
    let series: BTreeMap<_, _> =
        series.into_iter().map(|(name, trials)| (name, Series::of(&trials))).collect();
    println!("{:#}", serde_json::json!({"schema": 1, "series": series, "trials": trials}));
    let mut code = ExitCode::SUCCESS;
    for (name, series) in
        series.iter().filter(|(_, series)| series.transients > series.trials.div_ceil(BY_CHANCE))
    {
        let Series { transients, trials, .. } = series;
        eprintln!(
            "error: {name}: in {transients} of {trials} trials the first kept rounds are unlike the later ones"
        );
        code = ExitCode::FAILURE;
    }
    Ok(code)
}

impl Series {
    fn of(trials: &[&Trial]) -> Self {
        let mut verdicts = BTreeMap::<String, usize>::new();
        for trial in trials {
            *verdicts.entry(format!("{:?}", trial.verdict).to_lowercase()).or_default() += 1;
        }
        let told = |trial: &&&Trial| match trial.contender.contains("planted") {
            true => trial.verdict == Verdict::Slower,
            false => !matches!(trial.verdict, Verdict::Same | Verdict::Unsure),
        };
        Self {
            trials: trials.len(),
            verdicts,
            share: trials.iter().filter(told).count() as f64 / trials.len() as f64,
            transients: trials.iter().filter(|trial| !trial.transients.is_empty()).count(),
            longest_seconds: trials.iter().map(|trial| trial.seconds).fold(0.0, f64::max),
        }
    }
}

/// The workload that is asked for; else a small memory and some dirty pages, whose cycle is long enough for two per cent of
/// it to be worth spinning for.
fn workload(args: &TrustArgs) -> Result<Workload> {
    if args.workload.is_some() || args.own.module.is_some() || args.own.blocks.is_some() {
        let filter = Filter { workloads: args.workload.iter().cloned().collect(), ..Filter::default() };
        let mut found = select::workloads(&filter, &args.own, &[], true, |_| true)?;
        ensure!(
            found.len() == 1,
            "these are {} workloads, and a comparison takes one: name it with --workload",
            found.len()
        );
        return Ok(found.remove(0));
    }
    let params = [("dirty", 64), ("span", 256), ("memory_pages", 64), ("motion", 0)];
    let params: Params =
        params.into_iter().map(|(name, value): (&str, u64)| (name.into(), value.into())).collect();
    let (bundled, definition) = bundled::find("stress/touch")?;
    bundled.workload(definition.params(true, &params), None)
}

/// One comparison of the baseline with a second contender.
fn trial(
    host: &'static Host,
    contender: Contender,
    workload: &Workload,
    time: Duration,
    launches: u32,
) -> Result<Trial> {
    let began = Instant::now();
    let name = contender.name.clone();
    let effort = Effort {
        budget: time,
        launches: (launches, launches),
        rounds: (5, 10_000),
        turn: Duration::from_millis(2),
        cell: time,
        memory_pass: Duration::ZERO,
        long_blocks: None,
    };
    let plan = Plan {
        host,
        contenders: vec![Contender::baseline(host), contender],
        workloads: Vec::new(),
        effort,
        seed: rand::random(),
        timeout: pace::seconds(None, 10),
    };
    let stage = Stage::own()?;
    let mut results = Results::new(Some(&stage.staging.path().join("trust")))?;
    Runner { plan: &plan, stage: &stage, results: &mut results }.workload(workload, 0)?;
    let rows = rows_file::read(&results.folder.join("rows.ndjson"))?.rows;
    let facts = Facts {
        run: results.run,
        host: plan.host.name.clone(),
        baseline: plan.host.baseline.clone(),
        contenders: plan.contenders.iter().map(|contender| contender.name.clone()).collect(),
        controls: vec![name.clone()],
        floor: registry::FLOOR.into(),
        seed: SEED,
    };
    let summary = summarise(&rows, &facts)?;
    let cell = summary.cells.iter().find(|cell| cell.strategy == name).context("the trial has no cell")?;
    Ok(Trial {
        contender: name,
        verdict: cell.verdict,
        ratio: cell.ratio_to_baseline,
        transients: first_rounds::transients(&evidence::gather(&facts.run, &rows)?, &facts),
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// Keeps a core busy with computing and memory, in this process: those that are measured are others.
fn busy() {
    let mut memory = vec![0_u64; 1 << 20];
    loop {
        memory.iter_mut().for_each(|word| *word = word.wrapping_mul(3).wrapping_add(1));
        black_box(&mut memory);
    }
}
