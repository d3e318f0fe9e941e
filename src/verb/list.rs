//! `list`: what there is to measure, and with what.

use anyhow::Result;
use reset_strategies::{Kernel, Mechanism, Strategy, Swap, condition, registry};
use serde_json::{Value, json};

use crate::analyse::summary::Equivalence;
use crate::cli::ListArgs;
use crate::hosts;
use crate::kernels::{self, seen};
use crate::launch::record::unavailable;
use crate::present::table::{Options, hanging};
use crate::workload::bundled;

/// What each strategy needs and bears, as a table for a page, and what the conditions are; controls, which nobody
/// chooses, are left out.
fn facts() -> String {
    let mut out = String::from(
        "| strategy | what it does | mechanisms | Linux | seen right on | survives swap | conditions |\n\
         |:--|:--|:--|--:|:--|:--|:--|\n",
    );
    for strategy in registry::all().iter().filter(|strategy| !strategy.is_control()) {
        let needs: Vec<_> = strategy.needs().map(|mechanism| mechanism.name).collect();
        let swap = match strategy.swap() {
            Swap::Survives => "yes".into(),
            Swap::Diverges { reason } => format!("**no**: {reason}"),
        };
        let conditions: Vec<_> = strategy.conditions().map(|condition| condition.name).collect();
        out += &format!(
            "| `{strategy}`{} | {} | {} | {} | {} | {swap} | {} |\n",
            strategy.arm_of().map_or_else(String::new, |other| format!(", arm of `{other}`")),
            strategy.summary(),
            needs.join(", "),
            works_on(strategy),
            seen_right(strategy),
            conditions.join(", ")
        );
    }
    out += "\n| condition | the host must not | otherwise |\n|:--|:--|:--|\n";
    for condition in condition::ALL {
        out += &format!("| {} | {} | {} |\n", condition.name, condition.must_not, condition.consequence);
    }
    out
}

/// The kernels on which a strategy works.
fn works_on(strategy: &Strategy) -> String {
    let first = strategy.kernel();
    let mut words = vec![if first > Kernel::OLDEST { first.to_string() } else { "any".into() }];
    for broken in strategy.needs().flat_map(|mechanism| mechanism.broken) {
        words.push(format!("not {}", broken.kernels()));
    }
    words.join(", ")
}

/// The kernels on which a strategy was seen to be right, and those on which it was not.
fn seen_right(strategy: &Strategy) -> String {
    // That a strategy came later than the boots says nothing of it.
    if !kernels::all().iter().any(|cell| cell.strategy(strategy.name()).is_some()) {
        return "not tried".into();
    }
    let on = |equivalence| seen::kernels(kernels::all(), strategy.name(), equivalence);
    let (right, wrong) = (on(Equivalence::Equivalent), on(Equivalence::Diverged));
    match (right.is_empty(), wrong.is_empty()) {
        (true, true) => "-".into(),
        (false, true) => right,
        (true, false) => format!("**wrong** on {wrong}"),
        (false, false) => format!("{right}; **wrong** on {wrong}"),
    }
}

/// What came of a strategy in each boot, for machines.
fn boots(strategy: &Strategy) -> Vec<Value> {
    let seen = kernels::all().iter().filter_map(|cell| {
        let seen = cell.strategy(strategy.name())?;
        Some(json!({
            "boot": cell.boot.cell,
            "kernel": cell.boot.kernel,
            "arch": cell.boot.arch,
            "page_size": cell.boot.page_size,
            "equivalence": seen.equivalence,
            "reason": seen.reason,
        }))
    });
    seen.collect()
}

/// The kernels on which a mechanism is known to fail, for machines.
pub(super) fn faults(mechanism: &'static Mechanism) -> impl Iterator<Item = Value> {
    mechanism.broken.iter().map(|broken| {
        json!({
            "mechanism": mechanism.name,
            "from": broken.from.to_string(),
            "until": broken.until.map(|kernel| kernel.to_string()),
            "with_swap": broken.with_swap,
            "reason": broken.reason,
        })
    })
}

/// What a host must not do under a strategy, for machines.
pub(super) fn conditions(strategy: &Strategy) -> Vec<Value> {
    let told = strategy.conditions().map(|condition| {
        json!({
            "name": condition.name,
            "must_not": condition.must_not,
            "consequence": condition.consequence,
        })
    });
    told.collect()
}

/// Prints strategies and workloads.
///
/// # Errors
/// When a bundled definition is malformed.
pub fn run(args: &ListArgs) -> Result<()> {
    let definitions = bundled::all().iter().map(bundled::Bundled::definition).collect::<Result<Vec<_>>>()?;
    if args.facts {
        print!("{}", facts());
        return Ok(());
    }
    if args.json {
        let strategies: Vec<Value> = registry::all()
            .iter()
            .map(|strategy| {
                let reason = unavailable(strategy);
                json!({
                    "name": strategy.name(),
                    "family": strategy.family(),
                    "control": strategy.is_control(),
                    "arm_of": strategy.arm_of().map(Strategy::name),
                    "summary": strategy.summary(),
                    "availability": if reason.is_none() { "available" } else { "unavailable" },
                    "reason": reason,
                    "kernel": strategy.kernel().to_string(),
                    "broken": strategy.needs().flat_map(faults).collect::<Vec<_>>(),
                    "seen": boots(strategy),
                    "survives_swap": strategy.swap() == Swap::Survives,
                    "conditions": conditions(strategy),
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
        println!(
            "{:#}",
            json!({"schema": 1, "strategies": strategies, "hosts": hosts::all(), "workloads": workloads})
        );
        return Ok(());
    }
    let width = Options::for_stdout().width;
    let line = |name: &str, words: &str| print!("{}", hanging(&format!("  {name:<22} "), words, width));
    println!("Strategies");
    for strategy in registry::all() {
        line(strategy.name(), strategy.summary());
        if let Some(other) = strategy.arm_of() {
            line("", &format!("an arm of {other}: always verified, and measured where it is named"));
        }
        if let Some(reason) = unavailable(strategy) {
            line("", &format!("unavailable here: {reason}"));
        }
    }
    println!("\nHosts, for --host");
    for host in hosts::all() {
        line(&host.name, &format!("{} ({})", host.summary, host.period));
        line("", &format!("{}; its own way is {}", host.settings(), host.baseline));
    }
    println!("\nWorkloads");
    for workload in definitions {
        line(&workload.name, &workload.summary);
    }
    Ok(())
}
