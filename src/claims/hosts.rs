//! Claims that hosts have made of their engines: copy-on-write, and what a reset takes.

use anyhow::{Context, Result};

use super::guest::Guest;
use super::lab::Spent;
use super::resets::within;
use super::{Finding, Lab, Measure, Verdict};
use crate::analyse::quantile::median;
use crate::hosts::{self, Host, Settings};
use crate::machine::clock;
use crate::measure::faults::Usage;
use crate::measure::row::Unit;
use crate::startup::report::Spread;

pub(super) const MEASURES: &[(&str, Measure)] =
    &[("cow-saves-cpu", cow_saves), ("cow-leaks-pages", cow_leaks), ("wasmtime-resets-cost-more", engines)];

/// Launches behind a ratio, of each side.
const LAUNCHES: usize = 5;

/// Launches behind a time, each of which becomes steady first.
const TIMED_LAUNCHES: usize = 3;

const INDEXERS: [&str; 2] = ["indexer/blocktracker", "indexer/utxo"];

/// A host as qubitcoin sets itself up, but for copy-on-write: blocking calls, deterministic floats, 4 GiB and a small guard.
fn copying() -> Result<&'static Host> {
    hosts::find("metashrew-2025-06").map_err(anyhow::Error::msg)
}

/// A guest with a mebibyte of data, of which a block reads a page and writes another.
const MUCH_DATA: &str = "a guest with 1 MiB of data";

/// Blocks of that guest before CPU time counts, and while it does.
const WARMING: u64 = 50;
const COUNTED: u64 = 300;

/// What a block of that guest costs, in this process.
fn with_much_data(host: &Host) -> Result<Spent> {
    let data = "much".repeat(1 << 18);
    let wasm = wat::parse_str(format!(
        r#"(module (memory (export "memory") 32) (data (i32.const 65536) "{data}")
          (func (export "_start")
            (i32.store (i32.const 65536) (i32.load (i32.const 524288)))))"#
    ))?;
    let guest = Guest::new(&host.baseline, &wasm, host.options())?;
    let mut session = guest.session()?;
    let mut blocks = |blocks: u64| -> Result<()> {
        for _ in 0..blocks {
            session.execute()?;
            session.reset()?;
        }
        Ok(())
    };
    blocks(WARMING)?;
    let (cpu, usage) = (clock::thread_cpu_ns(), Usage::thread()?);
    blocks(COUNTED)?;
    let (cpu, usage) = (clock::thread_cpu_ns() - cpu, Usage::thread()?.delta(&usage));
    Ok(Spent { cpu_ns: cpu / COUNTED, faults: usage.minor_faults as f64 / COUNTED as f64 })
}

fn cow_saves(lab: &mut Lab<'_>) -> Result<Finding> {
    let copying = copying()?;
    let engine = Settings { memory_init_cow: Some(true), ..copying.engine.clone() };
    let mapping = Host { engine, ..copying.clone() };
    let (mut medians, mut samples, mut words) = (Vec::new(), Vec::new(), Vec::new());
    for workload in [INDEXERS[0], INDEXERS[1], MUCH_DATA] {
        let mut spend = |host| match workload {
            MUCH_DATA => with_much_data(host),
            _ => lab.spent(host, &host.baseline, workload),
        };
        let (mut left, mut mapped, mut copied, mut faults) =
            (Vec::new(), Vec::new(), Vec::new(), [f64::INFINITY; 2]);
        // Interleaved, so that whatever the machine does meanwhile is done to both.
        for _ in 0..LAUNCHES {
            let (with, without) = (spend(&mapping)?, spend(copying)?);
            left.push(with.cpu_ns * 1000 / without.cpu_ns.max(1));
            mapped.push(with.cpu_ns);
            copied.push(without.cpu_ns);
            faults = [faults[0].min(with.faults), faults[1].min(without.faults)];
        }
        let spread = |times| Spread::of(times).context("there are launches");
        let (with, without, [mapped_faults, copied_faults]) = (spread(mapped)?, spread(copied)?, faults);
        let typical = median(&mut left.clone()).context("there are launches")?;
        let [least, most] = [left.iter().max(), left.iter().min()].map(|left| left.copied().unwrap_or(1000));
        let [typically, least, most] = [typical, least, most].map(|left| 100.0 - left as f64 / 10.0);
        words.push(format!(
            "{typically:.1} % ({least:.1} to {most:.1} %) on {workload}, {with} against {without}, and {mapped_faults:.0} \
             page faults against {copied_faults:.0}",
        ));
        medians.push(typical);
        samples.append(&mut left);
    }
    let measured = format!(
        "with copy-on-write a block saves this much CPU time: {}. Pages of data are mapped instead of copied; all others are \
         zeroed at a fault in either case, so that it depends on how much data the guest has",
        words.join("; ")
    );
    // Within a third of what is stated, in thousandths that are left; a third of it on any guest is a matter of the guest.
    let verdict = match within(&medians, 840..=920) {
        Verdict::Holds => Verdict::Holds,
        _ if medians.iter().any(|&left| left <= 960) => Verdict::Depends,
        _ => Verdict::DoesNotHold,
    };
    Ok(Finding::new(verdict, measured).with(Unit::Count, samples))
}

fn cow_leaks(lab: &mut Lab<'_>) -> Result<Finding> {
    let mut words = Vec::new();
    let mut leaks = 0;
    for strategy in ["fresh/on-demand-cow", "fresh/pooling"] {
        for workload in INDEXERS {
            let difference = lab.difference_on(copying()?, strategy, workload)?;
            leaks += u64::from(difference.is_some());
            let said = difference.as_deref().unwrap_or("equal to instances without copy-on-write");
            words.push(format!("{strategy} on {workload}: {said}"));
        }
    }
    let measured = format!(
        "{}. Compared were all memory after each reset and all that was flushed, of instances one after another",
        words.join("; ")
    );
    Ok(Finding::new(Verdict::holds_if(leaks > 0), measured).with(Unit::Count, vec![leaks]))
}

/// Ways to begin the next block in wasmtime, from what hosts do to what can be had.
const WAYS: [&str; 4] = ["fresh/relink", "fresh/pooling", "dirty/pagemap-scan", "adaptive/hot-cold"];

fn engines(lab: &mut Lab<'_>) -> Result<Finding> {
    let mut ways = WAYS.map(|strategy| (strategy, Vec::new(), Vec::new()));
    let mut lacking = String::new();
    // Interleaved, so that whatever the machine does meanwhile is done to all.
    for launch in 0..TIMED_LAUNCHES {
        for (strategy, resets, cycles) in &mut ways {
            match lab.times(strategy, INDEXERS[0], &[]) {
                Ok(mut timed) => {
                    cycles.append(&mut timed.cycles());
                    resets.append(&mut timed.reset);
                }
                // A machine may lack what a strategy needs.
                Err(error) if launch == 0 => lacking = format!("{lacking}; not {strategy}: {error:#}"),
                Err(_) => {}
            }
        }
    }
    let (mut words, mut samples) = (Vec::new(), Vec::new());
    for (strategy, mut resets, cycles) in ways {
        let Some((reset, cycle)) = Spread::of(resets.clone()).zip(Spread::of(cycles)) else { continue };
        let share = reset.p50 as f64 / cycle.p50.max(1) as f64 * 100.0;
        words.push(format!("{strategy} resets in {reset}, {share:.0} % of a cycle"));
        samples.append(&mut resets);
    }
    let measured = format!(
        "wazero is an engine for Go and was not run, so that nothing is said of which is dearer. Measured was wasmtime's side \
         alone, on {}: {}{lacking}. With wasmtime, a reset is what a host makes of it",
        INDEXERS[0],
        words.join("; ")
    );
    Ok(Finding::new(Verdict::NotRun, measured).with(Unit::Nanoseconds, samples))
}
