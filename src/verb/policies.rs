//! `policies`: when to reset, what that costs, and what the verifier says of it.

use std::process::ExitCode;

use anyhow::{Result, bail};
use reset_strategies::{Strategy, registry};

use super::select::{strategies, workloads};
use super::{code, conclude, unequal};
use crate::analyse::summary::Equivalence;
use crate::cli::PoliciesArgs;
use crate::launch::record::{command_line, wasmtime_version};
use crate::launch::stage::{Results, Stage};
use crate::machine::{self, Machine, pace};
use crate::policies::bench::Bench;
use crate::policies::report::{Cell, Report};
use crate::policies::{SCHEMA, scenario};
use crate::present::policies;
use crate::present::table::Options;
use crate::prose::distinct;
use crate::protocol::policy::Policy;
use crate::units::bytes;
use crate::workload::Workload;

/// The strategies where none is named: what indexers ship, and the one that adapts.
const STRATEGIES: [&str; 2] = [registry::BASELINE, "adaptive/hot-cold"];

/// What seed 003 says that metashrew does, each by itself.
const POLICIES: [Policy; 3] = [Policy::Every, Policy::Above(1_750_000_000), Policy::OnFailure];

/// Runs policies side by side.
///
/// # Errors
/// When the command line names what is not there or this machine has no room for, or files cannot be written.
pub fn run(args: &PoliciesArgs) -> Result<ExitCode> {
    let named = match args.filter.strategies.as_slice() {
        [] => STRATEGIES.map(String::from).to_vec(),
        named => named.to_vec(),
    };
    let strategies = strategies(&named)?;
    let policies = chosen(&args.policies);
    let workloads = scenarios(args)?;
    check_room(&workloads, &policies)?;

    let stage = Stage::new(args.output.quiet)?;
    let mut results = Results::new(args.output.out.as_deref())?;
    let seed = args.seed.unwrap_or_else(rand::random);
    stage.progress.note(&format!(
        "{} policies for {} strategies on {} workloads, {} launches of {} blocks; seed {seed}, into {}",
        policies.len(),
        strategies.len(),
        workloads.len(),
        args.launches,
        args.blocks_count,
        results.folder.display()
    ));
    for policy in policies.iter().filter(|policy| is_out_of_reach(**policy, args.memory_max)) {
        let end = bytes(args.memory_max);
        stage.progress.warn(&format!("{policy} never resets here: the guest's memory ends at {end}"));
    }
    let mut bench = Bench {
        strategies: &strategies,
        policies: &policies,
        launches: args.launches,
        blocks: args.blocks_count,
        seed,
        timeout: pace::seconds(args.timeout, 60),
        stage: &stage,
        results: &mut results,
    };
    let mut cells = Vec::new();
    for workload in &workloads {
        if stage.stopped() {
            break;
        }
        cells.extend(bench.workload(workload)?);
    }
    stage.progress.finish();
    let report = Report {
        schema: SCHEMA,
        command: command_line(),
        machine: Machine::read().sentence(),
        wasmtime: wasmtime_version().into(),
        seed,
        interrupted: stage.stopped(),
        cells,
    };
    conclude(&mut results, "policies.json", &report, &args.output, || {
        policies::text(&report.cells, Options::for_stdout())
    })?;
    if !args.output.quiet {
        eprintln!("\nrows and policies.json are in {}", results.folder.display());
    }
    let wrong: Vec<&Cell> = report.cells.iter().filter(|cell| is_wrong(cell)).collect();
    for cell in &wrong {
        let difference = cell.judged.first_difference.as_deref().unwrap_or_default();
        unequal(&cell.strategy, &cell.workload, difference);
    }
    let measured = report.cells.iter().any(|cell| cell.cost.is_some());
    if !measured {
        eprintln!("error: nothing could be measured");
    }
    Ok(code(&stage, measured && wrong.is_empty()))
}

/// The policies that are asked for, and before them the one that they are compared with.
fn chosen(asked: &[Policy]) -> Vec<Policy> {
    let asked = if asked.is_empty() { &POLICIES } else { asked };
    distinct([Policy::Every].into_iter().chain(asked.iter().copied()))
}

/// The workloads that are asked for, or those where policies matter, with memories that end.
fn scenarios(args: &PoliciesArgs) -> Result<Vec<Workload>> {
    let given = args.own.module.is_some() || args.own.blocks.is_some() || !args.filter.workloads.is_empty();
    let found = if given {
        // The small parameters, as for `verify`: ten thousand blocks take long enough.
        let found = workloads(&args.filter, &args.own, &args.params, true, |definition| {
            definition.category != "view"
        })?;
        found.into_iter().map(|workload| (workload, None)).collect()
    } else {
        scenario::defaults()?
    };
    let bounded = |(workload, cut_every): (_, Option<u32>)| {
        scenario::scenario(workload, args.memory_max, args.cut_every.or(cut_every))
    };
    found.into_iter().map(bounded).collect()
}

/// Refuses what could take more memory than there is: all policies but `every` may let a guest grow to its end, at once.
fn check_room(workloads: &[Workload], policies: &[Policy]) -> Result<()> {
    // A quarter is left to this process and whoever else is on the machine.
    let room = machine::room_bytes().map_or(u64::MAX, |room| room / 4 * 3);
    let growing = policies.iter().filter(|policy| **policy != Policy::Every).count() as u64;
    for workload in workloads {
        let most = scenario::most_bytes(&workload.module)?.saturating_mul(workload.threads.into());
        if growing.saturating_mul(most) > room {
            bail!(
                "under {growing} policies the memory of {} may grow to {} each, and this machine has room for {}: let it \
                 end earlier with --memory-max, and reset earlier with --policy above=SIZE",
                workload.name,
                bytes(most),
                bytes(room)
            );
        }
    }
    Ok(())
}

/// Whether memory cannot grow so far that the policy would reset.
fn is_out_of_reach(policy: Policy, memory_max: u64) -> bool {
    matches!(policy, Policy::Above(threshold) if threshold > memory_max)
}

/// A strategy that claims to be sound, and is not even when it resets after every block.
fn is_wrong(cell: &Cell) -> bool {
    let control = registry::find(&cell.strategy).is_some_and(Strategy::is_control);
    cell.is_yardstick() && !control && cell.judged.equivalence == Equivalence::Diverged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_comes_first_and_none_twice() {
        assert_eq!(chosen(&[]), POLICIES);
        let above = Policy::Above(1);
        assert_eq!(chosen(&[above, Policy::Every, above]), [Policy::Every, above]);
    }

    #[test]
    fn a_threshold_beyond_the_end_of_memory_is_out_of_reach() {
        assert!(is_out_of_reach(Policy::Above(101), 100));
        assert!(!is_out_of_reach(Policy::Above(100), 100));
        assert!(!is_out_of_reach(Policy::OnFailure, 0));
    }
}
