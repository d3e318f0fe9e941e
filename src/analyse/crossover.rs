//! Where one strategy overtakes another as more pages get dirty.
//!
//! A slice is a workload with all its parameters but the number of dirty pages, and those that follow from it. Along it,
//! two strategies' ratio of cycles, with its interval, is known at each number of dirty pages; between two of them it is
//! taken to be a straight line in the logarithms. The crossover is where that line passes 1. Its interval goes from where
//! the interval of the ratio first holds 1 to where it last does: within it nobody can tell which one is faster.
//!
//! Only crossovers are listed that are certain on both sides: before, one strategy is faster by its interval, and after,
//! the other one.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cells::compare;
use super::evidence::{Group, gather};
use super::summary::{Cell, Ratio, Summary};
use super::{Facts, Unfit};
use crate::measure::row::{Params, Row, canonical};

/// Version of `landscape.json`. Keys may be added freely; renaming one raises it.
pub const SCHEMA: u32 = 1;

/// The parameter along which crossovers are looked for.
pub const ALONG: &str = "dirty";

/// Parameters that follow from it, and so belong to no slice.
const FOLLOWING: [&str; 3] = [ALONG, "span", "memory_pages"];

/// The slices of a run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Landscape {
    pub schema: u32,
    pub run: String,
    pub slices: Vec<Slice>,
    /// What was not measured.
    pub left_out: Vec<String>,
}

/// One workload over the number of dirty pages.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Slice {
    pub workload: String,
    /// What all points have in common.
    pub params: Params,
    /// The best sound strategy at each point.
    pub best: Vec<Best>,
    pub crossovers: Vec<Crossover>,
}

/// The best sound strategy at a number of dirty pages.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Best {
    pub dirty: u64,
    pub strategy: String,
    pub cycle_ns: u64,
    /// The baseline's cycle.
    pub baseline_ns: Option<u64>,
}

/// Where `after` overtakes `before`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Crossover {
    /// Faster with fewer dirty pages.
    pub before: String,
    /// Faster with more.
    pub after: String,
    /// Dirty pages.
    pub dirty: Ratio,
    pub sentence: String,
}

/// Finds the slices of a run and the crossovers in them.
///
/// Compared are the strategies that are best somewhere in a slice, and the baseline: who is never best is not where anybody
/// would go.
///
/// # Errors
/// When the rows are unfit.
pub fn landscape(
    rows: &[Row],
    summary: &Summary,
    facts: &Facts,
    left_out: &[String],
) -> Result<Landscape, Unfit> {
    let groups = gather(&facts.run, rows)?;
    let mut slices = BTreeMap::<(&str, String), BTreeMap<u64, &Group>>::new();
    for group in &groups {
        if let Some(dirty) = group.params.get(ALONG).and_then(serde_json::Value::as_u64) {
            let params = canonical(&slice_params(&group.params));
            slices.entry((&group.workload, params)).or_default().insert(dirty, group);
        }
    }
    Ok(Landscape {
        schema: SCHEMA,
        run: facts.run.clone(),
        slices: slices.into_values().filter_map(|points| slice(&points, summary, facts)).collect(),
        left_out: left_out.to_vec(),
    })
}

/// The parameters of the slice that a place belongs to.
pub fn slice_params(params: &Params) -> Params {
    params
        .iter()
        .filter(|(name, _)| !FOLLOWING.contains(&name.as_str()))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect()
}

fn slice(points: &BTreeMap<u64, &Group>, summary: &Summary, facts: &Facts) -> Option<Slice> {
    let first = points.values().next()?;
    let cells = |group: &Group| -> Vec<&Cell> {
        let here = |cell: &&Cell| cell.workload == group.workload && cell.params == group.params;
        summary.cells.iter().filter(here).filter(|cell| cell.cycle_ns.is_some()).collect()
    };
    let cycle = |cell: &Cell| cell.cycle_ns.map_or(u64::MAX, |cycle| cycle.p50);
    let mut best = Vec::new();
    for (&dirty, group) in points {
        let cells = cells(group);
        let sound = cells.iter().filter(|cell| !cell.control);
        let Some(winner) = sound.min_by_key(|cell| (cycle(cell), &cell.strategy)) else { continue };
        best.push(Best {
            dirty,
            strategy: winner.strategy.clone(),
            cycle_ns: cycle(winner),
            baseline_ns: cells.iter().find(|cell| cell.strategy == facts.baseline).map(|cell| cycle(cell)),
        });
    }
    let names: BTreeSet<&str> =
        best.iter().map(|best| best.strategy.as_str()).chain([facts.baseline.as_str()]).collect();
    let mut crossovers = Vec::new();
    for a in &names {
        for b in names.range::<str, _>((std::ops::Bound::Excluded(*a), std::ops::Bound::Unbounded)) {
            let ratio = |group: &Group| ratio(group, a, b, facts);
            let curve: Vec<(u64, Ratio)> =
                points.iter().filter_map(|(&dirty, group)| Some((dirty, ratio(group)?))).collect();
            crossovers.extend(crossings(&curve).into_iter().map(|(dirty, rising)| {
                let (before, after) = if rising { (a, b) } else { (b, a) };
                Crossover {
                    before: (*before).into(),
                    after: (*after).into(),
                    dirty,
                    sentence: sentence(before, after, &dirty),
                }
            }));
        }
    }
    crossovers.sort_by(|a, b| a.dirty.value.total_cmp(&b.dirty.value));
    Some(Slice { workload: first.workload.clone(), params: slice_params(&first.params), best, crossovers })
}

/// The cycle of `a` over that of `b` at one point.
fn ratio(group: &Group, a: &str, b: &str, facts: &Facts) -> Option<Ratio> {
    Some(compare(group, facts.seed, a, b).1?.ratio)
}

fn sentence(before: &str, after: &str, dirty: &Ratio) -> String {
    let pages = |pages: f64| format!("{}", pages.round());
    format!(
        "`{after}` overtakes `{before}` at about {} dirty pages ({} to {}).",
        pages(dirty.value),
        pages(dirty.low),
        pages(dirty.high)
    )
}

/// Where a curve of ratios passes 1 for certain, and whether it rises there.
///
/// A crossing lies between two neighbouring *certain* points on different sides; points between them whose interval holds 1
/// only widen its interval.
fn crossings(curve: &[(u64, Ratio)]) -> Vec<(Ratio, bool)> {
    let side = |ratio: &Ratio| if ratio.high < 1.0 { -1 } else { i32::from(ratio.low > 1.0) };
    let certain: Vec<usize> = (0..curve.len()).filter(|&at| side(&curve[at].1) != 0).collect();
    let mut found = Vec::new();
    for pair in certain.windows(2) {
        let (first, last) = (pair[0], pair[1]);
        if side(&curve[first].1) == side(&curve[last].1) {
            continue;
        }
        let stretch = &curve[first..=last];
        let rising = side(&curve[last].1) > 0;
        let ends: [fn(&Ratio) -> f64; 3] = [|ratio| ratio.value, |ratio| ratio.low, |ratio| ratio.high];
        let Some(&value) = passing(stretch, ends[0]).first() else { continue };
        let ends: Vec<f64> = ends.into_iter().flat_map(|end| passing(stretch, end)).collect();
        let (low, high) = ends.iter().fold((value, value), |(low, high), &at| (low.min(at), high.max(at)));
        found.push((Ratio { value, low, high }, rising));
    }
    found
}

/// The numbers of pages at which straight lines between points pass 1, in logarithms. Half a page stands for none, which
/// has no logarithm.
fn passing(stretch: &[(u64, Ratio)], end: fn(&Ratio) -> f64) -> Vec<f64> {
    let pages = |dirty: u64| (dirty as f64).max(0.5).ln();
    let passes = |pair: &[(u64, Ratio)]| {
        let (left, right) = (end(&pair[0].1).ln(), end(&pair[1].1).ln());
        let (from, to) = (pages(pair[0].0), pages(pair[1].0));
        ((left <= 0.0) != (right <= 0.0)).then(|| (from + (to - from) * left / (left - right)).exp())
    };
    stretch.windows(2).filter_map(passes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(dirty: u64, low: f64, value: f64, high: f64) -> (u64, Ratio) {
        (dirty, Ratio { value, low, high })
    }

    #[test]
    fn a_curve_that_passes_one_half_way_crosses_half_way() {
        let curve = [point(16, 0.4, 0.5, 0.6), point(256, 1.8, 2.0, 2.2)];
        let [(at, rising)] = crossings(&curve)[..] else { panic!() };
        // Half-way in logarithms: sqrt(16 * 256).
        assert!((at.value - 64.0).abs() < 1e-9 && rising, "{at:?}");
        assert!(at.low < 64.0 && at.high > 64.0, "{at:?}");
        let falling = curve.map(|(dirty, r)| point(dirty, 1.0 / r.high, 1.0 / r.value, 1.0 / r.low));
        let [(mirrored, rising)] = crossings(&falling)[..] else { panic!() };
        assert!(!rising && (mirrored.low - at.low).abs() < 1e-9 && (mirrored.high - at.high).abs() < 1e-9);
    }

    #[test]
    fn points_that_cannot_tell_widen_the_interval() {
        let sure = crossings(&[point(16, 0.4, 0.5, 0.6), point(4096, 1.8, 2.0, 2.2)])[0].0;
        let curve = [point(16, 0.4, 0.5, 0.6), point(256, 0.5, 1.0, 2.0), point(4096, 1.8, 2.0, 2.2)];
        let vague = crossings(&curve)[0].0;
        assert!(vague.low < sure.low && vague.high > sure.high, "{vague:?} {sure:?}");
    }

    #[test]
    fn what_is_not_certain_on_both_sides_is_no_crossover() {
        assert!(crossings(&[]).is_empty());
        assert!(crossings(&[point(1, 0.4, 0.5, 0.6)]).is_empty());
        assert!(crossings(&[point(1, 0.4, 0.5, 0.6), point(16, 0.9, 1.1, 1.3)]).is_empty());
        assert!(crossings(&[point(1, 0.4, 0.5, 0.6), point(16, 0.7, 0.8, 0.9)]).is_empty());
    }

    #[test]
    fn a_curve_may_cross_twice() {
        let curve = [point(1, 0.4, 0.5, 0.6), point(16, 1.8, 2.0, 2.2), point(256, 0.4, 0.5, 0.6)];
        let found: Vec<bool> = crossings(&curve).iter().map(|(_, rising)| *rising).collect();
        assert_eq!(found, [true, false]);
    }

    #[test]
    fn no_dirty_page_is_left_of_one() {
        let at = crossings(&[point(0, 0.4, 0.5, 0.6), point(1, 1.8, 2.0, 2.2)])[0].0;
        assert!((0.5..1.0).contains(&at.value), "{at:?}");
    }
}
