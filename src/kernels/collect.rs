//! From the folders that boots left to one file for each.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::boot::{Boot, Step};
use super::{Cell, DeterminismSeen, DifferenceSeen, MechanismSeen, SCHEMA, StrategySeen};
use crate::analyse::summary::Equivalence;
use crate::determinism;
use crate::machine::Machine;
use crate::verify::report::{CellReport, Report};

/// The file that makes a folder that of a boot.
const BOOT: &str = "cell.json";

/// Reads all boots of a folder, in the order of their folders' names.
///
/// # Errors
/// When there are none, or what was booted cannot be read of one; what else is amiss is among a cell's troubles.
pub fn read(folder: &Path) -> Result<Vec<Cell>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    folders.retain(|path| path.join(BOOT).exists());
    folders.sort();
    if folders.is_empty() {
        bail!("no folder in {} has a {BOOT}: it takes one folder for each boot", folder.display());
    }
    let cells = folders.iter().map(|folder| cell(folder)).collect::<Result<Vec<_>>>()?;
    let names: BTreeSet<&str> = cells.iter().map(|cell| cell.boot.cell.as_str()).collect();
    ensure!(names.len() == cells.len(), "two boots in {} have the same name", folder.display());
    Ok(cells)
}

/// Writes a file for each.
///
/// # Errors
/// When a file cannot be written.
pub fn write(cells: &[Cell], out: &Path) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    for cell in cells {
        let path = out.join(format!("{}.json", cell.boot.cell));
        let text = serde_json::to_string_pretty(cell)? + "\n";
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn cell(folder: &Path) -> Result<Cell> {
    let path = folder.join(BOOT);
    let boot: Boot = json(&path).with_context(|| path.display().to_string())?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+~-".contains(c);
    ensure!(
        !boot.cell.is_empty() && !boot.cell.starts_with('.') && boot.cell.chars().all(plain),
        "{}: `{}` is no name for a file",
        path.display(),
        boot.cell
    );
    let mut cell = Cell {
        schema: SCHEMA,
        boot,
        machine: None,
        troubles: Vec::new(),
        mechanisms: Vec::new(),
        strategies: Vec::new(),
        determinism: Vec::new(),
    };
    let names = named(folder)?;
    let of = |kind: &'static str| {
        names.iter().filter(move |name| name.starts_with(kind) && name.ends_with(".json")).cloned()
    };
    for name in of("doctor") {
        match json::<Doctor>(&folder.join(&name)) {
            Ok(doctor) => cell.add_doctor(doctor),
            Err(error) => cell.troubles.push(format!("{name}: {error:#}")),
        }
    }
    for name in of("verify") {
        match json::<Report>(&folder.join(&name)) {
            Ok(report) => report.cells.into_iter().for_each(|seen| cell.add(seen)),
            Err(error) => cell.troubles.push(format!("{name}: {error:#}")),
        }
    }
    for name in of("determinism") {
        match json::<determinism::report::Report>(&folder.join(&name)) {
            Ok(report) => cell.determinism.extend(report.cells.into_iter().map(DeterminismSeen::from)),
            Err(error) => cell.troubles.push(format!("{name}: {error:#}")),
        }
    }
    let Cell { boot, troubles, strategies, .. } = &mut cell;
    troubles.extend(boot.steps.iter().filter_map(trouble));
    if strategies.is_empty() && boot.steps.iter().any(|step| step.name.starts_with("verify")) {
        troubles.push("no strategy was verified".into());
    }
    Ok(cell)
}

/// How a step ended, where that was not well.
fn trouble(step: &Step) -> Option<String> {
    let Step { name, exit, output, .. } = step;
    let see = output.as_ref().map_or_else(String::new, |output| format!(" ({output})"));
    match exit {
        Some(0) => None,
        Some(code) => Some(format!("{name} ended with exit code {code}{see}")),
        None => Some(format!("{name} did not end by itself{see}")),
    }
}

fn named(folder: &Path) -> Result<BTreeSet<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    // A guest that died may have left anything.
    let bytes = fs::read(path)?;
    ensure!(!bytes.is_empty(), "it is empty");
    Ok(serde_json::from_slice(&bytes)?)
}

/// What `doctor --json` prints, as far as it is of use here.
#[derive(Deserialize)]
struct Doctor {
    machine: Machine,
    mechanisms: Vec<Tried>,
}

#[derive(Deserialize)]
struct Tried {
    name: String,
    availability: String,
    reason: Option<String>,
}

impl Cell {
    /// Takes what was tried, and notes where the machine is another than was to be booted.
    fn add_doctor(&mut self, doctor: Doctor) {
        let Doctor { machine, mechanisms } = doctor;
        let boot = &mut self.boot;
        let mut check = |what: &str, meant: Option<String>, found: Option<String>| {
            if let (Some(meant), Some(found)) = (meant, found)
                && meant != found
            {
                self.troubles.push(format!("{what} was to be {meant} and is {found}"));
            }
        };
        let memory = &machine.memory;
        check("the kernel", boot.kernel.clone(), machine.kernel.release.clone());
        check("the architecture", boot.arch.clone(), Some(machine.arch.clone()));
        check("the page size", boot.page_size.map(text), Some(text(memory.page_bytes)));
        check("THP", boot.transparent_hugepage.clone(), memory.thp.enabled.clone());
        // A later step of the boot may be the one that adds it.
        if !boot.swap {
            check("swap", Some(text(false)), memory.swap_total_bytes.map(|bytes| text(bytes > 0)));
        }
        boot.kernel.get_or_insert_with(|| machine.kernel.release.clone().unwrap_or_default());
        boot.arch.get_or_insert_with(|| machine.arch.clone());
        boot.page_size.get_or_insert(memory.page_bytes);
        self.machine = Some(machine.sentence());
        self.mechanisms = (mechanisms.into_iter())
            .map(|tried| MechanismSeen {
                name: tried.name,
                available: tried.availability == "available",
                reason: tried.reason,
            })
            .collect();
    }

    /// Takes what came of a strategy on a workload.
    fn add(&mut self, seen: CellReport) {
        let known = self.strategies.iter().position(|known| known.strategy == seen.strategy);
        let index = known.unwrap_or_else(|| {
            self.strategies.push(StrategySeen {
                strategy: seen.strategy.clone(),
                control: seen.control,
                equivalence: seen.equivalence,
                blocks: 0,
                schedules: Vec::new(),
                reason: None,
                difference: None,
            });
            self.strategies.len() - 1
        });
        self.strategies[index].add(seen);
    }
}

fn text(value: impl ToString) -> String {
    value.to_string()
}

impl StrategySeen {
    fn add(&mut self, seen: CellReport) {
        self.blocks += seen.blocks;
        for ran in seen.schedules.iter().filter(|ran| ran.not_run.is_none() && ran.blocks > 0) {
            if !self.schedules.contains(&ran.name) {
                self.schedules.push(ran.name);
            }
        }
        // The first of each kind is told; what says more takes the place of what says less.
        if self.reason.is_none() || weight(seen.equivalence) < weight(self.equivalence) {
            self.reason = seen.reason;
        }
        if weight(seen.equivalence) <= weight(self.equivalence) {
            self.equivalence = seen.equivalence;
        }
        if matches!(self.equivalence, Equivalence::Equivalent | Equivalence::Diverged) {
            self.reason = None;
        }
        if seen.equivalence == Equivalence::Diverged && self.difference.is_none() {
            self.difference = Some(DifferenceSeen {
                workload: seen.workload,
                schedule: seen.schedule,
                text: seen.first_difference.unwrap_or_default(),
            });
        }
    }
}

/// Which outcome says most of a strategy, least first.
fn weight(equivalence: Equivalence) -> u8 {
    match equivalence {
        Equivalence::Diverged => 0,
        Equivalence::Equivalent => 1,
        Equivalence::Unavailable => 2,
        Equivalence::Refused => 3,
        Equivalence::NotRun => 4,
    }
}

impl From<determinism::Cell> for DeterminismSeen {
    fn from(cell: determinism::Cell) -> Self {
        Self {
            environment: cell.environment,
            limit_bytes: cell.limit_bytes,
            commit: cell.commit,
            mitigation: cell.mitigation,
            guest: cell.guest,
            outcome: cell.outcome,
            reason: cell.reason,
        }
    }
}

#[cfg(test)]
mod tests;
