//! `claims`, through the real binary: some that are quick, each with its row; and those of hosts.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

/// Claims that hosts have made in public.
const OF_HOSTS: [&str; 7] = [
    "cow-saves-cpu",
    "cow-leaks-pages",
    "unreset-views-are-faster",
    "unreset-views-answer-alike",
    "wasmtime-resets-cost-more",
    "growing-to-the-maximum",
    "at-once-by-pooling",
];

fn claims(args: &[&str]) -> std::process::Output {
    Command::new(cargo_bin("resetbench")).arg("claims").args(args).output().unwrap()
}

#[test]
fn claims_are_measured_and_each_verdict_has_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let chosen = [
        "limits-do-not-commit",
        "one-byte-commits-a-wasm-page",
        "touch-as-written",
        "zeros-share-a-page",
        "no-state-between-blocks",
        "refresh-forgets",
    ];
    let mut args = vec!["--json", "--quiet", "--seed", "1", "--out", out.to_str().unwrap()];
    for claim in chosen {
        args.extend(["--claim", claim]);
    }
    let output = claims(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let verdict = |id: &str| {
        let claims = report["claims"].as_array().unwrap();
        let claim = claims.iter().find(|claim| claim["id"] == id).unwrap_or_else(|| panic!("no {id}"));
        for key in ["source", "statement", "quoted", "measured"] {
            assert!(!claim[key].as_str().unwrap().is_empty(), "{id}: {key}");
        }
        claim["verdict"].as_str().unwrap().to_owned()
    };
    assert_eq!(verdict("limits-do-not-commit"), "holds");
    assert_eq!(verdict("one-byte-commits-a-wasm-page"), "does-not-hold");
    assert_eq!(verdict("touch-as-written"), "does-not-hold");
    assert_eq!(verdict("zeros-share-a-page"), "does-not-hold");
    assert_eq!(verdict("no-state-between-blocks"), "does-not-hold");
    assert_eq!(verdict("refresh-forgets"), "holds");

    let rows = std::fs::read_to_string(out.join("rows.ndjson")).unwrap();
    let rows: Vec<Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for claim in report["claims"].as_array().unwrap() {
        let row = rows.iter().find(|row| row["metric"] == claim["id"]).expect("a row per claim");
        assert_eq!(row["params"]["verdict"], claim["verdict"]);
        assert!(row["value"].is_number(), "{row}");
    }
}

#[test]
fn what_hosts_have_said_is_measured_and_what_is_wrong_or_was_not_run_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut args = vec!["--json", "--quiet", "--seed", "1", "--out", out.to_str().unwrap()];
    for claim in OF_HOSTS {
        args.extend(["--claim", claim]);
    }
    let output = claims(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let claim = |id: &str| {
        let claims = report["claims"].as_array().unwrap();
        claims.iter().find(|claim| claim["id"] == id).unwrap_or_else(|| panic!("no {id}"))
    };
    let measured = |id: &str| claim(id)["measured"].as_str().unwrap();
    for project in ["qubitcoin", "metashrew", "Substreams", "Spin"] {
        let of = |id: &&&str| claim(id)["source"].as_str().unwrap().starts_with(project);
        assert!(OF_HOSTS.iter().any(|id| of(&id)), "{project} is named");
    }

    // What does not hang on time has one answer everywhere.
    assert_eq!(claim("cow-leaks-pages")["verdict"], "does-not-hold");
    assert_eq!(claim("growing-to-the-maximum")["verdict"], "holds");
    let growing = measured("growing-to-the-maximum");
    assert!(growing.contains("grown to 4 GiB by the host, memory.grow returns -1"), "{growing}");
    assert!(growing.contains("touch-os-page") && !growing.contains("; touch-os-page: "), "{growing}");

    assert_eq!(claim("unreset-views-answer-alike")["verdict"], "does-not-hold");
    let wrong = measured("unreset-views-answer-alike");
    assert!(wrong.contains("answers 1 after it, and one that was reset 2"), "{wrong}");
    assert!(wrong.contains("flushed other bytes than a fresh instance"), "{wrong}");

    // What cannot be run is not judged.
    assert_eq!(claim("wasmtime-resets-cost-more")["verdict"], "not-run");
    assert!(measured("wasmtime-resets-cost-more").contains("wazero is an engine for Go and was not run"));

    // The rest is a matter of time, and has figures behind it. A gain from leaving resets out is never without what it costs.
    assert!(measured("unreset-views-are-faster").contains("out of date"));
    assert!(measured("at-once-by-pooling").contains("no server"));
    let rows = std::fs::read_to_string(out.join("rows.ndjson")).unwrap();
    let rows: Vec<Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (id, samples) in [("cow-saves-cpu", 15), ("unreset-views-are-faster", 15), ("at-once-by-pooling", 63)]
    {
        assert_ne!(claim(id)["verdict"], "not-run", "{}", measured(id));
        let row = rows.iter().find(|row| row["metric"] == id).expect("a row per claim");
        assert!(row["samples"].as_array().unwrap().len() >= samples, "{row}");
    }
}

#[test]
fn an_unknown_claim_is_named_with_the_nearest() {
    let output = claims(&["--claim", "zeros-share-a-pag"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("zeros-share-a-page"), "{said}");
}

#[test]
fn ctrl_c_keeps_the_claims_that_were_measured() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut suite = Command::new(cargo_bin("resetbench"))
        .args(["claims", "--quiet", "--json", "--seed", "1", "--out"])
        .arg(&out)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let rows = || std::fs::read_to_string(out.join("rows.ndjson")).unwrap_or_default().lines().count();
    let until = Instant::now() + Duration::from_secs(300);
    while rows() == 0 {
        assert!(Instant::now() < until, "no claim was measured in five minutes");
        assert!(suite.try_wait().unwrap().is_none(), "it ended before it could be interrupted");
        std::thread::sleep(Duration::from_millis(20));
    }
    // SAFETY: sends a signal to the process that this test has started.
    unsafe { libc::kill(i32::try_from(suite.id()).unwrap(), libc::SIGINT) };
    let output = suite.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["interrupted"], true);
    let kept = report["claims"].as_array().unwrap();
    assert_eq!(kept.len(), rows(), "a row for each claim that is reported");
    assert!(kept.len() < 35, "it was interrupted");
}
