//! What may be compared with what. Unlike things are named and left out, or refused; never compared in silence.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};

use super::series::{Series, place};
use crate::launch::record::{Record, WorkloadRecord};
use crate::launch::saved::Saved;
use crate::measure::row::canonical;

/// What two runs have in common.
#[derive(Clone, Debug, Default)]
pub struct Common {
    /// Workloads and parameters that both ran on the same module and blocks.
    workloads: BTreeSet<(String, String)>,
    /// What differs, and what follows from it.
    pub notes: Vec<String>,
}

impl Common {
    /// Whether both runs have this series' workload.
    pub fn holds(&self, series: &Series) -> bool {
        self.workloads.contains(&(series.workload.clone(), series.params.clone()))
    }
}

/// Whether two runs can be compared, and in what.
///
/// # Errors
/// When nothing in them can be.
pub fn common(a: &Saved, b: &Saved) -> Result<Common> {
    let (a_run, b_run) = (&a.record, &b.record);
    for saved in [a, b] {
        refuse(saved)?;
    }
    ensure!(
        a_run.host() == b_run.host(),
        "`{}` was measured {}, and `{}` {}: they are not the same figure",
        a_run.run,
        a_run.host().sentence(),
        b_run.run,
        b_run.host().sentence()
    );
    ensure!(
        a_run.baseline == b_run.baseline,
        "`{}` has its ratios to `{}` and `{}` to `{}`: they are not the same figure",
        a_run.run,
        a_run.baseline,
        b_run.run,
        b_run.baseline
    );
    let mut common = Common { notes: notes(a_run, b_run), ..Common::default() };
    common.notes.extend(a.summary.notes.iter().chain(&b.summary.notes).cloned());
    let mut left_out = Vec::new();
    for workload in &a_run.workloads {
        let shown = place(&workload.name, &workload.params);
        match b_run.workloads.iter().find(|other| same_name(workload, other)) {
            None => left_out.push(format!("`{shown}` is only in `{}`: left out", a_run.run)),
            Some(other) if other.module_sha256 != workload.module_sha256 => left_out.push(format!(
                "`{shown}` ran another module in each run: left out; a changed workload needs a new name"
            )),
            Some(other) if other.trace_sha256 != workload.trace_sha256 => {
                left_out.push(format!("`{shown}` ran other blocks in each run: left out"));
            }
            Some(other) if other.filled_from_sha256 != workload.filled_from_sha256 => {
                left_out.push(format!("other blocks filled the store of `{shown}` in each run: left out"));
            }
            Some(_) => {
                common.workloads.insert((workload.name.clone(), canonical(&workload.params)));
            }
        }
    }
    for workload in &b_run.workloads {
        if !a_run.workloads.iter().any(|other| same_name(workload, other)) {
            let shown = place(&workload.name, &workload.params);
            left_out.push(format!("`{shown}` is only in `{}`: left out", b_run.run));
        }
    }
    if common.workloads.is_empty() {
        let why: String = left_out.iter().map(|note| format!("; {note}")).collect();
        bail!("`{}` and `{}` have no workload in common{why}", a_run.run, b_run.run);
    }
    common.notes.extend(left_out);
    Ok(common)
}

/// Refuses what is no result at all.
///
/// # Errors
/// When the run was made worse on purpose or has no figure.
pub fn refuse(saved: &Saved) -> Result<()> {
    unplanted(saved)?;
    let cells = &saved.summary.cells;
    if !cells.iter().any(|cell| cell.ratio_to_baseline.is_some()) {
        let why = cells.first().map_or("there are no cells", |cell| &cell.sentence);
        bail!("`{}` has no figures: {why}", saved.record.run);
    }
    Ok(())
}

/// Refuses a run in which something was made worse on purpose.
///
/// # Errors
/// When it was.
pub fn unplanted(saved: &Saved) -> Result<()> {
    let record = &saved.record;
    match record.made_worse() {
        Some(why) => bail!("`{}`: {why}", record.run),
        None => Ok(()),
    }
}

fn same_name(a: &WorkloadRecord, b: &WorkloadRecord) -> bool {
    a.name == b.name && canonical(&a.params) == canonical(&b.params)
}

/// Differences that do not forbid a comparison, but that its reader has to know.
fn notes(a: &Record, b: &Record) -> Vec<String> {
    let mut notes = Vec::new();
    let mut differs = |what: &str, from: &str, to: &str| {
        if from != to {
            notes.push(format!("{what} differs: {from} and {to}"));
        }
    };
    differs("the machine class", &a.machine.class, &b.machine.class);
    differs("wasmtime", &a.wasmtime, &b.wasmtime);
    differs("resetbench", &a.version, &b.version);
    differs("the profile", &format!("{:?}", a.profile), &format!("{:?}", b.profile));
    for strategy in &a.strategies {
        if let Some(other) = b.strategies.iter().find(|other| other.name == strategy.name) {
            let what = format!("the engine configuration of `{}`", strategy.name);
            differs(&what, &strategy.configuration, &other.configuration);
        }
    }
    for record in [a, b].into_iter().filter(|record| record.interrupted) {
        notes.push(format!("`{}` was interrupted: only what it measured until then is compared", record.run));
    }
    notes
}
