//! What is launched in a round, and the files that launches need.

use anyhow::Result;
use reset_strategies::commit;
use serde_json::Value;

use super::launch::{self, Files, Launched};
use super::{PATHS, Path, generate};
use crate::determinism::environment::size;
use crate::determinism::word;
use crate::launch::plan::Profile;
use crate::launch::program::Program;
use crate::launch::stage::Stage;
use crate::measure::row::{Phase, Row, Status, Unit};

/// The policy by which paths commit.
pub const BEST: &str = "populate-thp";
const WHOLE: u64 = commit::WHOLE_MEMORY;

/// What is run in one round.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Job {
    Path(Path, u64),
    Commit(&'static str, u64),
}

/// How much is measured.
pub struct Effort {
    /// Amounts to commit, in bytes.
    pub sizes: &'static [u64],
    pub rounds: u32,
}

/// How much a profile measures.
pub fn effort(profile: Profile) -> Effort {
    const MIB: u64 = 1 << 20;
    const SIZES: [u64; 4] = [64 * MIB, 256 * MIB, 1024 * MIB, WHOLE];
    match profile {
        Profile::Smoke => Effort { sizes: &SIZES[..1], rounds: 1 },
        Profile::Quick => Effort { sizes: &SIZES, rounds: 3 },
        Profile::Full => Effort { sizes: &SIZES, rounds: 9 },
    }
}

/// Launches of each path without memory to commit, in one round: they are over quickly.
const REPEATS: usize = 5;

/// What one round launches, in two turns: first every path without memory to commit, several times; then every path
/// with every amount, and every policy with the largest, in the first round with all.
///
/// Two, since a process that has just held four gigabytes leaves the machine busy with giving them back, and whoever
/// starts next would be timed with it.
pub fn turns(sizes: &[u64], round: u32) -> [Vec<Job>; 2] {
    let bare = PATHS.iter().flat_map(|path| std::iter::repeat_n(Job::Path(*path, 0), REPEATS)).collect();
    // Compiling takes seconds, whatever is committed afterwards.
    let paths = PATHS.iter().filter(|path| round == 0 || **path != Path::Jit);
    let mut committing: Vec<_> =
        paths.flat_map(|path| sizes.iter().map(|bytes| Job::Path(*path, *bytes))).collect();
    let largest = sizes.last().copied();
    // A rewritten module commits nothing; `lazy` is here to show what there is without.
    for policy in commit::all().iter().filter(|policy| policy.needs_kept_memory() || policy.name() == "lazy")
    {
        let amounts = sizes.iter().filter(|bytes| round == 0 || Some(**bytes) == largest);
        committing.extend(amounts.map(|bytes| Job::Commit(policy.name(), *bytes)));
    }
    [bare, committing]
}

/// What launches need, made ahead.
pub struct Bench {
    binary: Program,
    /// The size of the large module.
    pub module_bytes: u64,
    large: Files,
    small: Files,
}

impl Bench {
    /// Generates the large module, and a small one to commit memory for.
    ///
    /// # Errors
    /// When a module does not compile or a file cannot be written.
    pub fn prepare(stage: &Stage, seed: u64) -> Result<Self> {
        let staging = stage.staging.path();
        let large = generate::module(seed, generate::LARGE_BYTES);
        let small = generate::module(seed, 0);
        Ok(Self {
            binary: stage.binary.clone(),
            module_bytes: large.len() as u64,
            large: Files::prepare(staging.join("large"), &large)?,
            small: Files::prepare(staging.join("small"), &small)?,
        })
    }

    /// One startup or commit.
    ///
    /// # Errors
    /// What the child says.
    pub fn launch(&self, job: &Job) -> Result<Launched> {
        let spec = match *job {
            Job::Path(path, bytes) => self.large.spec(path, BEST, bytes),
            Job::Commit(policy, bytes) => self.small.spec(Path::Snapshot, policy, bytes),
        };
        launch::launch(&self.binary, spec)
    }
}

impl Job {
    /// What it is, for someone who waits for it.
    pub fn label(&self) -> String {
        match self {
            Self::Path(path, 0) => word(path),
            Self::Path(path, bytes) => format!("{}, committing {}", word(path), size(*bytes)),
            Self::Commit(policy, bytes) => format!("{policy}, {}", size(*bytes)),
        }
    }

    /// A launch as rows: its stages, and what was resident after them.
    pub fn rows(&self, run: &str, round: u32, order: u32, launched: &Result<Launched>) -> Vec<Row> {
        let (workload, path, policy, bytes) = match self {
            Self::Path(path, bytes) => ("startup/large", word(path), BEST, *bytes),
            Self::Commit(policy, bytes) => ("startup/commit", word(Path::Snapshot), *policy, *bytes),
        };
        let params = [("path", path.into()), ("commit", policy.into()), ("commit_bytes", Value::from(bytes))];
        let params = params.map(|(name, value)| (name.to_owned(), value)).into();
        let row = Row {
            launch: round,
            round: Some(round),
            order: Some(order),
            unit: Unit::Nanoseconds,
            ..Row::new(run, launch::strategy(bytes), workload, &params, Phase::Startup)
        };
        let launched = match launched {
            Ok(launched) => launched,
            Err(error) => {
                let error = Some(format!("{error:#}"));
                return vec![Row { metric: "startup".into(), status: Status::Failed, error, ..row }];
            }
        };
        let times = launched.started.stages.iter().map(|stage| Row {
            metric: stage.name.clone(),
            value: Some(stage.ns),
            ..row.clone()
        });
        let memory = Row { phase: Phase::Memory, unit: Unit::Bytes, ..row.clone() };
        let after = launched.started.stages.iter().map(|stage| Row {
            metric: format!("rss after {}", stage.name),
            value: stage.rss_bytes,
            ..memory.clone()
        });
        let whole = [("committed", Some(launched.started.resident_bytes)), ("rss", launched.rss_bytes)]
            .map(|(metric, value)| Row { metric: metric.into(), value, ..memory.clone() });
        times.chain(after).chain(whole).collect()
    }
}
