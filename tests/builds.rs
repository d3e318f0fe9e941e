//! `check` of a run that holds two builds: what it is, by its exit code, and what is told.

mod common;

use std::fs;

use assert_cmd::assert::Assert;
use common::{Run, STRATEGY, resetbench};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use resetbench::protocol::{Planted, Wasted};

const OLD: &str = "dirty/uffd-wp@old";

/// Checks a run of two builds after it was changed in some way.
fn checked(options: &[&str], change: impl FnOnce(&mut Run)) -> Assert {
    let folder = tempfile::tempdir().expect("a folder");
    let mut run = Run::of_two_builds("tonight");
    change(&mut run);
    let night = run.write(folder.path());
    resetbench().arg("check").args(options).arg(night).assert()
}

#[test]
fn two_builds_that_are_alike_are_fine() {
    checked(&[], |_| {})
        .code(0)
        .stdout(contains("# Night `tonight`: fine, nothing worse than in `old`"))
        .stdout(contains("in every one of 2 series"));
}

#[test]
fn a_slower_build_is_a_finding_with_its_effect_and_a_command() {
    checked(&[], |run| run.strategy *= 1.05)
        .code(1)
        .stdout(contains("# Night `tonight`: **1 finding** against `old`"))
        .stdout(contains(format!("- `{STRATEGY}` on `stress/touch` takes 5.0 % more than in `old` (+4.")))
        .stdout(contains("; execute +5.0 %, reset +5.0 %)."))
        .stdout(contains(format!(
            "`resetbench run --host plain --aa --against target/old=old --profile smoke -w stress/touch -p dirty=256 -s {STRATEGY}`"
        )));
}

#[test]
fn a_finding_is_drawn_and_annotated() {
    let slower = |run: &mut Run| (run.pair, run.strategy) = (Some(1.001), run.strategy * 1.05);
    checked(&["--annotate"], slower)
        .code(1)
        .stdout(contains(format!("```text\n{STRATEGY} on stress/touch  old  ")))
        .stderr(predicates::str::starts_with(format!(
            "::error title={STRATEGY} on stress/touch::`{STRATEGY}` on `stress/touch` takes 5.0 %25 more than in `old` (+4."
        )));
    checked(&["--annotate"], |_| {}).code(0).stderr("");
}

/// So that the gate can be tried.
#[test]
fn what_was_made_worse_on_purpose_is_judged_and_said_to_be_no_result() {
    let planted = |run: &mut Run| {
        run.strategy *= 1.05;
        let record =
            run.record.strategies.iter_mut().find(|record| record.name == STRATEGY).expect("it runs");
        record.planted = Some(Planted { what: Wasted::Reset, amount: 50 });
    };
    checked(&[], planted)
        .code(1)
        .stdout(contains(format!("Note: `{STRATEGY}` was made worse on purpose: this is no result.")));
}

#[test]
fn a_faster_build_is_told_and_no_failure() {
    checked(&[], |run| run.strategy *= 0.9)
        .code(0)
        .stdout(contains("Better than before"))
        .stdout(contains("takes 10 % less than in `old`"));
}

#[test]
fn a_pair_that_moved_mutes_what_it_reaches_and_nothing_else() {
    let moved = |run: &mut Run| (run.pair, run.strategy) = (Some(1.06), run.strategy * 1.05);
    checked(&[], moved).code(0).stdout(contains("1 could not be told from the noise of their workload"));
    checked(&["--resolve", "5%"], moved)
        .code(2)
        .stdout(contains("nothing found, but changes of 5\u{a0}% could not have been seen everywhere"));
    let beyond = |run: &mut Run| (run.pair, run.strategy) = (Some(1.06), run.strategy * 1.2);
    checked(&["--resolve", "5%"], beyond).code(1).stdout(contains("takes 20 % more than in `old`"));
}

#[test]
fn what_was_asked_to_be_seen_decides_between_fine_and_coarse() {
    checked(&["--resolve", "5%"], |_| {}).code(0);
    let vague = |run: &mut Run| run.wobble = 0.2;
    checked(&[], vague).code(0);
    checked(&["--resolve", "5%"], vague).code(2);
    checked(&["--resolve", "5"], |_| {}).failure().stderr(contains("`5` is no share above 0, such as 5%"));
}

#[test]
fn a_page_restored_too_often_is_found_however_noisy_the_night() {
    let page = |run: &mut Run| {
        (run.pair, run.wobble) = (Some(1.3), 0.2);
        run.counts_of(STRATEGY).iter_mut().for_each(|bytes| *bytes += run_page());
    };
    checked(&[], page).code(1).stdout(contains(format!(
        "`{STRATEGY}` on `stress/touch` restores 1 page a block more than in `old` ("
    )));
    let fewer = |run: &mut Run| run.counts_of(OLD).iter_mut().for_each(|bytes| *bytes += run_page());
    checked(&[], fewer).code(0).stdout(contains("restores 1 page a block less than in `old`"));
}

/// The page of the machine that the record is of.
fn run_page() -> u64 {
    procfs::page_size()
}

#[test]
fn memory_counts_beyond_its_band() {
    let holding = |bytes| move |run: &mut Run| run.resident.push((STRATEGY.into(), bytes));
    checked(&[], holding(51 << 20)).code(0);
    checked(&[], holding(55 << 20)).code(1).stdout(contains("holds 55.0 MiB between blocks, after 50.0 MiB"));
    checked(&[], holding(20 << 20)).code(0).stdout(contains("holds 20.0 MiB between blocks, after 50.0 MiB"));
}

#[test]
fn soundness_that_was_lost_is_a_finding_on_any_night() {
    let broken = |run: &mut Run| (run.pair, run.diverged) = (Some(1.3), true);
    checked(&[], broken)
        .code(1)
        .stdout(contains("is equivalent in `old` and diverged now: memory 0 differs at 0x40."));
    checked(&[], |run| run.diverged_before = true)
        .code(0)
        .stdout(contains("Better than before"))
        .stdout(contains("is diverged in `old` and equivalent now."));
    checked(&[], |run| (run.diverged, run.diverged_before) = (true, true))
        .code(0)
        .stdout(contains("is not equal to a fresh instance in either build."));
}

#[test]
fn findings_can_be_acknowledged_for_a_while() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("known.toml");
    let entry = |series: &str, until: &str| {
        let text = format!(
            "[[acknowledged]]\nseries = \"{series}\"\nreason = \"it checks more\"\nuntil = {until}\n"
        );
        fs::write(&file, text).expect("a file");
        checked(&["--acknowledged", file.to_str().unwrap()], |run| run.strategy *= 1.05)
    };
    entry("dirty/* on stress/touch, time", "2026-03-01")
        .code(0)
        .stdout(contains("1 finding acknowledged, below."))
        .stdout(contains("Until 2026-03-01: it checks more"));
    entry("dirty/* on stress/touch, time", "2026-02-28").code(1).stdout(contains("expired on 2026-02-28"));
    entry("dirty/* on stress/touch, memory", "2026-12-31").code(1).stdout(contains("matches no finding"));
    entry("x\"\nwhy = \"y", "2026-12-31").code(3).stderr(contains("unknown field `why`"));
    let missing = ["--acknowledged", "/nonexistent.toml"];
    checked(&missing, |_| {}).code(3).stderr(contains("cannot read /nonexistent.toml"));
}

#[test]
fn the_json_says_the_same() {
    let output = checked(&["--json"], |run| run.strategy *= 1.05).code(1).get_output().stdout.clone();
    let report: serde_json::Value = serde_json::from_slice(&output).unwrap();
    assert_eq!((&report["outcome"], &report["against"]), (&"finding".into(), &"old".into()));
    assert_eq!(report["findings"][0]["ground"], "time");
    assert_eq!(report["times"]["series"].as_array().unwrap().len(), 2, "{report:#}");
}

#[test]
fn what_cannot_be_judged_is_refused_by_name() {
    let refused = |change: &dyn Fn(&mut Run), why: &str| {
        checked(&[], |run| change(run)).code(3).stdout("").stderr(contains(why));
    };
    refused(
        &|run| {
            run.old.clear();
            run.record.strategies.retain(|strategy| !strategy.name.contains('@'));
        },
        "holds one build: measure with `resetbench run --against PROGRAM`, or name an accepted run with --baseline",
    );
    refused(&|run| run.old.clear(), "has no strategy that was timed in both builds");
    let later = |run: &mut Run| run.old.push((format!("{STRATEGY}@older"), 0.4));
    refused(&later, "holds several old builds (old, older)");
}

/// Runs of two builds are nights like others where they are held against a baseline.
#[test]
fn the_old_build_is_no_series_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let baseline = Run::of_two_builds("accepted").write(folder.path());
    let night = Run::of_two_builds("tonight").write(folder.path());
    let mut command = resetbench();
    command
        .arg("check")
        .arg("--baseline")
        .arg(baseline)
        .arg(night)
        .assert()
        .code(0)
        .stdout(contains("@old").not());
}

#[test]
fn help_teaches_the_exit_codes() {
    resetbench()
        .args(["check", "--help"])
        .assert()
        .success()
        .stdout(contains("0 where nothing is worse"))
        .stdout(contains("1 where something is"))
        .stdout(contains("2 where nothing was found"))
        .stdout(contains("3 where the run cannot be judged"));
}
