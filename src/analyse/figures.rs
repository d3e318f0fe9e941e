//! The figures of one cell: distributions, overhead, faults, memory, startup.

use std::collections::BTreeMap;

use super::evidence::{Evidence, Times};
use super::paired::{Round, Rounds};
use super::quantile::{Middle, median, quantile, sort};
use super::summary::{Overhead, Quantiles, Residency, Stage};
use crate::measure::row::Phase;

/// A distribution over launches: quantiles within each, then the median over launches; the largest of all; the number.
struct Spread<T> {
    p50: T,
    p95: T,
    p99: T,
    max: T,
    n: u64,
}

fn spread<T: Middle>(mut launches: Vec<Vec<T>>) -> Option<Spread<T>> {
    for launch in &mut launches {
        sort(launch);
    }
    let over_launches = |percent| {
        median(&mut launches.iter().filter_map(|launch| quantile(launch, percent)).collect::<Vec<T>>())
    };
    let mut largest: Vec<T> = launches.iter().filter_map(|launch| launch.last().copied()).collect();
    sort(&mut largest);
    Some(Spread {
        p50: over_launches(50)?,
        p95: over_launches(95)?,
        p99: over_launches(99)?,
        max: *largest.last()?,
        n: launches.iter().map(|launch| launch.len() as u64).sum(),
    })
}

/// The distribution of single blocks in a phase.
pub fn quantiles(times: &Times) -> Option<Quantiles> {
    let launches: Vec<Vec<u64>> = blocks_by_launch(times).into_values().collect();
    let mean = median(&mut launches.iter().filter_map(|blocks| mean(blocks)).collect::<Vec<f64>>());
    let Spread { p50, p95, p99, max, n } = spread(launches)?;
    Some(Quantiles { p50, p95, p99, max, mean: mean.map(|ns| ns.round() as u64), n })
}

fn mean(values: &[u64]) -> Option<f64> {
    let sum = values.iter().map(|&value| u128::from(value)).sum::<u128>();
    (!values.is_empty()).then(|| sum as f64 / values.len() as f64)
}

/// The single blocks of each launch that all cells ran. A round of which only the median was kept counts as one block.
pub fn blocks_by_launch(times: &Times) -> BTreeMap<u32, Vec<u64>> {
    let mut launches: BTreeMap<u32, Vec<u64>> = times.alone.clone();
    for (&(launch, _), round) in times.common() {
        let blocks = launches.entry(launch).or_default();
        if round.blocks.is_empty() {
            blocks.push(round.value);
        } else {
            blocks.extend(&round.blocks);
        }
    }
    launches
}

/// What the cell costs beyond the floor's execute: `cycle - execute of the floor`, in the same launch and round.
///
/// All contenders run the same blocks in a round. Where both kept them, the subtraction is block by block, so that a
/// large block is not mistaken for a large overhead; where they did not, it is between the rounds' medians. The part
/// on the execute side is `execute - execute of the floor` likewise: the page faults that a lazy reset leaves to the
/// next block.
pub fn overhead(cell: &Evidence, floor: &Evidence) -> Option<Overhead> {
    let floor = &floor.times(Phase::Execute)?.rounds;
    let Spread { p50, p95, p99, max, n } = spread(beyond(cell.times(Phase::Cycle)?, floor))?;
    let execute_side = spread(beyond(cell.times(Phase::Execute)?, floor))?;
    let reset = quantiles(cell.times(Phase::Reset)?)?;
    Some(Overhead {
        p50,
        p95,
        p99,
        max,
        n,
        execute_side_p50: execute_side.p50,
        reset_p50: i64::try_from(reset.p50).unwrap_or(i64::MAX),
    })
}

/// The differences in the rounds that both have, by launch.
fn beyond(times: &Times, floor: &Rounds) -> Vec<Vec<i64>> {
    let mut launches = BTreeMap::<u32, Vec<i64>>::new();
    for (&(launch, number), round) in times.common() {
        if let Some(below) = floor.get(&(launch, number)) {
            launches.entry(launch).or_default().extend(differences(round, below));
        }
    }
    launches.into_values().collect()
}

fn differences(round: &Round, floor: &Round) -> Vec<i64> {
    let difference = |above: &u64, below: &u64| {
        let difference = i128::from(*above) - i128::from(*below);
        i64::try_from(difference).unwrap_or(if difference > 0 { i64::MAX } else { i64::MIN })
    };
    if round.blocks.len() == floor.blocks.len() && !round.blocks.is_empty() {
        round.blocks.iter().zip(&floor.blocks).map(|(above, below)| difference(above, below)).collect()
    } else {
        vec![difference(&round.value, &floor.value)]
    }
}

/// The mean number of minor faults per cycle: a mean, because the total is what the machine pays.
pub fn minor_faults(cell: &Evidence) -> Option<f64> {
    mean(&cell.minor_faults)
}

/// Resident set: steady is the median over the second half of each launch's memory pass (by time), then over launches;
/// peak is the highest mark of any launch, or the largest sample where the kernel gave no mark; rest is the median of the exact
/// readings between blocks.
pub fn residency(cell: &Evidence) -> Option<Residency> {
    let steady = |series: &Vec<(u64, u64)>| {
        let (first, last) = (series.iter().min()?.0, series.iter().max()?.0);
        let half = u64::midpoint(first, last);
        median(
            &mut series.iter().filter(|(at, _)| *at >= half).map(|(_, bytes)| *bytes).collect::<Vec<u64>>(),
        )
    };
    let largest = cell.rss.values().flatten().map(|(_, bytes)| *bytes).max();
    Some(Residency {
        steady: median(&mut cell.rss.values().filter_map(steady).collect::<Vec<u64>>())?,
        peak: cell.peak_rss.or(largest)?,
        rest: median(&mut cell.rest_rss.clone()),
        files: median(&mut cell.file_rss.clone()),
    })
}

/// Stages of startup, each with its median over launches.
pub fn startup(cell: &Evidence) -> Vec<Stage> {
    let stage = |(name, times): &(String, Vec<(u32, u64)>)| {
        let n = u32::try_from(times.len()).unwrap_or(u32::MAX);
        median(&mut times.iter().map(|(_, ns)| *ns).collect::<Vec<u64>>()).map(|ns| Stage {
            name: name.clone(),
            ns,
            n,
        })
    };
    cell.startup.iter().filter_map(stage).collect()
}
