//! Two builds in one run: each strategy against itself in the other.

use super::*;
use crate::analyse::summary::{Change, Counterpart};

const OLD: &str = "dirty/mincore@old";

/// The baseline twice in the new build and once in the old one, and a strategy whose reset takes half as long again.
fn two_builds() -> Vec<Row> {
    let wobble = |launch: u32, round: u32| 1 + u64::from((launch * 7 + round * 3) % 5);
    // The machine slows down meanwhile, for all of them.
    let mut rows = Vec::new();
    for (strategy, execute, reset) in
        [(BASELINE, 600, 400), ("fresh/relink#2", 600, 400), (MINCORE, 400, 150), (OLD, 400, 100)]
    {
        rows.extend(timed(strategy, |l, r| execute * wobble(l, r), |l, r| reset * wobble(l, r)));
    }
    rows
}

fn of(rows: &[Row], strategy: &str) -> Option<Counterpart> {
    let contenders = [BASELINE, "fresh/relink#2", MINCORE, OLD].map(str::to_owned).into();
    let summary = summarise(rows, &Facts { contenders, ..facts() }).unwrap();
    summary.cells.into_iter().find(|cell| cell.strategy == strategy).expect("a cell").counterpart
}

#[test]
fn a_strategy_is_compared_with_itself_in_the_other_build_part_by_part() {
    let found = of(&two_builds(), MINCORE).unwrap();
    assert_eq!(found.contender, OLD);
    let exactly =
        |value: f64| Change { ratio: Ratio { value, low: value, high: value }, launches: 3, rounds: 30 };
    assert_eq!(found.cycle, Some(exactly(1.1)));
    assert_eq!((found.execute, found.reset), (Some(exactly(1.0)), Some(exactly(1.5))));
}

#[test]
fn the_pair_is_held_against_what_it_repeats_and_the_old_build_against_nothing() {
    let pair = of(&two_builds(), "fresh/relink#2").unwrap();
    assert_eq!((pair.contender.as_str(), pair.cycle.map(|cycle| cycle.ratio)), (BASELINE, Some(ITSELF)));
    assert_eq!((of(&two_builds(), OLD), of(&two_builds(), BASELINE)), (None, None));
}

#[test]
fn what_is_wrong_in_one_build_has_no_ratio() {
    for strategy in [MINCORE, OLD] {
        let rows = [two_builds(), vec![ended(strategy, 0, Status::Diverged, "page 3")]].concat();
        let found = of(&rows, MINCORE).unwrap();
        assert_eq!((found.contender.as_str(), found.cycle, found.reset), (OLD, None, None));
    }
}

#[test]
fn a_run_of_one_build_says_nothing_of_it() {
    let mut rows = two_builds();
    rows.retain(|row| row.strategy != OLD);
    let summary = summarise(&rows, &facts()).unwrap();
    assert!(summary.cells.iter().all(|cell| cell.counterpart.is_none()));
    assert!(!serde_json::to_string(&summary).unwrap().contains("counterpart"));
}
