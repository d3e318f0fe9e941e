//! From the folders that boots left to one file for each.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::boot::{Boot, Step};
use super::{Cell, DeterminismSeen, DifferenceSeen, MechanismSeen, StrategySeen};
use crate::analyse::summary::Equivalence;
use crate::determinism;
use crate::files;
use crate::machine::Machine;
use crate::verify::report::{CellReport, Report};

/// The file that makes a folder that of a boot.
const BOOT: &str = "cell.json";

/// Reads all boots of a folder, in the order of their folders' names.
///
/// # Errors
/// When there are none, or what was booted cannot be read of one; what else is amiss is among a cell's troubles.
pub fn read(folder: &Path) -> Result<Vec<Cell>> {
    let mut folders = paths(folder)?;
    folders.retain(|path| path.join(BOOT).exists());
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
    files::make_folder(out)?;
    cells.iter().try_for_each(|cell| files::write_json(&out.join(format!("{}.json", cell.boot.cell)), cell))
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
    let mut cell = Cell::new(boot);
    cell.take(folder, "doctor", Cell::add_doctor)?;
    cell.take(folder, "verify", |cell, report: Report| {
        report.cells.into_iter().for_each(|seen| cell.add(seen));
    })?;
    cell.take(folder, "determinism", |cell, report: determinism::report::Report| {
        cell.determinism.extend(report.cells.into_iter().map(DeterminismSeen::from));
    })?;
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

/// What a folder holds, in the order of its names.
fn paths(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// A guest that died may have left anything.
fn json<T: DeserializeOwned>(path: &Path) -> Result<T> {
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
    /// Takes what the steps of one kind have printed; what cannot be read is a trouble.
    fn take<T: DeserializeOwned>(
        &mut self,
        folder: &Path,
        kind: &str,
        add: impl Fn(&mut Self, T),
    ) -> Result<()> {
        for path in paths(folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(kind) && name.ends_with(".json") {
                match json(&path) {
                    Ok(printed) => add(self, printed),
                    Err(error) => self.troubles.push(format!("{name}: {error:#}")),
                }
            }
        }
        Ok(())
    }

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
        let seen = |Tried { name, availability, reason }| MechanismSeen {
            name,
            available: availability == "available",
            reason,
        };
        self.mechanisms = mechanisms.into_iter().map(seen).collect();
    }

    /// Takes what came of a strategy on a workload.
    fn add(&mut self, seen: CellReport) {
        match self.strategies.iter_mut().find(|known| known.strategy == seen.strategy) {
            Some(known) => known.add(seen),
            None => {
                let mut first = StrategySeen {
                    strategy: seen.strategy.clone(),
                    control: seen.control,
                    equivalence: seen.equivalence,
                    blocks: 0,
                    schedules: Vec::new(),
                    reason: None,
                    difference: None,
                };
                first.add(seen);
                self.strategies.push(first);
            }
        }
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
        let says_more = weight(seen.equivalence) < weight(self.equivalence);
        if self.reason.is_none() || says_more {
            self.reason = seen.reason;
        }
        if says_more {
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
        let determinism::Cell {
            environment, limit_bytes, commit, mitigation, guest, outcome, reason, ..
        } = cell;
        Self { environment, limit_bytes, commit, mitigation, guest, outcome, reason }
    }
}

#[cfg(test)]
mod tests;
