//! Benches of criterion's: what it samples leads to the report that a run leads to.

mod common;
#[path = "../benches/common/counted.rs"]
mod counted;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin;
use common::Run;
use counted::Counted;
use criterion::{Criterion, SamplingMode};
use reset_strategies::registry;
use resetbench::analyse::evidence::{SETTLED, SETTLING, TIME, UNSETTLED};
use resetbench::analyse::summary::{Cell, Verdict};
use resetbench::hosts;
use resetbench::launch::bench::{Bench, Setting, Starter};
use resetbench::launch::plan::{Contender, Plan, Profile};
use resetbench::launch::record::Record;
use resetbench::launch::saved::Saved;
use resetbench::measure::row::{Params, Phase};
use resetbench::workload::Workload;
use resetbench::workload::bundled;

/// The baseline a second time.
const AGAIN: &str = "fresh/relink#2";
const STRATEGY: &str = "copy/full";

fn setting(parent: &Path, bench: &str, within: Option<&str>) -> Setting {
    Setting {
        bench: bench.into(),
        args: vec!["--quick".into()],
        parent: parent.into(),
        within: within.map(str::to_owned),
        starter: Some(Starter::named("this test")),
        binary: cargo_bin("resetbench").into(),
        profile: Profile::Smoke,
        launches: 3,
    }
}

fn touch(dirty: u64) -> Workload {
    let params = [("dirty", dirty), ("memory_pages", 8), ("span", 64)];
    bundled::named("stress/touch", &Params::from(params.map(|(name, n)| (name.into(), n.into())))).unwrap()
}

fn contenders() -> Vec<Contender> {
    let strategy = registry::find(STRATEGY).unwrap();
    Plan::with_yardsticks(vec![strategy], hosts::plain())
        .into_iter()
        .chain([Contender::again(hosts::plain())])
        .collect()
}

/// Does what criterion has a bench do: warm up, then take samples.
fn samples(bench: &mut Bench, workload: &Workload, samples: usize) {
    let course = bench.course(workload).unwrap();
    for contender in contenders() {
        let mut subject = bench.subject(&course, &contender).unwrap().expect("available everywhere");
        for blocks in [1, 2, 4] {
            assert!(bench.time(&mut subject, blocks).unwrap().execute.len() as u64 >= blocks);
        }
        for _ in 0..samples {
            bench.time(&mut subject, 8).unwrap();
            bench.keep(&mut subject).unwrap();
        }
        bench.finish(subject).unwrap();
    }
}

fn cell<'a>(saved: &'a Saved, strategy: &str) -> &'a Cell {
    saved.summary.cells.iter().find(|cell| cell.strategy == strategy).expect(strategy)
}

/// The launches of a strategy that have a row of one of these metrics.
fn launches(saved: &Saved, strategy: &str, metrics: &[&str]) -> BTreeSet<u32> {
    let rows = saved.rows.iter().filter(|row| row.strategy == strategy && row.phase == Phase::Cycle);
    rows.filter(|row| metrics.contains(&row.metric.as_str())).map(|row| row.launch).collect()
}

#[test]
fn benches_of_one_cargo_lead_to_one_report_with_startup_overhead_and_memory() {
    let parent = tempfile::tempdir().unwrap();
    let workload = touch(8);
    // Far fewer samples than a ratio takes: what is missing is taken at the end.
    let mut bench = Bench::open(&setting(parent.path(), "per_block", None)).unwrap();
    samples(&mut bench, &workload, 2);
    let folder = bench.close().unwrap().folder;

    // The same cells once more, in launches of their own.
    let mut bench = Bench::open(&setting(parent.path(), "reset_only", None)).unwrap();
    samples(&mut bench, &workload, 12);
    assert_eq!(bench.close().unwrap().folder, folder);

    let mut bench = Bench::open(&setting(parent.path(), "startup", None)).unwrap();
    let course = bench.course(&workload).unwrap();
    for contender in contenders() {
        let verified = bench.verify(&course, &contender).unwrap().expect("available everywhere");
        let stages = bench.startup(&course, &contender, &verified).unwrap();
        bench.startup(&course, &contender, &verified).unwrap();
        bench.keep_startup(&course, &contender, &stages).unwrap();
    }
    let finished = bench.close().unwrap();
    assert_eq!(finished.folder, folder);

    let saved = Saved::read(&folder).unwrap();
    let Record { benches, interrupted, workloads, strategies, again, command, .. } = &saved.record;
    assert_eq!(benches, &["per_block", "reset_only", "startup"]);
    assert_eq!(command, "cargo bench --bench per_block --bench reset_only --bench startup -- --quick");
    assert_eq!((*interrupted, workloads.len(), strategies.len()), (false, 1, 4));
    assert_eq!(again.as_deref(), Some(AGAIN));
    for strategy in [STRATEGY, registry::BASELINE, registry::FLOOR, AGAIN] {
        let cell = cell(&saved, strategy);
        let ratio = cell.ratio_to_baseline.unwrap();
        assert_eq!(cell.verdict == Verdict::Baseline, strategy == registry::BASELINE);
        assert!(strategy == registry::BASELINE || ratio.low < ratio.high, "{strategy}: {ratio:?}");
        // Three launches with three rounds each, and three with four; who did not become steady in one does without it.
        let steady = launches(&saved, strategy, &[SETTLED]);
        let rounds: u32 = steady.iter().map(|launch| if *launch < 3 { 3 } else { 4 }).sum();
        assert_eq!(launches(&saved, strategy, &[TIME]), (0..6).collect(), "{strategy}");
        assert_eq!((cell.launches as usize, cell.rounds), (steady.len(), rounds), "{strategy}");
        assert!(cell.overhead_ns.is_some() && cell.rss_bytes.is_some() && cell.minor_faults.is_some());
        assert_eq!(cell.startup.iter().map(|stage| stage.n).min(), Some(7), "{strategy}: {:?}", cell.startup);
    }
    // Blocks are kept in whole traces, so that overhead is taken block by block.
    let trace = saved.record.workloads[0].blocks as usize;
    let times = saved.rows.iter().filter(|row| row.phase == Phase::Cycle && row.metric == "time");
    assert!(times.clone().count() == 4 * 21 && times.clone().all(|row| row.samples.len() % trace == 0));

    Command::cargo_bin("resetbench").unwrap().arg("report").arg(&folder).assert().success();
    for figure in ["startup", "overhead", "rss", "settling"] {
        assert!(folder.join(format!("{figure}-stress-touch.svg")).exists(), "{figure}");
    }
    for page in ["report.md", "report.html"] {
        let page = std::fs::read_to_string(folder.join(page)).unwrap();
        assert!(page.contains("From criterion (per") && page.contains("one after another"));
    }

    // Another cargo has another folder, and the two can be compared.
    let kept = finished.keep_as("before").unwrap();
    assert_eq!(finished.baseline("before").unwrap(), kept);
    let starter = Some(Starter::named("another"));
    let other = Setting { starter, ..setting(parent.path(), "per_block", None) };
    let mut bench = Bench::open(&other).unwrap();
    samples(&mut bench, &workload, 2);
    let other = bench.close().unwrap().folder;
    assert_ne!(other, folder);
    let compared =
        Command::cargo_bin("resetbench").unwrap().arg("compare").args([kept, other]).assert().success();
    assert!(String::from_utf8_lossy(&compared.get_output().stdout).contains(STRATEGY));
}

#[test]
fn every_process_of_a_bench_is_taken_to_its_steady_state_and_says_what_that_took() {
    let parent = tempfile::tempdir().unwrap();
    let workload = touch(8);
    let mut bench = Bench::open(&setting(parent.path(), "per_block", None)).unwrap();
    samples(&mut bench, &workload, 1);
    let folder = bench.close().unwrap().folder;
    let saved = Saved::read(&folder).unwrap();
    for strategy in [STRATEGY, registry::BASELINE, registry::FLOOR, AGAIN] {
        let launches = |metrics: &[&str]| launches(&saved, strategy, metrics);
        assert_eq!(launches(&[SETTLING]), launches(&[TIME]), "{strategy}: all that were timed have a way");
        assert_eq!(launches(&[SETTLED, UNSETTLED]), launches(&[TIME]), "{strategy}: each way has an end");
        assert_eq!(cell(&saved, strategy).launches as usize, launches(&[SETTLED]).len(), "{strategy}");
        assert_eq!(cell(&saved, strategy).settling.is_some(), !launches(&[SETTLED]).is_empty(), "{strategy}");
    }
}

#[test]
fn a_landscape_is_drawn_with_the_benches_of_the_same_cargo() {
    let parent = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(&setting(parent.path(), "landscape", Some("landscape"))).unwrap();
    for dirty in [1, 32] {
        samples(&mut bench, &touch(dirty), 1);
    }
    let places = bench.close().unwrap().folder;
    let places_alone = Saved::read(&places).unwrap();
    assert_eq!(places_alone.landscape().unwrap().unwrap().slices[0].best.len(), 2);

    let mut bench = Bench::open(&setting(parent.path(), "per_block", None)).unwrap();
    samples(&mut bench, &touch(8), 1);
    let folder = bench.close().unwrap().folder;
    assert_eq!(places, folder.join("landscape"));
    Command::cargo_bin("resetbench").unwrap().arg("report").arg(&folder).assert().success();
    let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains("id=\"landscape\"") && page.contains("id=\"answer\""));
    assert!(folder.join("overhead-stress-touch.svg").exists());
}

#[test]
fn a_bench_that_ends_early_keeps_its_rows_and_is_said_to_have_been_interrupted() {
    let parent = tempfile::tempdir().unwrap();
    let workload = touch(8);
    let mut bench = Bench::open(&setting(parent.path(), "per_block", None)).unwrap();
    let course = bench.course(&workload).unwrap();
    let mut subject = bench.subject(&course, &Contender::baseline(hosts::plain())).unwrap().unwrap();
    bench.time(&mut subject, 1).unwrap();
    bench.keep(&mut subject).unwrap();
    drop((bench, subject));

    let mut bench = Bench::open(&setting(parent.path(), "startup", None)).unwrap();
    let course = bench.course(&workload).unwrap();
    let verified = bench.verify(&course, &Contender::baseline(hosts::plain())).unwrap().unwrap();
    let stages = bench.startup(&course, &Contender::baseline(hosts::plain()), &verified).unwrap();
    bench.keep_startup(&course, &Contender::baseline(hosts::plain()), &stages).unwrap();
    let saved = Saved::read(&bench.close().unwrap().folder).unwrap();
    assert!(saved.record.interrupted && saved.record.finished.is_some());
    let cell = cell(&saved, registry::BASELINE);
    let steady = launches(&saved, registry::BASELINE, &[SETTLED]).contains(&0);
    assert_eq!((cell.rounds, cell.startup[0].n), (u32::from(steady), 4));
}

#[test]
fn a_baseline_that_is_not_what_it_was_is_told_with_its_size() {
    let parent = tempfile::tempdir().unwrap();
    let notes = |name: &str, benches: &[&str], pair: f64| {
        let mut run = Run { pair: Some(pair), ..Run::new(name) };
        run.record.benches = benches.iter().map(|&bench| bench.into()).collect();
        Saved::read(&run.write(parent.path())).unwrap().summary.notes
    };
    assert!(notes("run", &[], 1.3).is_empty(), "pairs of a run are for `check` to judge");
    assert!(notes("quiet", &["per_block"], 1.001).iter().all(|note| note.starts_with("From criterion")));
    let told = "not what it was on stress/touch (1.30x): the machine has changed";
    assert!(notes("drift", &["per_block"], 1.3)[1].contains(told));
}

#[test]
fn a_program_that_is_no_child_is_an_error() {
    let parent = tempfile::tempdir().unwrap();
    let setting = Setting { binary: "/bin/false".into(), ..setting(parent.path(), "per_block", None) };
    let error = Bench::open(&setting).unwrap().course(&touch(8)).unwrap_err().to_string();
    assert!(error.contains("exit status: 1"), "{error}");
}

#[test]
fn criterions_samples_are_told_from_its_warm_up() {
    let folder = tempfile::tempdir().unwrap();
    let counted = Counted::default();
    let mut criterion = Criterion::default()
        .with_measurement(counted.clone())
        .output_directory(folder.path())
        .sample_size(10)
        .warm_up_time(Duration::from_millis(5))
        .measurement_time(Duration::from_millis(10))
        .nresamples(1_001)
        .without_plots();
    let (mut called, mut samples) = (0, 0);
    let mut group = criterion.benchmark_group("any");
    group.sampling_mode(SamplingMode::Flat).bench_function("function", |bencher| {
        bencher.iter_custom(|iters| {
            samples += u32::from(counted.was_sample());
            called += 1;
            std::thread::sleep(Duration::from_micros(100));
            Duration::from_micros(100 * iters)
        });
    });
    group.finish();
    samples += u32::from(counted.was_sample());
    assert_eq!(samples, 10);
    assert!(called > 10, "it has warmed up, too");
}
