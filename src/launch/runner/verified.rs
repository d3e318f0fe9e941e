//! Verification before anything is timed: what fresh instances do, and who does the same.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use reset_strategies::registry;

use super::{Contender, Lane, Runner};
use crate::launch::plan;
use crate::launch::process::{Cell, Ended};
use crate::launch::rows;
use crate::measure::row::{Phase, Status};
use crate::protocol::schedule::Script;
use crate::protocol::{COMPILE, REFERENCE, Reference, Request, Stages, Verified};

impl<'a> Runner<'a> {
    /// What fresh instances make of the trace, and how long it took them. Without it nothing can be compared, so that every
    /// cell says why.
    pub(super) fn reference(&mut self, lane: &Lane<'_>) -> Result<Option<(Reference, Duration)>> {
        self.stage.progress.say(&format!("{}: running the reference", lane.workload.name));
        let fresh = registry::find(REFERENCE).context("the strategy that references come from")?;
        let observe = Request::Observe { script: Script::in_order() };
        let started = self.start(lane, &plan::Contender::new(fresh), 0);
        let timed = |cell: &mut Cell| {
            let began = Instant::now();
            Ok((cell.ask(&observe)?, began.elapsed()))
        };
        match started.and_then(|(mut cell, _)| timed(&mut cell)) {
            Ok(observed) => Ok(Some(observed)),
            Err(ended) => {
                for contender in &self.plan.contenders {
                    let reason = format!("the reference ({REFERENCE}) did not run: {ended}");
                    self.outcome(lane, &contender.name, ended.status(), Some(reason))?;
                }
                Ok(None)
            }
        }
    }

    /// Checks every cell in a child of its own; only those that pass are timed.
    pub(super) fn verify(&mut self, lane: &Lane<'_>, reference: &Reference) -> Result<Vec<Contender<'a>>> {
        let mut contenders = Vec::new();
        let outcomes = rows::count(reference, lane.workload);
        for plan in &self.plan.contenders {
            if self.stage.stopped() {
                break;
            }
            let strategy = plan.name.as_str();
            self.stage.progress.say(&format!("{}: verifying {strategy}", lane.workload.name));
            let (verified, stages) = match self.verified(lane, plan, reference) {
                Ok(verified) => verified,
                Err(ended) => {
                    self.outcome(lane, strategy, ended.status(), Some(ended.to_string()))?;
                    continue;
                }
            };
            // This child compiles if it is the first of its engine configuration; the others load what it left, and so
            // does every child whose startup is measured.
            let row = self.row(lane, strategy, Phase::Verify);
            let compiled = stages.iter().filter(|(stage, _)| stage == COMPILE);
            self.results.rows.write_all(rows::stages(&row, compiled))?;
            if let Some(difference) = verified.difference {
                self.outcome(lane, strategy, Status::Diverged, Some(difference))?;
                continue;
            }
            if let Some(reason) = verified.unjudged {
                self.outcome(lane, strategy, Status::Failed, Some(reason))?;
                continue;
            }
            self.outcome(lane, strategy, Status::Ok, None)?;
            self.results.rows.write_all(rows::outcomes(&row, &outcomes))?;
            contenders.push(Contender::new(plan, self.plan.is_yardstick(plan), verified));
        }
        Ok(contenders)
    }

    fn verified(
        &self,
        lane: &Lane<'_>,
        contender: &plan::Contender,
        reference: &Reference,
    ) -> Result<(Verified, Stages), Ended> {
        let (mut cell, stages) = self.start(lane, contender, 0)?;
        let verify = Request::Verify { script: Script::in_order(), expected: reference.clone() };
        Ok((cell.ask(&verify)?, stages))
    }
}
