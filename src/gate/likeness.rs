//! What may be compared with what. Unlike things are named and left out, or refused; never compared in silence.

use std::collections::BTreeSet;

use thiserror::Error;

use super::series::{Series, place};
use crate::launch::record::{Record, WorkloadRecord};
use crate::launch::saved::Saved;
use crate::measure::row::canonical;

/// Two runs of which nothing can be compared.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Unlike {
    #[error(
        "`{a}` has its ratios to `{a_baseline}` and `{b}` to `{b_baseline}`: they are not the same figure"
    )]
    Baseline { a: String, a_baseline: String, b: String, b_baseline: String },
    #[error("`{run}` was slowed down on purpose ({strategy}): it is no result")]
    Planted { run: String, strategy: String },
    #[error("`{a}` and `{b}` have no workload in common{why}")]
    NothingInCommon { a: String, b: String, why: String },
    #[error("`{run}` has no figures: {why}")]
    NoFigures { run: String, why: String },
}

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
pub fn common(a: &Saved, b: &Saved) -> Result<Common, Unlike> {
    let (a_run, b_run) = (&a.record, &b.record);
    for saved in [a, b] {
        refuse(saved)?;
    }
    if a_run.baseline != b_run.baseline {
        return Err(Unlike::Baseline {
            a: a_run.run.clone(),
            a_baseline: a_run.baseline.clone(),
            b: b_run.run.clone(),
            b_baseline: b_run.baseline.clone(),
        });
    }
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
        let why = left_out.iter().map(|note| format!("; {note}")).collect();
        return Err(Unlike::NothingInCommon { a: a_run.run.clone(), b: b_run.run.clone(), why });
    }
    common.notes.extend(left_out);
    Ok(common)
}

/// Refuses what is no result at all.
///
/// # Errors
/// When the run was slowed down on purpose or has no figure.
pub fn refuse(saved: &Saved) -> Result<(), Unlike> {
    unplanted(saved)?;
    let run = saved.record.run.clone();
    if !saved.summary.cells.iter().any(|cell| cell.ratio_to_baseline.is_some()) {
        let first = saved.summary.cells.first();
        let why = first.map_or_else(|| "there are no cells".to_owned(), |cell| cell.sentence.clone());
        return Err(Unlike::NoFigures { run, why });
    }
    Ok(())
}

/// Refuses a run that was slowed down on purpose.
///
/// # Errors
/// When it was.
pub fn unplanted(saved: &Saved) -> Result<(), Unlike> {
    match saved.record.strategies.iter().find(|strategy| strategy.planted.is_some()) {
        Some(planted) => {
            Err(Unlike::Planted { run: saved.record.run.clone(), strategy: planted.name.clone() })
        }
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
