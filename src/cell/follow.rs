//! Blocks under a policy that need not reset after each: what they take, and how often the policy acts.

use std::time::Instant;

use anyhow::Result;

use super::session::Cell;
use super::state::memories;
use super::times::nanos;
use crate::protocol::Followed;
use crate::protocol::policy::Policy;
use crate::workload::host::Outcome;

/// Runs at least so many blocks. The host's store begins anew with each trace, as it does wherever blocks are timed, so
/// that what grows is the instance; the instance goes on from one call to the next.
///
/// # Errors
/// When a reset fails or a block times out.
pub fn follow(cell: &mut Cell, policy: Policy, blocks: u64) -> Result<Followed> {
    // Memory grows here on purpose: if there is too little of it, this process is the one to go.
    let _not_permitted = std::fs::write("/proc/self/oom_score_adj", "1000");
    let mut followed = Followed::default();
    while (followed.cycle.len() as u64) < blocks.max(1) {
        cell.each_block(1, |cell, block| {
            let started = Instant::now();
            let mut outcome = executed(cell, block)?;
            let memory = match policy {
                Policy::Above(_) => memory_bytes(cell)?,
                Policy::Every | Policy::OnFailure => 0,
            };
            if policy.resets(&outcome, memory) {
                cell.reset()?;
                followed.resets += 1;
                if policy.retries(&outcome) {
                    cell.prepare(block)?;
                    outcome = executed(cell, block)?;
                    followed.retries += 1;
                }
            }
            followed.cycle.push(nanos(started.elapsed()));
            followed.failed += u64::from(outcome != Outcome::Completed);
            Ok(())
        })?;
    }
    Ok(followed)
}

fn executed(cell: &mut Cell, block: usize) -> Result<Outcome> {
    let result = cell.call();
    let outcome = cell.outcome(result)?;
    cell.in_time(block, &outcome)?;
    Ok(outcome)
}

/// The size of the largest memory.
fn memory_bytes(cell: &mut Cell) -> Result<u64> {
    let memories = memories(&mut cell.session)?;
    let store = cell.session.store_mut()?;
    Ok(memories.iter().map(|memory| memory.data_size(&store) as u64).max().unwrap_or(0))
}
