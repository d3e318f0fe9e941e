//! `list`: what there is to measure, and with what.

use std::process::ExitCode;

use anyhow::Result;
use reset_strategies::{Availability, registry};
use serde_json::{Value, json};

use crate::cli::ListArgs;
use crate::workload::bundled;

/// Prints strategies and workloads.
///
/// # Errors
/// When a bundled definition is malformed.
pub fn run(args: &ListArgs) -> Result<ExitCode> {
    let definitions = bundled::all().iter().map(bundled::Bundled::definition).collect::<Result<Vec<_>>>()?;
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
    println!("Strategies");
    for strategy in registry::all() {
        println!("  {:<22} {}", strategy.name(), strategy.summary());
        if let Availability::Unavailable { reason } = strategy.availability() {
            println!("  {:<22} unavailable here: {reason}", "");
        }
    }
    println!("\nWorkloads");
    for workload in definitions {
        println!("  {:<22} {}", workload.name, workload.summary);
    }
    Ok(ExitCode::SUCCESS)
}
