//! The step as a whole: literal rows in, a summary out.

mod counterpart;
mod over_traces;
mod settling;

use proptest::prelude::*;

use super::summary::{Cell, Ending, Equivalence, Overhead, Quantiles, Ratio, Residency, Stage, Verdict};
use super::*;
use crate::measure::row::{Params, Status};

fn facts() -> Facts {
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    Facts {
        run: "r".into(),
        host: "plain".into(),
        baseline: BASELINE.into(),
        contenders: names(&[BASELINE, MINCORE, FLOOR]),
        controls: names(&[FLOOR, "control/none"]),
        floor: FLOOR.into(),
        seed: SEED,
    }
}

const BASELINE: &str = "fresh/relink";
const FLOOR: &str = "control/oracle";
/// The contender that most tests look at.
const MINCORE: &str = "dirty/mincore";

/// A figure of exactly 1.
const ITSELF: Ratio = Ratio { value: 1.0, low: 1.0, high: 1.0 };

fn row(strategy: &str, launch: u32, phase: Phase, metric: &str) -> Row {
    Row {
        run: "r".into(),
        launch,
        strategy: strategy.into(),
        workload: "synthetic/scatter".into(),
        phase,
        metric: metric.into(),
        ..Row::default()
    }
}

fn verified(strategy: &str) -> Row {
    row(strategy, 0, Phase::Verify, "equivalence")
}

fn ended(strategy: &str, launch: u32, status: Status, error: &str) -> Row {
    Row { launch, ..verified(strategy) }.with(status, error)
}

impl Row {
    fn with(self, status: Status, error: &str) -> Self {
        Self { status, error: Some(error.into()), ..self }
    }
}

fn time(strategy: &str, phase: Phase, launch: u32, round: u32, samples: &[u64]) -> Row {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let value = Some(sorted[(sorted.len() - 1) / 2]);
    Row { round: Some(round), value, samples: samples.to_vec(), ..row(strategy, launch, phase, "time") }
}

/// The rows of a round, from what its blocks took and what each reset did.
fn turn(strategy: &str, launch: u32, round: u32, execute: &[u64], reset: u64) -> [Row; 3] {
    let cycle: Vec<u64> = execute.iter().map(|ns| ns + reset).collect();
    let resets = vec![reset; execute.len()];
    [(Phase::Execute, execute), (Phase::Reset, &resets), (Phase::Cycle, &cycle)]
        .map(|(phase, samples)| time(strategy, phase, launch, round, samples))
}

/// A verified cell of three launches and ten rounds of one block each; times are given by launch and round.
fn timed(strategy: &str, execute: impl Fn(u32, u32) -> u64, reset: impl Fn(u32, u32) -> u64) -> Vec<Row> {
    let mut rows = vec![verified(strategy)];
    for (launch, round) in (0..3).flat_map(|launch| (0..10).map(move |round| (launch, round))) {
        rows.extend(turn(strategy, launch, round, &[execute(launch, round)], reset(launch, round)));
    }
    rows
}

/// Baseline 1000, dirty-page reset 500, floor 400, each a little different from round to round.
fn three() -> Vec<Row> {
    let wobble = |launch: u32, round: u32| u64::from((launch * 7 + round * 3) % 5);
    let mut rows = timed(BASELINE, |l, r| 600 + wobble(l, r), |_, _| 400);
    rows.extend(timed(MINCORE, |l, r| 420 + wobble(l, r + 1), |_, _| 80));
    rows.extend(timed(FLOOR, |l, r| 380 + wobble(l, r + 2), |_, _| 20));
    rows
}

fn summary(rows: &[Row]) -> Summary {
    summarise(rows, &facts()).unwrap()
}

fn cell(rows: &[Row], strategy: &str) -> Cell {
    let summary = summary(rows);
    summary.cells.into_iter().find(|cell| cell.strategy == strategy).expect("every strategy has a cell")
}

fn mincore(rows: &[Row]) -> Cell {
    cell(rows, MINCORE)
}

#[test]
fn a_run_becomes_cells_in_the_order_of_the_contenders() {
    let summary = summary(&three());
    let strategies: Vec<&str> = summary.cells.iter().map(|cell| cell.strategy.as_str()).collect();
    assert_eq!(strategies, [BASELINE, MINCORE, FLOOR]);
    assert_eq!((summary.method.level, summary.method.margin, summary.method.seed), (LEVEL, MARGIN, SEED));

    let [relink, mincore, oracle] = &summary.cells[..] else { unreachable!() };
    assert_eq!((relink.verdict, relink.ratio_to_baseline), (Verdict::Baseline, Some(ITSELF)));
    assert_eq!((mincore.verdict, mincore.launches, mincore.rounds), (Verdict::Faster, 3, 30));
    let told = &mincore.sentence;
    assert!(told.starts_with("`dirty/mincore` takes 0.50x the cycle of `fresh/relink` (0."), "{told}");
    assert!(told.ends_with("99 % interval over 3 launches and 30 rounds): faster."), "{told}");
    assert!(oracle.control && !mincore.control);
}

#[test]
fn regret_is_against_the_best_that_may_be_recommended() {
    let cells = summary(&three()).cells;
    assert_eq!(cells[1].regret, Some(ITSELF));
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
    assert_eq!((&*standings[0].workload, &*standings[0].best), ("synthetic/scatter", MINCORE));
    assert_eq!(standings[0].tied, ["dirty/pagemap"], "copy/full is a tenth slower in every launch");
    let alone = summary(&three()).standings;
    assert_eq!((&*alone[0].best, alone[0].tied.len()), (MINCORE, 0));
    let broken = summary(&[ended(MINCORE, 0, Status::Diverged, "page 3")]).standings;
    assert!(broken.is_empty(), "where nothing is sound, nothing is best");
}

/// The same at all quantiles.
fn even(ns: i64, n: u64, execute_side_p50: i64, reset_p50: i64) -> Overhead {
    Overhead { p50: ns, p95: ns, p99: ns, max: ns, n, execute_side_p50, reset_p50 }
}

#[test]
fn overhead_is_what_exceeds_the_floors_execute_and_is_split() {
    let overhead = mincore(&three()).overhead_ns.unwrap();
    assert_eq!((overhead.execute_side_p50, overhead.reset_p50, overhead.n), (42, 80, 30));
    assert!((115..=124).contains(&overhead.p50) && overhead.p50 <= overhead.max, "{overhead:?}");
    assert_eq!(cell(&three(), FLOOR).overhead_ns, Some(even(20, 30, 0, 20)));
    let unsound = mincore(&[three(), vec![ended(FLOOR, 0, Status::Diverged, "page 3")]].concat());
    assert!(unsound.overhead_ns.is_none() && unsound.ratio_to_baseline.is_some());
}

#[test]
fn overhead_is_taken_block_by_block() {
    // The second block is a hundred times the first, and costs no more to clean up after.
    let mut rows = Vec::new();
    for (strategy, extra) in [(FLOOR, 0), (MINCORE, 10)] {
        rows.push(verified(strategy));
        rows.extend(turn(strategy, 0, 0, &[100 + extra, 10_000 + extra], 5));
    }
    assert_eq!(mincore(&rows).overhead_ns, Some(even(15, 2, 10, 5)));
}

#[test]
fn quantiles_are_taken_within_a_launch_and_then_over_launches() {
    let mut rows = vec![verified(MINCORE)];
    for (launch, samples) in (0..).zip([[10, 20, 30], [11, 21, 31], [500, 600, 700]]) {
        rows.push(time(MINCORE, Phase::Cycle, launch, 0, &samples));
    }
    let expected = Quantiles { p50: 21, p95: 31, p99: 31, max: 700, mean: Some(21), n: 9 };
    assert_eq!(mincore(&rows).cycle_ns, Some(expected));
}

#[test]
fn one_sample_has_quantiles_and_no_ratio() {
    let one = |strategy, ns| [verified(strategy), time(strategy, Phase::Cycle, 0, 0, &[ns])];
    let cell = mincore(&[one(BASELINE, 100), one(MINCORE, 50)].concat());
    assert_eq!(cell.cycle_ns.unwrap().p99, 50);
    assert_eq!((cell.ratio_to_baseline, cell.verdict), (None, Verdict::Unsure));
    assert!(cell.sentence.contains("0 launches have at least 3 rounds of both"), "{}", cell.sentence);
}

#[test]
fn drift_that_both_suffer_cancels() {
    // The machine slows down to a third during the launch; the ratio stays at 0.9.
    let slower = |round: u32| u64::from(10 + 2 * round);
    let mut rows = timed(BASELINE, |_, r| 1_000 * slower(r), |_, _| 0);
    rows.extend(timed(MINCORE, |_, r| 900 * slower(r), |_, _| 0));
    let ratio = mincore(&rows).ratio_to_baseline.unwrap();
    assert!((ratio.low - 0.9).abs() < 1e-9 && (ratio.high - 0.9).abs() < 1e-9, "{ratio:?}");
}

#[test]
fn launches_that_disagree_give_a_wide_interval() {
    let mut rows = timed(BASELINE, |_, _| 1_000, |_, _| 0);
    rows.extend(timed(MINCORE, |launch, _| [900, 1_000, 1_100][launch as usize], |_, _| 0));
    let cell = mincore(&rows);
    assert_eq!(cell.verdict, Verdict::Unsure);
    assert!(cell.ratio_to_baseline.unwrap().low < 0.7 && cell.more.unwrap().launches > 3, "{cell:?}");
}

/// All rows of [`three`] but those of `dirty/mincore` from a round of the last launch on.
fn three_until(round: u32) -> Vec<Row> {
    let mut rows = three();
    rows.retain(|row| row.strategy != MINCORE || row.launch < 2 || row.round.is_some_and(|at| at < round));
    rows
}

#[test]
fn rounds_that_one_contender_lacks_do_not_count() {
    let cell = mincore(&three_until(4));
    assert!(cell.sentence.contains("over 3 launches and 24 rounds"), "{}", cell.sentence);
    assert_eq!(cell.rounds, 24);
}

#[test]
fn what_went_wrong_is_told_and_costs_no_more_than_it_has_to() {
    use Equivalence::{Diverged, Equivalent, NotRun, Refused, Unavailable};
    let alone =
        |status| [timed(BASELINE, |_, _| 10, |_, _| 0), vec![ended(MINCORE, 0, status, "table 1")]].concat();
    let with = |row| [three(), vec![row]].concat();
    let (counter, rss) =
        (row(MINCORE, 0, Phase::Cycle, "instructions"), row(MINCORE, 0, Phase::Memory, "rss"));
    let mut unverified = three();
    unverified.retain(|row| row.strategy != MINCORE || row.phase != Phase::Verify);
    let cut = Row { round: Some(5), ..row(MINCORE, 2, Phase::Cycle, "time") };
    let cut = [three_until(5), vec![cut.with(Status::Killed, "signal 9 in round 5")]].concat();
    let untimed = [verified(MINCORE), ended(MINCORE, 1, Status::Killed, "signal 9")];
    // With the rounds that it has figures of, if it has figures.
    for (rows, equivalence, rounds, reason, sentence) in [
        (alone(Status::Refused), Refused, None, "table 1", "refuses this module (table 1)."),
        (
            alone(Status::Unavailable),
            Unavailable,
            None,
            "table 1",
            "is unavailable on this machine (table 1).",
        ),
        (
            alone(Status::Killed),
            NotRun,
            None,
            "launch 0 was killed: table 1",
            "(launch 0 was killed: table 1).",
        ),
        (alone(Status::Failed), NotRun, None, "launch 0 failed: table 1", "(launch 0 failed: table 1)."),
        (
            with(ended(MINCORE, 2, Status::Diverged, "memory 0, byte 65536: 1, fresh 0")),
            Diverged,
            None,
            "memory 0, byte 65536: 1, fresh 0",
            "diverged from a fresh instance, and a wrong reset has no time (memory 0, byte 65536: 1, fresh 0).",
        ),
        // An instrument that is missing or fails costs its own figure only.
        (with(counter.with(Status::Unavailable, "no PMU")), Equivalent, Some(30), "", ": faster."),
        (with(rss.clone().with(Status::Unavailable, "no PMU")), Equivalent, Some(30), "", ": faster."),
        (
            with(rss.with(Status::Failed, "/proc/7: no such process")),
            Equivalent,
            Some(30),
            "`rss` was not measured: /proc/7: no such process",
            "faster. But `rss` was not measured: /proc/7: no such process.",
        ),
        (
            unverified,
            NotRun,
            None,
            "it has times, but no verify row vouches for them",
            "was not verified in this run (it has times, but no verify row vouches for them).",
        ),
        (
            timed(BASELINE, |_, _| 10, |_, _| 0),
            NotRun,
            None,
            "there are no rows of it",
            "was not verified in this run (there are no rows of it).",
        ),
        (
            cut,
            Equivalent,
            Some(25),
            "launch 2 was killed: signal 9 in round 5; the figures are from the rounds that were completed",
            "faster. But launch 2 was killed: signal 9 in round 5; the figures are from the rounds that were completed.",
        ),
        (
            untimed.into(),
            Equivalent,
            None,
            "launch 1 was killed: signal 9",
            "was verified, but not timed (launch 1 was killed: signal 9).",
        ),
    ] {
        let cell = mincore(&rows);
        let verdict = rounds.map_or(Verdict::None, |_| Verdict::Faster);
        assert_eq!((cell.equivalence, cell.verdict), (equivalence, verdict), "{sentence}");
        assert_eq!((cell.reason.as_deref().unwrap_or_default(), cell.rounds), (reason, rounds.unwrap_or(0)));
        assert!(cell.sentence.ends_with(sentence), "{}", cell.sentence);
        assert_eq!((cell.minor_faults, cell.rss_bytes), (None, None), "{sentence}");
        if rounds.is_none() {
            assert_eq!((cell.cycle_ns, cell.execute_ns, cell.reset_ns), (None, None, None), "{sentence}");
            let compared = (cell.overhead_ns, cell.ratio_to_baseline, cell.regret);
            assert_eq!(compared, (None, None, None), "{sentence}");
        }
    }
}

#[test]
fn without_a_baseline_nobody_is_faster() {
    for (rows, why) in [
        (
            timed(MINCORE, |_, _| 10, |_, _| 0),
            "`fresh/relink`, the baseline, was not verified in this run (there are no rows",
        ),
        (
            [three(), vec![ended(BASELINE, 0, Status::Diverged, "global 2")]].concat(),
            "`fresh/relink`, the baseline, diverged from a fresh instance, and a wrong reset has no time (global 2)",
        ),
    ] {
        let cell = mincore(&rows);
        assert_eq!((cell.ratio_to_baseline, cell.verdict), (None, Verdict::Unsure));
        assert!(cell.sentence.contains(why), "{}", cell.sentence);
        assert_eq!(cell.regret, Some(ITSELF));
    }
    let elsewhere = Facts { baseline: "fresh/fork".into(), ..facts() };
    let summary = summarise(&three(), &elsewhere).unwrap();
    assert!(summary.cells[0].sentence.contains("`fresh/fork`, the baseline, was not among the contenders"));
}

#[test]
fn counters_memory_and_startup_have_their_figures() {
    let mut rows = three();
    let mut add = |launch, phase, metric: &str, value, at_ns| {
        rows.push(Row { value: Some(value), at_ns, ..row(MINCORE, launch, phase, metric) });
    };
    for (at, bytes) in [(0, 10), (10, 20), (20, 90), (30, 40), (40, 50)] {
        add(0, Phase::Memory, "rss", bytes, Some(at));
    }
    add(0, Phase::Memory, "peak_rss", 95, None);
    for (launch, extra) in [(0, 0), (1, 10), (2, 500)] {
        add(launch, Phase::Startup, "compile", 100 + extra, None);
        add(launch, Phase::Startup, "commit", 7, None);
    }
    let rest = row(MINCORE, 0, Phase::Memory, "rest_rss");
    rows.push(Row { value: Some(31), samples: vec![30, 31, 90], ..rest });
    let files = row(MINCORE, 0, Phase::Memory, "file_rss");
    rows.push(Row { value: Some(12), samples: vec![11, 13, 12], ..files });
    let faults = row(MINCORE, 0, Phase::Cycle, "minor_faults");
    rows.push(Row { value: Some(4), samples: vec![1, 4, 7, 8], ..faults });
    let cell = mincore(&rows);
    assert_eq!(cell.minor_faults, Some(5.0));
    assert_eq!(cell.rss_bytes, Some(Residency { steady: 50, peak: 95, rest: Some(31), files: Some(12) }));
    let stage = |name: &str, ns| Stage { name: name.into(), ns, n: 3 };
    assert_eq!(cell.startup, [stage("compile", 110), stage("commit", 7)]);
}

#[test]
fn parameters_make_cells_of_their_own_in_the_order_of_their_values() {
    let mut rows = Vec::new();
    for pages in [256, 16, 2048] {
        let with = |row: Row| Row { params: Params::from([("dirty_pages".into(), pages.into())]), ..row };
        rows.extend(timed(BASELINE, |_, _| pages, |_, _| 0).into_iter().map(with));
    }
    let summary = summary(&rows);
    let pages: Vec<_> = summary.cells.iter().filter_map(|cell| Some(cell.cycle_ns?.p50)).collect();
    assert_eq!(pages, [16, 256, 2048]);
    assert_eq!(summary.cells.len(), 9);
}

#[test]
fn blocks_without_rounds_have_quantiles_only() {
    let mut alone = time(MINCORE, Phase::Cycle, 0, 0, &[30, 10, 20]);
    alone.round = None;
    let cell = cell(&[verified(MINCORE), alone], MINCORE);
    assert_eq!(cell.cycle_ns, Some(Quantiles { p50: 20, p95: 30, p99: 30, max: 30, mean: Some(20), n: 3 }));
    assert_eq!((cell.launches, cell.rounds), (1, 0));
}

#[test]
fn rows_that_cannot_be_of_one_run_are_refused() {
    let mut rows = three();
    rows.push(time(MINCORE, Phase::Cycle, 1, 4, &[1]));
    let message = summarise(&rows, &facts()).unwrap_err().to_string();
    let expected = "`dirty/mincore` on `synthetic/scatter` has two cycle times in launch 1, round 4";
    assert!(message.starts_with(expected), "{message}");
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
            rows.extend(turn(strategy, launch, round, &[value, value / 2], 3));
        }
        rows
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_the_rows_does_not_matter(
        rows in (noisy(BASELINE), noisy(MINCORE), noisy(FLOOR))
            .prop_map(|(a, b, c)| [a, b, c].concat())
            .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
    ) {
        prop_assert_eq!(summary(&rows.0), summary(&rows.1));
    }

    #[test]
    fn a_strategy_takes_exactly_as_long_as_itself(rows in noisy(BASELINE)) {
        let twin = rows.iter().cloned().map(|row| Row { strategy: MINCORE.into(), ..row });
        let rows: Vec<Row> = rows.iter().cloned().chain(twin).collect();
        if let Some(ratio) = mincore(&rows).ratio_to_baseline {
            prop_assert_eq!(ratio, ITSELF);
        }
    }

    #[test]
    fn an_interval_holds_its_value(rows in (noisy(BASELINE), noisy(MINCORE))) {
        let cell = cell(&[rows.0, rows.1].concat(), MINCORE);
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
        for (strategy, execute, reset) in [(BASELINE, 1200, 800), (FLOOR, 760, 40)] {
            rows.extend(turn(strategy, launch, round, &[execute], reset));
        }
    }
    rows.push(timed_until(MINCORE, "ended_narrow", 2, 3));
    rows.push(timed_until(BASELINE, "ended_yardstick", 4, 5));
    rows.push(timed_until(FLOOR, "ended_budget", 4, 5));
    rows
}

#[test]
fn a_cell_says_why_it_was_timed_no_longer() {
    let cells = summary(&with_further_launches()).cells;
    let ended = cells.iter().map(|cell| (cell.ended.unwrap(), cell.launches, cell.rounds));
    assert!(ended.eq([(Ending::Yardstick, 5, 50), (Ending::Narrow, 3, 30), (Ending::Budget, 5, 50)]));
    assert!(summary(&three()).cells.iter().all(|cell| cell.ended.is_none()), "older rows do not say");
}

#[test]
fn further_launches_serve_ratios_and_leave_times_comparable() {
    let (before, after) = (summary(&three()).cells, summary(&with_further_launches()).cells);
    for (before, after) in before.iter().zip(&after) {
        let times = |cell: &Cell| (cell.cycle_ns, cell.execute_ns, cell.overhead_ns);
        assert_eq!(times(after), times(before), "{}", after.strategy);
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
        rows.push(time(BASELINE, Phase::Cycle, launch, 0, &[7_000]));
        rows.push(time("copy/full", Phase::Cycle, launch, 0, &[9_000]));
    }
    rows.push(verified("copy/full"));
    rows.push(timed_until("copy/full", "ended_narrow", 6, 2));
    rows.push(timed_until(BASELINE, "ended_yardstick", 7, 3));
    let relink = cell(&rows, BASELINE);
    assert_eq!((relink.ended, relink.launches), (Some(Ending::Yardstick), 8));
    assert_eq!(relink.cycle_ns.unwrap().n, 30 + 2, "three launches of the first batch and two of the second");
    assert_eq!(cell(&rows, "copy/full").cycle_ns.unwrap().n, 2);
}

#[test]
fn an_ending_that_makes_no_sense_does_no_harm() {
    let mut rows = three();
    rows.push(timed_until(MINCORE, "ended_narrow", 2, u64::MAX));
    rows.push(timed_until(BASELINE, "ended_narrow", u32::MAX, 0));
    rows.push(timed_until(FLOOR, "ended_by_hand", 2, 3));
    let cells = summary(&rows).cells;
    assert_eq!(cells[1].ended, Some(Ending::Narrow));
    assert_eq!(cells[2].ended, None);
    assert_eq!(cells[0].cycle_ns, cell(&three(), BASELINE).cycle_ns);
}
