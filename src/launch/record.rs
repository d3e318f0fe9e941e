//! `run.json`: what a run was, on which machine and under which settings.

use std::path::Path;

use anyhow::Result;
use reset_strategies::registry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::about::Has;
pub use super::about::{unavailable, wasmtime_version};
use super::build::BuildRecord;
use super::harness::Harness;
use super::plan::{Contender, Plan, Profile, is_again};
use crate::files;
use crate::hosts::{self, Host};
use crate::machine::{Machine, Noise, Zeroing};
use crate::measure::row::Params;
use crate::prose::{enumerated, printable};
use crate::protocol::Planted;
use crate::workload::filled::Filled;
use crate::workload::{Heights, Workload, host};

/// Version of `run.json`. Keys may be added freely; renaming one raises it.
pub const SCHEMA: u32 = 1;

/// Everything about a run that its rows do not say.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Record {
    pub schema: u32,
    /// The run's name, in every row.
    pub run: String,
    /// Version of this program.
    pub version: String,
    /// RFC 3339, in UTC.
    pub started: String,
    pub finished: Option<String>,
    /// Whether it was stopped by hand; what it measured until then is valid.
    pub interrupted: bool,
    pub profile: Profile,
    /// From which every order was drawn.
    pub seed: u64,
    /// What was typed, without the path of the program.
    pub command: String,
    /// The benches of `cargo bench` whose samples these are, criterion having decided on their blocks; absent from runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub benches: Vec<String>,
    /// The host under whose settings everything ran; absent from records older than this key: see [`Record::host`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
    pub baseline: String,
    pub floor: String,
    /// The baseline's second contender, if there was one: the two make an A/A pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
    pub wasmtime: String,
    /// SHA-256 of this program's executable file; absent where it cannot be read, and from records older than this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable_sha256: Option<String>,
    /// Another build whose children ran beside this one's, as contenders named `strategy@name`; absent from other runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<BuildRecord>,
    pub machine: Machine,
    /// CPUs on which the launches of workloads of one thread ran in turn; none where the scheduler chose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<usize>,
    /// How this program's process zeroes pages, tried just before; absent from records older than this key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zeroing: Vec<Zeroing>,
    /// How noisy the machine was just before.
    pub noise: Noise,
    /// What the harness itself takes, measured after the cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harness: Option<Harness>,
    pub strategies: Vec<StrategyRecord>,
    pub workloads: Vec<WorkloadRecord>,
    /// Places of the landscape that were not measured; for want of time unless it says otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// A strategy as it ran.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct StrategyRecord {
    pub name: String,
    pub family: String,
    pub control: bool,
    pub summary: String,
    /// Absent where it is available.
    pub unavailable: Option<String>,
    /// The effective engine configuration.
    pub configuration: String,
    /// What it wastes on purpose; absent from every real result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planted: Option<Planted>,
}

/// A workload as it ran.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct WorkloadRecord {
    pub name: String,
    pub category: String,
    pub summary: String,
    pub params: Params,
    /// Of the module as it was run.
    pub module_sha256: String,
    pub module_bytes: u64,
    pub blocks: u64,
    /// The first block's height, and how it is known. Absent where inputs are no blocks of a chain, and from records older
    /// than this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heights: Option<Heights>,
    /// Of all blocks one after the other.
    pub trace_sha256: String,
    pub trace_bytes: u64,
    /// Of the blocks that filled the store, where inputs are requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filled_from_sha256: Option<String>,
}

impl Record {
    /// What a reader has to know where contenders waste something on purpose.
    pub fn made_worse(&self) -> Option<String> {
        let planted = self.strategies.iter().filter(|strategy| strategy.planted.is_some());
        let names: Vec<_> = planted.map(|strategy| format!("`{}`", strategy.name)).collect();
        (!names.is_empty())
            .then(|| format!("{} was made worse on purpose: this is no result", enumerated(&names)))
    }

    /// Describes a run that is about to begin.
    pub fn new(run: &str, profile: Profile, plan: &Plan, command: String, noise: Noise) -> Self {
        Self {
            schema: SCHEMA,
            run: run.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            started: now(),
            finished: None,
            interrupted: false,
            profile,
            seed: plan.seed,
            command,
            benches: Vec::new(),
            host: Some(plan.host.clone()),
            baseline: plan.host.baseline.clone(),
            floor: registry::FLOOR.into(),
            again: plan.contenders.iter().map(|c| c.name.clone()).find(|name| is_again(name)),
            wasmtime: wasmtime_version().into(),
            executable_sha256: None,
            against: plan.build().map(|build| build.record()),
            machine: Machine::read(),
            cpus: Vec::new(),
            zeroing: Zeroing::here(),
            noise,
            harness: None,
            strategies: plan.contenders.iter().map(|c| StrategyRecord::new(c, plan.host)).collect(),
            workloads: plan.workloads.iter().map(WorkloadRecord::new).collect(),
            left_out: Vec::new(),
        }
    }

    /// The host under whose settings everything ran: wasmtime as it comes, where nothing is said.
    pub fn host(&self) -> &Host {
        self.host.as_ref().unwrap_or(hosts::plain())
    }

    /// Notes the end.
    pub fn finish(&mut self, interrupted: bool) {
        self.finished = Some(now());
        self.interrupted = interrupted;
    }

    /// Writes `run.json` into a folder, replacing what this run wrote before.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        files::write_json(&folder.join("run.json"), self)
    }

    /// Reads the `run.json` of a folder.
    ///
    /// # Errors
    /// When the file is missing, malformed or of another version.
    pub fn read(folder: &Path) -> Result<Self> {
        files::read_json(&folder.join("run.json"), SCHEMA, ": is this the folder of a run?")
    }
}

impl StrategyRecord {
    /// Describes a contender.
    pub fn new(contender: &Contender, host: &Host) -> Self {
        let strategy = contender.strategy;
        let Has { unavailable, configuration, .. } = match &contender.build {
            None => Has::new(strategy, host),
            // It has said so on no host in particular.
            Some(build) => {
                let has = build.has(strategy.name());
                Has { configuration: format!("as on plain: {}", has.configuration), ..has }
            }
        };
        Self {
            name: contender.name.clone(),
            family: strategy.family().into(),
            control: contender.control,
            summary: strategy.summary().into(),
            unavailable,
            configuration,
            planted: contender.planted,
        }
    }
}

impl WorkloadRecord {
    /// Whether its trace was a single block of a chain, which was run again and again.
    pub fn repeats_one_block(&self) -> bool {
        self.heights.is_some() && self.blocks == 1
    }

    /// Describes a workload.
    pub fn new(workload: &Workload) -> Self {
        let mut trace = Sha256::new();
        workload.trace.iter().for_each(|input| trace.update(input));
        Self {
            name: workload.name.clone(),
            category: workload.category.clone(),
            summary: workload.summary.clone(),
            params: workload.params.clone(),
            module_sha256: host::hex(&Sha256::digest(&workload.module)),
            module_bytes: workload.module.len() as u64,
            blocks: workload.trace.len() as u64,
            heights: workload.heights,
            trace_sha256: host::hex(&trace.finalize()),
            trace_bytes: workload.trace.iter().map(|input| input.len() as u64).sum(),
            filled_from_sha256: workload.filled.as_ref().map(Filled::blocks_sha256),
        }
    }
}

/// What was typed, without the path of the program. Of names that are not UTF-8, what cannot be shown is lost.
pub fn command_line() -> String {
    let words = std::env::args_os().skip(1).map(|word| printable(&word.to_string_lossy()));
    ["resetbench".to_owned()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

fn now() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
}
