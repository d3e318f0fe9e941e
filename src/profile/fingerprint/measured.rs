//! What a run has measured: of each place, what each strategy takes beyond the guest's own time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Fingerprint;
use crate::analyse::crossover::ALONG;
use crate::analyse::evidence::{self, Group};
use crate::analyse::figures;
use crate::analyse::rows_file;
use crate::analyse::summary::Equivalence;
use crate::launch::record::{Record, WorkloadRecord};
use crate::machine::Machine;
use crate::measure::row::{Params, Phase};
use crate::units::several;
use crate::workload::landscape;

/// The folder of a landscape in that of a run.
const LANDSCAPE: &str = "landscape";

/// A workload as a run has measured it.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub workload: String,
    pub params: Params,
    /// Blocks in its trace.
    pub blocks: u64,
    /// What its blocks take to execute under the floor, in nanoseconds: the median.
    pub execute_ns: u64,
    /// The sound strategies that are no controls.
    pub strategies: BTreeMap<String, Cost>,
}

/// What a strategy takes for a block, in nanoseconds: medians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    pub cycle_ns: u64,
    /// Cycle minus the floor's execute.
    pub overhead_ns: i64,
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
    let record = Record::read(folder)?;
    let rows = rows_file::find(folder)
        .with_context(|| format!("{} holds no rows, from which costs are taken", folder.display()))?;
    let groups = evidence::gather(&record.run, &rows_file::read(&rows)?.rows)?;
    let measured = groups.iter().filter_map(|group| Measured::of(group, &record)).collect();
    Ok((record.machine, measured))
}

/// The places that a fingerprint can be held against: of a run over the landscape, or of the one in the folder `landscape`
/// beside a run.
fn places(folder: &Path) -> Result<(Machine, Vec<Place>)> {
    let within = folder.join(LANDSCAPE);
    let folder = if within.join("run.json").exists() { &within } else { folder };
    let (machine, measured) = read(folder)?;
    let place = |measured: Measured| {
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
    /// Nothing where its floor was not measured.
    fn of(group: &Group, record: &Record) -> Option<Self> {
        let floor = group.strategies.get(&record.floor)?;
        let here = |known: &&WorkloadRecord| known.name == group.workload && known.params == group.params;
        let chosen = record.strategies.iter().filter(|strategy| !strategy.control);
        let cost = |name: &str| {
            let cell = group.strategies.get(name)?;
            let is_sound = cell.equivalence().0 == Equivalence::Equivalent;
            let cycle_ns = figures::quantiles(cell.times(Phase::Cycle)?)?.p50;
            let overhead_ns = figures::overhead(cell, floor)?.p50;
            let faults = figures::minor_faults(cell).unwrap_or_default();
            is_sound.then_some(Cost { cycle_ns, overhead_ns, faults })
        };
        Some(Self {
            workload: group.workload.clone(),
            params: group.params.clone(),
            blocks: record.workloads.iter().find(here)?.blocks,
            execute_ns: figures::quantiles(floor.times(Phase::Execute)?)?.p50,
            strategies: chosen.filter_map(|known| Some((known.name.clone(), cost(&known.name)?))).collect(),
        })
    }
}
