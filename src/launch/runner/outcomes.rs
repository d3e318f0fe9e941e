//! How the blocks of a workload ended, as its rows say it.

use crate::analyse::outcomes::Outcomes;
use crate::measure::row::{Row, Unit};
use crate::protocol::Reference;
use crate::workload::Workload;
use crate::workload::host::Outcome;

/// Counts what fresh instances made of the trace.
pub fn of(reference: &Reference, workload: &Workload) -> Outcomes {
    // A block of any other workload has no need to flush.
    let indexes = matches!(workload.category.as_str(), "indexer" | "user");
    let mut outcomes = Outcomes::default();
    for (block, observed) in reference.blocks.iter().enumerate() {
        match &observed.outcome {
            Outcome::Completed => {
                outcomes.completed += 1;
                outcomes.silent += u64::from(indexes && observed.flushed_nothing());
                continue;
            }
            Outcome::Trapped(_) => outcomes.trapped += 1,
            Outcome::Failed(_) => outcomes.failed += 1,
            Outcome::TimedOut => outcomes.timed_out += 1,
        }
        let reason = || format!("block {block} {}", observed.outcome);
        outcomes.first_reason.get_or_insert_with(reason);
    }
    outcomes
}

/// The rows that say so; `row` holds what they have in common.
pub fn rows<'a>(row: &'a Row, outcomes: &'a Outcomes) -> impl Iterator<Item = Row> + 'a {
    outcomes.metrics().map(|(metric, blocks, reason)| Row {
        metric: metric.into(),
        unit: Unit::Count,
        value: Some(blocks),
        error: reason.map(str::to_owned),
        ..row.clone()
    })
}
