//! The suite of views: what was measured call by call is then served to many callers at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use reset_strategies::Strategy;

use super::bench::Bench;
use super::effort::{Effort, PLACES};
use super::report::{self, Cell, Report};
use super::{FOLDER, SCHEMA};
use crate::analyse::summary::Equivalence;
use crate::files;
use crate::launch::plan::{Contender, Plan, Profile};
use crate::launch::record::{command_line, wasmtime_version};
use crate::launch::saved::Saved;
use crate::launch::stage::{Results, Stage};
use crate::machine::Machine;

/// Share of a suite's time that is for serving.
pub const SHARE: f64 = 0.45;

/// How thoroughly to serve.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub profile: Profile,
    /// Whether all are served that are right, however long they take call by call.
    pub all: bool,
    /// Whether to index blocks meanwhile, too.
    pub while_indexing: bool,
    pub budget: Duration,
}

/// Serves the workloads of a run that lies in `folder` with the strategies that it found equal to fresh instances, and writes
/// `serving/serving.json` beside it.
///
/// # Errors
/// When a file cannot be read or written.
pub fn serve(plan: &Plan, wanted: Wanted, stage: &Stage, folder: &Path) -> Result<()> {
    let Wanted { profile, all, while_indexing, budget } = wanted;
    let summary = Saved::read(folder)?.summary;
    let served = |workload: &str| -> Vec<&'static Strategy> {
        let contenders = plan.contenders.iter().filter(|contender| is_ours(plan, contender));
        let measured = |contender: &Contender| {
            let mut cells = summary.cells.iter().filter(|cell| cell.workload == workload);
            let cell = cells.find(|cell| cell.strategy == contender.name)?;
            // A wrong reset has no time.
            (cell.equivalence == Equivalence::Equivalent).then_some(cell.regret.map(|regret| regret.value))
        };
        let right: Vec<_> =
            contenders.filter_map(|contender| Some((contender, measured(contender)?))).collect();
        let competing = right.iter().filter(|(contender, _)| !contender.control);
        let taken: Vec<_> = competing
            .filter_map(|(contender, regret)| Some((contender.strategy.family(), (*regret)?)))
            .collect();
        let wanted = |(contender, regret): &(&Contender, Option<f64>)| {
            let family = contender.strategy.family();
            all || plan.is_yardstick(contender)
                || regret.is_some_and(|regret| is_worth_serving(family, regret, &taken))
        };
        right.into_iter().filter(wanted).map(|(contender, _)| contender.strategy).collect()
    };
    let contenders = plan.workloads.iter().map(|workload| served(&workload.name).len()).sum();
    let cpus = thread::available_parallelism()?.get();
    let effort = Effort::within(profile, while_indexing, budget, contenders, cpus);
    if !all {
        stage.progress.note(&format!(
            "serving: the baseline, the floor, and the best of each family that takes at most {FAR} times as long as the best call \
             by call"
        ));
    }
    stage.progress.note(&format!(
        "serving: {} callers, then {} of what {} of them can be served; slices of {} ms, about {} s",
        list(effort.callers.iter()),
        list(effort.loads.iter().map(|load| format!("{:.0}%", load * 100.0))),
        effort.workers,
        effort.slice.as_millis(),
        effort.time(contenders).as_secs()
    ));
    let folder = folder.join(FOLDER);
    files::make_folder(&folder)?;
    let run = folder.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let mut results = Results::onwards(folder.clone(), run)?;
    let mut cells: Vec<Cell> = Vec::new();
    for workload in &plan.workloads {
        if stage.stopped() {
            break;
        }
        let mut bench = Bench {
            host: plan.host,
            effort: &effort,
            seed: plan.seed,
            timeout: plan.timeout,
            stage,
            results: &mut results,
        };
        let seen = bench.workload(workload, &served(&workload.name))?;
        let controls: BTreeMap<&str, bool> =
            plan.contenders.iter().map(|contender| (contender.strategy.name(), contender.control)).collect();
        let is_control = |name: &str| controls.get(name).copied().unwrap_or(true);
        cells.extend(report::cells(workload, &plan.host.baseline, plan.seed, &seen, is_control));
    }
    results.rows.keep()?;
    let report = Report {
        schema: SCHEMA,
        command: command_line(),
        machine: Machine::read().sentence(),
        cpus,
        host: plan.host.name.clone(),
        wasmtime: wasmtime_version().into(),
        baseline: plan.host.baseline.clone(),
        seed: plan.seed,
        places: PLACES,
        interrupted: stage.stopped(),
        cells,
    };
    files::write_json(&folder.join("serving.json"), &report)
}

/// How many times as long as the best call by call the best of a family may take to be served where time is short.
const FAR: f64 = 4.0;

/// Whether a contender is a strategy of this build as it is: what is planted or of another build is for other questions.
fn is_ours(plan: &Plan, contender: &Contender) -> bool {
    contender.build.is_none()
        && contender.planted.is_none()
        && contender.name == contender.strategy.name()
        && (!contender.control || plan.is_yardstick(contender))
}

/// Whether one of a family that takes so many times as long as the best call by call is worth its time, beside all that were
/// taken so.
fn is_worth_serving(family: &str, regret: f64, taken: &[(&str, f64)]) -> bool {
    regret <= FAR && taken.iter().all(|(other, least)| *other != family || regret <= *least)
}

fn list(items: impl Iterator<Item = impl ToString>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_a_family_is_served_even_where_another_family_is_far_ahead() {
        let taken = [
            ("adaptive", 1.0),
            ("adaptive", 1.7),
            ("dirty", 1.4),
            ("dirty", 1.45),
            ("fresh", 2.6),
            ("copy", 9.0),
        ];
        let served: Vec<_> =
            taken.iter().map(|(family, regret)| is_worth_serving(family, *regret, &taken)).collect();
        assert_eq!(served, [true, false, true, false, true, false]);
    }
}
