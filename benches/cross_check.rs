//! Someone else's instrument on the same work: plain criterion calling wasmtime directly, without any of our code around
//! the block, next to our own figure of the same cell, in turns. They have to agree within the
//! interval of their ratio, or 5 %.
//!
//! What is timed is the same on both sides: call, drop the store, instantiate anew. Ours reads the clock three times per
//! block, criterion's once per sample; hence the block is chosen to take long enough for that not to matter.

mod common;

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use common::Args;
use criterion::Criterion;
use reset_strategies::{Plan, registry};
use resetbench::analyse::SEED;
use resetbench::analyse::bootstrap::{Estimate, Seed, estimate};
use resetbench::analyse::paired::Paired;
use resetbench::cell::ground::Ground;
use resetbench::cell::session::Cell as Subject;
use resetbench::cell::times::Stages;
use resetbench::hosts::{self, Calls};
use resetbench::launch::folder;
use resetbench::launch::plan::Contender;
use resetbench::protocol::Spec;
use resetbench::protocol::staging::{self, Staged};
use resetbench::workload::Workload;
use resetbench::workload::host::{self, BlockState};
use wasmtime::{InstancePre, Linker, Module, Store, TypedFunc};

/// How far the two may be apart where the interval of their ratio does not hold 1.
const AGREE: f64 = 0.05;

/// Turns of each instrument, so that a drift of the machine meets both.
const TURNS: usize = 12;

/// How long criterion measures in one turn.
const TURN: Duration = Duration::from_millis(500);

fn main() -> Result<()> {
    // Short turns: the machine has to be the same for both.
    let mut criterion =
        common::criterion().measurement_time(TURN).warm_up_time(TURN / 5).configure_from_args();
    let args = Args::read()?;
    let quick = args.quick || !args.measures();
    let workload = common::workload("stress/touch", &[("dirty", 256)])?;
    let staging = folder::staging()?;
    let staged = staging::stage(staging.path(), &workload)?;
    let mut apart = Vec::new();
    for name in ["fresh/on-demand-cow", "fresh/pooling"] {
        let contender = Contender::new(registry::find(name).expect("a registered strategy"));
        let turns = if quick { 2 } else { TURNS };
        let mut logs = Vec::new();
        for turn in 0..turns {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            // Whoever comes first alternates.
            for first in [true, false] {
                if first == (turn % 2 == 0) {
                    theirs = plain(&mut criterion, &workload, &contender, turn)?;
                } else {
                    ours = own(&mut criterion, &workload, &staged, &contender, turn)?;
                }
            }
            logs.push(ours.iter().zip(&theirs).map(|(ours, theirs)| (ours / theirs).ln()).collect());
        }
        // A filter may have left them out.
        let Some(Estimate { ratio, .. }) = estimate(&Paired::from_logs(logs), Seed(SEED), &[name]) else {
            continue;
        };
        let agree = (ratio.low..=ratio.high).contains(&1.0) || (ratio.value - 1.0).abs() <= AGREE;
        println!(
            "cross-check {name}: our cycle is {:.3} of what plain criterion and wasmtime take ({:.3} to {:.3}): {}",
            ratio.value,
            ratio.low,
            ratio.high,
            if agree { "they agree" } else { "they do not agree" }
        );
        if !agree {
            apart.push(name);
        }
    }
    criterion.final_summary();
    // A few milliseconds prove nothing: a quick run only shows that both instruments work.
    ensure!(apart.is_empty() || quick, "the instruments do not agree on {}", apart.join(", "));
    Ok(())
}

/// Nanoseconds per block by our harness, one per sample of criterion's: a cell in this process, where the other one is.
fn own(
    criterion: &mut Criterion,
    workload: &Workload,
    staged: &Staged,
    contender: &Contender,
    turn: usize,
) -> Result<Vec<f64>> {
    let spec = Spec::new(contender.strategy.name(), workload, staged, Duration::from_secs(60));
    let mut stages = Stages::here();
    let ground = Ground::lay(&spec, registry::find, &mut stages)?;
    let mut subject = Subject::on(&Arc::new(ground), &mut stages)?;
    let mut samples = Vec::new();
    let mut failed = None;
    criterion.bench_function(&format!("resetbench/{}/{turn}", contender.name), |bencher| {
        bencher.iter_custom(|iters| {
            let passes = iters.div_ceil(workload.trace.len() as u64);
            let timed = subject.time(u32::try_from(passes).unwrap_or(u32::MAX)).unwrap_or_else(|error| {
                failed.get_or_insert(error);
                Default::default()
            });
            let cycles: u64 = timed.execute.iter().chain(&timed.reset).sum();
            let per_block = cycles as f64 / timed.execute.len().max(1) as f64;
            samples.push(per_block);
            Duration::from_nanos((per_block * iters as f64).max(1.0) as u64)
        });
    });
    failed.map_or(Ok(samples), Err)
}

/// Nanoseconds per block by criterion, which calls wasmtime as any host would.
fn plain(
    criterion: &mut Criterion,
    workload: &Workload,
    contender: &Contender,
    turn: usize,
) -> Result<Vec<f64>> {
    // Only the engine's settings come from us: they are what the strategy is.
    let plan = Plan::new(contender.strategy, &workload.module, hosts::plain().options())?;
    let engine = plan.engine()?;
    let module = Module::new(&engine, &workload.module).map_err(anyhow::Error::from)?;
    let mut linker = Linker::new(&engine);
    workload.abi.link(&mut linker, &module, Calls::Blocking).map_err(anyhow::Error::from)?;
    let pre = linker.instantiate_pre(&module).map_err(anyhow::Error::from)?;
    let states = host::Shared::default();
    let fresh = || instantiate(&pre, BlockState::new(states.clone()));

    let mut live = Some(fresh());
    let next = Cell::new(0);
    let mut samples = Vec::new();
    criterion.bench_function(&format!("plain/{}/{turn}", contender.name), |bencher| {
        bencher.iter_custom(|iters| {
            let started = Instant::now();
            for _ in 0..iters {
                let (mut store, start) = live.take().expect("one instance lives between blocks");
                let input = &workload.trace[next.get() % workload.trace.len()];
                next.set(next.get() + 1);
                store.data_mut().begin(input.clone());
                start.call(&mut store, ()).expect("the block runs through");
                drop(store);
                live = Some(fresh());
            }
            let elapsed = started.elapsed();
            samples.push(elapsed.as_nanos() as f64 / iters as f64);
            elapsed
        });
    });
    Ok(samples)
}

type Instance = (Store<BlockState>, TypedFunc<(), ()>);

fn instantiate(pre: &InstancePre<BlockState>, state: BlockState) -> Instance {
    let mut store = Store::new(pre.module().engine(), state);
    store.set_epoch_deadline(u64::MAX / 2);
    let instance = pre.instantiate(&mut store).expect("the module instantiates");
    let start = instance.get_typed_func(&mut store, "_start").expect("the module has an entry point");
    (store, start)
}
