//! A claim about many instances at once, on demand and from a pool.

use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use reset_strategies::{Options, Session};

use super::guest::Guest;
use super::{Finding, Lab, Measure, Verdict};
use crate::hosts;
use crate::measure::row::{Params, Unit};
use crate::startup::report::Spread;
use crate::units::ns;
use crate::workload::bundled;
use crate::workload::host::BlockState;

pub(super) const MEASURES: &[(&str, Measure)] = &[("at-once-by-pooling", pooling)];

/// Instances at once, as stated.
const INSTANCES: u32 = 320;

/// Crews of each kind, and rounds of each crew that count and that do not.
const LAUNCHES: usize = 3;
const ROUNDS: usize = 7;
const WARMING: usize = 2;

/// Has as many threads make an instance and call it, all at once, some times over; nanoseconds of each round, from the first
/// that is told to the last that is done. Without a guest they are only told.
fn rounds(guest: Option<&Guest>) -> Result<Vec<u64>> {
    let (done, all) = channel::<Result<()>>();
    thread::scope(|scope| {
        // Gone when this ends, whatever way, and with them the threads.
        let mut crew: Vec<Sender<()>> = Vec::new();
        for _ in 0..INSTANCES {
            let (go, told) = channel();
            let done = done.clone();
            let work = move || {
                let mut session = match guest.map(Guest::session).transpose() {
                    Ok(session) => session,
                    Err(error) => return drop(done.send(Err(error))),
                };
                let mut heard = done.send(Ok(())).is_ok();
                while heard && told.recv().is_ok() {
                    heard = done.send(session.as_mut().map_or(Ok(()), once)).is_ok();
                }
            };
            thread::Builder::new().spawn_scoped(scope, work).context("not enough threads")?;
            crew.push(go);
        }
        let wait = || -> Result<()> { all.iter().take(INSTANCES as usize).collect() };
        wait()?;
        let mut times = Vec::new();
        for _ in 0..WARMING + ROUNDS {
            let began = Instant::now();
            for go in &crew {
                go.send(()).map_err(|_| anyhow!("a thread has ended early"))?;
            }
            wait()?;
            times.push(u64::try_from(began.elapsed().as_nanos())?);
        }
        Ok(times.split_off(WARMING))
    })
}

/// A request: the instance of the one before is dropped, a new one made, and called.
fn once(session: &mut Session<BlockState>) -> Result<()> {
    session.reset()?;
    session.execute()?;
    Ok(())
}

fn pooling(_: &mut Lab<'_>) -> Result<Finding> {
    let workload = bundled::named("stress/noop", &Params::new())?;
    let options = Options { sessions: INSTANCES, ..hosts::plain().options() };
    let guest = |strategy| Guest::new(strategy, &workload.module, options).context(strategy);
    let (on_demand, pool) = (guest("fresh/on-demand-cow")?, guest("fresh/pooling")?);
    let ways = [None, Some(&on_demand), Some(&pool)];
    let mut times = ways.map(|_| Vec::new());
    // Interleaved, so that whatever the machine does meanwhile is done to all.
    for _ in 0..LAUNCHES {
        for (way, times) in ways.into_iter().zip(&mut times) {
            times.append(&mut rounds(way)?);
        }
    }
    let samples = times.concat();
    let [threads, on_demand, pool] = times.map(|times| Spread::of(times).context("there are rounds"));
    let (threads, on_demand, pool) = (threads?, on_demand?, pool?);
    let each = |spread: &Spread| ns(spread.p50 / u64::from(INSTANCES));
    let alone = |spread: &Spread| spread.p50.saturating_sub(threads.p50);
    let ratio = alone(&on_demand) as f64 / alone(&pool).max(1) as f64;
    let measured = format!(
        "{INSTANCES} threads on {} CPUs drop an instance each, make another and call it: {on_demand} for all of them on \
         demand, {pool} from a pool of as many, {} and {} for each; {} of that is for telling a thread, and the rest is {ratio:.1} \
         times as long on demand. Stated is what a request to an HTTP server takes while as many others run: there is no \
         server here, and instances alone are measured; it depends on the CPUs, since each instance on demand is mapped and \
         unmapped, for which a process has one lock",
        thread::available_parallelism().map_or(1, usize::from),
        each(&on_demand),
        each(&pool),
        each(&threads),
    );
    // Within a third of what is stated: 24.7 times.
    let verdict = match ratio {
        16.5..=33.0 => Verdict::Holds,
        ratio if ratio <= 1.0 => Verdict::DoesNotHold,
        _ => Verdict::Depends,
    };
    Ok(Finding::new(verdict, measured).with(Unit::Nanoseconds, samples))
}
