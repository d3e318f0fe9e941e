//! `startup.json`, and the same in words.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use reset_strategies::commit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Path;
use super::bench::Job;
use super::launch::Launched;
use crate::analyse::quantile::median;
use crate::determinism::environment::size;
use crate::determinism::word;
use crate::units::ns;

/// The launches of each job.
pub type Launches = BTreeMap<Job, Vec<Result<Launched>>>;

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
    /// How much memory was warm beforehand. The rest was cold, and then it is the hypervisor that is timed.
    pub warmed_bytes: Option<u64>,
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
        let (min, max) = (*times.first()?, *times.last()?);
        Some(Self { p50: median(&mut times)?, min, max, n: times.len() as u64 })
    }

    /// How many times longer this took than another: of the medians, and between the ends of both ranges.
    pub fn over(self, other: Self) -> String {
        let ratio = |mine: u64, others: u64| mine as f64 / others.max(1) as f64;
        let (least, most) = (ratio(self.min, other.max), ratio(self.max, other.min));
        format!("{:.1} ({least:.1} - {most:.1}) times", ratio(self.p50, other.p50))
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} - {}, n={})", ns(self.p50), ns(self.min), ns(self.max), self.n)
    }
}

/// The startups by path and amount.
pub fn paths(results: &Launches) -> Vec<PathCell> {
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

/// The commits by policy and amount.
pub fn commits(results: &Launches) -> Vec<CommitCell> {
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
            warmed_bytes: good.iter().map(|launched| launched.started.warmed_bytes).min(),
            reason: launches.iter().find_map(|launched| launched.as_ref().err().map(|e| format!("{e:#}"))),
        });
    }
    cells
}

impl Report {
    fn path(&self, path: Path) -> Option<&PathCell> {
        self.paths.iter().find(|cell| cell.path == path && cell.commit_bytes == 0)
    }

    /// Both tables, and what they say of compiling ahead and of the best policy.
    pub fn tables(&self) -> String {
        use std::fmt::Write as _;
        let mut out = format!(
            "Startup on a generated module of {:.1} MB, from exec to the first block done: median (fastest - slowest)\n",
            self.module_bytes as f64 / f64::from(1 << 20)
        );
        for cell in &self.paths {
            let memory = if cell.commit_bytes == 0 { "nothing".into() } else { size(cell.commit_bytes) };
            let _ = writeln!(out, "  {}, committing {memory}: {}", word(cell.path), cell.total);
            for stage in &cell.stages {
                let rss =
                    stage.rss_bytes.map_or_else(String::new, |bytes| format!("{} MiB resident", bytes >> 20));
                let _ = writeln!(out, "    {:<16}{:>10}  {rss}", stage.name, ns(stage.time.p50));
            }
        }
        if let (Some(jit), Some(snapshot)) = (self.path(Path::Jit), self.path(Path::Snapshot)) {
            let ratio = jit.total.over(snapshot.total);
            let _ = writeln!(out, "precompiled + snapshot is {ratio} faster than compiling on the spot");
        }
        let _ = writeln!(
            out,
            "\nCommitting memory: median (fastest - slowest) of interleaved launches, resident by mincore / by procfs"
        );
        for cell in &self.commits {
            let visible = if cell.visible { ", the guest sees it" } else { "" };
            let cold = match cell.warmed_bytes {
                Some(warm) if warm < cell.bytes => format!(", only {} of them warm beforehand", size(warm)),
                _ => String::new(),
            };
            let _ = match (&cell.time, &cell.reason) {
                (Some(time), _) => writeln!(
                    out,
                    "  {:<26}{:>8}  {:<42} {:>5} / {:>5} MiB{visible}{cold}",
                    cell.commit,
                    size(cell.bytes),
                    time.to_string(),
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
                "{policy} commits {} {ratio} faster than nonzero-then-zero",
                size(self.largest())
            );
        }
        out
    }

    fn largest(&self) -> u64 {
        self.commits.iter().map(|cell| cell.bytes).max().unwrap_or(0)
    }

    /// The fastest policy that really commits the largest amount, and its ratio to seed 002's way.
    fn best_commit(&self) -> Option<(&str, String)> {
        let bytes = self.largest();
        let whole = |cell: &&CommitCell| cell.bytes == bytes && cell.resident_bytes >= Some(bytes);
        let time = |cell: &CommitCell| cell.time.map(|time| time.p50);
        let of = |cell: &&CommitCell| time(cell).unwrap_or(u64::MAX);
        let best = self.commits.iter().filter(whole).min_by_key(of)?;
        let seed = self.commits.iter().filter(whole).find(|cell| cell.commit == "nonzero-then-zero")?;
        Some((&best.commit, seed.time?.over(best.time?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_spans_the_ends_of_both_ranges() {
        let slow = Spread::of(vec![900, 1_000, 1_200]).unwrap();
        let fast = Spread::of(vec![10, 12, 8]).unwrap();
        assert_eq!(slow.over(fast), "100.0 (75.0 - 150.0) times");
        assert_eq!(Spread::of(vec![]), None);
    }
}
