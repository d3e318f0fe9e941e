//! `list`: what there is to measure, and with what.

use std::process::ExitCode;

use anyhow::Result;
use reset_strategies::{Availability, Kernel, Swap, registry};
use serde_json::{Value, json};

use crate::cli::ListArgs;
use crate::present::table::{Options, hanging};
use crate::workload::bundled;

/// What each strategy needs and bears, as a table for a page; controls, which nobody chooses, are left out.
fn facts() -> String {
    let mut out = String::from(
        "| strategy | what it does | mechanisms | Linux | survives swap |\n|:--|:--|:--|--:|:--|\n",
    );
    for strategy in registry::all().iter().filter(|strategy| !strategy.is_control()) {
        let needs: Vec<_> = strategy.needs().map(|mechanism| mechanism.name).collect();
        let swap = match strategy.swap() {
            Swap::Survives => "yes".into(),
            Swap::Diverges { reason } => format!("**no**: {reason}"),
        };
        let (needs, kernel) = (needs.join(", "), strategy.kernel());
        let kernel = if kernel > Kernel::OLDEST { kernel.to_string() } else { "any".into() };
        out += &format!("| `{strategy}` | {} | {needs} | {kernel} | {swap} |\n", strategy.summary());
    }
    out
}

/// Prints strategies and workloads.
///
/// # Errors
/// When a bundled definition is malformed.
pub fn run(args: &ListArgs) -> Result<ExitCode> {
    let definitions = bundled::all().iter().map(bundled::Bundled::definition).collect::<Result<Vec<_>>>()?;
    if args.facts {
        print!("{}", facts());
        return Ok(ExitCode::SUCCESS);
    }
    if args.json {
        let strategies: Vec<Value> = registry::all()
            .iter()
            .map(|strategy| {
                let (availability, reason) = match strategy.availability() {
                    Availability::Available => ("available", None),
                    Availability::Unavailable { reason } => ("unavailable", Some(reason)),
                };
                json!({
                    "name": strategy.name(),
                    "family": strategy.family(),
                    "control": strategy.is_control(),
                    "summary": strategy.summary(),
                    "availability": availability,
                    "reason": reason,
                    "kernel": strategy.kernel().to_string(),
                    "survives_swap": strategy.swap() == Swap::Survives,
                    "mechanisms": strategy.needs().map(|mechanism| mechanism.name).collect::<Vec<_>>(),
                })
            })
            .collect();
        let workloads: Vec<Value> = definitions
            .iter()
            .map(|workload| {
                json!({
                    "name": workload.name,
                    "category": workload.category,
                    "summary": workload.summary,
                    "reason": workload.reason,
                    "params": workload.params,
                })
            })
            .collect();
        println!("{:#}", json!({"schema": 1, "strategies": strategies, "workloads": workloads}));
        return Ok(ExitCode::SUCCESS);
    }
    let width = Options::for_stdout().width;
    let line = |name: &str, words: &str| print!("{}", hanging(&format!("  {name:<22} "), words, width));
    println!("Strategies");
    for strategy in registry::all() {
        line(strategy.name(), strategy.summary());
        if let Availability::Unavailable { reason } = strategy.availability() {
            line("", &format!("unavailable here: {reason}"));
        }
    }
    println!("\nWorkloads");
    for workload in definitions {
        line(&workload.name, &workload.summary);
    }
    Ok(ExitCode::SUCCESS)
}
