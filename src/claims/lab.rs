//! The instruments that claims are checked with: cases of `determinism`, startups, and cells of `run`.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, Result};
use reset_strategies::commit;

use crate::determinism::runner::Runner;
use crate::determinism::{Case, Cell, Environment, Guest, Kind, Mitigation};
use crate::launch::process::{self, Ended};
use crate::launch::runner::REFERENCE;
use crate::machine::group::Version;
use crate::machine::pace::patience;
use crate::measure::row::Params;
use crate::protocol::schedule::Script;
use crate::protocol::staging;
use crate::protocol::{Reply, Request, Spec};
use crate::startup::bench::Bench;
use crate::workload::bundled;

/// How long a block may take on an ordinary machine, which none does.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Executions and resets of one cell, in nanoseconds per block.
#[derive(Clone, Debug)]
pub struct Times {
    pub execute: Vec<u64>,
    pub reset: Vec<u64>,
}

/// Everything that measures.
pub struct Lab<'a> {
    runner: Runner<'a>,
    pub bench: Bench,
    staging: PathBuf,
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
    pub fn new(staging: PathBuf, seed: u64, interrupted: &'a AtomicBool) -> Result<Self> {
        let runner = Runner::new(staging.join("cases"), interrupted)?;
        let bench = Bench::prepare(&staging, seed)?;
        Ok(Self { runner, bench, staging, cells: Vec::new() })
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
        let chosen: Params = params
            .iter()
            .map(|(name, value)| ((*name).to_owned(), serde_json::Value::from(*value)))
            .collect();
        let workload = bundled::named(workload, &chosen)?;
        let staged = staging::stage(&self.staging.join("runs"), &workload)?;
        let spec = Spec::new(strategy, &workload, &staged, patience(TIMEOUT));
        let binary = crate::launch::program()?;
        let (cell, _) = process::Cell::start(binary.as_os_str(), spec).context(strategy.to_owned())?;
        Ok(cell)
    }

    /// Times some passes of a workload under a strategy, after one that warms up.
    ///
    /// # Errors
    /// When the cell fails.
    pub fn times(&mut self, strategy: &str, workload: &str, params: &[(&str, u64)]) -> Result<Times> {
        let mut cell = self.start(strategy, workload, params)?;
        cell.ask(&Request::Time { passes: 1 })?;
        match cell.ask(&Request::Time { passes: 3 })? {
            Reply::Timed { execute, reset } => Ok(Times { execute, reset }),
            other => Err(Ended::unexpected(&other).into()),
        }
    }

    /// The first difference of a strategy from fresh instances; `None` when there is none.
    ///
    /// # Errors
    /// When a cell fails.
    pub fn difference(&mut self, strategy: &str, workload: &str) -> Result<Option<String>> {
        let params = [];
        let script = Script::in_order();
        let mut fresh = self.start(REFERENCE, workload, &params)?;
        let expected = match fresh.ask(&Request::Observe { script })? {
            Reply::Observed(reference) => reference,
            other => return Err(Ended::unexpected(&other).into()),
        };
        drop(fresh);
        match self.start(strategy, workload, &params)?.ask(&Request::Verify { script, expected })? {
            Reply::Verified(verified) => Ok(verified.difference),
            other => Err(Ended::unexpected(&other).into()),
        }
    }
}
