//! What parent and child say to each other: a [`Spec`] as the child's argument, then one JSON line per message.
//!
//! The two may be different builds (`run --against`). Both say the [`VERSION`] that they speak, the parent in the [`Spec`] and
//! the child in what it says [first](Ready), and each refuses another one.

pub mod pages;
pub mod policy;
pub mod schedule;
pub mod serving;
pub mod staging;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::pages::Pages;
use self::policy::Policy;
use self::schedule::Script;
use self::serving::{Serve, Served};
use self::staging::Staged;
use crate::hosts::{self, Host};
use crate::measure::learning::Learning;
use crate::measure::row::{Phase, Unit};
use crate::workload::Workload;
use crate::workload::host::{self, Outcome, Spoken};

/// The version of all that is said here. Raised whenever a message changes its meaning, or one side would misread the other;
/// a field that may be absent does not raise it.
pub const VERSION: u32 = 3;

/// Where the strategies' own comparison comes from: the plainest way to have a fresh instance.
pub const REFERENCE: &str = "fresh/on-demand-copy";

/// Which cell a child runs, and where its files are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spec {
    /// The [`VERSION`] that the parent speaks.
    pub protocol: u32,
    /// The host under whose settings it runs.
    pub host: Host,
    /// The strategy's name.
    pub strategy: String,
    /// What to waste on purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planted: Option<Planted>,
    /// The module, as it came.
    pub module: PathBuf,
    /// The ABI that it speaks: metashrew's, where the parent is a build that knows no other.
    #[serde(default)]
    pub abi: Spoken,
    /// The blocks (see [`staging`]).
    pub trace: PathBuf,
    /// Keys that the host's store begins with.
    pub store: BTreeMap<String, String>,
    /// What indexing has stored before (see [`staging`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filled: Option<PathBuf>,
    /// The blocks that were indexed for it (see [`staging`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<PathBuf>,
    /// Instances at once, each on a thread of its own.
    pub threads: u32,
    /// Sessions of the pool that serves, where the cell is there to serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<u32>,
    /// Where compiled modules are kept.
    pub cache: PathBuf,
    /// CPU time that a block may take.
    pub timeout_ms: u64,
    /// The control group's file to join before anything else, if the cell has a group of its own.
    pub group: Option<PathBuf>,
    /// Bytes of memory to touch and free before anything is timed; 0 for none.
    pub warm_bytes: u64,
    /// The one script that this child is for, where its process has to begin otherwise than others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<Script>,
    /// Where to say at which addresses the module's functions are, for a profiler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_map: Option<PathBuf>,
    /// Whether stacks of the guest will be asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guest_stacks: bool,
    /// `CLOCK_MONOTONIC` in nanoseconds when the parent started this child.
    pub started_ns: u64,
}

impl Spec {
    /// A cell of a workload whose files are in place, on no host in particular: nothing planted, no group, no warming.
    pub fn new(strategy: &str, workload: &Workload, staged: &Staged, timeout: Duration) -> Self {
        Self {
            protocol: VERSION,
            host: hosts::plain().clone(),
            strategy: strategy.into(),
            planted: None,
            module: staged.module.clone(),
            abi: workload.abi.clone(),
            trace: staged.trace.clone(),
            store: workload.store.clone(),
            filled: staged.filled.clone(),
            blocks: staged.blocks.clone(),
            threads: workload.threads,
            places: None,
            cache: staged.cache.clone(),
            timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
            group: None,
            warm_bytes: 0,
            script: None,
            code_map: None,
            guest_stacks: false,
            started_ns: 0,
        }
    }
}

/// What the parent asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Run a script and say what came out.
    Observe { script: Script },
    /// Run a script and compare with what fresh instances came to, untimed.
    Verify { script: Script, expected: Reference },
    /// Run whole traces and time each block.
    Time { passes: u32 },
    /// Run whole traces and count what each block causes.
    Count { passes: u32 },
    /// Run whole traces, and say where the guest was at so many moments of a second.
    GuestStacks { passes: u32, hertz: u32 },
    /// Run whole traces, so many at most, and say which pages each block leaves dirty.
    Pages { traces: u32 },
    /// Run whole traces, for at least this long and at least so many blocks, while the parent samples memory.
    Run { millis: u64, blocks: u64 },
    /// Run whole traces, at least so many blocks, reset when the policy says, and time each.
    Follow { policy: Policy, blocks: u64 },
    /// Have callers call at once.
    Serve(Serve),
}

/// Stages of startup and their nanoseconds, in the order in which they happened.
pub type Stages = Vec<(String, u64)>;

/// What a child says first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ready {
    /// The [`VERSION`] that the child speaks.
    pub protocol: u32,
    /// What its startup took.
    pub stages: Stages,
}

impl Ready {
    /// What a child of this build says.
    pub fn new(stages: Stages) -> Self {
        Self { protocol: VERSION, stages }
    }
}

/// Why two builds do not understand each other: which protocol the other one, so called, speaks if it says so at all.
pub fn misunderstood(who: &str, other: Option<u64>) -> String {
    let remedy =
        "run two builds that speak the same, commits between which `protocol::VERSION` has not changed";
    match other {
        Some(version) => format!("{who} speaks protocol {version}, and this program {VERSION}: {remedy}"),
        None => format!(
            "{who} does not say which protocol it speaks, and this program speaks {VERSION}: {remedy}"
        ),
    }
}

/// Why a build does not run a strategy that it does not know.
pub fn lacks(strategy: &str) -> String {
    format!("this build has no strategy `{strategy}`")
}

/// What the child answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// The first block has run.
    Ready(Ready),
    Observed(Reference),
    Verified(Verified),
    Timed(Timed),
    Counted(Vec<Count>),
    GuestStacks(GuestStacks),
    Pages(Pages),
    /// Blocks that were run.
    Ran(u64),
    /// Blocks that were run under a policy.
    Followed(Followed),
    Served(Box<Served>),
    /// The cell cannot go on, and why.
    Failed {
        refusal: Refusal,
        reason: String,
    },
}

/// What is in the reply to one kind of request.
pub trait Answer: Sized {
    /// The answer, or the reply if it is to another kind.
    fn of(reply: Reply) -> Result<Self, Reply>;
}

macro_rules! answers {
    ($($answer:ty: $reply:ident;)*) => {
        $(impl Answer for $answer {
            fn of(reply: Reply) -> Result<Self, Reply> {
                match reply {
                    Reply::$reply(answer) => Ok(answer),
                    other => Err(other),
                }
            }
        })*
    };
}

answers! {
    Ready: Ready;
    Reference: Observed;
    Verified: Verified;
    Timed: Timed;
    Vec<Count>: Counted;
    GuestStacks: GuestStacks;
    Pages: Pages;
    u64: Ran;
    Followed: Followed;
    Box<Served>: Served;
}

/// Says something to the parent: a line of JSON on standard output.
///
/// # Errors
/// When the pipe is broken.
pub fn say(message: &impl Serialize) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, message)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// What blocks took: nanoseconds each, in trace order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Timed {
    /// The cycles that ran before the others, to find the caches as blocks leave them to each other.
    pub lead_in: Vec<u64>,
    pub execute: Vec<u64>,
    pub reset: Vec<u64>,
    /// How the strategy has changed itself meanwhile.
    pub learning: Learning,
}

impl Timed {
    /// Execute and reset of each block together, without the lead-in.
    pub fn cycles(&self) -> Vec<u64> {
        self.execute.iter().zip(&self.reset).map(|(execute, reset)| execute + reset).collect()
    }

    /// Makes a lead-in of all blocks so far.
    pub fn lead_in(&mut self) {
        self.lead_in.extend(self.cycles());
        self.execute.clear();
        self.reset.clear();
    }
}

/// One counter over the blocks of a pass, in trace order.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Count {
    pub phase: Phase,
    pub metric: String,
    pub unit: Unit,
    pub samples: Vec<u64>,
}

/// Where the guest was seen: functions from the outermost to the innermost with a semicolon between, and how often.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct GuestStacks(pub Vec<(String, u64)>);

/// What blocks took under a policy, and what became of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Followed {
    /// Nanoseconds per block, with what the policy did about it: asking for the size of memory, reset, retry.
    pub cycle: Vec<u64>,
    /// Resets made.
    pub resets: u64,
    /// Blocks that were run once more after a reset.
    pub retries: u64,
    /// Blocks that failed, also in the retry where there was one.
    pub failed: u64,
}

impl Followed {
    /// Adds what other blocks took.
    pub fn extend(&mut self, other: Self) {
        self.cycle.extend(other.cycle);
        self.resets += other.resets;
        self.retries += other.retries;
        self.failed += other.failed;
    }
}

/// Kinds of failure that a summary tells apart.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    Unavailable,
    Refused,
    Error,
}

/// What fresh instances make of a script.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Reference {
    pub blocks: Vec<Observed>,
    /// Digest of the host's store after the last block. Where a block ran out of time, it is the last one here.
    pub store: String,
}

/// What one block was seen to do.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Observed {
    pub outcome: Outcome,
    /// SHA-256 of everything that it flushed.
    pub flushed: String,
}

impl Observed {
    /// Whether no byte was flushed.
    pub fn flushed_nothing(&self) -> bool {
        self.flushed == host::digest_of_nothing()
    }
}

/// The outcome of the untimed comparison.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Verified {
    /// Blocks compared.
    pub blocks: u64,
    /// The first difference from fresh instances, in words.
    pub difference: Option<String>,
    /// The first difference in what blocks did, where not every block is followed by a reset.
    pub consequence: Option<String>,
    /// Why the script's schedule could not be what it says.
    pub not_run: Option<String>,
    /// Why nothing can be said of it after these blocks: one ran out of time, and nobody had asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unjudged: Option<String>,
    /// High-water mark of resident memory, in bytes.
    pub peak_rss: u64,
}

impl Verified {
    /// Nothing was compared, and why.
    pub fn not_run(reason: String) -> Self {
        Self { not_run: Some(reason), ..Self::default() }
    }
}

/// The stage of startup in which a module is compiled.
pub const COMPILE: &str = "compile";
/// The stage of startup in which a compiled module is mapped.
pub const LOAD: &str = "load";

/// What a contender wastes on purpose, to see whether it is found. It is part of `run.json`, so that no result can carry it
/// unseen.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Planted {
    pub what: Wasted,
    /// As many of the units of [`Planted::what`].
    pub amount: u32,
}

/// What is wasted, and in which unit.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Wasted {
    /// Time in execute, in thousandths of the contender's own median cycle.
    Execute,
    /// Time in the reset, in the same unit.
    Reset,
    /// Time of first touches of pages during execute, in the same unit.
    Faults,
    /// Time in the first function of the host that reads or writes the store in a block, in the same unit.
    Host,
    /// Pages that each block dirties and leaves as they are, to be restored all the same.
    Pages,
    /// Resident memory, in thousandths of what the contender's process has.
    Memory,
}
