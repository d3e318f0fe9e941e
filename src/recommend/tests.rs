//! Choices on literal rows.

use super::choice::{Candidate, Field};
use super::limits::Limits;
use super::*;
use crate::analyse::summary::Summary;
use crate::analyse::{Facts, SEED, evidence, summarise};
use crate::hosts::Calls;
use crate::measure::row::{Phase, Row, Unit};

const MIB: u64 = 1 << 20;

/// A strategy with its cycle, how far its launches lie apart, and its RSS.
type Made = (&'static str, u64, u64, u64);

fn rows(made: &[Made]) -> Vec<Row> {
    let mut rows = Vec::new();
    for &(strategy, cycle, apart, rss) in made {
        let row = |launch, phase, metric: &str, unit, value| Row {
            launch,
            metric: metric.into(),
            unit,
            value,
            ..Row::new("r", strategy, "indexer/made-up", &Params::new(), phase)
        };
        rows.push(row(0, Phase::Verify, "equivalence", Unit::Count, None));
        for (launch, round) in (0..5).flat_map(|launch| (0..6).map(move |round| (launch, round))) {
            let wobble = u64::from((launch * 7 + round * 3) % 5);
            let value = cycle + wobble + apart * u64::from(launch % 3);
            for (phase, value) in
                [(Phase::Execute, value / 2), (Phase::Reset, value / 2), (Phase::Cycle, value)]
            {
                let row = row(launch, phase, "time", Unit::Nanoseconds, Some(value));
                rows.push(Row { round: Some(round), ..row });
            }
        }
        let sample = row(0, Phase::Memory, "rss", Unit::Bytes, Some(rss));
        rows.push(Row { at_ns: Some(0), ..sample });
        rows.push(row(0, Phase::Startup, "instantiate", Unit::Nanoseconds, Some(rss / 1000)));
    }
    rows
}

fn answer(made: &[Made], limits: Limits) -> Recommendation {
    answer_to(&rows(made), made, limits)
}

fn summary(rows: &[Row], made: &[Made]) -> Summary {
    let facts = Facts {
        run: "r".into(),
        host: "plain".into(),
        baseline: "fresh/relink".into(),
        contenders: made.iter().map(|made| made.0.to_owned()).collect(),
        controls: vec!["control/oracle".into()],
        floor: "control/oracle".into(),
        seed: SEED,
    };
    summarise(rows, &facts).unwrap()
}

fn answer_to(rows: &[Row], made: &[Made], limits: Limits) -> Recommendation {
    let summary = summary(rows, made);
    let gathered = evidence::gather("r", rows).unwrap();
    one(&Group::all(&summary)[0], &Field::new(gathered.first()), Calls::Blocking, &limits, false)
}

const CLEAR: [Made; 4] = [
    ("fresh/relink", 9_000, 0, 10 * MIB),
    ("dirty/pagemap-scan", 1_000, 0, 30 * MIB),
    ("fresh/pooling-resident", 2_000, 0, 20 * MIB),
    ("control/oracle", 500, 0, 5 * MIB),
];

/// Launches of the second and third lie so far apart that nothing can be told.
const TIED: [Made; 4] = [
    ("dirty/pagemap-scan", 1_000, 0, 30 * MIB),
    ("fresh/pooling-scan", 1_001, 300, 10 * MIB),
    ("fresh/pooling-resident", 1_002, 300, 20 * MIB),
    ("copy/full", 5_000, 0, 5 * MIB),
];

#[test]
fn the_shortest_cycle_wins_and_a_control_never_does() {
    let answer = answer(&CLEAR, Limits::default());
    assert_eq!(answer.strategy.as_deref(), Some("dirty/pagemap-scan"));
    assert_eq!(answer.runner_up.as_deref(), Some("fresh/pooling-resident"));
    assert!((answer.runner_up_ratio.unwrap().value - 2.0).abs() < 0.01);
    assert!(answer.tied.is_empty() && answer.excluded.is_empty());
    assert!(answer.because.contains("none is tied with it"), "{}", answer.because);
    assert!(answer.conditions[0].contains("Linux 6.7"), "{:?}", answer.conditions);
    assert!(answer.paste.unwrap().contains("find(\"dirty/pagemap-scan\")"));
}

#[test]
fn each_limit_changes_the_answer_as_foretold() {
    let foretold = answer(&CLEAR, Limits::default()).changes;
    let told: Vec<(&str, Option<&str>)> =
        foretold.iter().map(|change| (change.condition.as_str(), change.strategy.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("RSS has to stay below 30.0 MiB", Some("fresh/pooling-resident")),
            ("startup has to take less than 31.5 µs", Some("fresh/pooling-resident")),
            ("the kernel is older than 6.7", Some("fresh/pooling-resident")),
        ]
    );
    let limits = Limits { kernel: "5.15".parse().ok(), ..Limits::default() };
    let old = answer(&CLEAR, limits);
    assert_eq!(old.strategy.as_deref(), Some("fresh/pooling-resident"));
    assert_eq!(old.excluded[0].reason, "it needs Linux 6.7");
    assert_eq!(old.changes.last().unwrap().condition, "`--kernel 5.15` were not asked for");
    let small = answer(&CLEAR, Limits { max_rss: Some(15 * MIB), ..Limits::default() });
    assert_eq!(small.strategy.as_deref(), Some("fresh/relink"));
    assert_eq!(small.excluded[0].reason, "its RSS is 30.0 MiB");
}

#[test]
fn of_those_that_are_tied_the_one_that_survives_swap_and_then_the_smallest_is_taken() {
    let answer = answer(&TIED, Limits::default());
    assert_eq!(answer.strategy.as_deref(), Some("fresh/pooling-resident"));
    assert_eq!(answer.tied, ["dirty/pagemap-scan", "fresh/pooling-scan"]);
    let why = "of the 3 that are tied it survives swap and has the least RSS (20.0 MiB).";
    assert!(answer.because.contains(why), "{}", answer.because);
    assert!(
        answer
            .unknown
            .iter()
            .any(|words| words.contains("more launches would tell `dirty/pagemap-scan` from")),
        "{:?}",
        answer.unknown
    );
}

#[test]
fn who_takes_less_over_whole_traces_is_named_if_it_fits() {
    let mut rows = rows(&CLEAR);
    for row in rows.iter_mut().filter(|row| row.phase == Phase::Cycle) {
        let cycle = row.value.unwrap();
        let slowest = if row.strategy == "dirty/pagemap-scan" { 99_000 } else { cycle };
        row.samples = [vec![cycle; 7], vec![slowest]].concat();
    }
    let unlimited = answer_to(&rows, &CLEAR, Limits::default());
    let by_mean = unlimited.by_mean.expect("one block in eight takes 99 times as long");
    assert_eq!(unlimited.strategy.as_deref(), Some("dirty/pagemap-scan"));
    assert_eq!(by_mean.strategy, "fresh/pooling-resident");
    assert!((by_mean.ratio.value - 106_000.0 / 16_000.0).abs() < 0.1 && by_mean.ratio.low > 1.0);
    let older = Limits { kernel: "5.15".parse().ok(), ..Limits::default() };
    assert_eq!(answer_to(&rows, &CLEAR, older).by_mean, None, "the slow one does not fit");
    assert_eq!(answer(&CLEAR, Limits::default()).by_mean, None, "nothing is known of single blocks");
}

#[test]
fn among_equals_in_memory_the_older_kernel_decides() {
    let mut made = TIED;
    made[1].3 = 30 * MIB;
    made[2].3 = 30 * MIB;
    let answer = answer(&made, Limits::default());
    assert_eq!(answer.strategy.as_deref(), Some("fresh/pooling-resident"));
    assert!(answer.because.contains("runs on the oldest kernel (3.17)"), "{}", answer.because);
}

#[test]
fn what_does_not_survive_swap_is_left_out_when_asked_for() {
    let alone = [("fresh/relink", 9_000, 0, 10 * MIB), ("fresh/pooling-scan", 1_000, 0, 10 * MIB)];
    let without = answer(&alone, Limits::default());
    assert_eq!(without.strategy.as_deref(), Some("fresh/pooling-scan"));
    assert!(without.conditions.iter().any(|words| words.contains("must not run on a host with swap")));
    let with = answer(&alone, Limits { must_survive_swap: true, ..Limits::default() });
    assert_eq!(with.strategy.as_deref(), Some("fresh/relink"));
    assert!(with.excluded[0].reason.contains("#14357"), "{:?}", with.excluded);
}

#[test]
fn where_nothing_fits_it_is_said_who_comes_nearest() {
    let answer = answer(&CLEAR, Limits { max_rss: Some(MIB), ..Limits::default() });
    assert_eq!((answer.strategy, answer.paste), (None, None));
    let why =
        "none of the 3 sound strategies fits --max-rss 1.00 MiB. The least RSS has `fresh/relink`, 10.0 MiB.";
    assert_eq!(answer.because, why);
    assert_eq!(answer.changes[0].strategy.as_deref(), Some("dirty/pagemap-scan"));
    assert_eq!(answer.excluded.len(), 3);
}

#[test]
fn what_was_not_measured_is_not_known_to_fit() {
    let mut rows = rows(&CLEAR);
    rows.retain(|row| row.phase != Phase::Memory);
    let summary = summary(&rows, &CLEAR);
    let groups = Group::all(&summary);
    let limits = Limits { max_rss: Some(u64::MAX), ..Limits::default() };
    for candidate in Candidate::all(&groups[0]) {
        assert_eq!(limits.objection(&candidate).as_deref(), Some("its RSS was not measured"));
    }
}

#[test]
fn a_kernel_on_which_a_mechanism_is_broken_rules_out_what_needs_it() {
    let alone = [("fresh/pooling-scan", 100, 0, 20 * MIB), ("copy/full", 100_000, 0, 20 * MIB)];
    for (kernel, strategy) in [
        ("7.2", "fresh/pooling-scan"),
        ("7.3", "copy/full"),
        ("7.4", "copy/full"),
        ("6.7", "fresh/pooling-scan"),
    ] {
        let limits = Limits { kernel: kernel.parse().ok(), ..Limits::default() };
        let answer = answer(&alone, limits);
        assert_eq!(answer.strategy.as_deref(), Some(strategy), "{kernel}");
        assert_eq!(answer.excluded.iter().any(|out| out.reason.contains("userfaultfd")), kernel >= "7.3");
    }
}

#[test]
fn what_a_host_must_not_do_is_among_the_conditions() {
    let told = |strategy| answer(&[(strategy, 100, 0, 20 * MIB)], Limits::default()).conditions;
    let adaptive = told("adaptive/hot-cold");
    let foreign = adaptive.iter().find(|told| told.contains("process_vm_writev"));
    assert!(foreign.is_some_and(|told| told.starts_with("the host must not let another")), "{adaptive:?}");
    let full = told("copy/full");
    assert!(!full.iter().any(|told| told.contains("process_vm_writev")), "{full:?}");
    assert!(full.iter().any(|told| told.starts_with("the host must not reset while")), "{full:?}");
    let pool = told("fresh/pooling-scan");
    let broken = "must not run where wasmtime's pool scan is broken on Linux 7.3 and later: ";
    assert!(pool.iter().any(|told| told.starts_with(broken)), "{pool:?}");
}

#[test]
fn a_host_that_starts_often_gets_who_has_paid_for_its_settling_by_then() {
    let mut rows = rows(&CLEAR);
    for (launch, (strategy, first)) in (0..5).flat_map(|launch| {
        [("fresh/relink", 9_000), ("dirty/pagemap-scan", 20_000), ("fresh/pooling-resident", 2_000)]
            .map(|way| (launch, way))
    }) {
        let row = |metric: &str, value| Row {
            launch,
            metric: metric.into(),
            value,
            ..Row::new("r", strategy, "indexer/made-up", &Params::new(), Phase::Cycle)
        };
        rows.push(Row { samples: vec![first, first], ..row("settling", Some(first)) });
        rows.push(row("settled", Some(2)));
    }
    let under = |blocks| answer_to(&rows, &CLEAR, Limits { blocks_per_start: blocks, ..Limits::default() });
    assert_eq!(under(None).strategy.as_deref(), Some("dirty/pagemap-scan"));
    // 22,000 behind after two blocks, and 8,000 less in each that follows.
    assert_eq!(under(Some(5)).strategy.as_deref(), Some("dirty/pagemap-scan"));
    let often = under(Some(4));
    assert_eq!(often.strategy.as_deref(), Some("fresh/pooling-resident"));
    assert_eq!(often.excluded[0].reason, "it has spent less than the baseline only from block 5 on");
    assert_eq!(often.changes.last().unwrap().condition, "`--blocks-per-start 4` were not asked for");
}
