//! Has children run a trace, and say which pages it leaves dirty and how long its blocks execute.

use std::time::Duration;

use anyhow::{Context, Result};
use reset_strategies::registry;
use reset_strategies::track::uffd_wp;

use crate::analyse::evidence::MINOR_FAULTS;
use crate::hosts::Host;
use crate::launch::process::{Cell, Ended};
use crate::launch::stage::Stage;
use crate::measure::row::Phase;
use crate::protocol::pages::Pages;
use crate::protocol::staging::{self, Staged};
use crate::protocol::{Count, REFERENCE, Request, Spec, Timed};
use crate::workload::Workload;

/// Most traces until two in a row come to the same: a strategy may make huge pages in so many.
const TRACES: u32 = 32;

/// Traces of which the time is taken, after those that fill the caches.
const TIMED: u32 = 3;

/// Where children come from, and under which settings they run.
#[derive(Debug)]
pub struct Bench<'a> {
    pub stage: &'a Stage,
    pub host: &'a Host,
    /// CPU time that a block may take.
    pub timeout: Duration,
}

/// What was seen of a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub pages: Pages,
    /// Why written pages are not known, if they are not.
    pub missing: Option<String>,
    /// What blocks take to execute where no page has to be found again, in nanoseconds: under the floor. Where a module is none
    /// for the floor, in fresh instances, with their faults.
    pub execute_ns: Vec<u64>,
    /// Faults of each block where no page is there to begin with: in a fresh instance.
    pub faults: Vec<u64>,
}

impl Bench<'_> {
    /// Runs a workload in one instance.
    ///
    /// # Errors
    /// When files cannot be written, or no child can run the workload.
    pub fn see(&self, workload: &Workload) -> Result<Seen> {
        let staged = staging::stage(self.stage.staging.path(), workload)?;
        let named = || workload.name.clone();
        let mut fresh = self.start(REFERENCE, workload, &staged).with_context(named)?;
        let counts: Vec<Count> = fresh.ask(&Request::Count { passes: 1 }).with_context(named)?;
        let is_cycle = |count: &Count| count.metric == MINOR_FAULTS && count.phase == Phase::Cycle;
        let faults = counts.into_iter().find(is_cycle).map(|count| count.samples).unwrap_or_default();
        let mut floor = self.start(registry::FLOOR, workload, &staged);
        // A module that cannot be reset in place has its pages compared in fresh instances.
        let still = floor.as_mut().unwrap_or(&mut fresh);
        let timed: Timed = still.ask(&Request::Time { passes: TIMED }).with_context(named)?;
        let request = Request::Pages { traces: TRACES };
        let tracked = self.start(uffd_wp::STRATEGY.name(), workload, &staged);
        let (pages, missing) = match tracked.and_then(|mut cell| cell.ask(&request)) {
            Ok(pages) => (pages, None),
            Err(ended) => (still.ask(&request).with_context(named)?, Some(ended.to_string())),
        };
        Ok(Seen { pages, missing, execute_ns: timed.execute, faults })
    }

    fn start(&self, strategy: &str, workload: &Workload, staged: &Staged) -> Result<Cell, Ended> {
        let spec = Spec::new(strategy, workload, staged, self.timeout);
        // Each thread would dirty the same pages of a memory of its own.
        let spec = Spec { host: self.host.clone(), threads: 1, ..spec };
        Ok(Cell::start(&self.stage.binary, spec)?.0)
    }
}
