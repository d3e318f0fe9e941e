//! The way to the steady state, and what of a launch counts.

use super::*;

/// The way of each of three launches: what its blocks took, and how many of them came before the steady state.
fn ways(strategy: &str, metric: &str, cycles: &[u64], blocks: u64) -> Vec<Row> {
    let way = |launch| {
        let row = row(strategy, launch, Phase::Cycle, "settling");
        let end = row_of(strategy, launch, metric, blocks);
        [Row { samples: cycles.to_vec(), value: cycles.first().copied(), ..row }, end]
    };
    (0..3).flat_map(way).collect()
}

fn row_of(strategy: &str, launch: u32, metric: &str, blocks: u64) -> Row {
    Row { value: Some(blocks), ..row(strategy, launch, Phase::Cycle, metric) }
}

#[test]
fn what_settling_takes_is_a_figure_of_its_own() {
    let mut rows = timed(BASELINE, |_, _| 900, |_, _| 100);
    rows.extend(ways(BASELINE, "settled", &[1_000; 4], 2));
    rows.extend(timed(MINCORE, |_, _| 420, |_, _| 80));
    rows.extend(ways(MINCORE, "settled", &[5_000, 2_000, 500, 500], 2));
    let settling = mincore(&rows).settling.unwrap();
    assert_eq!((settling.blocks, settling.ns, settling.beyond_ns), (2, 7_000, 6_000));
    assert_eq!((settling.longest_ns, settling.unsettled), (5_000, 0));
    // 6,000 more at the beginning, and 500 less in each block: even after 12, ahead after 13. The two curves begin to be
    // straight lines after 4 blocks.
    assert_eq!(settling.pays_after, Some(13));
    assert_eq!(cell(&rows, BASELINE).settling.unwrap().pays_after, None);
    assert_eq!(mincore(&rows).cycle_ns.unwrap().max, 500, "what comes before the steady state is no sample");
}

#[test]
fn rows_without_a_way_say_nothing_about_it() {
    assert_eq!(mincore(&three()).settling, None);
}

#[test]
fn a_launch_that_never_became_steady_does_not_count_and_is_told() {
    let mut rows = three();
    rows.extend(ways(BASELINE, "settled", &[1_000; 4], 2));
    rows.extend(ways(MINCORE, "settled", &[500; 4], 2));
    rows.retain(|row| !(row.strategy == MINCORE && row.launch == 1 && row.metric == "settled"));
    rows.push(row_of(MINCORE, 1, "unsettled", 4));
    let cell = mincore(&rows);
    assert_eq!((cell.launches, cell.rounds, cell.settling.unwrap().unsettled), (2, 20, 1));
    let told = "But it did not become steady in 1 of 3 launches, which does not count.";
    assert!(cell.sentence.ends_with(told), "{}", cell.sentence);
}

#[test]
fn a_cell_that_never_became_steady_has_no_figures() {
    let mut rows = three();
    rows.extend(ways(MINCORE, "unsettled", &[500; 4], 4));
    let cell = mincore(&rows);
    assert_eq!((cell.equivalence, cell.verdict), (Equivalence::Equivalent, Verdict::None));
    assert_eq!((cell.cycle_ns, cell.ratio_to_baseline, cell.settling), (None, None, None));
    let told =
        "it was verified, but not timed (it did not become steady in 3 of 3 launches, which do not count)";
    assert!(cell.sentence.contains(told), "{}", cell.sentence);
}

#[test]
fn a_first_round_unlike_the_later_ones_is_told() {
    let mut rows = timed(BASELINE, |_, _| 900, |_, _| 100);
    rows.extend(timed(MINCORE, |l, round| if round == 0 { 1_200 + u64::from(l) } else { 420 }, |_, _| 80));
    let notes = summary(&rows).notes;
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("the first round of `dirty/mincore` on `synthetic/scatter`"), "{notes:?}");
    assert!(summary(&three()).notes.is_empty());
}
