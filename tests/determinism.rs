//! `determinism`, through the real binary and real processes under real limits.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

const BINARY: &str = "resetbench";

/// Groups of a suite that are still there.
fn groups_of(pid: u32) -> Vec<String> {
    let mut found = Vec::new();
    for top in ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"] {
        let Ok(entries) = std::fs::read_dir(top) else { continue };
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        found.extend(names.filter(|name| name.starts_with(&format!("resetbench-{pid}-"))));
    }
    found
}

fn run(out: &Path, args: &[&str]) -> (Option<i32>, Value, u32) {
    let child = Command::new(cargo_bin(BINARY))
        .args(["determinism", "--profile", "smoke", "--json", "--quiet", "--out"])
        .arg(out)
        .args(args)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    let json = serde_json::from_slice(&output.stdout).expect("JSON on standard output");
    (output.status.code(), json, pid)
}

fn outcome<'a>(report: &'a Value, environment: &str, commit: &str) -> &'a Value {
    let cells = report["cells"].as_array().unwrap();
    let found = cells.iter().find(|cell| {
        cell["environment"].as_str().unwrap().starts_with(environment) && cell["commit"] == commit
    });
    found.unwrap_or_else(|| panic!("no cell of {commit} in {environment}"))
}

/// Whether a cell was run; says loudly when it was not.
fn ran(cell: &Value) -> bool {
    if cell["outcome"] == "not-run" {
        eprintln!("NOT TESTED HERE: {}: {}", cell["environment"], cell["reason"]);
    }
    cell["outcome"] != "not-run"
}

#[test]
fn lazy_diverges_or_is_killed_and_canary_does_neither() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let (code, report, pid) = run(&out, &[]);
    assert_eq!(code, Some(0));
    assert_eq!(report["schema"], 1);
    let lazy = |environment| outcome(&report, environment, "lazy");
    assert_eq!(lazy("as-found")["outcome"], "reference");
    assert_eq!(lazy("as-found")["stored"], "SUCCESS:1000MB");
    let diverged = lazy("rlimit-data");
    assert_eq!(diverged["outcome"], "diverged");
    assert!(diverged["stored"].as_str().unwrap().starts_with("ERROR:failed at allocation"));
    assert_ne!(diverged["root"], lazy("as-found")["root"]);
    if ran(lazy("cgroup")) {
        assert_eq!(lazy("cgroup")["outcome"], "killed-in-block");
    }
    for cell in report["cells"].as_array().unwrap().iter().filter(|cell| cell["commit"] == "canary") {
        match cell["outcome"].as_str().unwrap() {
            "reference" | "not-run" => {}
            "refused" => {
                assert_eq!(cell["exit_code"], 78, "{cell}");
                let reason = cell["reason"].as_str().unwrap();
                assert!(reason.contains("are needed") && reason.contains("raise"), "{reason}");
            }
            other => panic!("canary: {other}: {cell}"),
        }
    }
    assert_eq!(groups_of(pid), [""; 0], "groups are removed");
    let rows = std::fs::read_to_string(out.join("rows.ndjson")).unwrap();
    assert_eq!(rows.lines().count(), report["cells"].as_array().unwrap().len());
    for file in ["determinism.json", "determinism.svg", "determinism.png"] {
        assert!(out.join(file).metadata().unwrap().len() > 500, "{file}");
    }
}

#[test]
fn limits_that_make_no_sense_are_refused_beforehand() {
    for (limit, reason) in
        [("1MiB", "below what this program needs"), ("many", "is no unit"), ("9999999GiB", "limits nothing")]
    {
        let output =
            Command::new(cargo_bin(BINARY)).args(["determinism", "--limit", limit]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(reason), "{limit}: {said}");
    }
}

/// The children of a process.
fn children_of(pid: u32) -> Vec<i32> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

#[test]
fn nothing_is_left_behind_when_a_child_is_killed_and_the_run_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let mut suite = Command::new(cargo_bin(BINARY))
        .args(["determinism", "--profile", "smoke", "--quiet", "--limit", "300MiB", "--out"])
        .arg(folder.path().join("run"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = suite.id();
    let until = Instant::now() + Duration::from_secs(60);
    let mut killed = 0;
    // The first children that are seen are killed, and then the run is stopped while another is at work.
    while Instant::now() < until && suite.try_wait().unwrap().is_none() {
        for child in children_of(pid) {
            // SAFETY: sends a signal to a process that the suite under test has started.
            unsafe { libc::kill(child, libc::SIGKILL) };
            killed += 1;
        }
        if killed >= 3 {
            // SAFETY: sends a signal to the process that this test has started.
            unsafe { libc::kill(i32::try_from(pid).unwrap(), libc::SIGINT) };
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(killed >= 3, "no children were seen");
    let status = suite.wait().unwrap();
    assert!(matches!(status.code(), Some(130 | 0 | 1)), "{status}");
    assert_eq!(groups_of(pid), [""; 0], "groups are removed");
    assert_eq!(children_of(pid), [0; 0]);
}
