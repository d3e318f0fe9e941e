//! Takes cases through their processes, and compares what they end with.

use std::collections::BTreeMap;

use anyhow::Result;
use reset_strategies::commit::{self, Policy, room};
use reset_strategies::registry;
use serde_json::Value;

use super::child::Spec;
use super::process::{self, Ended};
use super::{BUDGET, Case, Cell, Environment, Guest, Mitigation, Outcome, plan, word};
use crate::launch::stage::Stage;
use crate::measure::row::{Params, Phase, Row, Status, Unit};
use crate::protocol::staging::{self, Staged};
use crate::workload::{Workload, bundled};

/// The strategy under which policies commit that need their memory kept.
const KEEPING: &str = "copy/full";

/// Runs cases one after the other, and knows what they are compared with.
#[derive(Debug)]
pub struct Runner<'a> {
    stage: &'a Stage,
    staged: BTreeMap<(Guest, &'static str), (Workload, Staged)>,
    references: BTreeMap<(Guest, Mitigation), String>,
}

impl<'a> Runner<'a> {
    /// A runner that has run nothing yet.
    pub fn new(stage: &'a Stage) -> Self {
        Self { stage, staged: BTreeMap::new(), references: BTreeMap::new() }
    }

    /// Runs a case and judges it. Its reference has to have been run before.
    ///
    /// # Errors
    /// When files cannot be written, or no process started.
    pub fn judged(&mut self, case: &Case) -> Result<Cell> {
        let ended = self.run(case)?;
        Ok(self.cell(case, ended))
    }

    fn run(&mut self, case: &Case) -> Result<Ended> {
        let policy = commit::find(case.policy).expect("the plan takes policies from the registry");
        if let Err(reason) = policy.available() {
            return Ok(process::not_run(reason));
        }
        let (workload, staged) = self.staged(case)?;
        let spec = spec(case, policy, workload, staged);
        // A policy that does not look before it takes could take it from others.
        let most = case.environment.limit.unwrap_or(u64::MAX).min(commit::WHOLE_MEMORY);
        if let Err(shortage) = room::check(most)
            && case.policy != commit::CANARY.name()
        {
            return Ok(process::not_run(shortage.to_string()));
        }
        process::run(self.stage, case.environment, &spec, plan::patience())
    }

    fn staged(&mut self, case: &Case) -> Result<&(Workload, Staged)> {
        let (name, params) = case.guest.workload(case.mitigation);
        let key = (case.guest, name);
        if !self.staged.contains_key(&key) {
            let params = params.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value)));
            let workload = bundled::named(name, &params.collect())?;
            let folder = self.stage.staging.path().join(word(case.guest));
            let staged = staging::stage(&folder, &workload)?;
            self.staged.insert(key, (workload, staged));
        }
        Ok(&self.staged[&key])
    }

    /// Compares an end with the reference, or makes it the reference.
    pub fn cell(&mut self, case: &Case, ended: Ended) -> Cell {
        let key = (case.guest, case.mitigation);
        let Ended { mut outcome, mut reason, exit_code, root, stored, committed_bytes, wall } = ended;
        if let Some(root) = &root {
            if case.environment == Environment::AS_FOUND && case.policy == commit::LAZY.name() {
                self.references.insert(key, root.clone());
            }
            let said = stored.as_deref().unwrap_or("other bytes");
            (outcome, reason) = match self.references.get(&key) {
                Some(reference) if reference == root => (Outcome::Reference, None),
                Some(_) => (Outcome::Diverged, Some(format!("it stored {said}"))),
                None => (Outcome::NotRun, Some("there is no reference to compare it with".into())),
            };
        }
        Cell {
            environment: case.environment.name().into(),
            limit_bytes: case.environment.limit,
            commit: case.policy.into(),
            mitigation: case.mitigation,
            guest: case.guest,
            outcome,
            reason,
            exit_code,
            root,
            stored,
            committed_bytes,
            wall_ns: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX),
        }
    }
}

/// A cell as a row, like any other verification.
pub fn row(run: &str, cell: &Cell) -> Row {
    let status = match cell.outcome {
        Outcome::Reference => Status::Ok,
        Outcome::Diverged => Status::Diverged,
        Outcome::Refused => Status::Refused,
        Outcome::KilledAtStartup | Outcome::KilledInBlock => Status::Killed,
        Outcome::Trapped => Status::Failed,
        Outcome::NotRun => Status::Unavailable,
    };
    let params = [
        ("environment", Value::from(cell.environment.as_str())),
        ("limit_bytes", Value::from(cell.limit_bytes)),
        ("commit", Value::from(cell.commit.as_str())),
        ("mitigation", Value::from(word(cell.mitigation))),
        ("outcome", Value::from(word(cell.outcome))),
    ];
    let params: Params = params.map(|(name, value)| (name.to_owned(), value)).into();
    let strategy = strategy(commit::find(&cell.commit));
    Row {
        metric: "determinism".into(),
        unit: Unit::Nanoseconds,
        value: (status == Status::Ok).then_some(cell.wall_ns),
        status,
        error: cell.reason.clone(),
        ..Row::new(run, strategy, &word(cell.guest), &params, Phase::Verify)
    }
}

fn strategy(policy: Option<&Policy>) -> &'static str {
    if policy.is_some_and(Policy::needs_kept_memory) { KEEPING } else { registry::BASELINE }
}

fn spec(case: &Case, policy: &Policy, workload: &Workload, staged: &Staged) -> Spec {
    let budget = (case.mitigation == Mitigation::Budget).then_some(BUDGET);
    Spec {
        strategy: strategy(Some(policy)).into(),
        policy: case.policy.into(),
        // What the guest cannot have need not be committed.
        commit_bytes: budget.unwrap_or(commit::WHOLE_MEMORY),
        module: staged.module.clone(),
        trace: staged.trace.clone(),
        cache: staged.cache.clone(),
        store: workload.store.clone(),
        blocks: case.guest.blocks(),
        budget,
        fail_fast: case.mitigation == Mitigation::FailFast,
        requirement: (case.mitigation == Mitigation::Preflight).then_some(plan::REQUIREMENT),
    }
}
