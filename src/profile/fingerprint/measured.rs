//! What a run has measured: of each place, what each strategy takes beyond the guest's own time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Fingerprint;
use crate::analyse::crossover::ALONG;
use crate::analyse::summary::{Cell, Equivalence};
use crate::launch::record::WorkloadRecord;
use crate::launch::saved::Saved;
use crate::machine::Machine;
use crate::measure::row::Params;
use crate::units::several;
use crate::workload::landscape;

/// Faults per page from which on a strategy leaves no page behind: one that protects pages takes one for each, whether it is
/// read first or not.
const ABSENT: f64 = 1.5;

/// The folder of a landscape in that of a run.
const LANDSCAPE: &str = "landscape";

/// A workload as a run has measured it.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub workload: String,
    pub params: Params,
    /// Blocks in its trace.
    pub blocks: u64,
    /// What its blocks take to execute under the floor, in nanoseconds: the median. Absent where the floor cannot bring the module
    /// back.
    pub execute_ns: Option<u64>,
    /// The sound strategies that are no controls.
    pub strategies: BTreeMap<String, Cost>,
}

/// What a strategy takes for a block, in nanoseconds: medians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    pub cycle_ns: u64,
    /// Cycle minus the floor's execute; absent where there is none.
    pub overhead_ns: Option<i64>,
    /// Cycle over the cycle of the best one, in the same rounds; exactly 1 for that one, and absent where no round had both.
    pub regret: Option<f64>,
    /// Minor faults per block: the mean; 0 where they were not counted.
    pub faults: f64,
}

/// A place of the landscape.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub fingerprint: Fingerprint,
    pub measured: Measured,
}

impl Place {
    /// What the landscape calls it.
    pub fn name(&self) -> String {
        let dirty = self.measured.params.get(ALONG).and_then(Value::as_u64).unwrap_or_default();
        let pages = several(usize::try_from(dirty).unwrap_or(usize::MAX), "page");
        format!("{pages}, {}", landscape::describe(&self.measured.params))
    }

    /// By what to multiply the cost of a page here, with so many faults: where a strategy leaves no page behind, it is that of
    /// faults, and a module takes as many as it does.
    pub fn faults_as_of(&self, module: &Fingerprint, faults: f64) -> f64 {
        if faults > ABSENT && module.faults > 0.0 { module.faults / self.fingerprint.faults } else { 1.0 }
    }
}

/// What predictions rest on, and what they are held against.
#[derive(Clone, Debug)]
pub struct Source {
    pub places: Vec<Place>,
    /// On which the places were measured.
    pub machine: Machine,
    /// The workloads of the run that is held against.
    pub measured: Vec<Measured>,
}

impl Source {
    /// That of a run: of its own landscape, or else of the committed one. Without a run, that of the newest committed one, where
    /// this program is started in its repository.
    ///
    /// # Errors
    /// When the run cannot be read, or there is no landscape besides.
    pub fn of(run: Option<&Path>) -> Result<Option<Self>> {
        let committed = committed();
        let Some(run) = run.map(Path::to_path_buf).or_else(|| committed.clone()) else { return Ok(None) };
        let measured = read(&run)?.1;
        let (machine, places) = places(&run).or_else(|error| match &committed {
            Some(committed) => places(committed),
            None => Err(error),
        })?;
        Ok(Some(Self { places, machine, measured }))
    }
}

/// The machine of a run, and what was measured on it.
fn read(folder: &Path) -> Result<(Machine, Vec<Measured>)> {
    let saved =
        Saved::read(folder).with_context(|| format!("cannot take costs from {}", folder.display()))?;
    let of = |workload: &WorkloadRecord| Measured::of(workload, &saved);
    let measured = saved.record.workloads.iter().map(of).collect();
    Ok((saved.record.machine, measured))
}

/// The places that a fingerprint can be held against: of a run over the landscape, or of the one in the folder `landscape`
/// beside a run.
fn places(folder: &Path) -> Result<(Machine, Vec<Place>)> {
    let within = folder.join(LANDSCAPE);
    let folder = if within.join("run.json").exists() { &within } else { folder };
    let (machine, measured) = read(folder)?;
    let place = |measured: Measured| {
        measured.execute_ns?;
        let fingerprint = Fingerprint::of_place(&measured.params, measured.blocks)?;
        Some(Place { fingerprint, measured })
    };
    let touched = measured.into_iter().filter(|measured| measured.workload == landscape::WORKLOAD);
    let places: Vec<_> = touched.filter_map(place).collect();
    ensure!(
        places.len() > 1,
        "{} is no landscape: measure one with `resetbench run --suite landscape`",
        folder.display()
    );
    Ok((machine, places))
}

/// The newest committed run that has a landscape.
fn committed() -> Option<PathBuf> {
    let runs = Path::new("results").read_dir().ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    runs.filter(|run| run.join(LANDSCAPE).join("run.json").exists()).max()
}

impl Measured {
    fn of(workload: &WorkloadRecord, saved: &Saved) -> Self {
        let here = |cell: &&Cell| cell.workload == workload.name && cell.params == workload.params;
        let cells = || saved.summary.cells.iter().filter(here);
        let floor = cells().find(|cell| cell.strategy == saved.record.floor);
        let cost = |cell: &Cell| {
            let cost = Cost {
                cycle_ns: cell.cycle_ns?.p50,
                overhead_ns: cell.overhead_ns.map(|overhead| overhead.p50),
                regret: cell.regret.map(|regret| regret.value),
                faults: cell.minor_faults.unwrap_or_default(),
            };
            Some((cell.strategy.clone(), cost))
        };
        let sound = cells().filter(|cell| !cell.control && cell.equivalence == Equivalence::Equivalent);
        Self {
            workload: workload.name.clone(),
            params: workload.params.clone(),
            blocks: workload.blocks,
            execute_ns: floor.and_then(|floor| Some(floor.execute_ns?.p50)),
            strategies: sound.filter_map(cost).collect(),
        }
    }
}
