//! How many launches cells get: what holds however narrow an interval turns out to be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reset_strategies::registry;
use resetbench::analyse::rows_file;
use resetbench::analyse::summary::Ending;
use resetbench::hosts;
use resetbench::launch::build::{Against, Build};
use resetbench::launch::plan::{Contender, Effort, Plan, Profile};
use resetbench::launch::runner::Runner;
use resetbench::launch::stage::{Results, Stage};
use resetbench::measure::row::{Params, Phase, Row};
use resetbench::workload::bundled;

/// The strategy beside the yardsticks.
const STRATEGY: &str = "copy/full";

/// Measures a strategy and the yardsticks with two to four launches, in so much time.
fn measure(time: Duration) -> Vec<Row> {
    let strategy = registry::find(STRATEGY).expect(STRATEGY);
    rows_of(Plan::with_yardsticks(vec![strategy], hosts::plain()), time)
}

fn rows_of(contenders: Vec<Contender>, time: Duration) -> Vec<Row> {
    let effort = Effort { launches: (2, 4), rounds: (3, 3), cell: time, ..Profile::Smoke.effort() };
    let timeout = Duration::from_secs(60);
    let plan = Plan { host: hosts::plain(), contenders, workloads: Vec::new(), effort, seed: 1, timeout };
    let noop = bundled::named("stress/noop", &Params::new()).unwrap();
    let stage = Stage::silent(env!("CARGO_BIN_EXE_resetbench")).unwrap();
    let mut results = Results::new(Some(&stage.staging.path().join("length"))).unwrap();
    Runner { plan: &plan, stage: &stage, results: &mut results }.workload(&noop, 0).unwrap();
    rows_file::read(&results.folder.join("rows.ndjson")).unwrap().rows
}

/// How each cell ended, and the launches that it has by its row and by its times.
fn endings(rows: &[Row]) -> BTreeMap<&str, (Ending, u64, BTreeSet<u32>)> {
    let timed = |strategy: &str| {
        let times = rows.iter().filter(|row| row.phase == Phase::Cycle && row.metric == "time");
        times.filter(|row| row.strategy == strategy).map(|row| row.launch).collect()
    };
    let ending = |row: &'_ Row| Some((Ending::of_metric(&row.metric)?, row.value?));
    let endings = rows.iter().filter_map(|row| Some((row.strategy.as_str(), ending(row)?)));
    endings.map(|(strategy, (why, launches))| (strategy, (why, launches, timed(strategy)))).collect()
}

#[test]
fn cells_that_have_no_time_get_the_fewest_launches() {
    let rows = measure(Duration::ZERO);
    let endings = endings(&rows);
    let both = BTreeSet::from([0, 1]);
    assert!(matches!(endings[STRATEGY].0, Ending::Narrow | Ending::Budget), "{endings:?}");
    for yardstick in [registry::BASELINE, registry::FLOOR] {
        assert_eq!(endings[yardstick], (Ending::Yardstick, 2, both.clone()));
    }
    assert_eq!((endings[STRATEGY].1, &endings[STRATEGY].2), (2, &both));
}

#[test]
fn cells_that_have_time_go_on_until_they_are_narrow_or_have_the_most_launches() {
    let rows = measure(Duration::from_secs(3_600));
    let endings = endings(&rows);
    let (why, launches, timed) = &endings[STRATEGY];
    match why {
        Ending::Narrow => assert!((2..=4).contains(launches), "{endings:?}"),
        Ending::Launches => assert_eq!(*launches, 4, "{endings:?}"),
        _ => panic!("{endings:?}"),
    }
    assert_eq!(timed.len() as u64, *launches, "{endings:?}");
    for yardstick in [registry::BASELINE, registry::FLOOR] {
        assert_eq!(endings[yardstick], (Ending::Yardstick, *launches, timed.clone()));
    }
    let sampled: BTreeSet<u32> =
        rows.iter().filter(|row| row.phase == Phase::Memory).map(|row| row.launch).collect();
    assert_eq!(sampled, BTreeSet::from([1]), "memory is read in the last launch that all cells have");
}

#[test]
fn a_strategy_and_its_twin_end_together() {
    let against = Against::parse(env!("CARGO_BIN_EXE_resetbench").into()).unwrap();
    let own = Plan::with_yardsticks(vec![registry::find(STRATEGY).expect(STRATEGY)], hosts::plain());
    let rows = rows_of(Plan::with_build(own, &Build::ask(&against).unwrap()), Duration::from_secs(3_600));
    let endings = endings(&rows);
    let (_, launches, timed) = &endings[STRATEGY];
    let (_, twins, with) = &endings["copy/full@other"];
    assert_eq!((launches, timed), (twins, with), "{endings:?}");
}
