//! `summary.json`: what the rows of a run say, one [`Cell`] per strategy and workload.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::learned::Learned;
use super::outcomes::Outcomes;
use super::settling::Settling;
use crate::hosts;
use crate::measure::row::Params;
use crate::units::several;

/// Version of `summary.json`. Keys may be added freely; renaming one raises it.
pub const SCHEMA: u32 = 1;

/// Everything that the tables and figures are drawn from.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Summary {
    pub schema: u32,
    pub run: String,
    /// The host under whose settings all cells ran; absent from summaries older than this key: see [`Summary::host`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The strategy that `ratio_to_baseline` refers to.
    pub baseline: String,
    /// How the intervals and verdicts were made.
    pub method: Method,
    /// What a reader of the figures has to know about the rows, such as that the run was interrupted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Who is best in each workload, and who is tied with it. Absent from summaries older than it.
    #[serde(default)]
    pub standings: Vec<Standing>,
    pub cells: Vec<Cell>,
}

impl Summary {
    /// The host under whose settings all cells ran: wasmtime as it comes, where nothing is said.
    pub fn host(&self) -> &str {
        self.host.as_deref().unwrap_or(&hosts::plain().name)
    }
}

/// The numbers that the statistics were done with.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Method {
    /// Confidence level of every interval.
    pub level: f64,
    /// Differences up to this share are called the same.
    pub margin: f64,
    /// Resamples of the bootstrap.
    pub resamples: u32,
    /// Seed of the resampling.
    pub seed: u64,
}

/// The best of a workload and those tied with it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Standing {
    pub workload: String,
    #[serde(default)]
    pub params: Params,
    /// The sound strategy that no other is ahead of within the same rounds, controls aside; the one that `regret` refers to.
    pub best: String,
    /// The sound strategies that cannot be told apart from it, by `cycle_ns.p50`.
    pub tied: Vec<String>,
    /// How far behind the best a strategy had to be to be told apart from it, as a share. Absent where there is no ratio, and
    /// from summaries older than it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<f64>,
    /// Who takes measurably less than the best over whole traces; absent where nobody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_mean: Option<ByMean>,
}

/// A strategy that takes measurably less over whole traces than one with a shorter median.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct ByMean {
    pub strategy: String,
    /// The other one's mean cycle over that of this strategy.
    pub ratio: Ratio,
    /// Both as a sentence.
    pub sentence: String,
}

/// One strategy on one workload.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Cell {
    pub strategy: String,
    pub workload: String,
    #[serde(default)]
    pub params: Params,
    /// Controls calibrate or are there to be caught; they are never recommended.
    pub control: bool,
    pub equivalence: Equivalence,
    /// Why `equivalence` is not `equivalent`: the first difference, the refused construct, the missing mechanism.
    /// For an equivalent cell, what went wrong in one of its launches although the figures stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How the blocks of the trace ended. Absent from cells that are not equivalent, and from rows older than this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcomes: Option<Outcomes>,
    pub execute_ns: Option<Quantiles>,
    pub reset_ns: Option<Quantiles>,
    pub cycle_ns: Option<Quantiles>,
    /// Cycle minus the floor's execute in the same round.
    pub overhead_ns: Option<Overhead>,
    /// Cycle over the baseline's cycle in the same round.
    pub ratio_to_baseline: Option<Ratio>,
    /// The same strategy in another build, in the same rounds. Absent from runs that hold one build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counterpart: Option<Counterpart>,
    /// Cycle over the cycle of the best sound strategy of this workload in the same round. The best is no control; controls may
    /// come out below 1.
    pub regret: Option<Ratio>,
    /// Mean cycle over whole traces, over that of the sound strategy of this workload with the least `cycle_ns.mean`, no
    /// control, in the same rounds: rare slow blocks, which a median hides, count in full. Absent from summaries older
    /// than it.
    #[serde(default)]
    pub regret_by_mean: Option<Ratio>,
    pub verdict: Verdict,
    /// The verdict as a sentence.
    pub sentence: String,
    /// About how much more measuring would settle an unsure verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<More>,
    /// Mean minor faults per cycle, from the counter pass.
    pub minor_faults: Option<f64>,
    pub rss_bytes: Option<Residency>,
    /// Whether memory grows in the long run; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rss_growth: Option<Growth>,
    /// How a strategy that adapts has done so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned: Option<Learned>,
    /// What it takes to become steady. Absent from cells that were not timed, and from rows older than it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settling: Option<Settling>,
    /// Stages of startup in the order in which they happen.
    #[serde(default)]
    pub startup: Vec<Stage>,
    /// Launches and rounds that the cell was timed in. Its own times are from those launches that all cells of the workload
    /// ran; the sentence names those behind the comparison.
    pub launches: u32,
    pub rounds: u32,
    /// Why it was timed no longer. Absent where it was not timed to an end, and from rows older than this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ending>,
}

/// Whether a cell's reset was observed to equal a fresh instance, in this run.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub enum Equivalence {
    Equivalent,
    Diverged,
    Refused,
    Unavailable,
    NotRun,
}

/// Distribution over single blocks: each quantile is taken within a launch by nearest rank, then the median over
/// launches, and so is the mean; `max` is the largest of all.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Quantiles {
    pub p50: u64,
    pub p95: u64,
    pub p99: u64,
    pub max: u64,
    /// Over all blocks. Absent from summaries older than it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<u64>,
    /// Blocks measured.
    pub n: u64,
}

/// What a strategy costs beyond the floor's execute of the same block, split by where it is paid. Quantiles are made as
/// in [`Quantiles`]; negative values are noise.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Overhead {
    pub p50: i64,
    pub p95: i64,
    pub p99: i64,
    pub max: i64,
    pub n: u64,
    /// The part paid inside the guest, in page faults: execute minus the floor's execute.
    pub execute_side_p50: i64,
    /// The part paid by the reset.
    pub reset_p50: i64,
}

/// A ratio with its confidence interval (see [`super::LEVEL`] and [`super::bootstrap`]).
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Ratio {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// A contender held against the one that should take the same, within the same rounds.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Counterpart {
    /// `strategy@NAME` is the strategy in the other build, the old one; of `strategy#2`, which makes an A/A pair, it is
    /// the strategy itself.
    pub contender: String,
    /// Cycle over the counterpart's. Absent where either is not sound, or too few of their rounds are paired; so are
    /// the parts.
    pub cycle: Option<Change>,
    pub execute: Option<Change>,
    pub reset: Option<Change>,
}

/// A ratio to the counterpart.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Change {
    #[serde(flatten)]
    pub ratio: Ratio,
    /// Launches behind the interval.
    pub launches: u32,
    /// Paired rounds in these launches.
    pub rounds: u32,
}

/// How a cell compares with the baseline strategy.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Faster,
    Slower,
    /// Within the margin on both sides.
    Same,
    /// The interval is too wide to tell, or there is none.
    Unsure,
    /// The baseline itself.
    Baseline,
    /// No figures: wrong, refused or unavailable.
    None,
}

/// About how much more measuring would settle an unsure comparison.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct More {
    /// Further launches, each with as many rounds as the present ones have on average.
    pub launches: u32,
    /// Rounds in these launches.
    pub rounds: u32,
}

/// Resident set of the child process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct Residency {
    /// Median of the samples of the memory pass's second half.
    pub steady: u64,
    /// High-water mark of the memory pass (`VmHWM` after `clear_refs` 5), or the largest sample where there is no mark.
    pub peak: u64,
    /// Median of exact readings while the process waited between blocks (`smaps_rollup`): what can be compared to the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<u64>,
    /// How much of all three shows files as they are: the program's code and its libraries'. Median of the same readings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
}

/// Change of the resident set in the long run, with its confidence interval (see [`super::growth`]).
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Growth {
    /// From the first reading to the last; negative where memory was given back.
    pub bytes_per_block: f64,
    pub low: f64,
    pub high: f64,
    /// Blocks that were run between the two.
    pub blocks: u64,
    /// Windows that the run was divided into.
    pub windows: u32,
}

/// One stage of startup.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Stage {
    pub name: String,
    /// Median over launches.
    pub ns: u64,
    pub n: u32,
}

/// Why a cell got no further launch.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The intervals of its ratios to the baseline and the floor were narrow enough.
    Narrow,
    /// It was clear above the best, and its ratio to the baseline was known well enough.
    Beaten,
    /// They were not, and there was no time left.
    Budget,
    /// They were not, and the most launches were reached.
    Launches,
    /// The run was stopped by hand.
    Interrupted,
    /// The baseline or the floor, which run as long as any other cell does.
    Yardstick,
}

impl Ending {
    /// In the order in which they are told.
    pub(super) const ALL: [Self; 6] =
        [Self::Narrow, Self::Beaten, Self::Budget, Self::Launches, Self::Interrupted, Self::Yardstick];

    /// The metric of the row that says so, in the cycle phase. Its launch is the cell's last, its value the number of
    /// launches that the cell ran in its batch.
    pub fn metric(self) -> &'static str {
        match self {
            Self::Narrow => "ended_narrow",
            Self::Beaten => "ended_beaten",
            Self::Budget => "ended_budget",
            Self::Launches => "ended_launches",
            Self::Interrupted => "ended_interrupted",
            Self::Yardstick => "ended_yardstick",
        }
    }

    /// The ending that a metric stands for.
    pub fn of_metric(metric: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.metric() == metric)
    }

    /// `narrow enough after 6 to 9 launches`.
    pub fn after(self, least: u32, most: u32) -> String {
        let words = match self {
            Self::Narrow => "narrow enough after",
            Self::Beaten => "clear above the best after",
            Self::Budget => "still wide at the end of the time, after",
            Self::Launches => "still wide after the most launches,",
            Self::Interrupted => "interrupted after",
            Self::Yardstick => "along with the others for",
        };
        let launches = several(most as usize, "launch");
        if least == most { format!("{words} {launches}") } else { format!("{words} {least} to {launches}") }
    }
}
