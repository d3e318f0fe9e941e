//! `doctor`: what this machine offers, each mechanism performed and its effect checked.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use reset_strategies::sys::mechanism;
use serde_json::{Value, json};

use crate::cli::DoctorArgs;
use crate::launch::record::wasmtime_version;
use crate::machine::{Machine, Probe, noise};

/// How long the noise of the machine is watched.
const WATCH: Duration = Duration::from_millis(500);

/// Prints the state of this machine.
///
/// # Errors
/// Never; what cannot be found out is part of the answer.
pub fn run(args: &DoctorArgs) -> Result<ExitCode> {
    let machine = Machine::read();
    let noise = noise(WATCH);
    let mechanisms = mechanism::ALL.map(|mechanism| (mechanism, mechanism.available()));
    if args.json {
        let mechanisms: Vec<Value> = mechanisms
            .iter()
            .map(|(mechanism, outcome)| {
                json!({
                    "name": mechanism.name,
                    "about": mechanism.about,
                    "availability": if outcome.is_ok() { "available" } else { "unavailable" },
                    "reason": outcome.err(),
                })
            })
            .collect();
        let answer = json!({
            "schema": 1,
            "wasmtime": wasmtime_version(),
            "machine": machine,
            "noise": noise,
            "mechanisms": mechanisms,
        });
        println!("{answer:#}");
        return Ok(ExitCode::SUCCESS);
    }
    println!("Machine      {}", machine.sentence());
    println!("wasmtime     {}", wasmtime_version());
    println!("noise        {}", noise.sentence());
    for (name, text) in facts(&machine) {
        println!("{name:<12} {text}");
    }
    println!("\nMechanisms");
    for (mechanism, outcome) in mechanisms {
        match outcome {
            Ok(()) => println!("  ok       {:<22} {}", mechanism.name, mechanism.about),
            Err(reason) => println!("  missing  {:<22} {reason}", mechanism.name),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What else bears on a measurement, in words.
fn facts(machine: &Machine) -> Vec<(&'static str, String)> {
    let memory = &machine.memory;
    let swap = match memory.swap_total_bytes {
        None => "unknown".into(),
        Some(0) => "none: what a reset does to swapped-out pages cannot be tried here".into(),
        Some(bytes) => format!("{} MiB", bytes >> 20),
    };
    let limit = match &machine.cgroup.memory_limit {
        Some(limit) => format!("{} MiB, from {}", limit.bytes >> 20, limit.file),
        None => "none".into(),
    };
    let thp = memory.thp.enabled.clone().unwrap_or_else(|| "unknown".into());
    vec![
        ("page size", format!("{} bytes", memory.page_bytes)),
        ("THP", thp),
        ("swap", swap),
        ("cgroup limit", limit),
        ("perf", format!("instructions: {}", probe(&machine.perf.instructions))),
        ("", format!("page faults: {}", probe(&machine.perf.page_faults))),
    ]
}

fn probe(probe: &Probe) -> String {
    match probe {
        Probe::Works => "counted".into(),
        Probe::Unavailable { reason } => format!("not counted: {reason}"),
    }
}
