//! The instruments that claims are checked with: cases of `determinism`, startups, and cells of `run`.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use procfs::process::Process;
use reset_strategies::commit;

use crate::determinism::runner::Runner;
use crate::determinism::{Case, Cell, Environment, Guest, Kind, Mitigation};
use crate::hosts::{self, Host};
use crate::launch::process;
use crate::launch::settling::Approach;
use crate::launch::stage::Stage;
use crate::machine::clock;
use crate::machine::group::Version;
use crate::machine::pace::patience;
use crate::measure::row::Params;
use crate::protocol::schedule::Script;
use crate::protocol::staging;
use crate::protocol::{REFERENCE, Request, Spec, Timed, Verified};
use crate::startup::bench::{Bench, Job};
use crate::startup::launch::Launched;
use crate::workload::bundled;

/// How long a block may take on an ordinary machine, which none does.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Blocks run for so long before CPU time counts, and for so long while it does.
const WARMING: u64 = 40;
const COUNTING: u64 = 150;

/// What a block cost its process, on average.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    pub cpu_ns: u64,
    pub faults: f64,
}

/// Everything that measures.
pub struct Lab<'a> {
    stage: &'a Stage,
    runner: Runner<'a>,
    seed: u64,
    /// Made for the first claim that needs it: compiling its large module takes longer than most claims.
    bench: Option<Bench>,
    /// Cases that were run before.
    cells: Vec<(Case, Cell)>,
}

/// A limit of a control group, in MiB.
pub fn group(mebibytes: u64) -> Environment {
    Environment::limited(Kind::Group(Version::in_use()), mebibytes << 20)
}

/// A limit of RLIMIT_DATA, in MiB.
pub fn data(mebibytes: u64) -> Environment {
    Environment::limited(Kind::Data, mebibytes << 20)
}

/// A case of `stress/allocate` without any policy or mitigation.
pub const LAZY: Case = Case {
    environment: Environment::AS_FOUND,
    policy: "lazy",
    mitigation: Mitigation::None,
    guest: Guest::Allocate,
};

impl<'a> Lab<'a> {
    /// A lab that has measured nothing yet. Its large module is generated from the seed.
    pub fn new(stage: &'a Stage, seed: u64) -> Self {
        Self { stage, runner: Runner::new(stage), seed, bench: None, cells: Vec::new() }
    }

    /// One startup or commit.
    ///
    /// # Errors
    /// When its files cannot be made, or what the child says.
    pub fn launch(&mut self, job: &Job) -> Result<Launched> {
        let bench = match self.bench.take() {
            Some(bench) => bench,
            None => Bench::prepare(self.stage, self.seed)?,
        };
        self.bench.insert(bench).launch(job)
    }

    /// Runs a case, and before it what it is compared with.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn case(&mut self, case: Case) -> Result<Cell> {
        let reference = Case { environment: Environment::AS_FOUND, policy: commit::LAZY.name(), ..case };
        for wanted in [reference, case] {
            if !self.cells.iter().any(|(known, _)| *known == wanted) {
                let cell = self.runner.judged(&wanted)?;
                self.cells.push((wanted, cell));
            }
        }
        let found = self.cells.iter().find(|(known, _)| *known == case);
        found.map(|(_, cell)| cell.clone()).context("it has just been run")
    }

    fn start(
        &mut self,
        host: &Host,
        strategy: &str,
        workload: &str,
        params: &[(&str, u64)],
    ) -> Result<process::Cell> {
        let chosen: Params = params.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let workload = bundled::named(workload, &chosen)?;
        let staged = staging::stage(&self.stage.staging.path().join("runs"), &workload)?;
        let spec = Spec { host: host.clone(), ..Spec::new(strategy, &workload, &staged, patience(TIMEOUT)) };
        let (cell, _) = process::Cell::start(&self.stage.binary, spec).context(strategy.to_owned())?;
        Ok(cell)
    }

    /// Times some passes of a workload under a strategy, on one CPU for all strategies, from where it is steady or has had its
    /// time to become so.
    ///
    /// # Errors
    /// When the cell fails.
    pub fn times(&mut self, strategy: &str, workload: &str, params: &[(&str, u64)]) -> Result<Timed> {
        let mut cell = self.start(hosts::plain(), strategy, workload, params)?;
        cell.keep_on(self.stage.pinning.cpus().first().copied())?;
        let _way = Approach::alone(|passes| cell.ask(&Request::Time { passes }))?;
        Ok(cell.ask(&Request::Time { passes: 3 })?)
    }

    /// What blocks of a workload cost under a strategy on a host, of CPU time and page faults: of one launch.
    ///
    /// # Errors
    /// When the cell fails, or its process cannot be looked at.
    pub fn spent(&mut self, host: &Host, strategy: &str, workload: &str) -> Result<Spent> {
        let mut cell = self.start(host, strategy, workload, &[])?;
        cell.keep_on(self.stage.pinning.cpus().first().copied())?;
        let _warm: u64 = cell.ask(&Request::Run { millis: WARMING, blocks: 1 })?;
        let pid = i32::try_from(cell.pid())?;
        let faults = || -> Result<u64> { Ok(Process::new(pid)?.stat()?.minflt) };
        let (cpu, faulted) = (clock::process_cpu_ns(pid)?, faults()?);
        let blocks: u64 = cell.ask(&Request::Run { millis: COUNTING, blocks: 1 })?;
        let (cpu, faulted) = (clock::process_cpu_ns(pid)?.saturating_sub(cpu), faults()? - faulted);
        Ok(Spent { cpu_ns: cpu / blocks.max(1), faults: faulted as f64 / blocks.max(1) as f64 })
    }

    /// The first difference of a strategy from fresh instances; `None` when there is none.
    ///
    /// # Errors
    /// When a cell fails.
    pub fn difference(&mut self, strategy: &str, workload: &str) -> Result<Option<String>> {
        self.difference_on(hosts::plain(), strategy, workload)
    }

    /// The same on a host: what is right comes from instances that the host's settings leave as they are.
    ///
    /// # Errors
    /// When a cell fails.
    pub fn difference_on(&mut self, host: &Host, strategy: &str, workload: &str) -> Result<Option<String>> {
        let script = Script::in_order();
        let expected = self.start(host, REFERENCE, workload, &[])?.ask(&Request::Observe { script })?;
        let verify = Request::Verify { script, expected };
        let verified: Verified = self.start(host, strategy, workload, &[])?.ask(&verify)?;
        if let (None, Some(reason)) = (&verified.difference, verified.unjudged) {
            bail!("{strategy} on {workload} cannot be judged: {reason}");
        }
        Ok(verified.difference)
    }
}
