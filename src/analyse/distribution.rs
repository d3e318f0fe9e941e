//! How the times of single blocks are distributed: the quantiles behind a cumulative curve.

use super::evidence::gather;
use super::figures::blocks_by_launch;
use super::quantile::{median, quantile, sort};
use super::{Facts, Unfit};
use crate::measure::row::{Params, Phase, Row};

/// Where a distribution is looked at, in per cent: closer where the tail is.
pub const PERCENTS: [u8; 35] = [
    1, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 72, 74, 76, 78, 80, 82, 84, 86, 88, 90, 91, 92,
    93, 94, 95, 96, 97, 98, 99, 100,
];

/// The cycle times of one cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    pub workload: String,
    pub params: Params,
    pub strategy: String,
    /// One for each of [`PERCENTS`].
    pub places: Vec<Place>,
}

/// A quantile, taken in each launch by nearest rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub percent: u8,
    /// The least of all launches, in nanoseconds.
    pub low: u64,
    /// Their median: at 50, 95 and 99 what [`super::summary::Quantiles`] holds.
    pub middle: u64,
    /// The largest of all launches.
    pub high: u64,
}

/// The distributions of all cells that have cycle times.
///
/// Whether a cell may have figures at all is not asked here: that is the summary's to say.
///
/// # Errors
/// When the rows are unfit.
pub fn distributions(rows: &[Row], facts: &Facts) -> Result<Vec<Distribution>, Unfit> {
    let mut found = Vec::new();
    for group in gather(&facts.run, rows)? {
        for (strategy, evidence) in &group.strategies {
            let Some(times) = evidence.times(Phase::Cycle) else { continue };
            let mut launches: Vec<Vec<u64>> = blocks_by_launch(times).into_values().collect();
            launches.iter_mut().for_each(|blocks| sort(blocks));
            let places = PERCENTS.iter().filter_map(|&percent| place(&launches, percent));
            found.push(Distribution {
                workload: group.workload.clone(),
                params: group.params.clone(),
                strategy: strategy.clone(),
                places: places.collect(),
            });
        }
    }
    Ok(found)
}

fn place(launches: &[Vec<u64>], percent: u8) -> Option<Place> {
    let mut values: Vec<u64> = launches.iter().filter_map(|sorted| quantile(sorted, percent)).collect();
    Some(Place {
        percent,
        low: *values.iter().min()?,
        high: *values.iter().max()?,
        middle: median(&mut values)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_median_over_launches_with_its_range() {
        let launches = [vec![10, 20, 30, 40], vec![11, 21, 31, 41], vec![50, 60, 70, 80]];
        assert_eq!(place(&launches, 50), Some(Place { percent: 50, low: 20, middle: 21, high: 60 }));
        assert_eq!(place(&launches, 100), Some(Place { percent: 100, low: 40, middle: 41, high: 80 }));
        assert_eq!(place(&[], 50), None);
    }

    #[test]
    fn percents_rise_and_hold_those_of_the_summary() {
        assert!(PERCENTS.is_sorted());
        assert!([50, 95, 99].iter().all(|percent| PERCENTS.contains(percent)));
    }
}
