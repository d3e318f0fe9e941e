//! The verifier against wrong resets: it has to catch every one of them.
//!
//! `cargo test --test mutants -- mutant/zero-page foreign/c` tries the named ones on the named guests only.
//!
//! Has a `main` of its own, so that the table is always shown, and so that this program can be its own child: mutants
//! are in no binary that anybody installs.

use std::fmt::Write;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reset_strategies::{Availability, Strategy, mutants, registry};
use resetbench::analyse::summary::Equivalence;
use resetbench::cell::child;
use resetbench::cell::pressure;
use resetbench::hosts;
use resetbench::launch::process::CHILD_VERB;
use resetbench::launch::stage::Stage;
use resetbench::measure::row::Params;
use resetbench::protocol::Spec;
use resetbench::protocol::policy::Policy;
use resetbench::protocol::schedule::Schedule;
use resetbench::verify::matrix::Matrix;
use resetbench::verify::report::{CellReport, Report};
use resetbench::workload::{Workload, bundled};

/// The guests that the mutants meet: small ones, which together change everything that an instance has.
const GUESTS: [&str; 8] = [
    "stress/touch",
    "foreign/assemblyscript",
    "foreign/c",
    "foreign/two-memories",
    "foreign/dispatch",
    "foreign/edge",
    "foreign/passive",
    "foreign/growth",
];

/// Right ones, of the kinds that most mutants are made from: a schedule that calls one of them different would catch
/// every mutant, too, and prove nothing.
const SOUND: [&str; 3] = ["copy/full", "dirty/pagemap-scan", "dirty/uffd-wp"];

/// Fixed, so that a mutant which survives does so every time.
const SEED: u64 = 3;

/// The mutants whose mistake needs something of the machine that cannot be had by a test.
fn needs(mutant: &Strategy) -> Result<(), String> {
    match mutant.name() {
        "mutant/swapped-out" | "mutant/pooling-scan" => pressure::swap(),
        _ => Ok(()),
    }
}

fn main() -> Result<ExitCode> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [verb, spec] = arguments.as_slice()
        && verb == CHILD_VERB
    {
        return serve(&serde_json::from_str(spec)?);
    }
    let (named, filters): (Vec<_>, Vec<_>) =
        arguments.iter().filter(|argument| !argument.starts_with('-')).partition(|a| a.contains('/'));
    // As far as libtest's command line matters here: a filter for other tests leaves this one out.
    if arguments.iter().any(|argument| argument == "--list")
        || filters.first().is_some_and(|f| !"mutants".contains(f.as_str()))
    {
        return Ok(ExitCode::SUCCESS);
    }
    let (mutants, guests) = choose(&named)?;
    let report = verify(&mutants, &guests)?;
    let (table, caught, survived) = table(&report, &mutants)?;
    println!("{table}");
    println!("{caught} of {} mutants caught, {survived} survived", mutants.len());
    ensure!(survived == 0, "{survived} wrong resets were not caught");
    // Those that were named are wanted each; of all of them, some need what few machines have.
    let least = if named.is_empty() { 30 } else { mutants.len() };
    ensure!(caught >= least, "only {caught} mutants could be tried here");
    let wrongly: Vec<_> =
        report.cells.iter().filter(|c| SOUND.contains(&&*c.strategy) && diverged(c)).collect();
    ensure!(wrongly.is_empty(), "called different, and is right: {wrongly:#?}");
    if named.is_empty() {
        // In the words of libtest, for whoever looks through the output for the tests that ran.
        println!("test every_wrong_reset_is_caught ... ok");
    }
    Ok(ExitCode::SUCCESS)
}

/// Mutants and guests that are named, or all of either where none of it is.
fn choose(named: &[&String]) -> Result<(Vec<&'static Strategy>, Vec<&'static str>)> {
    let (mut mutants, mut guests) = (Vec::new(), Vec::new());
    for name in named {
        match (mutants::find(name), GUESTS.iter().find(|guest| guest == name)) {
            (Some(mutant), _) => mutants.push(mutant),
            (None, Some(guest)) => guests.push(*guest),
            (None, None) => bail!("there is no mutant and no guest {name}"),
        }
    }
    let mutants = if mutants.is_empty() { mutants::all().to_vec() } else { mutants };
    let guests = if guests.is_empty() { GUESTS.to_vec() } else { guests };
    Ok((mutants, guests))
}

/// Is one cell. The mutant that is wrong after a fork gets one.
fn serve(spec: &Spec) -> Result<ExitCode> {
    if spec.strategy == "mutant/parents-pagemap" {
        mutants::open_pagemap_before_fork()?;
        // SAFETY: no other thread has been started, so that the child may do everything that a process may.
        match unsafe { libc::fork() } {
            -1 => return Err(io::Error::last_os_error()).context("cannot fork"),
            0 => {}
            child => return wait(child),
        }
    }
    // What is compared with is no mutant.
    child::serve(spec, |name| mutants::find(name).or_else(|| registry::find(name)))?;
    Ok(ExitCode::SUCCESS)
}

/// Lives as long as the child does, and so does the address space that its pagemap shows.
fn wait(child: libc::pid_t) -> Result<ExitCode> {
    let mut status = 0;
    // SAFETY: the status is written to a local, and the child is ours.
    if unsafe { libc::waitpid(child, &raw mut status, 0) } != child {
        return Err(io::Error::last_os_error()).context("cannot wait for the forked child");
    }
    if status != 0 {
        bail!("the forked child ended with status {status:#x}");
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(mutants: &[&'static Strategy], guests: &[&str]) -> Result<Report> {
    let workloads = guests.iter().map(|name| workload(name)).collect::<Result<Vec<_>>>()?;
    let sound = SOUND.iter().map(|name| registry::find(name).context("a strategy that is right"));
    let mut strategies = sound.collect::<Result<Vec<_>>>()?;
    strategies.extend(mutants);
    let stage = Stage::silent(std::env::current_exe()?)?;
    let matrix = Matrix {
        host: hosts::plain(),
        strategies: &strategies,
        workloads: &workloads,
        schedules: &Schedule::ALL,
        policy: Policy::Every,
        seed: SEED,
        blocks: 0,
        budget: None,
        timeout: Duration::from_secs(60),
        stage: &stage,
    };
    matrix.run()
}

fn workload(name: &str) -> Result<Workload> {
    let (bundled, definition) = bundled::find(name)?;
    bundled.workload(definition.params(true, &Params::new()), None)
}

/// A line for each mutant, and how many were caught and survived.
fn table(report: &Report, mutants: &[&Strategy]) -> Result<(String, usize, usize)> {
    let mut table = format!("{:<24} | {:<38} | first difference\n", "mutant", "caught by");
    let (mut caught, mut survived) = (0, 0);
    for mutant in mutants {
        let name = mutant.name();
        let cells: Vec<_> = report.cells.iter().filter(|cell| cell.strategy == name).collect();
        let (by, difference) = match (cells.iter().find(|cell| diverged(cell)), excuse(mutant)) {
            (Some(cell), _) => {
                caught += 1;
                let schedule = cell.schedule.map(|schedule| schedule.to_string()).unwrap_or_default();
                (format!("{} / {schedule}", cell.workload), cell.first_difference.clone())
            }
            (None, Some(reason)) => ("NOT RUN HERE".into(), Some(reason)),
            (None, None) => {
                survived += 1;
                ("SURVIVED".into(), cells.iter().find_map(|cell| cell.reason.clone()))
            }
        };
        writeln!(table, "{name:<24} | {by:<38} | {}", difference.unwrap_or_default())?;
    }
    Ok((table, caught, survived))
}

fn diverged(cell: &CellReport) -> bool {
    cell.equivalence == Equivalence::Diverged
}

/// Why a mutant cannot be tried on this machine.
fn excuse(mutant: &Strategy) -> Option<String> {
    match mutant.availability() {
        Availability::Unavailable { reason } => Some(reason),
        Availability::Available => needs(mutant).err(),
    }
}
