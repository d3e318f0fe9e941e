//! What a median does not see: rare slow blocks.

use super::*;

/// A verified cell of three launches and eight rounds; the blocks of each are given by launch and round.
fn of_blocks(strategy: &str, blocks: impl Fn(u32, u32) -> Vec<u64>) -> Vec<Row> {
    let rounds = (0..3).flat_map(|launch| (0..8).map(move |round| (launch, round)));
    let cycle = |(launch, round)| time(strategy, Phase::Cycle, launch, round, &blocks(launch, round));
    [verified(strategy)].into_iter().chain(rounds.map(cycle)).collect()
}

/// `fresh/relink` at 100 but for one block in eight, and `dirty/mincore` always at 300.
fn spiked(spike: u64) -> Vec<Row> {
    let wobble = |launch: u32, round: u32| u64::from((launch * 7 + round * 3) % 5);
    let mut rows =
        of_blocks(BASELINE, |l, r| [vec![100 + wobble(l, r); 7], vec![spike + wobble(l, r)]].concat());
    rows.extend(of_blocks(MINCORE, |l, r| vec![300 + wobble(l, r + 1); 8]));
    rows
}

fn close(ratio: Option<Ratio>, value: f64) -> bool {
    ratio.is_some_and(|ratio| (ratio.value / value - 1.0).abs() < 0.01)
}

#[test]
fn who_is_best_by_median_and_loses_over_whole_traces_is_told() {
    let rows = spiked(12_000);
    let (relink, mincore) = (cell(&rows, BASELINE), mincore(&rows));
    assert!(close(mincore.regret, 302.0 / 102.0) && close(relink.regret_by_mean, 12_716.0 / 2_416.0));
    assert_eq!(relink.regret, mincore.regret_by_mean, "each is exactly 1");
    assert_eq!(mincore.cycle_ns.and_then(|cycle| cycle.mean), Some(302));
    let [standing] = &summary(&rows).standings[..] else { unreachable!() };
    let by_mean = standing.by_mean.as_ref().expect("mincore takes less");
    assert_eq!((standing.best.as_str(), by_mean.strategy.as_str()), (BASELINE, MINCORE));
    assert_eq!(Some(by_mean.ratio), relink.regret_by_mean);
    let told = "the mean cycle of `fresh/relink` is 5.26x that of `dirty/mincore` (5.";
    assert!(by_mean.sentence.contains(told), "{}", by_mean.sentence);
}

#[test]
fn a_spike_that_costs_less_than_it_saves_is_no_matter() {
    let rows = spiked(1_400);
    assert!(close(mincore(&rows).regret_by_mean, 2_416.0 / 2_116.0));
    assert_eq!(summary(&rows).standings[0].by_mean, None);
}

#[test]
fn where_a_trace_is_one_block_the_spike_is_a_rare_round() {
    let mut rows = of_blocks(BASELINE, |_, round| vec![if round == 5 { 12_000 } else { 100 }]);
    rows.extend(of_blocks(MINCORE, |_, _| vec![300]));
    let standing = summary(&rows).standings.remove(0);
    assert_eq!((&*standing.best, &*standing.by_mean.unwrap().strategy), (BASELINE, MINCORE));
}

#[test]
fn a_spike_in_one_launch_proves_nothing() {
    let at = |launch| if launch == 1 { 12_000 } else { 100 };
    let mut rows = of_blocks(BASELINE, |launch, _| [vec![100; 7], vec![at(launch)]].concat());
    rows.extend(of_blocks(MINCORE, |_, _| vec![300; 8]));
    assert_eq!(summary(&rows).standings[0].by_mean, None);
}

#[test]
fn equals_are_equal_over_whole_traces() {
    let blocks = |launch, round| vec![100, 200, 300 + u64::from(launch + round)];
    let rows = [of_blocks(BASELINE, blocks), of_blocks(MINCORE, blocks)].concat();
    for strategy in [BASELINE, MINCORE] {
        assert_eq!(cell(&rows, strategy).regret_by_mean, Some(ITSELF));
    }
    assert_eq!(summary(&rows).standings[0].by_mean, None);
}

#[test]
fn one_launch_has_no_ratio() {
    let mut rows = spiked(12_000);
    rows.retain(|row| row.launch == 0);
    assert_eq!(cell(&rows, BASELINE).regret_by_mean, None);
    assert_eq!(summary(&rows).standings[0].by_mean, None);
}

#[test]
fn neither_a_control_nor_a_wrong_reset_is_the_least() {
    let mut rows = spiked(12_000);
    rows.extend(of_blocks(FLOOR, |_, _| vec![50; 8]));
    rows.extend(of_blocks("copy/full", |_, _| vec![150; 8]));
    rows.push(ended("copy/full", 0, Status::Diverged, "page 3"));
    assert_eq!(summary(&rows).standings[0].by_mean.as_ref().unwrap().strategy, MINCORE);
    assert!(close(cell(&rows, FLOOR).regret_by_mean, 50.0 / 302.0));
    assert_eq!(cell(&rows, "copy/full").regret_by_mean, None);
}

#[test]
fn a_summary_from_before_loads() {
    let mut old = serde_json::to_value(summary(&three())).unwrap();
    for cell in old["cells"].as_array_mut().unwrap() {
        cell.as_object_mut().unwrap().remove("regret_by_mean");
        cell["cycle_ns"].as_object_mut().unwrap().remove("mean");
    }
    let old: Summary = serde_json::from_value(old).unwrap();
    assert!(old.cells.iter().all(|cell| cell.regret_by_mean.is_none()));
    assert_eq!(standing::standings(&old.cells)[0].by_mean, None);
}
