//! The raw data: one [`Row`] per sample, written as it comes and never rewritten.
//!
//! Values are integers in base units (nanoseconds, bytes, counts). What was not measured is absent, never zero.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of `rows.ndjson`. Keys may be added freely; renaming one raises it.
pub const SCHEMA: u32 = 1;

/// Parameters of a workload, such as `dirty_pages`, by name.
pub type Params = BTreeMap<String, serde_json::Value>;

/// Parameters as one text per set of values: a map of values has no order of its own, but its JSON text has.
pub fn canonical(params: &Params) -> String {
    serde_json::Value::from_iter(params.clone()).to_string()
}

/// One raw measurement.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Row {
    /// The run that this row belongs to.
    pub run: String,
    /// Which child process of the cell, from 0.
    pub launch: u32,
    /// The paired round: below 64 a step in which others were still on their way to the steady state, from 64 on a round of
    /// all. Absent outside the timing pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// The CPU on which the child was kept in this round; absent where the scheduler chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// Position within the round's shuffled order, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u32>,
    pub strategy: String,
    pub workload: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: Params,
    pub phase: Phase,
    /// What was measured, such as `time`, `minor_faults`, `rss`, or a startup stage such as `instantiate`.
    pub metric: String,
    pub unit: Unit,
    /// The sample: for `time` in a round the median of `samples`; absent when `status` is not `ok`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<u64>,
    /// The single blocks behind `value`, in block order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<u64>,
    /// Nanoseconds since the pass began, for a series over time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ns: Option<u64>,
    /// The outcome of the whole cell in this launch.
    pub status: Status,
    /// Why `status` is not `ok`; in a row that counts blocks which did not complete, how the first of them ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Row {
    /// A row of a workload's first launch that says nothing yet: metric, value and whatever else it has are to be filled in.
    pub fn new(run: &str, strategy: &str, workload: &str, params: &Params, phase: Phase) -> Self {
        let (run, strategy, workload) = (run.into(), strategy.into(), workload.into());
        Self { run, strategy, workload, params: params.clone(), phase, ..Self::default() }
    }
}

/// The part of a cell's life that a row speaks of.
#[derive(
    Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// From process start to the first block ready; the metric names the stage.
    Startup,
    /// The untimed comparison with a fresh instance.
    Verify,
    /// The guest's `_start` on a block.
    Execute,
    /// Bringing the instance back.
    Reset,
    /// Execute and reset together.
    #[default]
    Cycle,
    /// Residency sampled from outside while blocks run.
    Memory,
    /// Calls at once over a pool of sessions.
    Serve,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    #[default]
    #[serde(rename = "ns")]
    Nanoseconds,
    Bytes,
    Count,
}

/// Whether the cell may have figures at all.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    #[default]
    Ok,
    /// The reset left something behind: no time is taken.
    Diverged,
    /// The strategy cannot reset this module, and says so beforehand.
    Refused,
    /// The machine lacks the mechanism.
    Unavailable,
    /// The child process was ended by a signal.
    Killed,
    /// Anything else that went wrong.
    Failed,
}
