//! Does the same block on the same module store the same, whatever memory the host has?
//!
//! A [`Case`] is one real process under one real limit: an [`Environment`], a commit policy, a [`Mitigation`] and a
//! [`Guest`]. Its [`Outcome`] is told by how the process ended and by the root over what the guest stored, compared with
//! the root where nothing is limited.

pub mod child;
pub mod environment;
pub mod matrix;
pub mod plan;
pub mod process;
pub mod report;
pub mod root;
pub mod runner;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use environment::{Environment, Kind};

/// Version of `determinism.json`.
pub const SCHEMA: u32 = 1;

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The block completed and the state is that of an unlimited host.
    Reference,
    /// The block completed and the state is another: what no indexer may do.
    Diverged,
    /// The process ended before the first block, with a message and an exit code.
    Refused,
    /// A signal ended it before the first block.
    KilledAtStartup,
    /// A signal ended it in a block.
    KilledInBlock,
    /// The guest trapped: the block failed, and the host knows it.
    Trapped,
    /// It could not be tried here.
    NotRun,
}

/// What is done besides the commit policy, each as seed 000 proposes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mitigation {
    None,
    /// The guest's memory may not grow beyond [`BUDGET`], on any host: a store limiter.
    Budget,
    /// A failed `memory.grow` traps.
    FailFast,
    /// The documented requirement, [`plan::REQUIREMENT`], is checked against the limits at startup.
    Preflight,
    /// The guest works in chunks.
    Chunked,
}

/// What the guest's memory may grow to under [`Mitigation::Budget`].
pub const BUDGET: u64 = 512 << 20;

/// What runs in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Guest {
    /// `stress/allocate`, 20 times 50 MiB.
    Allocate,
    /// `stress/allocate`, in steps of 100 MiB up to 3,000 or until it breaks.
    AllocateRising,
    /// `indexer/lru` with 256 MiB of cache.
    Lru,
    /// The same with a gigabyte, as before seed 004.
    LruGigabyte,
}

impl Guest {
    /// The bundled workload, and the parameters that differ from its defaults.
    pub fn workload(self, mitigation: Mitigation) -> (&'static str, &'static [(&'static str, u64)]) {
        let allocate = match mitigation {
            Mitigation::Chunked => "stress/allocate-chunked",
            _ => "stress/allocate",
        };
        match self {
            Self::Allocate => (allocate, &[("count", 20), ("mebibytes", 50)]),
            Self::AllocateRising => (allocate, &[("count", 30), ("mebibytes", 100)]),
            Self::Lru => ("indexer/lru", &[("limit_mebibytes", 256)]),
            Self::LruGigabyte => ("indexer/lru", &[("limit_mebibytes", 1024)]),
        }
    }

    /// Blocks that are run.
    pub fn blocks(self) -> usize {
        match self {
            Self::Allocate | Self::AllocateRising => 1,
            Self::Lru | Self::LruGigabyte => 2,
        }
    }
}

/// One process to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    pub environment: Environment,
    pub policy: &'static str,
    pub mitigation: Mitigation,
    pub guest: Guest,
}

impl Case {
    /// The same case elsewhere.
    pub fn under(self, environment: Environment) -> Self {
        Self { environment, ..self }
    }
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cell {
    /// `as-found`, `cgroup-v1`, `cgroup-v2`, `rlimit-data` or `rlimit-as`.
    pub environment: String,
    /// Absent where nothing was limited.
    pub limit_bytes: Option<u64>,
    pub commit: String,
    pub mitigation: Mitigation,
    pub guest: Guest,
    pub outcome: Outcome,
    /// Why it is not the reference, in words: the message, the signal, or what was stored instead.
    pub reason: Option<String>,
    pub exit_code: Option<i32>,
    /// Root over the key-value state after the last block.
    pub root: Option<String>,
    /// What the guest stored, where it stores words.
    pub stored: Option<String>,
    /// Bytes resident when the first block began, as the commit policy found them.
    pub committed_bytes: Option<u64>,
    pub wall_ns: u64,
}

/// The name that a value has in JSON.
pub fn word(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
