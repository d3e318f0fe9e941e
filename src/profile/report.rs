//! `profile.json`: all figures of a profile.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fingerprint::report::Entry;
use super::folded::{Folded, Stage};
use super::rules::Share;
use super::shares::{Counts, counts, interval, thousandths};
use crate::analyse::summary::Equivalence;
use crate::hosts::Host;
use crate::machine::Machine;
use crate::protocol::Planted;

/// Version of `profile.json`. Keys may be added freely; renaming one raises it.
pub const SCHEMA: u32 = 1;

/// A profile of some cells.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Report {
    pub schema: u32,
    /// What was typed, without the path of the program.
    pub command: String,
    /// Version of this program.
    pub version: String,
    /// SHA-256 of its executable file; absent where that cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable_sha256: Option<String>,
    pub wasmtime: String,
    /// The host under whose settings everything ran.
    pub host: Host,
    pub machine: Machine,
    /// Samples in a second of CPU time, as they were asked for.
    pub frequency_hz: u32,
    /// Whether it was stopped by hand; what was sampled until then is valid.
    pub interrupted: bool,
    /// What is missing here, and the remedy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Which pages blocks dirty, by workload, and what that predicts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<Entry>,
    pub cells: Vec<Cell>,
}

/// A strategy on a workload.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Cell {
    pub workload: String,
    pub strategy: String,
    /// What it wastes on purpose; absent from every real profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planted: Option<Planted>,
    pub equivalence: Equivalence,
    /// Why there is no profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}

/// Where the time of a cell's blocks goes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Profile {
    /// Blocks that were run meanwhile.
    pub blocks: u64,
    /// Mean times of a block, in nanoseconds, while nothing was sampled.
    pub execute_ns: f64,
    pub reset_ns: f64,
    pub basis: Basis,
    /// Of execute and reset together. All shares are here, in the same order, and come to exactly 1,000 thousandths.
    pub cycle: Vec<Part>,
    /// Of execute alone.
    pub execute: Vec<Part>,
    /// Of the reset alone.
    pub reset: Vec<Part>,
    /// Files with the stacks, from the folder of `profile.json`; none where there are no stacks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
}

/// What shares are taken from.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Basis {
    /// Stacks that were sampled.
    Samples(Samples),
    /// Counts of what blocks cause, times what one of it costs here: an estimate.
    Counts {
        costs: Vec<UnitCost>,
        /// How often wasmtime took the guest's stack, of which flame graphs are made; no share is.
        #[serde(default, skip_serializing_if = "is_none")]
        guest_samples: u64,
    },
}

/// How it was sampled.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Samples {
    /// Samples within blocks, of which shares are made.
    pub samples: u64,
    /// Those of them whose stack was cut off before it told the stage; they count for the cycle only.
    pub unplaced: u64,
    /// Samples of what the harness does between blocks; they count for nothing.
    pub between: u64,
    /// Samples for which there was no room.
    pub lost: u64,
    /// Whether the kernel's part of the stacks is there; where it is not, nothing is known of the time spent in the kernel.
    pub kernel: bool,
    /// Whether functions of the kernel have names here.
    pub kernel_names: bool,
    /// The median cycle while it was sampled over that while it was not, in turns; absent where too little was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overhead: Option<f64>,
}

/// What something costs on this machine.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct UnitCost {
    pub what: String,
    /// Nanoseconds for one.
    pub ns: f64,
    /// How often it happens in a block, on average.
    pub per_block: f64,
}

/// A share of a block's time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Part {
    pub share: Share,
    pub thousandths: u32,
    /// Nanoseconds of a block, on average.
    pub ns: f64,
    /// Samples in it; absent from estimates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u64>,
    /// Between which shares of all it lies, with 95 % confidence; absent from estimates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<(f64, f64)>,
}

fn is_none(samples: &u64) -> bool {
    *samples == 0
}

impl Part {
    /// The share, for people.
    pub fn percent(&self) -> String {
        format!("{}.{} %", self.thousandths / 10, self.thousandths % 10)
    }
}

impl Profile {
    /// A block's mean time, in nanoseconds.
    pub fn cycle_ns(&self) -> f64 {
        self.execute_ns + self.reset_ns
    }

    /// A share of the whole block.
    pub fn part(&self, share: Share) -> Option<&Part> {
        self.cycle.iter().find(|part| part.share == share)
    }

    /// Divides mean times by stacks.
    pub fn sampled(folded: &Folded, samples: Samples, blocks: u64, execute_ns: f64, reset_ns: f64) -> Self {
        let part = |stage| {
            parts(
                &counts(folded, |of| of == stage),
                if stage == Stage::Execute { execute_ns } else { reset_ns },
            )
        };
        let unplaced = counts(folded, |stage| stage == Stage::Unplaced).values().sum();
        Self {
            blocks,
            execute_ns,
            reset_ns,
            basis: Basis::Samples(Samples {
                samples: folded.samples(),
                unplaced,
                between: folded.between,
                ..samples
            }),
            cycle: parts(&counts(folded, |_| true), execute_ns + reset_ns),
            execute: part(Stage::Execute),
            reset: part(Stage::Reset),
            files: Vec::new(),
        }
    }
}

/// All shares of a time, by their samples.
fn parts(counts: &Counts, ns: f64) -> Vec<Part> {
    let seen = Share::ALL.map(|share| counts.get(&share).copied().unwrap_or(0));
    let all = seen.iter().sum();
    let thousandths = thousandths(&seen);
    let part = |((share, seen), thousandths)| Part {
        share,
        thousandths,
        ns: if all == 0 { 0.0 } else { ns * seen as f64 / all as f64 },
        samples: Some(seen),
        interval: Some(interval(seen, all)),
    };
    Share::ALL.into_iter().zip(seen).zip(thousandths).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_divided_as_samples_are() {
        let folded =
            Folded::parse("execute;run_[j] 30\nreset;munmap;__x64_sys_munmap_[k] 10\nunplaced;x 2\n");
        let profile = Profile::sampled(&folded, Samples::default(), 5, 300.0, 100.0);
        for parts in [&profile.cycle, &profile.execute, &profile.reset] {
            assert_eq!(parts.len(), Share::ALL.len());
            assert_eq!(parts.iter().map(|part| part.thousandths).sum::<u32>(), 1_000);
        }
        let of =
            |parts: &[Part], share| *parts.iter().find(|part| part.share == share).expect("all are there");
        assert_eq!(of(&profile.execute, Share::Guest).ns, 300.0);
        assert_eq!(of(&profile.reset, Share::Mapping).ns, 100.0);
        assert_eq!(of(&profile.cycle, Share::Rest).samples, Some(2));
        let ns: f64 = profile.cycle.iter().map(|part| part.ns).sum();
        assert!((ns - 400.0).abs() < 1e-6, "{ns}");
        let Basis::Samples(samples) = profile.basis else { panic!("they were sampled") };
        assert_eq!((samples.samples, samples.unplaced), (42, 2));
    }
}
