//! A made-up run with the shape of a real one, for tests and for looking at pictures.
//!
//! The costs follow a simple model (faults and copies per page) with a fixed pseudo-random wobble; they are not
//! measurements of anything.

mod model;
mod policies;
mod serving;

use serde_json::json;

use self::model::{
    LOADS, Load, MIB, STRATEGIES, US, Wobble, model, outcome, overhead, quantiles, ratio, stages,
};
pub use self::policies::policies;
pub use self::serving::serving;
use super::book::Facts;
use crate::analyse::crossover::{self, Best, Crossover, Landscape, Slice, slice_params};
use crate::analyse::distribution::{Distribution, distributions as distributions_of};
use crate::analyse::evidence::{Evidence, LONG_RSS, LONG_WINDOW, LongRun};
use crate::analyse::growth;
use crate::analyse::standing::standings;
use crate::analyse::summary::{
    Cell, Equivalence, Method, Overhead, Quantiles, Ratio, Residency, SCHEMA, Stage, Summary, Verdict,
};
use crate::measure::row::{Phase, Row, Status, Unit};

/// 21 strategies on 5 workloads.
pub fn summary() -> Summary {
    let mut wobble = Wobble(7);
    summary_of(LOADS.iter().flat_map(|load| cells(load, &STRATEGIES, &mut wobble)).collect())
}

fn summary_of(cells: Vec<Cell>) -> Summary {
    Summary {
        standings: standings(&cells),
        schema: SCHEMA,
        run: "2026-11-20-lab".into(),
        host: None,
        baseline: "fresh/relink".into(),
        method: Method { level: 0.99, margin: 0.02, resamples: 10_000, seed: 42 },
        notes: Vec::new(),
        cells,
    }
}

fn cells(load: &Load, strategies: &[&str], wobble: &mut Wobble) -> Vec<Cell> {
    let mut cells = Vec::new();
    let cycle = |name: &str| {
        let (faults, reset, ..) = model(name, load);
        load.guest_us + faults + reset
    };
    let sound =
        |name: &&&str| !name.starts_with("control/") && outcome(name, load).0 == Equivalence::Equivalent;
    let best =
        strategies.iter().filter(sound).min_by(|a, b| cycle(a).total_cmp(&cycle(b))).expect("some are sound");
    for strategy in strategies.iter().copied() {
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
            cell.overhead_ns = Some(overhead(faults_ns, reset_ns, 3.0 * tail));
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
            cell.rss_bytes = Some(Residency {
                steady: steady as u64,
                peak: (steady + 2.1 * MIB) as u64,
                rest: None,
                files: None,
            });
            cell.startup = stages(strategy, load, wobble);
            (cell.launches, cell.rounds) = (5, 40);
        }
        cells.push(cell);
    }
    cells
}

/// Six strategies over the dirty pages of `stress/touch`, in three patterns and with one and two instances.
pub fn landscape() -> (Summary, Landscape) {
    const NAMES: [&str; 6] = [
        "fresh/relink",
        "copy/full",
        "dirty/pagemap-scan",
        "dirty/uffd-wp",
        "remap/madvise",
        "control/oracle",
    ];
    let mut wobble = Wobble(3);
    let mut all = Vec::new();
    for (shape, motion, threads) in [(2, 1, 1), (0, 1, 1), (2, 0, 1), (2, 1, 2)] {
        for dirty in [0, 1, 16, 256, 2048, 8192, 32_768].into_iter().filter(|d| shape == 2 || *d > 1) {
            let guest_us = 2.0 + 0.01 * dirty as f64 * threads as f64;
            let load =
                Load { name: "stress/touch", dirty: dirty as f64, guest_us, used_mib: 64.0, rotating: false };
            let mut cells = cells(&load, &NAMES, &mut wobble);
            for cell in &mut cells {
                let params = [("dirty", dirty), ("shape", shape), ("motion", motion), ("threads", threads)];
                cell.params = params.map(|(name, value)| (name.to_owned(), json!(value))).into();
            }
            all.extend(cells);
        }
    }
    let summary = summary_of(all);
    let mut slices: Vec<Slice> = Vec::new();
    for cell in summary.cells.iter().filter(|cell| cell.regret.is_some_and(|r| r.value == 1.0)) {
        let best = Best {
            dirty: cell.params["dirty"].as_u64().unwrap_or_default(),
            strategy: cell.strategy.clone(),
            cycle_ns: cell.cycle_ns.map_or(0, |q| q.p50),
            baseline_ns: None,
        };
        let params = slice_params(&cell.params);
        match slices.iter_mut().find(|slice| slice.params == params) {
            Some(slice) => slice.best.push(best),
            None => {
                let (workload, crossovers) = (cell.workload.clone(), Vec::new());
                slices.push(Slice { workload, params, best: vec![best], crossovers });
            }
        }
    }
    for slice in &mut slices {
        let changes = slice.best.windows(2).filter(|pair| pair[0].strategy != pair[1].strategy);
        let crossover = |pair: &[Best]| {
            let value = (pair[0].dirty as f64 * pair[1].dirty as f64).sqrt();
            let (before, after) = (pair[0].strategy.clone(), pair[1].strategy.clone());
            let sentence = format!("`{after}` overtakes `{before}` at about {} dirty pages.", value.round());
            Crossover { before, after, dirty: ratio(value, 0.1), sentence }
        };
        slice.crossovers = changes.map(crossover).collect();
    }
    let left_out = vec!["16 dirty pages, contiguous, fixed".into(), "a place that is too large".into()];
    (summary, Landscape { schema: crossover::SCHEMA, run: "2026-11-20-lab".into(), slices, left_out })
}

/// A cell without figures.
fn empty(strategy: &str, workload: &str, equivalence: Equivalence, reason: Option<&str>) -> Cell {
    let control = strategy.starts_with("control/");
    serde_json::from_value(json!({
        "strategy": strategy, "workload": workload, "control": control, "equivalence": equivalence, "reason": reason,
        "verdict": Verdict::None, "sentence": "", "launches": 0, "rounds": 0,
    }))
    .expect("all else may be left out")
}

/// Samples of every cell of a summary: two launches of memory that climb and settle, and three of a few blocks' cycles.
pub fn rows(summary: &Summary) -> Vec<Row> {
    let mut wobble = Wobble(11);
    let mut rows = Vec::new();
    for cell in &summary.cells {
        let steady = cell.rss_bytes.map_or(40.0 * MIB, |rss| rss.steady as f64);
        for launch in 0..2 {
            for i in 0..80u64 {
                let share = (i as f64 / 12.0).min(1.0);
                let saw = if cell.strategy.starts_with("fresh") { 0.4 * MIB * (i % 3) as f64 } else { 0.0 };
                let value = 17.0 * MIB + (steady - 17.0 * MIB) * share + saw + 0.02 * MIB * wobble.next();
                let row = row(summary, cell, launch, Phase::Memory, ("rss", Unit::Bytes));
                rows.push(Row { value: Some(value as u64), at_ns: Some(i * 25_000_000), ..row });
            }
        }
        let Some(cycle) = cell.cycle_ns else { continue };
        for launch in 0..3 {
            // Most blocks near the median, one in twelve slower by a half, as a collection would make it.
            let slow = |i: u64| if i % 12 == 5 { 1.5 } else { 1.0 };
            let block = |i: u64, w: f64| (cycle.p50 as f64 * slow(i) * (1.0 + 0.06 * w)) as u64;
            let samples: Vec<u64> = (0..120).map(|i| block(i, wobble.next())).collect();
            let row = row(summary, cell, launch, Phase::Cycle, ("time", Unit::Nanoseconds));
            rows.push(Row { round: Some(0), value: Some(cycle.p50), samples, ..row });
        }
    }
    rows
}

/// Samples as [`rows`] makes them, and a long run of every sound cell, whose growth the summary then holds.
pub fn long_rows(summary: &mut Summary) -> Vec<Row> {
    const WINDOW: u64 = 500;
    const PAGE: u64 = 4096;
    let mut rows = rows(summary);
    let mut cells = std::mem::take(&mut summary.cells);
    for cell in cells.iter_mut().filter(|cell| cell.equivalence == Equivalence::Equivalent) {
        let reading = |i: u64| match cell.strategy.as_str() {
            "fresh/pooling-scan" => 9 * PAGE * i + PAGE * (i % 2),
            "fresh/relink" => 24 * PAGE * (i % 4),
            "copy/full" => 64 * PAGE - PAGE * i.min(20),
            "dirty/sigsegv" if i > 6 => 96 * PAGE,
            _ => 0,
        };
        let rss: Vec<u64> = (0..=u64::from(growth::WINDOWS)).map(|i| (20 << 20) + reading(i)).collect();
        let row = |metric, unit| row(summary, cell, 2, Phase::Memory, (metric, unit));
        let readings = row(LONG_RSS, Unit::Bytes);
        rows.push(Row { value: rss.last().copied(), samples: rss.clone(), ..readings });
        rows.push(Row { value: Some(WINDOW), ..row(LONG_WINDOW, Unit::Count) });
        let mut evidence = Evidence::default();
        evidence.long_runs.insert(2, LongRun { rss, window: WINDOW });
        cell.rss_growth = growth::growth(&evidence);
    }
    summary.cells = cells;
    rows
}

fn row(summary: &Summary, cell: &Cell, launch: u32, phase: Phase, (metric, unit): (&str, Unit)) -> Row {
    let sound = cell.equivalence == Equivalence::Equivalent;
    Row {
        cpu: None,
        run: summary.run.clone(),
        launch,
        round: None,
        order: None,
        strategy: cell.strategy.clone(),
        workload: cell.workload.clone(),
        params: cell.params.clone(),
        phase,
        metric: metric.into(),
        unit,
        value: None,
        samples: Vec::new(),
        at_ns: None,
        status: if sound { Status::Ok } else { Status::Diverged },
        error: None,
    }
}

/// The distributions behind [`rows`].
pub fn distributions(summary: &Summary) -> Vec<Distribution> {
    let facts = crate::analyse::Facts {
        run: summary.run.clone(),
        host: summary.host().to_owned(),
        baseline: summary.baseline.clone(),
        contenders: Vec::new(),
        controls: Vec::new(),
        floor: String::new(),
        seed: 0,
    };
    distributions_of(&rows(summary), &facts).expect("rows of one run")
}

/// One workload with an outcome of each kind, few enough to read as a snapshot.
pub fn small() -> Summary {
    let mut summary = summary();
    const WANTED: &str =
        "fresh/relink fresh/pooling-scan remap/mmap dirty/soft-dirty control/none control/oracle";
    summary.notes = vec!["rows.ndjson: the last line breaks off; it was left out".into()];
    let wanted = |cell: &Cell| WANTED.split(' ').any(|name| name == cell.strategy);
    summary.cells.retain(|cell| cell.workload == "indexer/tiny-block" && wanted(cell));
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
    wrong.overhead_ns = Some(overhead(777_777.0, 0.0, 0.0));
    wrong.ratio_to_baseline = Some(ratio(0.777, 0.0));
    wrong.regret = wrong.ratio_to_baseline;
    wrong.regret_by_mean = wrong.ratio_to_baseline;
    wrong.minor_faults = Some(777.0);
    wrong.rss_bytes = Some(Residency { steady: 777 << 20, peak: 777 << 20, rest: None, files: None });
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
        let all = Quantiles { p50: value, p95: value, p99: value, max: value, mean: Some(value), n: 1 };
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
        cell.rss_bytes = Some(Residency { steady: value, peak: value, rest: None, files: None });
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
        host: "plain".into(),
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
        seed: 42,
        interrupted: false,
    }
}
