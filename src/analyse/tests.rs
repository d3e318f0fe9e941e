//! The step as a whole: literal rows in, a summary out.

mod over_traces;

use proptest::prelude::*;

use super::summary::Ending;
use super::summary::{Cell, Equivalence, Overhead, Quantiles, Ratio, Residency, Stage, Verdict};
use super::*;
use crate::measure::row::{Params, Status, Unit};

fn facts() -> Facts {
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    Facts {
        run: "r".into(),
        baseline: "fresh/relink".into(),
        contenders: names(&["fresh/relink", "dirty/mincore", "control/oracle"]),
        controls: names(&["control/oracle", "control/none"]),
        floor: "control/oracle".into(),
        seed: SEED,
    }
}

fn row(strategy: &str, launch: u32, phase: Phase, metric: &str) -> Row {
    Row {
        run: "r".into(),
        launch,
        round: None,
        order: None,
        strategy: strategy.into(),
        workload: "synthetic/scatter".into(),
        params: Params::new(),
        phase,
        metric: metric.into(),
        unit: Unit::Nanoseconds,
        value: None,
        samples: Vec::new(),
        at_ns: None,
        status: Status::Ok,
        error: None,
    }
}

fn verified(strategy: &str) -> Row {
    row(strategy, 0, Phase::Verify, "equivalence")
}

fn ended(strategy: &str, launch: u32, status: Status, error: &str) -> Row {
    Row { status, error: Some(error.into()), ..verified(strategy) }.in_launch(launch)
}

impl Row {
    fn in_launch(self, launch: u32) -> Self {
        Self { launch, ..self }
    }
}

fn time(strategy: &str, phase: Phase, launch: u32, round: u32, samples: &[u64]) -> Row {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let value = Some(sorted[(sorted.len() - 1) / 2]);
    Row { round: Some(round), value, samples: samples.to_vec(), ..row(strategy, launch, phase, "time") }
}

/// A verified cell of three launches and ten rounds of one block each; times are given by launch and round.
fn timed(strategy: &str, execute: impl Fn(u32, u32) -> u64, reset: impl Fn(u32, u32) -> u64) -> Vec<Row> {
    let mut rows = vec![verified(strategy)];
    for (launch, round) in (0..3).flat_map(|launch| (0..10).map(move |round| (launch, round))) {
        let (execute, reset) = (execute(launch, round), reset(launch, round));
        rows.push(time(strategy, Phase::Execute, launch, round, &[execute]));
        rows.push(time(strategy, Phase::Reset, launch, round, &[reset]));
        rows.push(time(strategy, Phase::Cycle, launch, round, &[execute + reset]));
    }
    rows
}

/// Baseline 1000, dirty-page reset 500, floor 400, each a little different from round to round.
fn three() -> Vec<Row> {
    let wobble = |launch: u32, round: u32| u64::from((launch * 7 + round * 3) % 5);
    let mut rows = timed("fresh/relink", |l, r| 600 + wobble(l, r), |_, _| 400);
    rows.extend(timed("dirty/mincore", |l, r| 420 + wobble(l, r + 1), |_, _| 80));
    rows.extend(timed("control/oracle", |l, r| 380 + wobble(l, r + 2), |_, _| 20));
    rows
}

fn summary(rows: &[Row]) -> Summary {
    summarise(rows, &facts()).unwrap()
}

fn cell(rows: &[Row], strategy: &str) -> Cell {
    let summary = summary(rows);
    summary.cells.into_iter().find(|cell| cell.strategy == strategy).expect("every strategy has a cell")
}

#[test]
fn a_run_becomes_cells_in_the_order_of_the_contenders() {
    let summary = summary(&three());
    let strategies: Vec<&str> = summary.cells.iter().map(|cell| cell.strategy.as_str()).collect();
    assert_eq!(strategies, ["fresh/relink", "dirty/mincore", "control/oracle"]);
    assert_eq!((summary.method.level, summary.method.margin, summary.method.seed), (LEVEL, MARGIN, SEED));

    let [relink, mincore, oracle] = &summary.cells[..] else { unreachable!() };
    assert_eq!(relink.verdict, Verdict::Baseline);
    assert_eq!(relink.ratio_to_baseline, Some(Ratio { value: 1.0, low: 1.0, high: 1.0 }));
    assert_eq!(mincore.verdict, Verdict::Faster);
    assert!(
        mincore.sentence.starts_with("`dirty/mincore` takes 0.50x the cycle of `fresh/relink` (0."),
        "{}",
        mincore.sentence
    );
    assert!(
        mincore.sentence.ends_with("99 % interval over 3 launches and 30 rounds): faster."),
        "{}",
        mincore.sentence
    );
    assert_eq!((mincore.launches, mincore.rounds), (3, 30));
    assert!(oracle.control && !mincore.control);
}

#[test]
fn regret_is_against_the_best_that_may_be_recommended() {
    let cells = summary(&three()).cells;
    assert_eq!(cells[1].regret, Some(Ratio { value: 1.0, low: 1.0, high: 1.0 }));
    assert!((cells[0].regret.unwrap().value - 2.0).abs() < 0.02);
    assert!(cells[2].regret.unwrap().high < 1.0, "a control may be better than the best");
}

#[test]
fn who_cannot_be_told_apart_from_the_best_is_tied_with_it() {
    // The floor is a control here, and would be best otherwise.
    let mut rows = three();
    rows.extend(timed("dirty/pagemap", |launch, _| [400, 500, 440][launch as usize], |_, _| 80));
    rows.extend(timed("copy/full", |l, r| 430 + u64::from((l * 3 + r) % 4), |_, _| 120));
    let standings = summary(&rows).standings;
    assert_eq!(standings.len(), 1);
    assert_eq!(
        (standings[0].workload.as_str(), standings[0].best.as_str()),
        ("synthetic/scatter", "dirty/mincore")
    );
    assert_eq!(standings[0].tied, ["dirty/pagemap"], "copy/full is a tenth slower in every launch");
    let alone = summary(&three()).standings;
    assert_eq!((alone[0].best.as_str(), alone[0].tied.len()), ("dirty/mincore", 0));
    let broken = summary(&[ended("dirty/mincore", 0, Status::Diverged, "page 3")]).standings;
    assert!(broken.is_empty(), "where nothing is sound, nothing is best");
}

#[test]
fn overhead_is_what_exceeds_the_floors_execute_and_is_split() {
    let overhead = cell(&three(), "dirty/mincore").overhead_ns.unwrap();
    assert_eq!((overhead.execute_side_p50, overhead.reset_p50, overhead.n), (42, 80, 30));
    assert!((115..=124).contains(&overhead.p50) && overhead.p50 <= overhead.max, "{overhead:?}");
    let floor = cell(&three(), "control/oracle").overhead_ns.unwrap();
    assert_eq!(
        floor,
        Overhead { p50: 20, p95: 20, p99: 20, max: 20, n: 30, execute_side_p50: 0, reset_p50: 20 }
    );
}

#[test]
fn overhead_is_taken_block_by_block() {
    // The second block is a hundred times the first, and costs no more to clean up after.
    let mut rows = Vec::new();
    for (strategy, extra) in [("control/oracle", 0), ("dirty/mincore", 10)] {
        rows.push(verified(strategy));
        rows.push(time(strategy, Phase::Execute, 0, 0, &[100 + extra, 10_000 + extra]));
        rows.push(time(strategy, Phase::Reset, 0, 0, &[5, 5]));
        rows.push(time(strategy, Phase::Cycle, 0, 0, &[105 + extra, 10_005 + extra]));
    }
    let overhead = cell(&rows, "dirty/mincore").overhead_ns.unwrap();
    assert_eq!(
        overhead,
        Overhead { p50: 15, p95: 15, p99: 15, max: 15, n: 2, execute_side_p50: 10, reset_p50: 5 }
    );
}

#[test]
fn without_a_sound_floor_there_is_no_overhead() {
    let mut rows = three();
    rows.push(ended("control/oracle", 0, Status::Diverged, "page 3"));
    assert_eq!(cell(&rows, "dirty/mincore").overhead_ns, None);
    assert!(cell(&rows, "dirty/mincore").ratio_to_baseline.is_some());
}

#[test]
fn quantiles_are_taken_within_a_launch_and_then_over_launches() {
    let mut rows = vec![verified("dirty/mincore")];
    for (launch, samples) in [[10, 20, 30], [11, 21, 31], [500, 600, 700]].iter().enumerate() {
        rows.push(time("dirty/mincore", Phase::Cycle, launch as u32, 0, samples));
    }
    assert_eq!(
        cell(&rows, "dirty/mincore").cycle_ns,
        Some(Quantiles { p50: 21, p95: 31, p99: 31, max: 700, mean: Some(21), n: 9 })
    );
}

#[test]
fn one_sample_has_quantiles_and_no_ratio() {
    let rows = [
        verified("fresh/relink"),
        time("fresh/relink", Phase::Cycle, 0, 0, &[100]),
        verified("dirty/mincore"),
        time("dirty/mincore", Phase::Cycle, 0, 0, &[50]),
    ];
    let cell = cell(&rows, "dirty/mincore");
    assert_eq!(cell.cycle_ns.unwrap().p99, 50);
    assert_eq!((cell.ratio_to_baseline, cell.verdict), (None, Verdict::Unsure));
    assert!(cell.sentence.contains("0 launches have at least 3 rounds of both"), "{}", cell.sentence);
}

#[test]
fn drift_that_both_suffer_cancels() {
    // The machine slows down to a third during the launch; the ratio stays at 0.9.
    let slower = |round: u32| u64::from(10 + 2 * round);
    let mut rows = timed("fresh/relink", |_, r| 1_000 * slower(r), |_, _| 0);
    rows.extend(timed("dirty/mincore", |_, r| 900 * slower(r), |_, _| 0));
    let ratio = cell(&rows, "dirty/mincore").ratio_to_baseline.unwrap();
    assert!((ratio.low - 0.9).abs() < 1e-9 && (ratio.high - 0.9).abs() < 1e-9, "{ratio:?}");
}

#[test]
fn launches_that_disagree_give_a_wide_interval() {
    let mut rows = timed("fresh/relink", |_, _| 1_000, |_, _| 0);
    rows.extend(timed("dirty/mincore", |launch, _| [900, 1_000, 1_100][launch as usize], |_, _| 0));
    let cell = cell(&rows, "dirty/mincore");
    assert_eq!(cell.verdict, Verdict::Unsure);
    assert!(cell.ratio_to_baseline.unwrap().low < 0.7 && cell.more.unwrap().launches > 3, "{cell:?}");
}

#[test]
fn rounds_that_one_contender_lacks_do_not_count() {
    let mut rows = three();
    rows.retain(|row| {
        row.strategy != "dirty/mincore" || row.launch < 2 || row.round.is_some_and(|round| round < 4)
    });
    let cell = cell(&rows, "dirty/mincore");
    assert!(cell.sentence.contains("over 3 launches and 24 rounds"), "{}", cell.sentence);
    assert_eq!(cell.rounds, 24);
}

#[test]
fn a_wrong_reset_has_no_time_even_if_it_was_timed() {
    let mut rows = three();
    rows.push(ended("dirty/mincore", 2, Status::Diverged, "memory 0, byte 65536: 1, fresh 0"));
    let cell = cell(&rows, "dirty/mincore");
    assert_eq!((cell.equivalence, cell.verdict), (Equivalence::Diverged, Verdict::None));
    assert_eq!((cell.cycle_ns, cell.execute_ns, cell.reset_ns, cell.overhead_ns), (None, None, None, None));
    assert_eq!((cell.ratio_to_baseline, cell.regret, cell.minor_faults, cell.rounds), (None, None, None, 0));
    assert_eq!(cell.reason.as_deref(), Some("memory 0, byte 65536: 1, fresh 0"));
    assert!(cell.sentence.contains("diverged from a fresh instance"), "{}", cell.sentence);
}

#[test]
fn every_outcome_without_figures_says_why() {
    for (status, equivalence, word) in [
        (Status::Refused, Equivalence::Refused, "refuses this module (table 1 is written)"),
        (
            Status::Unavailable,
            Equivalence::Unavailable,
            "is unavailable on this machine (table 1 is written)",
        ),
        (Status::Killed, Equivalence::NotRun, "launch 0 was killed: table 1 is written"),
        (Status::Failed, Equivalence::NotRun, "launch 0 failed: table 1 is written"),
    ] {
        let mut rows = timed("fresh/relink", |_, _| 10, |_, _| 0);
        rows.push(ended("dirty/mincore", 0, status, "table 1 is written"));
        let cell = cell(&rows, "dirty/mincore");
        assert_eq!((cell.equivalence, cell.verdict), (equivalence, Verdict::None));
        assert!(cell.sentence.contains(word), "{}", cell.sentence);
    }
}

#[test]
fn a_missing_instrument_costs_its_own_figure_only() {
    let mut rows = three();
    for (phase, metric) in [(Phase::Cycle, "instructions"), (Phase::Memory, "rss")] {
        rows.push(Row {
            status: Status::Unavailable,
            error: Some("no PMU".into()),
            ..row("dirty/mincore", 0, phase, metric)
        });
    }
    let cell = cell(&rows, "dirty/mincore");
    assert_eq!(
        (cell.equivalence, cell.reason, cell.verdict),
        (Equivalence::Equivalent, None, Verdict::Faster)
    );
    assert_eq!((cell.minor_faults, cell.rss_bytes), (None, None));
}

#[test]
fn an_instrument_that_fails_is_told_and_the_figures_stand() {
    let mut rows = three();
    let failed = row("dirty/mincore", 0, Phase::Memory, "rss");
    rows.push(Row {
        status: Status::Failed,
        error: Some("/proc/7/smaps_rollup: no such process".into()),
        ..failed
    });
    let cell = cell(&rows, "dirty/mincore");
    assert_eq!(
        (cell.equivalence, cell.verdict, cell.rss_bytes),
        (Equivalence::Equivalent, Verdict::Faster, None)
    );
    let told = "`rss` was not measured: /proc/7/smaps_rollup: no such process";
    assert_eq!(cell.reason.as_deref(), Some(told));
    assert!(cell.sentence.ends_with(&format!("faster. But {told}.")), "{}", cell.sentence);
}

#[test]
fn times_that_no_verification_vouches_for_are_not_shown() {
    let mut rows = three();
    rows.retain(|row| row.strategy != "dirty/mincore" || row.phase != Phase::Verify);
    let cell = cell(&rows, "dirty/mincore");
    assert_eq!((cell.equivalence, cell.cycle_ns), (Equivalence::NotRun, None));
    assert!(cell.reason.unwrap().contains("no verify row"));
}

#[test]
fn a_contender_without_rows_is_not_run() {
    let cell = cell(&timed("fresh/relink", |_, _| 10, |_, _| 0), "dirty/mincore");
    assert_eq!((cell.equivalence, cell.verdict), (Equivalence::NotRun, Verdict::None));
    assert_eq!(cell.reason.as_deref(), Some("there are no rows of it"));
}

#[test]
fn a_launch_killed_after_good_ones_is_told_and_leaves_their_figures() {
    let mut rows = three();
    rows.retain(|row| {
        row.strategy != "dirty/mincore" || row.launch < 2 || row.round.is_some_and(|round| round < 5)
    });
    let mut killed = ended("dirty/mincore", 2, Status::Killed, "signal 9 in round 5");
    killed.phase = Phase::Cycle;
    killed.metric = "time".into();
    killed.round = Some(5);
    rows.push(killed);
    let cell = cell(&rows, "dirty/mincore");
    assert_eq!((cell.equivalence, cell.verdict, cell.rounds), (Equivalence::Equivalent, Verdict::Faster, 25));
    let reason =
        "launch 2 was killed: signal 9 in round 5; the figures are from the rounds that were completed";
    assert_eq!(cell.reason.as_deref(), Some(reason));
    assert!(cell.sentence.ends_with(&format!("faster. But {reason}.")), "{}", cell.sentence);
}

#[test]
fn a_cell_that_was_verified_and_then_killed_has_no_times() {
    let rows = [verified("dirty/mincore"), ended("dirty/mincore", 1, Status::Killed, "signal 9")];
    let cell = cell(&rows, "dirty/mincore");
    assert_eq!((cell.equivalence, cell.verdict), (Equivalence::Equivalent, Verdict::None));
    assert!(
        cell.sentence.contains("verified, but not timed (launch 1 was killed: signal 9)"),
        "{}",
        cell.sentence
    );
}

#[test]
fn without_a_baseline_nobody_is_faster() {
    for (rows, why) in [
        (
            timed("dirty/mincore", |_, _| 10, |_, _| 0),
            "`fresh/relink`, the baseline, was not verified in this run (there are no rows",
        ),
        (
            [three(), vec![ended("fresh/relink", 0, Status::Diverged, "global 2")]].concat(),
            "`fresh/relink`, the baseline, diverged from a fresh instance, and a wrong reset has no time (global 2)",
        ),
    ] {
        let cell = cell(&rows, "dirty/mincore");
        assert_eq!((cell.ratio_to_baseline, cell.verdict), (None, Verdict::Unsure));
        assert!(cell.sentence.contains(why), "{}", cell.sentence);
        assert_eq!(cell.regret, Some(Ratio { value: 1.0, low: 1.0, high: 1.0 }));
    }
    let elsewhere = Facts { baseline: "fresh/fork".into(), ..facts() };
    let summary = summarise(&three(), &elsewhere).unwrap();
    assert!(summary.cells[0].sentence.contains("`fresh/fork`, the baseline, was not among the contenders"));
}

#[test]
fn counters_memory_and_startup_have_their_figures() {
    let mut rows = three();
    let mut add = |launch, phase, metric: &str, unit, value, at_ns| {
        rows.push(Row { unit, value: Some(value), at_ns, ..row("dirty/mincore", launch, phase, metric) });
    };
    for (at, bytes) in [(0, 10), (10, 20), (20, 90), (30, 40), (40, 50)] {
        add(0, Phase::Memory, "rss", Unit::Bytes, bytes, Some(at));
    }
    add(0, Phase::Memory, "peak_rss", Unit::Bytes, 95, None);
    for (launch, extra) in [(0, 0), (1, 10), (2, 500)] {
        add(launch, Phase::Startup, "compile", Unit::Nanoseconds, 100 + extra, None);
        add(launch, Phase::Startup, "commit", Unit::Nanoseconds, 7, None);
    }
    rows.push(Row {
        unit: Unit::Count,
        value: Some(4),
        samples: vec![1, 4, 7, 8],
        ..row("dirty/mincore", 0, Phase::Cycle, "minor_faults")
    });
    let cell = cell(&rows, "dirty/mincore");
    assert_eq!(cell.minor_faults, Some(5.0));
    assert_eq!(cell.rss_bytes, Some(Residency { steady: 50, peak: 95 }));
    let stage = |name: &str, ns| Stage { name: name.into(), ns, n: 3 };
    assert_eq!(cell.startup, [stage("compile", 110), stage("commit", 7)]);
}

#[test]
fn parameters_make_cells_of_their_own_in_the_order_of_their_values() {
    let mut rows = Vec::new();
    for pages in [256, 16, 2048] {
        let with = |row: Row| Row { params: Params::from([("dirty_pages".into(), pages.into())]), ..row };
        rows.extend(timed("fresh/relink", |_, _| pages, |_, _| 0).into_iter().map(with));
    }
    let summary = summary(&rows);
    let pages: Vec<_> = summary
        .cells
        .iter()
        .filter(|cell| cell.cycle_ns.is_some())
        .map(|cell| cell.cycle_ns.unwrap().p50)
        .collect();
    assert_eq!(pages, [16, 256, 2048]);
    assert_eq!(summary.cells.len(), 9);
}

#[test]
fn blocks_without_rounds_have_quantiles_only() {
    let mut alone = time("dirty/mincore", Phase::Cycle, 0, 0, &[30, 10, 20]);
    alone.round = None;
    let cell = cell(&[verified("dirty/mincore"), alone], "dirty/mincore");
    assert_eq!(cell.cycle_ns, Some(Quantiles { p50: 20, p95: 30, p99: 30, max: 30, mean: Some(20), n: 3 }));
    assert_eq!((cell.launches, cell.rounds), (1, 0));
}

#[test]
fn rows_that_cannot_be_of_one_run_are_refused() {
    let mut rows = three();
    rows.push(time("dirty/mincore", Phase::Cycle, 1, 4, &[1]));
    let message = summarise(&rows, &facts()).unwrap_err().to_string();
    assert!(
        message
            .starts_with("`dirty/mincore` on `synthetic/scatter` has two cycle times in launch 1, round 4"),
        "{message}"
    );
    rows[0].run = "other".into();
    let message = summarise(&rows, &facts()).unwrap_err().to_string();
    assert!(message.starts_with("the rows are of run `other` as well as of `r`"), "{message}");
}

#[test]
fn a_summary_survives_json() {
    let summary = summary(&three());
    let text = serde_json::to_string(&summary).unwrap();
    assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), summary);
}

fn noisy(strategy: &'static str) -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((0_u32..4, 0_u32..6, 1_u64..2_000), 0..24).prop_map(move |samples| {
        let rounds: std::collections::BTreeMap<(u32, u32), u64> =
            samples.into_iter().map(|(launch, round, value)| ((launch, round), value)).collect();
        let mut rows = vec![verified(strategy)];
        for ((launch, round), value) in rounds {
            rows.push(time(strategy, Phase::Execute, launch, round, &[value, value / 2]));
            rows.push(time(strategy, Phase::Cycle, launch, round, &[value + 3, value]));
            rows.push(time(strategy, Phase::Reset, launch, round, &[3]));
        }
        rows
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_the_rows_does_not_matter(
        rows in (noisy("fresh/relink"), noisy("dirty/mincore"), noisy("control/oracle"))
            .prop_map(|(a, b, c)| [a, b, c].concat())
            .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
    ) {
        prop_assert_eq!(summary(&rows.0), summary(&rows.1));
    }

    #[test]
    fn a_strategy_takes_exactly_as_long_as_itself(rows in noisy("fresh/relink")) {
        let twin = rows.iter().cloned().map(|row| Row { strategy: "dirty/mincore".into(), ..row });
        let rows: Vec<Row> = rows.iter().cloned().chain(twin).collect();
        if let Some(ratio) = cell(&rows, "dirty/mincore").ratio_to_baseline {
            prop_assert_eq!(ratio, Ratio { value: 1.0, low: 1.0, high: 1.0 });
        }
    }

    #[test]
    fn an_interval_holds_its_value(rows in (noisy("fresh/relink"), noisy("dirty/mincore"))) {
        let cell = cell(&[rows.0, rows.1].concat(), "dirty/mincore");
        if let Some(Ratio { value, low, high }) = cell.ratio_to_baseline {
            prop_assert!(0.0 < low && low <= value && value <= high && high.is_finite());
        }
    }
}

/// The row that ends a cell: `launches` of them, the last of which is `last`.
fn timed_until(strategy: &str, metric: &str, last: u32, launches: u64) -> Row {
    Row { value: Some(launches), ..row(strategy, last, Phase::Cycle, metric) }
}

/// Three cells of three launches, of which two had two more, in which the machine took twice as long.
fn with_further_launches() -> Vec<Row> {
    let mut rows = three();
    for (launch, round) in (3..5).flat_map(|launch| (0..10).map(move |round| (launch, round))) {
        for (strategy, execute, reset) in [("fresh/relink", 1200, 800), ("control/oracle", 760, 40)] {
            rows.push(time(strategy, Phase::Execute, launch, round, &[execute]));
            rows.push(time(strategy, Phase::Reset, launch, round, &[reset]));
            rows.push(time(strategy, Phase::Cycle, launch, round, &[execute + reset]));
        }
    }
    rows.push(timed_until("dirty/mincore", "ended_narrow", 2, 3));
    rows.push(timed_until("fresh/relink", "ended_yardstick", 4, 5));
    rows.push(timed_until("control/oracle", "ended_budget", 4, 5));
    rows
}

#[test]
fn a_cell_says_why_it_was_timed_no_longer() {
    let cells = summary(&with_further_launches()).cells;
    let ended: Vec<_> = cells.iter().map(|cell| (cell.ended, cell.launches, cell.rounds)).collect();
    assert_eq!(
        ended,
        [(Some(Ending::Yardstick), 5, 50), (Some(Ending::Narrow), 3, 30), (Some(Ending::Budget), 5, 50)]
    );
    assert!(summary(&three()).cells.iter().all(|cell| cell.ended.is_none()), "older rows do not say");
}

#[test]
fn further_launches_serve_ratios_and_leave_times_comparable() {
    let (before, after) = (summary(&three()).cells, summary(&with_further_launches()).cells);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(after.cycle_ns, before.cycle_ns, "{}", after.strategy);
        assert_eq!(after.execute_ns, before.execute_ns, "{}", after.strategy);
        assert_eq!(after.overhead_ns, before.overhead_ns, "{}", after.strategy);
    }
    assert_eq!(after[1].ratio_to_baseline, before[1].ratio_to_baseline, "it had none");
    assert_ne!(after[2].ratio_to_baseline, before[2].ratio_to_baseline);
    assert!(after[2].sentence.contains("over 5 launches and 50 rounds"), "{}", after[2].sentence);
}

#[test]
fn each_batch_has_further_launches_of_its_own() {
    // A second batch of two launches, in which the other contender drops out of the first one.
    let mut rows = with_further_launches();
    for launch in 5..8 {
        rows.push(time("fresh/relink", Phase::Cycle, launch, 0, &[7_000]));
        rows.push(time("copy/full", Phase::Cycle, launch, 0, &[9_000]));
    }
    rows.push(verified("copy/full"));
    rows.push(timed_until("copy/full", "ended_narrow", 6, 2));
    rows.push(timed_until("fresh/relink", "ended_yardstick", 7, 3));
    let relink = cell(&rows, "fresh/relink");
    assert_eq!((relink.ended, relink.launches), (Some(Ending::Yardstick), 8));
    assert_eq!(relink.cycle_ns.unwrap().n, 30 + 2, "three launches of the first batch and two of the second");
    assert_eq!(cell(&rows, "copy/full").cycle_ns.unwrap().n, 2);
}

#[test]
fn an_ending_that_makes_no_sense_does_no_harm() {
    let mut rows = three();
    rows.push(timed_until("dirty/mincore", "ended_narrow", 2, u64::MAX));
    rows.push(timed_until("fresh/relink", "ended_narrow", u32::MAX, 0));
    rows.push(timed_until("control/oracle", "ended_by_hand", 2, 3));
    let cells = summary(&rows).cells;
    assert_eq!(cells[1].ended, Some(Ending::Narrow));
    assert_eq!(cells[2].ended, None);
    assert_eq!(cells[0].cycle_ns, cell(&three(), "fresh/relink").cycle_ns);
}
