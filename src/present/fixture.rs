//! A made-up run with the shape of a real one, for tests and for looking at pictures.
//!
//! The costs follow a simple model (faults and copies per page) with a fixed pseudo-random wobble; they are not
//! measurements of anything.

mod model;

use serde_json::json;

use self::model::{LOADS, MIB, STRATEGIES, US, Wobble, model, outcome, quantiles, ratio, signed, stages};
use super::report::Facts;
use crate::analyse::standing::standings;
use crate::analyse::summary::{
    Cell, Equivalence, Method, Overhead, Quantiles, Ratio, Residency, SCHEMA, Stage, Summary, Verdict,
};
use crate::measure::row::{Params, Phase, Row, Status, Unit};

/// 21 strategies on 5 workloads.
pub fn summary() -> Summary {
    let mut wobble = Wobble(7);
    let mut cells = Vec::new();
    for load in &LOADS {
        let cycle = |name: &str| {
            let (faults, reset, ..) = model(name, load);
            load.guest_us + faults + reset
        };
        let sound =
            |name: &&&str| !name.starts_with("control/") && outcome(name, load).0 == Equivalence::Equivalent;
        let best = STRATEGIES
            .iter()
            .filter(sound)
            .min_by(|a, b| cycle(a).total_cmp(&cycle(b)))
            .expect("some are sound");
        for strategy in STRATEGIES {
            let (equivalence, reason) = outcome(strategy, load);
            let (faults_us, reset_us, faults, resident) = model(strategy, load);
            let mut cell = empty(strategy, load.name, equivalence, reason);
            if equivalence == Equivalence::Equivalent {
                let (tail, spread) = (0.05 + 0.04 * wobble.next().abs(), 0.004 + 0.012 * wobble.next().abs());
                let faults_ns = wobble.about(faults_us * US, 0.02) + 12.0 * wobble.next();
                let reset_ns = wobble.about(reset_us * US, 0.02);
                let execute = load.guest_us * US + faults_ns;
                cell.execute_ns = Some(quantiles(execute, tail));
                cell.reset_ns = Some(quantiles(reset_ns, tail));
                cell.cycle_ns = Some(quantiles(execute + reset_ns, tail));
                let (p50, p95, p99, max) = signed(faults_ns + reset_ns, 3.0 * tail);
                let parts = (faults_ns as i64, reset_ns as i64);
                cell.overhead_ns = Some(Overhead {
                    p50,
                    p95,
                    p99,
                    max,
                    n: 4_000,
                    execute_side_p50: parts.0,
                    reset_p50: parts.1,
                });
                let versus = cycle(strategy) / cycle("fresh/relink");
                cell.ratio_to_baseline =
                    Some(ratio(versus, if strategy == "fresh/relink" { 0.0 } else { spread }));
                cell.regret =
                    Some(ratio(cycle(strategy) / cycle(best), if strategy == *best { 0.0 } else { spread }));
                cell.verdict = match versus {
                    _ if strategy == "fresh/relink" => Verdict::Baseline,
                    v if v < 0.98 => Verdict::Faster,
                    v if v > 1.02 => Verdict::Slower,
                    _ => Verdict::Same,
                };
                cell.sentence = format!(
                    "`{strategy}` takes {versus:.2}x the cycle of `fresh/relink` ({:.2}x to {:.2}x, 99 % interval over \
                     5 launches and 200 rounds): {}.",
                    versus * (1.0 - spread),
                    versus * (1.0 + 1.2 * spread),
                    if versus < 1.0 { "faster" } else { "slower" },
                );
                cell.minor_faults = Some(faults);
                let steady = (17.8 + resident) * MIB;
                cell.rss_bytes = Some(Residency { steady: steady as u64, peak: (steady + 2.1 * MIB) as u64 });
                cell.startup = stages(strategy, load, &mut wobble);
                (cell.launches, cell.rounds) = (5, 40);
            }
            cells.push(cell);
        }
    }
    Summary {
        standings: standings(&cells),
        schema: SCHEMA,
        run: "2026-11-20-lab".into(),
        baseline: "fresh/relink".into(),
        method: Method { level: 0.99, margin: 0.02, resamples: 10_000, seed: 42 },
        notes: Vec::new(),
        cells,
    }
}

/// A cell without figures.
pub fn empty(strategy: &str, workload: &str, equivalence: Equivalence, reason: Option<&str>) -> Cell {
    Cell {
        strategy: strategy.into(),
        workload: workload.into(),
        params: Params::new(),
        control: strategy.starts_with("control/"),
        equivalence,
        reason: reason.map(Into::into),
        execute_ns: None,
        reset_ns: None,
        cycle_ns: None,
        overhead_ns: None,
        ratio_to_baseline: None,
        regret: None,
        verdict: Verdict::None,
        sentence: String::new(),
        more: None,
        minor_faults: None,
        rss_bytes: None,
        startup: Vec::new(),
        launches: 0,
        rounds: 0,
    }
}

/// Samples of RSS for every cell of a summary that has a residency: two launches that climb and settle.
pub fn rows(summary: &Summary) -> Vec<Row> {
    let mut wobble = Wobble(11);
    let mut rows = Vec::new();
    for cell in &summary.cells {
        let steady = cell.rss_bytes.map_or(40.0 * MIB, |rss| rss.steady as f64);
        let status = if cell.equivalence == Equivalence::Equivalent { Status::Ok } else { Status::Diverged };
        for launch in 0..2 {
            for i in 0..80u64 {
                let share = (i as f64 / 12.0).min(1.0);
                let saw = if cell.strategy.starts_with("fresh") { 0.4 * MIB * (i % 3) as f64 } else { 0.0 };
                let value = 17.0 * MIB + (steady - 17.0 * MIB) * share + saw + 0.02 * MIB * wobble.next();
                rows.push(Row {
                    run: summary.run.clone(),
                    launch,
                    round: None,
                    order: None,
                    strategy: cell.strategy.clone(),
                    workload: cell.workload.clone(),
                    params: cell.params.clone(),
                    phase: Phase::Memory,
                    metric: "rss".into(),
                    unit: Unit::Bytes,
                    value: Some(value as u64),
                    samples: Vec::new(),
                    at_ns: Some(i * 25_000_000),
                    status,
                    error: None,
                });
            }
        }
    }
    rows
}

/// One workload with an outcome of each kind, few enough to read as a snapshot.
pub fn small() -> Summary {
    let mut summary = summary();
    let wanted = [
        "fresh/relink",
        "fresh/pooling-scan",
        "remap/mmap",
        "dirty/soft-dirty",
        "control/none",
        "control/oracle",
    ];
    summary.notes = vec!["rows.ndjson: the last line breaks off; it was left out".into()];
    summary
        .cells
        .retain(|cell| cell.workload == "indexer/tiny-block" && wanted.contains(&cell.strategy.as_str()));
    for cell in &mut summary.cells {
        cell.params.insert("trace".into(), json!("regtest"));
        cell.params.insert("blocks".into(), json!(200));
    }
    // What is wrong has no figures, whatever the file says.
    let wrong =
        summary.cells.iter_mut().find(|cell| cell.strategy == "control/none").expect("it is in the list");
    wrong.cycle_ns = Some(quantiles(777_777.0, 0.1));
    wrong.execute_ns = wrong.cycle_ns;
    wrong.reset_ns = wrong.cycle_ns;
    wrong.overhead_ns = Some(Overhead {
        p50: 777_777,
        p95: 777_777,
        p99: 777_777,
        max: 777_777,
        n: 1,
        execute_side_p50: 777_777,
        reset_p50: 777_777,
    });
    wrong.ratio_to_baseline = Some(ratio(0.777, 0.0));
    wrong.regret = wrong.ratio_to_baseline;
    wrong.minor_faults = Some(777.0);
    wrong.rss_bytes = Some(Residency { steady: 777 << 20, peak: 777 << 20 });
    wrong.startup = vec![Stage { name: "spawn".into(), ns: 777_777, n: 5 }];
    wrong.sentence = "777 times faster".into();
    summary
}

/// Figures at the ends of their ranges, on one workload: nothing, the least, very much, the most.
pub fn extreme() -> Summary {
    let mut summary = summary();
    summary.cells.clear();
    for (strategy, value) in [
        ("fresh/relink", 0),
        ("fresh/pooling", 1),
        ("copy/full", 1_000_000_000_000),
        ("dirty/uffd-wp", u64::MAX),
    ] {
        let mut cell = empty(strategy, "extreme/values", Equivalence::Equivalent, None);
        let all = Quantiles { p50: value, p95: value, p99: value, max: value, n: 1 };
        (cell.execute_ns, cell.reset_ns, cell.cycle_ns) = (Some(all), Some(all), Some(all));
        let signed = i64::try_from(value).unwrap_or(i64::MIN);
        cell.overhead_ns = Some(Overhead {
            p50: signed,
            p95: signed,
            p99: signed,
            max: signed,
            n: 1,
            execute_side_p50: signed,
            reset_p50: -(signed / 2),
        });
        cell.ratio_to_baseline =
            Some(Ratio { value: value as f64, low: f64::NEG_INFINITY, high: f64::INFINITY });
        cell.regret = Some(Ratio { value: f64::NAN, low: 0.0, high: 0.0 });
        cell.minor_faults = Some(value as f64);
        cell.rss_bytes = Some(Residency { steady: value, peak: value });
        let stage = |name: &str| Stage { name: name.into(), ns: value, n: 1 };
        cell.startup = vec![stage("spawn"), stage("compile")];
        summary.cells.push(cell);
    }
    summary
}

/// One cell whose every text tries to be something else than text.
pub fn odd() -> Summary {
    let mut summary = small();
    summary.cells.retain(|cell| cell.strategy == "fresh/pooling-scan" || cell.strategy == "control/none");
    summary.baseline = "<b>|`base`".into();
    summary.notes = vec!["<script>alert(1)</script>\u{1b}[31m `a|b` ]]>".into()];
    for cell in &mut summary.cells {
        let family = cell.strategy.split('/').next().unwrap_or_default();
        cell.strategy = format!("{family}/<i>&\"'`|é漢\u{7}");
        cell.workload = "../<script>alert(2)</script> & \"co\"\n".into();
        cell.params.insert("<u>".into(), json!("a\nb & <c>"));
        cell.reason = Some("line\none | two <img src=x onerror=alert(3)> **bold** \u{1b}[0m".into());
        cell.sentence = "`<b>` takes <em>0.5x</em> of `x|y`".into();
        for stage in &mut cell.startup {
            stage.name = format!("<{}>&\u{0}", stage.name);
        }
    }
    summary
}

/// What a run says of itself.
pub fn facts() -> Facts {
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    Facts {
        title: "Reference run".into(),
        run: "2026-11-20-lab".into(),
        started: "2026-11-20T22:10:04Z".into(),
        profile: "full".into(),
        command: "resetbench run --profile full --seed 42".into(),
        machine: vec![
            pair("kernel", "6.18.0 x86_64"),
            pair("cpu", "2 virtual CPUs"),
            pair("transparent huge pages", "madvise"),
            pair("wasmtime", "48.0.8"),
        ],
        strategies: vec![
            pair("fresh/relink", "allocator=on-demand cow=on nan-canonicalisation=off"),
            pair("fresh/pooling-scan", "allocator=pooling keep_resident=64MiB pagemap_scan=yes"),
        ],
        interrupted: false,
    }
}
