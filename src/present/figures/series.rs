//! Series over time: which samples are drawn, and where their names go.

use std::collections::BTreeMap;

use crate::analyse::evidence::{
    LONG_RSS, LONG_WINDOW, LongRun, RSS, SETTLED, SETTLING, TIME, UNSETTLED, gather,
};
use crate::analyse::spent::Spent;
use crate::measure::row::{Phase, Row, Status};
use crate::present::view::Group;

/// Nanoseconds since the pass began, and a value.
pub type Point = (u64, u64);

/// Points in the order of time, by strategy.
pub type Series<'a> = BTreeMap<&'a str, Vec<Point>>;

/// The points of each launch.
type Launches = BTreeMap<u32, Vec<Point>>;

/// Samples kept of a line: more than the panel has units across would only make the file larger.
const BUCKETS: u64 = 120;

/// What the memory pass says of `metric` in this workload: rows of sound strategies, and whose they are.
fn of_memory<'a, 'r>(
    group: &Group<'a>,
    rows: &'r [Row],
    metric: &str,
) -> impl Iterator<Item = (&'a str, &'r Row)> {
    rows.iter().filter_map(move |row| {
        let wanted = row.phase == Phase::Memory
            && row.metric == metric
            && row.status == Status::Ok
            && row.workload == group.workload
            && row.params == *group.params;
        let sound = || group.cells.iter().find(|cell| cell.name() == row.strategy && cell.sound());
        wanted.then(sound).flatten().map(|cell| (cell.name(), row))
    })
}

/// The long run of each sound strategy; where there were several, the one that gained the median of what they gained.
pub fn long_runs<'a>(group: &Group<'a>, rows: &[Row]) -> BTreeMap<&'a str, LongRun> {
    let mut launches: BTreeMap<&'a str, BTreeMap<u32, LongRun>> = BTreeMap::new();
    for (name, row) in of_memory(group, rows, LONG_RSS) {
        launches.entry(name).or_default().entry(row.launch).or_default().rss = row.samples.clone();
    }
    for (name, row) in of_memory(group, rows, LONG_WINDOW) {
        launches.entry(name).or_default().entry(row.launch).or_default().window = row.value.unwrap_or(0);
    }
    let middle = |runs: BTreeMap<u32, LongRun>| {
        let mut runs: Vec<_> = runs.into_values().filter(|run| run.window > 0 && run.rss.len() > 1).collect();
        runs.sort_by(|a, b| a.gained().total_cmp(&b.gained()));
        (!runs.is_empty()).then(|| runs.swap_remove((runs.len() - 1) / 2))
    };
    launches.into_iter().filter_map(|(name, runs)| Some((name, middle(runs)?))).collect()
}

/// What a host has spent after its first blocks, by strategy, where it was seen to settle.
pub fn spent<'a>(group: &Group<'a>, rows: &[Row]) -> BTreeMap<&'a str, Spent> {
    let here = |row: &&Row| {
        let metric = [TIME, SETTLING, SETTLED, UNSETTLED].contains(&row.metric.as_str());
        let of = row.phase == Phase::Cycle && row.workload == group.workload && row.params == *group.params;
        of && metric && row.status == Status::Ok
    };
    let rows: Vec<Row> = rows.iter().filter(here).cloned().collect();
    let run = rows.first().map_or_else(String::new, |row| row.run.clone());
    // Rows that are no run have no summary, and so no report either.
    let groups = gather(&run, &rows).unwrap_or_default();
    let curve = |name| groups.first().and_then(|group| Spent::of(group.strategies.get(name)?));
    let cells = group.cells.iter().filter(|cell| cell.sound());
    cells.filter_map(|cell| Some((cell.name(), curve(cell.name())?))).collect()
}

/// The samples of each sound strategy: those of the launch whose peak is the median of the launches' peaks.
///
/// One real launch rather than a mean over launches: a mean would smooth away the peaks that memory limits care about.
pub fn series<'a>(group: &Group<'a>, rows: &[Row]) -> Series<'a> {
    let mut launches: BTreeMap<&'a str, Launches> = BTreeMap::new();
    for (name, row) in of_memory(group, rows, RSS) {
        if let (Some(at), Some(value)) = (row.at_ns, row.value) {
            launches.entry(name).or_default().entry(row.launch).or_default().push((at, value));
        }
    }
    let middle = |launches: Launches| {
        let mut launches: Vec<Vec<Point>> = launches.into_values().collect();
        launches.sort_by_key(|points| points.iter().map(|(_, value)| *value).max());
        let mut points = launches.swap_remove((launches.len() - 1) / 2);
        points.sort_unstable();
        points
    };
    launches.into_iter().map(|(name, launches)| (name, middle(launches))).collect()
}

/// Keeps at most the first, lowest, highest and last sample of each of [`BUCKETS`] stretches of time.
pub fn thin(points: &[Point]) -> Vec<Point> {
    let Some((last, _)) = points.last() else { return Vec::new() };
    let mut out: Vec<Point> = Vec::new();
    let bucket = |at: u64| (u128::from(at) * u128::from(BUCKETS) / u128::from(*last).max(1)) as u64;
    for chunk in points.chunk_by(|a, b| bucket(a.0) == bucket(b.0)) {
        let lowest = chunk.iter().min_by_key(|(_, value)| *value);
        let highest = chunk.iter().max_by_key(|(_, value)| *value);
        let mut kept: Vec<Point> =
            [chunk.first(), lowest, highest, chunk.last()].into_iter().flatten().copied().collect();
        kept.sort_unstable();
        kept.dedup();
        out.extend(kept);
    }
    out
}

/// Moves places apart until they are `gap` from one another, keeping their order and staying between `low` and
/// `high` as far as there is room.
pub fn spread(places: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    // What ends within a unit of one another ends alike to the eye, and is then listed in the given order.
    order.sort_by(|a, b| places[*a].round().total_cmp(&places[*b].round()).then(a.cmp(b)));
    // Neighbours that are too close form a block, placed around the mean of its members.
    let mut blocks: Vec<(f64, Vec<usize>)> = Vec::new();
    for index in order {
        blocks.push((places[index], vec![index]));
        while blocks.len() > 1 {
            let (centre, members) = &blocks[blocks.len() - 1];
            let (before, others) = &blocks[blocks.len() - 2];
            let need = gap * (members.len() + others.len()) as f64 / 2.0;
            if centre - before >= need - 1e-9 {
                break;
            }
            let total = (members.len() + others.len()) as f64;
            let mean = (centre * members.len() as f64 + before * others.len() as f64) / total;
            let joined = [others.as_slice(), members.as_slice()].concat();
            let half = gap * (total - 1.0) / 2.0;
            let mean = mean.min(high - half).max(low + half);
            blocks.truncate(blocks.len() - 2);
            blocks.push((mean, joined));
        }
    }
    let mut out = vec![0.0; places.len()];
    for (centre, members) in blocks {
        let first = centre - gap * (members.len() as f64 - 1.0) / 2.0;
        for (i, index) in members.into_iter().enumerate() {
            out[index] = first + gap * i as f64;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_do_not_overlap_and_stay_inside() {
        let places = [100.0, 101.0, 102.0, 190.0, 191.0, 20.0];
        let out = spread(&places, 22.0, 10.0, 200.0);
        let mut sorted = out.clone();
        sorted.sort_by(f64::total_cmp);
        assert!(sorted.windows(2).all(|pair| pair[1] - pair[0] >= 21.99), "{out:?}");
        assert!(sorted[0] >= 10.0 && sorted[5] <= 200.1, "{out:?}");
        assert!(out[0] < out[1] && out[1] < out[2], "order is kept: {out:?}");
        assert_eq!(spread(&[], 22.0, 0.0, 1.0), Vec::<f64>::new());
        assert_eq!(spread(&[5.0], 22.0, 0.0, 10.0), [5.0]);
    }

    #[test]
    fn thinning_keeps_peaks_and_ends() {
        let mut points: Vec<Point> = (0..10_000).map(|i| (i, 50)).collect();
        points[5_000].1 = 999;
        points[7_001].1 = 1;
        let thin = thin(&points);
        assert!(thin.len() < 500);
        assert!(thin.contains(&(5_000, 999)) && thin.contains(&(7_001, 1)));
        assert_eq!((thin.first(), thin.last()), (points.first(), points.last()));
        assert_eq!(super::thin(&[(0, 7)]), [(0, 7)]);
    }
}
