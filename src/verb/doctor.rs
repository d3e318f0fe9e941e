//! `doctor`: what this machine offers, each mechanism performed and its effect checked.

use std::time::Duration;

use anyhow::Result;
use reset_strategies::{Kernel, Mechanism, registry};
use serde_json::{Value, json};

use super::list;
use crate::cli::DoctorArgs;
use crate::launch::record::wasmtime_version;
use crate::machine::group::{self, Version};
use crate::machine::{Machine, Probe, Zeroing, noise};
use crate::present::table::{Options, hanging};

const VERSIONS: [Version; 2] = [Version::V1, Version::V2];

/// How long the noise of the machine is watched.
const WATCH: Duration = Duration::from_millis(500);

/// Prints the state of this machine.
///
/// # Errors
/// Never; what cannot be found out is part of the answer.
pub fn run(args: &DoctorArgs) -> Result<()> {
    let machine = Machine::read();
    let noise = noise(WATCH);
    let mechanisms = registry::MECHANISMS.map(|mechanism| (mechanism, mechanism.available()));
    if args.json {
        let mechanisms: Vec<Value> = mechanisms
            .iter()
            .map(|(mechanism, outcome)| {
                json!({
                    "name": mechanism.name,
                    "about": mechanism.about,
                    "since": mechanism.since.to_string(),
                    "availability": if outcome.is_ok() { "available" } else { "unavailable" },
                    "reason": outcome.err(),
                    "broken": list::faults(mechanism).collect::<Vec<_>>(),
                })
            })
            .collect();
        let memory_controller: Vec<Value> = VERSIONS
            .map(|version| {
                let found = group::hierarchy(version);
                json!({ "version": version.name(), "folder": found.ok(), "reason": found.err() })
            })
            .into();
        let answer = json!({
            "schema": 1,
            "wasmtime": wasmtime_version(),
            "machine": machine,
            "noise": noise,
            "zeroing": Zeroing::here(),
            "memory_controller": memory_controller,
            "mechanisms": mechanisms,
        });
        println!("{answer:#}");
        return Ok(());
    }
    let width = Options::for_stdout().width;
    let line = |head: &str, words: &str| print!("{}", hanging(head, words, width));
    line("Machine      ", &machine.sentence());
    line("wasmtime     ", wasmtime_version());
    line("noise        ", &noise.sentence());
    for (name, text) in facts(&machine) {
        line(&format!("{name:<12} "), &text);
    }
    for version in VERSIONS {
        let words = match group::hierarchy(version) {
            Ok(folder) => format!("has the memory controller, at {}", folder.display()),
            Err(reason) => reason.into(),
        };
        line(&format!("{:<12} ", version.name()), &words);
    }
    println!("\nWhat zeroes fastest, where in each reset there are");
    for way in Zeroing::here() {
        line(&format!("  {}: ", way.place), &way.to_string());
    }
    println!("\nMechanisms");
    for (mechanism, outcome) in mechanisms {
        match outcome {
            Ok(()) => {
                let words = format!("{}{}", mechanism.about, since(mechanism));
                line(&format!("  ok       {:<22} ", mechanism.name), &words);
            }
            Err(reason) => line(&format!("  missing  {:<22} ", mechanism.name), reason),
        }
    }
    Ok(())
}

/// Since which kernel a mechanism exists, where some that are in use lack it, and where it is broken since.
fn since(mechanism: &Mechanism) -> String {
    let recent = mechanism.since > Kernel::OLDEST;
    let mut words = if recent { format!("; since Linux {}", mechanism.since) } else { String::new() };
    for broken in mechanism.broken {
        words += &format!("; broken on {}", broken.kernels());
    }
    words
}

/// What else bears on a measurement, in words.
fn facts(machine: &Machine) -> Vec<(&'static str, String)> {
    let memory = &machine.memory;
    let swap = match memory.swap_total_bytes {
        None => "unknown".into(),
        Some(0) => "none: what a reset does to swapped-out pages cannot be tried here".into(),
        Some(bytes) => format!("{} MiB", bytes >> 20),
    };
    let swap = memory.swap.hidden().map_or(swap, |how| format!("hidden from /proc/swaps, but {how}"));
    let limit = match &machine.cgroup.memory_limit {
        Some(limit) => format!("{} MiB, from {}", limit.bytes >> 20, limit.file),
        None => "none".into(),
    };
    let thp = memory.thp.enabled.clone().unwrap_or_else(|| "unknown".into());
    let shrinker = match memory.thp.shrink_underused {
        Some(true) => "; huge pages that hold mostly zeros are split",
        _ => "",
    };
    vec![
        ("page size", format!("{} bytes", memory.page_bytes)),
        ("THP", thp + shrinker),
        ("KSM", memory.ksm.sentence()),
        ("locked", memory.locked.sentence()),
        ("overcommit", memory.overcommit_sentence()),
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
