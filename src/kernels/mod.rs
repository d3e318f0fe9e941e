//! What was seen on which kernel: the same program booted on many, each with its mechanisms tried and its resets verified.
//!
//! Data flows one way here, too: the matrix boots kernels and leaves a folder for each ([`boot::Boot`] and the JSON that the
//! verbs print), [`collect`] makes one file of each folder, which are committed in `results/kernels` and built into the
//! program, and [`seen`], `recommend`, `list` and `docs/KERNELS.md` read those.

pub mod boot;
pub mod collect;
pub mod seen;
pub mod table;

use std::sync::OnceLock;

use reset_strategies::Kernel;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::analyse::summary::Equivalence;
use crate::determinism::{Guest, Mitigation, Outcome};
use crate::protocol::schedule::Schedule;
use boot::{Boot, Ended};

/// Version of the files in `results/kernels`. Keys may be added freely; renaming one raises it.
pub const SCHEMA: u32 = 1;

/// What one boot has shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Cell {
    pub schema: u32,
    pub boot: Boot,
    /// The machine in a sentence, as `doctor` saw it.
    pub machine: Option<String>,
    /// What was found wrong with the files of the boot; what is in the others holds all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<String>,
    #[serde(default)]
    pub mechanisms: Vec<MechanismSeen>,
    #[serde(default)]
    pub strategies: Vec<StrategySeen>,
    #[serde(default)]
    pub determinism: Vec<DeterminismSeen>,
}

/// A mechanism, tried.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct MechanismSeen {
    pub name: String,
    pub available: bool,
    /// Why it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A strategy, verified on all workloads of the boot.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct StrategySeen {
    pub strategy: String,
    /// Controls are there to be caught.
    pub control: bool,
    /// `diverged` if it was so once: a strategy that claims to be sound is not. Else `equivalent` if it was so once.
    pub equivalence: Equivalence,
    /// Blocks that were compared with fresh instances'.
    pub blocks: u64,
    /// The schedules that ran.
    #[serde(default)]
    pub schedules: Vec<Schedule>,
    /// Why it was refused, unavailable or not run, where that is all that came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The first difference from a fresh instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<DifferenceSeen>,
}

/// Where a reset was seen to be wrong.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct DifferenceSeen {
    pub workload: String,
    pub schedule: Option<Schedule>,
    /// In words.
    pub text: String,
}

/// How a case of `determinism` ended.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct DeterminismSeen {
    pub environment: String,
    pub limit_bytes: Option<u64>,
    pub commit: String,
    pub mitigation: Mitigation,
    pub guest: Guest,
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Cell {
    /// A boot of which nothing more is known yet.
    pub fn new(boot: Boot) -> Self {
        Self {
            schema: SCHEMA,
            boot,
            machine: None,
            troubles: Vec::new(),
            mechanisms: Vec::new(),
            strategies: Vec::new(),
            determinism: Vec::new(),
        }
    }

    /// The version of Linux that was booted; `None` where its release does not say.
    pub fn kernel(&self) -> Option<Kernel> {
        self.boot.kernel.as_deref()?.parse().ok()
    }

    /// The outcome of a strategy.
    pub fn strategy(&self, name: &str) -> Option<&StrategySeen> {
        self.strategies.iter().find(|seen| seen.strategy == name)
    }

    /// Strategies that claim to be sound and were seen not to be.
    pub fn unsound(&self) -> impl Iterator<Item = &StrategySeen> {
        self.strategies.iter().filter(|seen| !seen.control && seen.equivalence == Equivalence::Diverged)
    }

    /// Whether the kernel was booted and did what it was asked to.
    pub fn is_complete(&self) -> bool {
        self.boot.outcome == Ended::Completed
    }

    /// The kernel and what was set on it, in words.
    pub fn place(&self) -> String {
        let Boot { arch, kernel, page_size, transparent_hugepage, swap, cgroup, .. } = &self.boot;
        let mut parts: Vec<String> = arch.iter().cloned().collect();
        parts.extend(page_size.map(|bytes| format!("{} KiB pages", bytes >> 10)));
        parts.extend(transparent_hugepage.iter().map(|mode| format!("THP {mode}")));
        parts.extend(cgroup.map(|version| format!("cgroup v{version}")));
        parts.extend(swap.then(|| "swap".to_owned()));
        format!("Linux {} ({})", kernel.as_deref().unwrap_or("?"), parts.join(", "))
    }
}

include!(concat!(env!("OUT_DIR"), "/kernels.rs"));

/// The boots that were committed when this program was built, by architecture, page size and kernel.
pub fn all() -> &'static [Cell] {
    static ALL: OnceLock<Vec<Cell>> = OnceLock::new();
    ALL.get_or_init(|| {
        let parse = |(name, text): &(&str, &str)| -> Cell {
            serde_json::from_str(text).unwrap_or_else(|error| panic!("results/kernels/{name}: {error}"))
        };
        let mut cells: Vec<Cell> = FILES.iter().map(parse).collect();
        cells.sort_by_key(order);
        cells
    })
}

/// An architecture that some boot had; `None` for others, for which no boot speaks more than another.
pub fn arch(name: &str) -> Option<&'static str> {
    all().iter().filter_map(|cell| cell.boot.arch.as_deref()).find(|arch| *arch == name)
}

/// Where a cell stands in tables: the older kernel first within an architecture and a page size.
fn order(cell: &Cell) -> (bool, Option<String>, Option<u64>, Option<Kernel>, String) {
    let Boot { arch, page_size, cell: name, .. } = &cell.boot;
    // The architecture that most have is the first, whatever the alphabet says.
    (arch.as_deref() != Some("x86_64"), arch.clone(), *page_size, cell.kernel(), name.clone())
}

#[cfg(test)]
pub(crate) mod literal {
    //! Boots made of literal data.

    use super::*;

    /// A completed boot without outcomes.
    pub fn cell(kernel: &str, arch: &str, page_size: u64, swap: bool) -> Cell {
        let json = serde_json::json!({
            "cell": format!("{arch}-{kernel}-{page_size}{}", if swap { "-swap" } else { "" }),
            "arch": arch,
            "kernel": kernel,
            "page_size": page_size,
            "transparent_hugepage": "always",
            "swap": swap,
            "cgroup": 2,
            "program": "resetbench 0.1.0 (abc)",
            "date": "2026-11-29",
            "outcome": "completed",
        });
        Cell::new(serde_json::from_value(json).unwrap())
    }

    /// The outcome of a strategy, with a reason or a difference in words.
    pub fn seen(strategy: &str, equivalence: Equivalence, words: &str) -> StrategySeen {
        let text = || words.to_owned();
        StrategySeen {
            strategy: strategy.into(),
            control: strategy.starts_with("control/"),
            equivalence,
            blocks: if equivalence == Equivalence::Equivalent { 100 } else { 0 },
            schedules: Vec::new(),
            reason: matches!(equivalence, Equivalence::Refused | Equivalence::Unavailable).then(text),
            difference: (equivalence == Equivalence::Diverged).then(|| DifferenceSeen {
                workload: "foreign/c".into(),
                schedule: Some(Schedule::InOrder),
                text: text(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_committed_is_read_and_in_order() {
        let cells = all();
        assert_eq!(cells.len(), FILES.len());
        assert!(cells.iter().all(|cell| cell.schema == SCHEMA));
        assert!(cells.is_sorted_by_key(order));
    }

    #[test]
    fn a_boot_is_named_with_what_was_set() {
        let cell = literal::cell("7.3.1-amd64", "x86_64", 4096, true);
        assert_eq!(cell.place(), "Linux 7.3.1-amd64 (x86_64, 4 KiB pages, THP always, cgroup v2, swap)");
        assert_eq!(cell.kernel(), Some(Kernel::new(7, 3)));
    }
}
