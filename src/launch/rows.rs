//! Rows as all write them that measure; what a row is of, the caller has filled in.

use crate::analyse::outcomes::Outcomes;
use crate::analyse::quantile::median;
use crate::measure::row::{Row, Unit};
use crate::measure::sampler::Samples;
use crate::protocol::Reference;
use crate::workload::Workload;
use crate::workload::host::Outcome;

/// A row of samples, with their median.
pub fn sampled(row: Row, samples: Vec<u64>) -> Row {
    Row { value: median(&mut samples.clone()), samples, ..row }
}

/// How long stages of startup took.
pub fn stages<'a>(
    row: &'a Row,
    stages: impl IntoIterator<Item = &'a (String, u64), IntoIter: 'a>,
) -> impl Iterator<Item = Row> + 'a {
    stages.into_iter().map(|(stage, ns)| Row {
        metric: stage.clone(),
        unit: Unit::Nanoseconds,
        value: Some(*ns),
        ..row.clone()
    })
}

/// Counts what fresh instances made of the trace.
pub fn count(reference: &Reference, workload: &Workload) -> Outcomes {
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
        let reason = || format!("{} {block} {}", workload.abi.word(), observed.outcome);
        outcomes.first_reason.get_or_insert_with(reason);
    }
    outcomes
}

/// How the blocks of a workload ended.
pub fn outcomes<'a>(row: &'a Row, outcomes: &'a Outcomes) -> impl Iterator<Item = Row> + 'a {
    outcomes.metrics().map(|(metric, blocks, reason)| Row {
        metric: metric.into(),
        unit: Unit::Count,
        value: Some(blocks),
        error: reason.map(str::to_owned),
        ..row.clone()
    })
}

/// What was resident in a memory pass.
pub fn residency(row: &Row, samples: &Samples) -> Vec<Row> {
    let row = Row { unit: Unit::Bytes, ..row.clone() };
    let series = samples.series.iter().map(|sample| Row {
        metric: "rss".into(),
        value: Some(sample.rss_bytes),
        at_ns: Some(sample.at_ns),
        ..row.clone()
    });
    let once = samples.once.iter().map(|&(metric, bytes)| Row {
        metric: metric.into(),
        value: Some(bytes),
        ..row.clone()
    });
    let cost = Row {
        metric: "sampler_time".into(),
        unit: Unit::Nanoseconds,
        value: Some(samples.cpu_ns),
        ..row.clone()
    };
    series.chain(once).chain([cost]).collect()
}
