//! Startup: from exec to the first block ready, stage by stage, by four ways to a compiled and initialised module; and
//! what committing memory costs on the way.

pub mod bench;
pub mod child;
pub mod generate;
pub mod launch;
pub mod report;
pub mod snapshot;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of `startup.json`.
pub const SCHEMA: u32 = 1;

/// How a child comes by its module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Path {
    /// Compiles it.
    Jit,
    /// Looks it up by the hash of its bytes and the engine's settings, as wasmtime's own cache does.
    EngineCache,
    /// Maps what was compiled ahead of time.
    Precompiled,
    /// The same, of a module whose initialisation has been run and snapshotted (Wizer).
    Snapshot,
}

/// All of them, slowest first.
pub const PATHS: [Path; 4] = [Path::Jit, Path::EngineCache, Path::Precompiled, Path::Snapshot];

/// A stage of startup, and what was resident after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    pub name: String,
    pub ns: u64,
    /// Absent when `/proc/self/statm` could not be read.
    pub rss_bytes: Option<u64>,
}
