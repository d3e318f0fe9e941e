//! Claims about what a reset costs, and what it forgets.

use std::ops::RangeInclusive;

use anyhow::{Context, Result};

use super::{Finding, Lab, Measure, Verdict};
use crate::measure::row::Unit;
use crate::startup::report::Spread;

pub(super) const MEASURES: &[(&str, Measure)] = &[
    ("refresh-time", refresh),
    ("fast-reset-time", fast),
    ("fast-reset-speedup", speedup),
    ("fast-reset-forgets", fast_forgets),
    ("refresh-forgets", refresh_forgets),
    ("no-state-between-blocks", no_state),
];

/// What indexers do today, and a reset of the used pages alone that keeps the contract.
const REFRESH: &str = "fresh/relink";
const FAST: &str = "dirty/pagemap";

/// From next to nothing dirtied to all of a large cache.
const WORKLOADS: [(&str, &[(&str, u64)]); 3] =
    [("stress/noop", &[]), ("indexer/utxo", &[]), ("indexer/lru", &[("limit_mebibytes", 256)])];

/// What resets take on each workload, held against a range of medians.
fn resets(lab: &mut Lab<'_>, strategy: &str, stated: RangeInclusive<u64>) -> Result<Finding> {
    let (mut medians, mut words, mut samples) = (Vec::new(), Vec::new(), Vec::new());
    for (workload, params) in WORKLOADS {
        let mut reset = lab.times(strategy, workload, params)?.reset;
        let spread = Spread::of(reset.clone()).context("a trace has blocks")?;
        words.push(format!("{spread} on {workload}"));
        medians.push(spread.p50);
        samples.append(&mut reset);
    }
    let measured = format!("{strategy} resets in {}", words.join(", "));
    Ok(Finding::new(within(&medians, stated), measured).with(Unit::Nanoseconds, samples))
}

/// All within the stated range, all on one side of it, or here and there.
pub(super) fn within(medians: &[u64], range: RangeInclusive<u64>) -> Verdict {
    let all = |test: &dyn Fn(u64) -> bool| medians.iter().all(|&median| test(median));
    if all(&|median| range.contains(&median)) {
        Verdict::Holds
    } else if all(&|median| median < *range.start()) || all(&|median| median > *range.end()) {
        Verdict::DoesNotHold
    } else {
        Verdict::Depends
    }
}

const MS: u64 = 1_000_000;

fn refresh(lab: &mut Lab<'_>) -> Result<Finding> {
    resets(lab, REFRESH, 100 * MS..=500 * MS)
}

fn fast(lab: &mut Lab<'_>) -> Result<Finding> {
    let found = resets(lab, FAST, MS..=10 * MS)?;
    let measured = format!("{}; it depends on how many pages a block dirties", found.measured);
    Ok(Finding { measured, ..found })
}

fn speedup(lab: &mut Lab<'_>) -> Result<Finding> {
    let mut thousandths = Vec::new();
    let mut words = Vec::new();
    for (workload, params) in WORKLOADS {
        let mut cycle = |strategy| -> Result<Spread> {
            let cycles = lab.times(strategy, workload, params)?.cycles();
            Spread::of(cycles).context("a trace has blocks")
        };
        let (refreshed, fast) = (cycle(REFRESH)?, cycle(FAST)?);
        let ratio = refreshed.p50 as f64 / fast.p50.max(1) as f64;
        words.push(format!("{ratio:.2}x on {workload}, {refreshed} against {fast}"));
        thousandths.push((ratio * 1000.0) as u64);
    }
    let measured = format!("a whole cycle, execution and reset, is faster by {}", words.join("; "));
    let verdict = within(&thousandths, 50_000..=500_000);
    // Thousandths: rows hold whole numbers.
    Ok(Finding::new(verdict, measured).with(Unit::Count, thousandths))
}

fn forgets(lab: &mut Lab<'_>, strategy: &str) -> Result<Finding> {
    let mut words = Vec::new();
    let mut clean = true;
    for workload in ["indexer/blocktracker", "indexer/utxo"] {
        let difference = lab.difference(strategy, workload)?;
        clean &= difference.is_none();
        words.push(format!("{workload}: {}", difference.as_deref().unwrap_or("equal to fresh instances")));
    }
    let measured = format!("{strategy}: {}", words.join("; "));
    Ok(Finding::new(Verdict::holds_if(clean), measured).with(Unit::Count, vec![u64::from(!clean)]))
}

fn fast_forgets(lab: &mut Lab<'_>) -> Result<Finding> {
    forgets(lab, "control/zero-all")
}

fn refresh_forgets(lab: &mut Lab<'_>) -> Result<Finding> {
    forgets(lab, REFRESH)
}

fn no_state(lab: &mut Lab<'_>) -> Result<Finding> {
    // No bundled indexer comes near 1.75 GB or fails: the policy of seed 003 then does nothing at all.
    let found = forgets(lab, "control/none")?;
    let why = "below 1.75 GB and without a failure the policy does nothing";
    Ok(Finding { measured: format!("{why}, which is {}", found.measured), ..found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_for_all_or_for_none_or_depends() {
        assert_eq!(within(&[2, 5, 9], 1..=10), Verdict::Holds);
        assert_eq!(within(&[20, 50], 1..=10), Verdict::DoesNotHold);
        assert_eq!(within(&[0, 0], 1..=10), Verdict::DoesNotHold);
        assert_eq!(within(&[0, 5, 20], 1..=10), Verdict::Depends);
        assert_eq!(within(&[0, 20], 1..=10), Verdict::Depends);
    }
}
