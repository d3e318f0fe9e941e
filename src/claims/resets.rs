//! Claims about what a reset costs, and what it forgets.

use anyhow::{Context, Result};

use super::lab::Times;
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

/// A reset's median per workload, what it says, and all resets.
struct Resets {
    medians: Vec<u64>,
    words: String,
    samples: Vec<u64>,
}

fn resets(lab: &mut Lab<'_>, strategy: &str) -> Result<Resets> {
    let mut found = Resets { medians: Vec::new(), words: String::new(), samples: Vec::new() };
    let mut words = Vec::new();
    for (workload, params) in WORKLOADS {
        let Times { mut reset, .. } = lab.times(strategy, workload, params)?;
        let spread = Spread::of(reset.clone()).context("a trace has blocks")?;
        words.push(format!("{spread} on {workload}"));
        found.medians.push(spread.p50);
        found.samples.append(&mut reset);
    }
    found.words = format!("{strategy} resets in {}", words.join(", "));
    Ok(found)
}

/// All within the stated range, all on one side of it, or here and there.
fn within(medians: &[u64], range: std::ops::RangeInclusive<u64>) -> Verdict {
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
    let found = resets(lab, REFRESH)?;
    let verdict = within(&found.medians, 100 * MS..=500 * MS);
    Ok(Finding::new(verdict, found.words).with(Unit::Nanoseconds, found.samples))
}

fn fast(lab: &mut Lab<'_>) -> Result<Finding> {
    let found = resets(lab, FAST)?;
    let verdict = within(&found.medians, MS..=10 * MS);
    let measured = format!("{}; it depends on how many pages a block dirties", found.words);
    Ok(Finding::new(verdict, measured).with(Unit::Nanoseconds, found.samples))
}

fn speedup(lab: &mut Lab<'_>) -> Result<Finding> {
    let mut thousandths = Vec::new();
    let mut words = Vec::new();
    for (workload, params) in WORKLOADS {
        let mut cycle = |strategy| -> Result<Spread> {
            let Times { execute, reset } = lab.times(strategy, workload, params)?;
            let cycles = execute.iter().zip(&reset).map(|(execute, reset)| execute + reset).collect();
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

fn forgets(lab: &mut Lab<'_>, strategy: &str) -> Result<(bool, String)> {
    let mut words = Vec::new();
    let mut clean = true;
    for workload in ["indexer/blocktracker", "indexer/utxo"] {
        match lab.difference(strategy, workload)? {
            None => words.push(format!("{workload}: equal to fresh instances")),
            Some(difference) => {
                clean = false;
                words.push(format!("{workload}: {difference}"));
            }
        }
    }
    Ok((clean, format!("{strategy}: {}", words.join("; "))))
}

fn fast_forgets(lab: &mut Lab<'_>) -> Result<Finding> {
    let (clean, measured) = forgets(lab, "control/zero-all")?;
    Ok(Finding::new(Verdict::holds_if(clean), measured).with(Unit::Count, vec![u64::from(!clean)]))
}

fn refresh_forgets(lab: &mut Lab<'_>) -> Result<Finding> {
    let (clean, measured) = forgets(lab, REFRESH)?;
    Ok(Finding::new(Verdict::holds_if(clean), measured).with(Unit::Count, vec![u64::from(!clean)]))
}

fn no_state(lab: &mut Lab<'_>) -> Result<Finding> {
    // No bundled indexer comes near 1.75 GB or fails: the policy of seed 003 then does nothing at all.
    let (clean, measured) = forgets(lab, "control/none")?;
    let measured =
        format!("below 1.75 GB and without a failure the policy does nothing, which is {measured}");
    Ok(Finding::new(Verdict::holds_if(clean), measured).with(Unit::Count, vec![u64::from(!clean)]))
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
