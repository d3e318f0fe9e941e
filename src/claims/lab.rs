//! The instruments that claims are checked with: cases of `determinism`, startups, and cells of `run`.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reset_strategies::commit;

use crate::determinism::runner::Runner;
use crate::determinism::{Case, Cell, Environment, Guest, Kind, Mitigation};
use crate::launch::process;
use crate::launch::runner::REFERENCE;
use crate::launch::settling::Approach;
use crate::launch::stage::Stage;
use crate::machine::group::Version;
use crate::machine::pace::patience;
use crate::measure::row::Params;
use crate::protocol::schedule::Script;
use crate::protocol::staging;
use crate::protocol::{Request, Spec, Timed, Verified};
use crate::startup::bench::Bench;
use crate::workload::bundled;

/// How long a block may take on an ordinary machine, which none does.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Everything that measures.
pub struct Lab<'a> {
    stage: &'a Stage,
    runner: Runner<'a>,
    pub bench: Bench,
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
    /// Makes what is needed ahead.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn new(stage: &'a Stage, seed: u64) -> Result<Self> {
        let bench = Bench::prepare(stage, seed)?;
        Ok(Self { stage, runner: Runner::new(stage), bench, cells: Vec::new() })
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

    fn start(&mut self, strategy: &str, workload: &str, params: &[(&str, u64)]) -> Result<process::Cell> {
        let chosen: Params = params.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let workload = bundled::named(workload, &chosen)?;
        let staged = staging::stage(&self.stage.staging.path().join("runs"), &workload)?;
        let spec = Spec::new(strategy, &workload, &staged, patience(TIMEOUT));
        let (cell, _) = process::Cell::start(&self.stage.binary, spec).context(strategy.to_owned())?;
        Ok(cell)
    }

    /// Times some passes of a workload under a strategy, on one CPU for all strategies, from where it is steady or has had its
    /// time to become so.
    ///
    /// # Errors
    /// When the cell fails.
    pub fn times(&mut self, strategy: &str, workload: &str, params: &[(&str, u64)]) -> Result<Timed> {
        let mut cell = self.start(strategy, workload, params)?;
        cell.keep_on(self.stage.pinning.cpus().first().copied())?;
        let _way = Approach::alone(|passes| cell.ask(&Request::Time { passes }))?;
        Ok(cell.ask(&Request::Time { passes: 3 })?)
    }

    /// The first difference of a strategy from fresh instances; `None` when there is none.
    ///
    /// # Errors
    /// When a cell fails.
    pub fn difference(&mut self, strategy: &str, workload: &str) -> Result<Option<String>> {
        let script = Script::in_order();
        let expected = self.start(REFERENCE, workload, &[])?.ask(&Request::Observe { script })?;
        let verify = Request::Verify { script, expected };
        let verified: Verified = self.start(strategy, workload, &[])?.ask(&verify)?;
        if let (None, Some(reason)) = (&verified.difference, verified.unjudged) {
            bail!("{strategy} on {workload} cannot be judged: {reason}");
        }
        Ok(verified.difference)
    }
}
