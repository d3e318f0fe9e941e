//! `startup`: from exec to the first block ready, by path and by what is committed.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use reset_strategies::commit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::run::{INTERRUPTED, watch_for_interrupt};
use crate::cli::StartupArgs;
use crate::determinism::environment::size;
use crate::determinism::word;
use crate::launch::folder;
use crate::launch::plan::Profile;
use crate::launch::record::wasmtime_version;
use crate::machine::Machine;
use crate::measure::row::{Phase, Row, Status, Unit};
use crate::measure::writer::RowWriter;
use crate::present::units::ns;
use crate::progress::Progress;
use crate::startup::launch::{self, Files, Launched};
use crate::startup::{PATHS, Path, SCHEMA, generate};

/// The policy by which paths commit.
const BEST: &str = "populate-thp";
const WHOLE: u64 = commit::WHOLE_MEMORY;

/// `startup.json`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    pub schema: u32,
    pub command: String,
    pub machine: String,
    pub wasmtime: String,
    pub seed: u64,
    /// Of the generated module that paths are measured on.
    pub module_bytes: u64,
    pub interrupted: bool,
    pub paths: Vec<PathCell>,
    pub commits: Vec<CommitCell>,
}

/// Startups by one path, with one amount committed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PathCell {
    pub path: Path,
    pub commit_bytes: u64,
    pub stages: Vec<StageCell>,
    pub total: Spread,
}

/// A stage over all launches.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StageCell {
    pub name: String,
    pub time: Spread,
    pub rss_bytes: Option<u64>,
}

/// What one policy took to commit one amount.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CommitCell {
    pub commit: String,
    pub bytes: u64,
    /// Whether the guest can see it.
    pub visible: bool,
    pub time: Option<Spread>,
    /// Of the guest's memory, by mincore.
    pub resident_bytes: Option<u64>,
    /// Of the process, from outside.
    pub rss_bytes: Option<u64>,
    /// Why there is no time.
    pub reason: Option<String>,
}

/// Nanoseconds over launches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    pub p50: u64,
    pub min: u64,
    pub max: u64,
    pub n: u64,
}

impl Spread {
    /// The spread of some times; `None` of none.
    pub fn of(mut times: Vec<u64>) -> Option<Self> {
        times.sort_unstable();
        let p50 = *times.get(times.len() / 2)?;
        Some(Self { p50, min: times[0], max: *times.last()?, n: times.len() as u64 })
    }
}

/// What is run in one round.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Job {
    Path(Path, u64),
    Commit(&'static str, u64),
}

struct Effort {
    sizes: &'static [u64],
    rounds: u32,
}

fn effort(profile: Profile) -> Effort {
    const MIB: u64 = 1 << 20;
    const SIZES: [u64; 4] = [64 * MIB, 256 * MIB, 1024 * MIB, WHOLE];
    match profile {
        Profile::Smoke => Effort { sizes: &SIZES[..1], rounds: 1 },
        Profile::Quick => Effort { sizes: &SIZES, rounds: 3 },
        Profile::Full => Effort { sizes: &SIZES, rounds: 9 },
    }
}

/// Measures startups.
///
/// # Errors
/// When files cannot be written or no child can be started at all.
pub fn run(args: &StartupArgs) -> Result<ExitCode> {
    let interrupted = Arc::new(AtomicBool::new(false));
    watch_for_interrupt(&interrupted)?;
    let seed = args.seed.unwrap_or_else(rand::random);
    let folder = folder::fresh(&folder::wanted(args.out.as_deref()))?;
    let progress = Progress::new(args.quiet);
    let staging = tempfile::tempdir().context("cannot make a folder for the children's files")?;
    progress
        .note(&format!("generating and compiling a module of 3 MB; seed {seed}, into {}", folder.display()));
    let bench = Bench::prepare(staging.path(), seed)?;
    let mut rows = RowWriter::create(&folder.join("rows.ndjson"))?;
    let run = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut results: BTreeMap<Job, Vec<Result<Launched>>> = BTreeMap::new();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let Effort { sizes, rounds } = effort(args.profile);
    'rounds: for round in 0..rounds {
        let mut jobs = jobs(sizes, round);
        // Interleaved: whatever the machine does meanwhile is done to all.
        jobs.shuffle(&mut random);
        for (order, job) in jobs.into_iter().enumerate() {
            if interrupted.load(Ordering::Relaxed) {
                break 'rounds;
            }
            progress.say(&format!("round {} of {rounds}: {}", round + 1, job.label()));
            let launched = bench.launch(&job);
            for row in job.rows(&run, round, u32::try_from(order)?, &launched) {
                rows.write(&row)?;
            }
            results.entry(job).or_default().push(launched);
        }
    }
    progress.finish();
    let stopped = interrupted.load(Ordering::Relaxed);
    let report = Report {
        schema: SCHEMA,
        command: format!("resetbench {}", std::env::args().skip(1).collect::<Vec<_>>().join(" ")),
        machine: Machine::read().sentence(),
        wasmtime: wasmtime_version().into(),
        seed,
        module_bytes: bench.large.bytes()?,
        interrupted: stopped,
        paths: paths(&results),
        commits: commits(&results),
    };
    let text = serde_json::to_string_pretty(&report)? + "\n";
    let path = folder.join("startup.json");
    std::fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    if args.json {
        print!("{text}")
    } else {
        print!("{}", report.tables())
    }
    Ok(match report.paths.is_empty() {
        _ if stopped => ExitCode::from(INTERRUPTED),
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// Every path with every amount; every policy with the largest, and in the first round with all.
fn jobs(sizes: &[u64], round: u32) -> Vec<Job> {
    let mut jobs = Vec::new();
    for path in PATHS {
        // Compiling takes seconds, whatever is committed afterwards.
        let amounts = if path == Path::Jit && round > 0 { &[] } else { sizes };
        jobs.extend([0].iter().chain(amounts).map(|bytes| Job::Path(path, *bytes)));
    }
    let largest = sizes.last().copied();
    // A rewritten module commits nothing; `lazy` is here to show what there is without.
    for policy in commit::all().iter().filter(|policy| policy.needs_kept_memory() || policy.name() == "lazy")
    {
        let amounts = sizes.iter().filter(|bytes| round == 0 || Some(**bytes) == largest);
        jobs.extend(amounts.map(|bytes| Job::Commit(policy.name(), *bytes)));
    }
    jobs
}

/// What launches need, made ahead.
pub struct Bench {
    binary: std::ffi::OsString,
    large: Files,
    small: Files,
}

impl Bench {
    /// Generates the large module, and a small one to commit memory for.
    ///
    /// # Errors
    /// When a module does not compile or a file cannot be written.
    pub fn prepare(staging: &FilePath, seed: u64) -> Result<Self> {
        let large = generate::module(seed, generate::LARGE_BYTES);
        let small = generate::module(seed, 0);
        Ok(Self {
            binary: std::env::current_exe().context("cannot find this program")?.into(),
            large: Files::prepare(staging.join("large"), &large, true)?,
            small: Files::prepare(staging.join("small"), &small, true)?,
        })
    }

    /// One startup by a path.
    ///
    /// # Errors
    /// What the child says.
    pub fn path(&self, path: Path, commit_bytes: u64) -> Result<Launched> {
        launch::launch(&self.binary, self.large.spec(path, BEST, commit_bytes))
    }

    /// One commit by a policy.
    ///
    /// # Errors
    /// What the child says.
    pub fn commit(&self, policy: &str, bytes: u64) -> Result<Launched> {
        launch::launch(&self.binary, self.small.spec(Path::Snapshot, policy, bytes))
    }

    fn launch(&self, job: &Job) -> Result<Launched> {
        match *job {
            Job::Path(path, bytes) => self.path(path, bytes),
            Job::Commit(policy, bytes) => self.commit(policy, bytes),
        }
    }
}

impl Job {
    fn label(&self) -> String {
        match self {
            Self::Path(path, 0) => word(path),
            Self::Path(path, bytes) => format!("{}, committing {}", word(path), size(*bytes)),
            Self::Commit(policy, bytes) => format!("{policy}, {}", size(*bytes)),
        }
    }

    fn rows(&self, run: &str, round: u32, order: u32, launched: &Result<Launched>) -> Vec<Row> {
        let (workload, path, policy, bytes) = match self {
            Self::Path(path, bytes) => ("startup/large", word(path), BEST, *bytes),
            Self::Commit(policy, bytes) => ("startup/commit", word(Path::Snapshot), *policy, *bytes),
        };
        let row = Row {
            run: run.into(),
            launch: round,
            round: Some(round),
            order: Some(order),
            strategy: launch::strategy(bytes).into(),
            workload: workload.into(),
            params: [
                ("path", Value::from(path)),
                ("commit", Value::from(policy)),
                ("commit_bytes", Value::from(bytes)),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
            phase: Phase::Startup,
            metric: String::new(),
            unit: Unit::Nanoseconds,
            value: None,
            samples: Vec::new(),
            at_ns: None,
            status: Status::Ok,
            error: None,
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

fn paths(results: &BTreeMap<Job, Vec<Result<Launched>>>) -> Vec<PathCell> {
    let mut cells = Vec::new();
    for (job, launches) in results {
        let Job::Path(path, commit_bytes) = *job else { continue };
        let good: Vec<&Launched> = launches.iter().flatten().collect();
        let Some(first) = good.first() else { continue };
        let stage = |index: usize| {
            let at = |launched: &&Launched| launched.started.stages.get(index).map(|stage| stage.ns);
            let last = good.last()?.started.stages.get(index)?;
            let time = Spread::of(good.iter().filter_map(at).collect())?;
            Some(StageCell { name: last.name.clone(), time, rss_bytes: last.rss_bytes })
        };
        let total = |launched: &&Launched| launched.started.stages.iter().map(|stage| stage.ns).sum();
        let Some(total) = Spread::of(good.iter().map(total).collect()) else { continue };
        let stages = (0..first.started.stages.len()).filter_map(stage).collect();
        cells.push(PathCell { path, commit_bytes, stages, total });
    }
    cells
}

fn commits(results: &BTreeMap<Job, Vec<Result<Launched>>>) -> Vec<CommitCell> {
    let mut cells = Vec::new();
    for (job, launches) in results {
        let Job::Commit(policy, bytes) = *job else { continue };
        let visible = commit::find(policy).is_some_and(commit::Policy::is_visible);
        let good: Vec<&Launched> = launches.iter().flatten().collect();
        let time = |launched: &&Launched| {
            launched.started.stages.iter().find(|stage| stage.name == "commit").map(|stage| stage.ns)
        };
        cells.push(CommitCell {
            commit: policy.into(),
            bytes,
            visible,
            time: Spread::of(good.iter().filter_map(time).collect()),
            resident_bytes: good.iter().map(|launched| launched.started.resident_bytes).min(),
            rss_bytes: good.iter().filter_map(|launched| launched.rss_bytes).min(),
            reason: launches.iter().find_map(|launched| launched.as_ref().err().map(|e| format!("{e:#}"))),
        });
    }
    cells
}

impl Report {
    fn path(&self, path: Path) -> Option<&PathCell> {
        self.paths.iter().find(|cell| cell.path == path && cell.commit_bytes == 0)
    }

    fn tables(&self) -> String {
        use std::fmt::Write as _;
        let mut out = format!(
            "Startup on a generated module of {:.1} MB, from exec to the first block done: median (fastest - slowest)\n",
            self.module_bytes as f64 / f64::from(1 << 20)
        );
        for cell in &self.paths {
            let memory = if cell.commit_bytes == 0 { "nothing".into() } else { size(cell.commit_bytes) };
            let _ = writeln!(out, "  {}, committing {memory}: {}", word(cell.path), spread(&cell.total));
            for stage in &cell.stages {
                let rss =
                    stage.rss_bytes.map_or_else(String::new, |bytes| format!("{} MiB resident", bytes >> 20));
                let _ = writeln!(out, "    {:<16}{:>10}  {rss}", stage.name, ns(stage.time.p50));
            }
        }
        if let (Some(jit), Some(snapshot)) = (self.path(Path::Jit), self.path(Path::Snapshot)) {
            let ratio = jit.total.p50 as f64 / snapshot.total.p50.max(1) as f64;
            let _ =
                writeln!(out, "precompiled + snapshot is {ratio:.0} times faster than compiling on the spot");
        }
        let _ = writeln!(
            out,
            "\nCommitting memory: median (fastest - slowest) of interleaved launches, resident by mincore / by procfs"
        );
        for cell in &self.commits {
            let visible = if cell.visible { ", the guest sees it" } else { "" };
            let _ = match (&cell.time, &cell.reason) {
                (Some(time), _) => writeln!(
                    out,
                    "  {:<26}{:>8}  {:<42} {:>5} / {:>5} MiB{visible}",
                    cell.commit,
                    size(cell.bytes),
                    spread(time),
                    cell.resident_bytes.unwrap_or(0) >> 20,
                    cell.rss_bytes.unwrap_or(0) >> 20,
                ),
                (None, reason) => {
                    let reason = reason.as_deref().unwrap_or("nothing to commit");
                    writeln!(out, "  {:<26}{:>8}  - {reason}", cell.commit, size(cell.bytes))
                }
            };
        }
        if let Some((policy, ratio)) = self.best_commit() {
            let _ = writeln!(
                out,
                "{policy} commits {} {ratio:.1} times faster than nonzero-then-zero",
                size(self.largest())
            );
        }
        out
    }

    fn largest(&self) -> u64 {
        self.commits.iter().map(|cell| cell.bytes).max().unwrap_or(0)
    }

    /// The fastest policy that really commits the largest amount, and its ratio to seed 002's way.
    fn best_commit(&self) -> Option<(&str, f64)> {
        let bytes = self.largest();
        let whole = |cell: &&CommitCell| cell.bytes == bytes && cell.resident_bytes >= Some(bytes);
        let time = |cell: &CommitCell| cell.time.map(|time| time.p50);
        let of = |cell: &&CommitCell| time(cell).unwrap_or(u64::MAX);
        let best = self.commits.iter().filter(whole).min_by_key(of)?;
        let seed = self.commits.iter().filter(whole).find(|cell| cell.commit == "nonzero-then-zero")?;
        Some((&best.commit, time(seed)? as f64 / time(best)?.max(1) as f64))
    }
}

fn spread(spread: &Spread) -> String {
    format!("{} ({} - {}, n={})", ns(spread.p50), ns(spread.min), ns(spread.max), spread.n)
}
