//! `check`: what a night is, by its exit code.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::assert::Assert;
use common::{CLASS, Run, STRATEGY, history, resetbench, wobbling};
use predicates::str::contains;

/// A baseline, a night and a history side by side.
struct Case {
    folder: tempfile::TempDir,
    baseline: PathBuf,
}

impl Case {
    fn new(nights: &[(f64, f64)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        history(&folder.path().join("history.ndjson"), nights);
        let baseline = Run::new("accepted").write(folder.path());
        Self { folder, baseline }
    }

    fn history(&self) -> PathBuf {
        self.folder.path().join("history.ndjson")
    }

    fn check(&self, night: &Path) -> Assert {
        let mut command = resetbench();
        command.arg("check").arg("--baseline").arg(&self.baseline).arg("--history").arg(self.history());
        command.arg(night).assert()
    }

    /// Checks a run after it was changed in some way.
    fn night(&self, change: impl FnOnce(&mut Run)) -> Assert {
        let mut run = Run::new("tonight");
        change(&mut run);
        self.check(&run.write(self.folder.path()))
    }
}

#[test]
fn a_night_like_the_others_is_fine() {
    let fine = Case::new(&wobbling(0.002)).night(|_| {}).code(0);
    fine.stdout(contains("0 regressed")).stdout(contains("# Night `tonight`: fine"));
}

#[test]
fn a_planted_slow_down_is_a_regression_with_a_sentence() {
    let case = Case::new(&wobbling(0.002));
    let found = case.night(|run| run.strategy *= 1.05).code(1);
    found
        .stdout(contains("**regression**"))
        .stdout(contains(format!("`{STRATEGY}` on `stress/touch dirty=256`, cycle: 0.420x")))
        .stdout(contains("the change of +5.0 % is beyond its threshold of 2.0 % from 20 nights"))
        .stdout(contains(format!("run --aa --profile smoke -w stress/touch -p dirty=256 -s {STRATEGY}")));
}

#[test]
fn a_series_that_always_wobbles_is_not_reported_for_it() {
    Case::new(&wobbling(0.06)).night(|run| run.strategy *= 1.05).code(0);
}

#[test]
fn an_improvement_is_told_and_is_no_failure() {
    Case::new(&wobbling(0.002)).night(|run| run.strategy *= 0.9).code(0).stdout(contains("## Improved"));
}

#[test]
fn a_pair_that_moved_as_far_is_noise_and_one_that_did_not_is_none() {
    let case = Case::new(&wobbling(0.002));
    let noisy = |run: &mut Run| (run.pair, run.strategy) = (Some(1.06), run.strategy * 1.05);
    case.night(noisy)
        .code(2)
        .stdout(contains("nothing found, but noisy on some workloads"))
        .stdout(contains("it moved by more than 2.0 %"))
        .stdout(contains("The baseline differs from itself by up to 6."));
    let case = Case::new(&wobbling(0.002));
    let clear = |run: &mut Run| (run.pair, run.strategy) = (Some(1.06), run.strategy * 1.2);
    case.night(clear)
        .code(1)
        .stdout(contains("**regression**"))
        .stdout(contains("the change of +20.0 % is beyond"));
}

#[test]
fn a_reset_that_is_no_longer_sound_is_a_regression_on_any_night() {
    let case = Case::new(&[]);
    let broken = |run: &mut Run| (run.pair, run.diverged) = (Some(1.06), true);
    case.night(broken)
        .code(1)
        .stdout(contains("No longer equal to a fresh instance"))
        .stdout(contains("memory 0 differs at 0x40"));
}

#[test]
fn without_history_only_intervals_that_are_apart_count() {
    let case = Case::new(&[]);
    case.night(|run| run.strategy *= 1.05).code(1).stdout(contains("holds no nights"));
    let vague = |run: &mut Run| (run.strategy, run.wobble) = (run.strategy * 1.05, 0.05);
    case.night(vague).code(0).stdout(contains("but the intervals overlap"));
}

#[test]
fn nights_of_other_machines_do_not_count() {
    let case = Case::new(&wobbling(0.06));
    let others = fs::read_to_string(case.history()).unwrap().replace(CLASS, "aarch64-other-4c-linux6.6-4k");
    fs::write(case.history(), others).unwrap();
    let found = case.night(|run| run.strategy *= 1.05).code(1);
    found
        .stdout(contains("no earlier quiet night of machine class"))
        .stdout(contains("(0 noisy ones, 20 of others)"));
}

#[test]
fn noisy_nights_of_the_same_machine_are_not_taken_for_others() {
    let case = Case::new(&wobbling(0.06));
    let noisy = fs::read_to_string(case.history()).unwrap().replace("\"noisy\":false", "\"noisy\":true");
    fs::write(case.history(), noisy).unwrap();
    case.night(|_| {}).stdout(contains("(20 noisy ones, 0 of others)"));
}

#[test]
fn a_night_is_recorded_once() {
    let case = Case::new(&wobbling(0.002));
    let night = Run::new("tonight").write(case.folder.path());
    let mut command = resetbench();
    command.args(["check", "--record", "--baseline"]).arg(&case.baseline).arg(&night);
    command.arg("--history").arg(case.history());
    command.assert().code(0);
    let recorded = fs::read_to_string(case.history()).unwrap();
    assert_eq!(recorded.lines().count(), 21);
    assert!(recorded.ends_with("}\n"));
    command.assert().code(0).stderr(contains("already"));
    assert_eq!(fs::read_to_string(case.history()).unwrap(), recorded);
}

#[test]
fn a_figure_shows_the_nights_and_where_they_changed() {
    let mut nights = wobbling(0.002);
    nights[12..].iter_mut().for_each(|(strategy, _)| *strategy *= 1.1);
    let case = Case::new(&nights);
    let night = Run::new("tonight").write(case.folder.path());
    let draw = |name: &str| {
        let file = case.folder.path().join(name);
        let mut command = resetbench();
        command.arg("check").arg("--baseline").arg(&case.baseline).arg("--history").arg(case.history());
        (command.arg("--figure").arg(&file).arg(&night).assert(), fs::read(file))
    };
    let (checked, svg) = draw("nights.svg");
    let svg = String::from_utf8(svg.unwrap()).unwrap();
    checked
        .code(0)
        .stdout(contains("## Nights"))
        .stdout(contains("A hollow mark is a noisy night"))
        .stdout(contains("2026-01-13 +10.0 %, 2026-03-01 -9.2 % (seen once)"));
    assert!(svg.contains("2026-01-13 +10.0 %") && svg.contains("(seen once)"), "{svg}");
    let (checked, png) = draw("nights.png");
    checked.code(0);
    assert!(png.unwrap().starts_with(b"\x89PNG"));
    let (checked, none) = draw("nights.pdf");
    checked.code(3).stdout("").stderr(contains("name a file that ends in .svg or .png"));
    assert!(none.is_err());
}

#[test]
fn the_json_says_the_same() {
    let case = Case::new(&wobbling(0.002));
    let night = Run::new("tonight").write(case.folder.path());
    let mut command = resetbench();
    let output = command.args(["check", "--json", "--baseline"]).arg(&case.baseline).arg(&night);
    let report: serde_json::Value = serde_json::from_slice(&output.output().unwrap().stdout).unwrap();
    assert_eq!((&report["outcome"], &report["schema"]), (&"fine".into(), &1.into()));
    assert_eq!(
        report["findings"].as_array().unwrap().len(),
        2,
        "cycle and memory of one strategy: {report:#}"
    );
}

/// Each is named, and nothing is compared.
#[test]
fn unusable_input_is_refused_by_name() {
    let case = Case::new(&[]);
    let refused = |change: &dyn Fn(&mut Run), why: &str| {
        case.night(|run| change(run)).code(3).stdout("").stderr(contains(why));
    };
    refused(&|run| run.pair = None, "no A/A pair");
    refused(&|run| run.record.machine.class = "another".into(), "a class needs a baseline of its own");
    refused(&|run| run.record.workloads[0].module_sha256 = "33".repeat(32), "ran another module in each run");
    refused(&|run| run.record.workloads[0].trace_sha256 = "33".repeat(32), "ran other blocks in each run");
    let filled = |run: &mut Run| run.record.workloads[0].filled_from_sha256 = Some("33".repeat(32));
    refused(&filled, "other blocks filled the store of `stress/touch dirty=256` in each run");
    refused(&|run| run.record.workloads[0].name = "stress/other".into(), "no workload in common");
    refused(&|run| run.record.baseline = STRATEGY.into(), "not the same figure");
    refused(&|run| run.record.schema = 2, "has schema 2, and this program reads 1");
}

#[test]
fn files_that_were_cut_or_edited_are_refused_by_line() {
    let case = Case::new(&[]);
    let night = Run::new("tonight").write(case.folder.path());
    let rows = night.join("rows.ndjson");
    let whole = fs::read_to_string(&rows).unwrap();

    // The end of an interrupted run: tolerated, and said.
    fs::write(&rows, &whole[..whole.len() - 20]).unwrap();
    case.check(&night).code(0).stdout(contains("the last line breaks off"));

    fs::write(&rows, whole.replacen("\"value\":", "\"value\":-", 1)).unwrap();
    case.check(&night).code(3).stderr(contains("rows.ndjson:2: not a row"));

    let twice = format!("{whole}{}\n", whole.lines().nth(3).unwrap());
    fs::write(&rows, twice).unwrap();
    case.check(&night).code(3).stderr(contains("the rows were edited"));

    fs::write(&rows, whole.replace("\"run\":\"tonight\"", "\"run\":\"yesterday\"")).unwrap();
    case.check(&night).code(3).stderr(contains("a summary speaks of one run"));

    fs::remove_file(&rows).unwrap();
    case.check(&night).code(3).stderr(contains("holds neither rows (rows.ndjson"));

    fs::write(case.history(), "{\"schema\":9}\n").unwrap();
    fs::write(&rows, whole).unwrap();
    case.check(&night).code(3).stderr(contains("history.ndjson:1: has schema 9"));
}

#[test]
fn a_folder_that_is_no_run_is_refused() {
    let case = Case::new(&[]);
    case.check(Path::new("/nonexistent")).code(3).stderr(contains("is this the folder of a run?"));
}
