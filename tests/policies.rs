//! `policies` through the real binary, with few blocks.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

fn policies(args: &[&str]) -> Output {
    Command::new(cargo_bin("resetbench"))
        .args(["policies", "--quiet", "--seed", "1"])
        .args(args)
        .output()
        .unwrap()
}

/// Little enough for any machine.
const SMALL: [&str; 2] = ["--memory-max", "64MiB"];

/// What a short run with `fresh/relink` writes, and the rows beside it.
fn report(out: &Path, args: &[&str]) -> (Value, Vec<Value>) {
    let common = ["--json", "-s", "fresh/relink", "--out", out.to_str().unwrap()];
    let output = policies(&[&SMALL[..], &common, args].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows = std::fs::read_to_string(out.join("rows.ndjson")).unwrap();
    let rows = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (serde_json::from_slice(&output.stdout).unwrap(), rows)
}

fn cell<'a>(report: &'a Value, policy: &str) -> &'a Value {
    let cells = report["cells"].as_array().unwrap();
    cells.iter().find(|cell| cell["policy"] == policy).unwrap_or_else(|| panic!("no {policy} in {report:#}"))
}

fn counts(cell: &Value) -> [u64; 4] {
    ["blocks", "resets", "retries", "failed"].map(|key| cell["cost"][key].as_u64().unwrap())
}

fn says(cell: &Value, key: &str, start: &str) {
    let text = cell[key].as_str().unwrap_or_else(|| panic!("no {key} in {cell:#}"));
    assert!(text.starts_with(start), "{key}: {text}");
}

#[test]
fn memory_that_grows_ends_where_it_is_told_to_and_each_policy_resets_when_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    // 512 wasm pages at the start, 64 more with each block: block 8 fills the memory, and block 9 does not fit.
    let grow = ["-w", "stress/touch", "-p", "grow=64", "--blocks-count", "160"];
    let (report, rows) =
        report(&out, &[&grow[..], &["--policy", "above=48MiB", "--policy", "on-failure"]].concat());
    assert_eq!(report["schema"], 1);
    let every = cell(&report, "every");
    assert_eq!(every["equivalence"], "equivalent");
    assert!(every["cost"]["ratio_to_every"].is_null());
    assert_eq!(counts(every), [160, 160, 0, 0]);
    // Four blocks to 48 MiB, and a reset.
    let above = cell(&report, "above=48MiB");
    assert_eq!(counts(above), [160, 40, 0, 0]);
    // Eight blocks, one that fails, a reset, and its retry as the first of eight.
    let on_failure = cell(&report, "on-failure");
    assert_eq!(counts(on_failure), [160, 19, 19, 0]);
    for leaks in [above, on_failure] {
        assert_eq!(leaks["equivalence"], "diverged");
        says(leaks, "first_difference", "after block 0, which no reset follows, memory 0");
        says(leaks, "consequence", "block 1 flushed other bytes than a fresh instance");
        let ratio = &leaks["cost"]["ratio_to_every"];
        assert!(ratio["low"].as_f64() <= ratio["value"].as_f64(), "{ratio}");
        assert!(ratio["value"].as_f64() <= ratio["high"].as_f64(), "{ratio}");
        assert!(leaks["memory"]["peak"].as_u64() > every["memory"]["peak"].as_u64(), "{leaks:#}");
    }
    for cell in [every, above, on_failure] {
        assert_eq!(cell["memory_max_bytes"], 64 << 20);
        assert_eq!((&cell["cost"]["launches"], &cell["growth"]["windows"]), (&3.into(), &60.into()));
        let times =
            rows.iter().filter(|row| row["params"]["policy"] == cell["policy"] && row["metric"] == "time");
        assert_eq!(times.count(), 60, "a row for each window");
    }
    let written: Value = serde_json::from_slice(&std::fs::read(out.join("policies.json")).unwrap()).unwrap();
    assert_eq!(written, report);
}

#[test]
fn a_block_that_fails_is_retried_and_without_a_reset_spoils_those_that_follow() {
    let folder = tempfile::tempdir().unwrap();
    let cut = ["-w", "indexer/lru", "-p", "limit_mebibytes=4", "--cut-every", "4", "--blocks-count", "80"];
    let (report, _) = report(&folder.path().join("run"), &cut);
    assert_eq!(cell(&report, "every")["equivalence"], "equivalent");
    assert_eq!(counts(cell(&report, "every")), [80, 80, 0, 20]);
    // The block that failed holds its cache for good.
    assert_eq!(counts(cell(&report, "above=1.75GB")), [80, 0, 0, 77]);
    // It fails again when it is retried; so does the next, which is retried after another reset.
    assert_eq!(counts(cell(&report, "on-failure")), [80, 39, 39, 20]);
}

#[test]
fn no_figure_of_a_policy_is_without_its_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let args = ["-w", "foreign/c", "--blocks-count", "40", "-s", "copy/full", "--out", out.to_str().unwrap()];
    let output = policies(&[&SMALL[..], &args].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    for (policy, verdict) in
        [("every", "equivalent"), ("above=1.75GB", "diverged"), ("on-failure", "diverged")]
    {
        let line = text.lines().find(|line| line.starts_with(policy)).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(line.split_whitespace().nth(1), Some(verdict), "{line}");
    }
    assert!(text.replace('\n', " ").replace("   ", " ").contains("no saving"), "{text}");
    assert!(!text.contains("faster"), "{text}");
}

#[test]
fn a_strategy_that_is_wrong_by_itself_has_no_time() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let out = out.to_str().unwrap();
    let args = ["-w", "foreign/c", "--blocks-count", "20", "-s", "control/none", "--json", "--out", out];
    let output = policies(&[&SMALL[..], &args].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing could be measured"));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let every = cell(&report, "every");
    assert_eq!((&every["equivalence"], &every["cost"]), (&"diverged".into(), &Value::Null));
    says(every, "reason", "no time");
}

#[test]
fn what_makes_no_sense_is_refused_beforehand() {
    for (args, reason) in [
        (&["--policy", "sometimes"][..], "a policy is `every`"),
        (&["--launches", "2"], "3"),
        (&["--cut-every", "1"], "2"),
        (&["-p", "grow=8"], "--workload"),
        (&["-w", "stress/touch", "--memory-max", "1MiB"], "its memory begins with 32.0 MiB"),
        (&["-w", "stress/tuch"], "did you mean `stress/touch`?"),
    ] {
        let output = policies(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{args:?}: {said}");
        assert!(said.contains(reason), "{args:?}: {said}");
    }
}

#[test]
fn ctrl_c_keeps_the_launches_that_were_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut suite = Command::new(cargo_bin("resetbench"))
        .args(["policies", "--quiet", "--json", "--seed", "1", "-w", "foreign/c", "-s", "copy/full"])
        .args(SMALL)
        .args(["--launches", "100000", "--blocks-count", "20", "--out"])
        .arg(&out)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let launches = || {
        let rows = std::fs::read_to_string(out.join("rows.ndjson")).unwrap_or_default();
        rows.lines().filter(|line| line.contains("\"peak_rss\"")).count() / 3
    };
    let until = Instant::now() + Duration::from_secs(120);
    while launches() < 3 {
        assert!(Instant::now() < until, "no three launches in two minutes");
        assert!(suite.try_wait().unwrap().is_none(), "it ended before it could be interrupted");
        std::thread::sleep(Duration::from_millis(20));
    }
    // SAFETY: sends a signal to the process that this test has started.
    unsafe { libc::kill(i32::try_from(suite.id()).unwrap(), libc::SIGINT) };
    let output = suite.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["interrupted"], true);
    let on_failure = &cell(&report, "on-failure")["cost"];
    assert!(
        on_failure["launches"].as_u64() >= Some(3) && on_failure["ratio_to_every"].is_object(),
        "{on_failure}"
    );
}
