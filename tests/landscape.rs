//! `run --suite landscape`, and what its axes need from a run: threads, an image, a spike.

mod common;

use std::fs;
use std::path::Path;

use common::resetbench;
use predicates::str::contains;
use serde_json::Value;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        .unwrap()
}

#[test]
fn what_does_not_fit_the_time_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut command = resetbench();
    command
        .args(["run", "--profile", "smoke", "--suite", "landscape", "-s", "fresh/pooling", "--out"])
        .arg(&out);
    command.assert().success().stdout(contains("places were left out")).stderr(contains("256 dirty pages"));

    let record = json(&out.join("run.json"));
    let (measured, left_out) =
        (record["workloads"].as_array().unwrap(), record["left_out"].as_array().unwrap());
    assert_eq!(measured[0]["params"]["dirty"], 256);
    assert!(left_out.len() > 100 && left_out[0].as_str().unwrap().contains("dirty pages"));
    let landscape = json(&out.join("landscape.json"));
    let slices = landscape["slices"].as_array().unwrap();
    let places: usize = slices.iter().map(|slice| slice["best"].as_array().unwrap().len()).sum();
    assert_eq!(places, measured.len());
    assert_eq!(landscape["left_out"].as_array(), Some(left_out));
}

#[test]
fn a_part_of_the_landscape_has_what_was_asked_for_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut command = resetbench();
    command
        .args(["run", "--profile", "smoke", "--suite", "landscape", "-s", "fresh/pooling", "--out"])
        .arg(&out);
    for param in
        ["dirty=1", "dirty=16", "motion=0", "shape=0", "image_kib=0", "grow=0", "spike=0", "threads=1"]
    {
        command.args(["-p", param]);
    }
    command.assert().success();
    let record = json(&out.join("run.json"));
    let dirty: Vec<_> = record["workloads"]
        .as_array()
        .unwrap()
        .iter()
        .map(|place| {
            (place["params"]["dirty"].as_u64().unwrap(), place["params"]["motion"].as_u64().unwrap())
        })
        .collect();
    assert!(dirty.starts_with(&[(16, 0)]) && dirty.len() <= 2, "{dirty:?}");
    for (param, message) in [("dirty=3", "no `dirty` of 3"), ("colour=1", "no axis `colour`")] {
        resetbench()
            .args(["run", "--suite", "landscape", "-p", param])
            .assert()
            .failure()
            .stderr(contains(message));
    }
    resetbench()
        .args(["run", "--suite", "landscape", "-w", "stress/touch"])
        .assert()
        .failure()
        .stderr(contains("has a workload of its own"));
}

#[test]
fn instances_at_once_are_verified_and_timed_together() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = |threads: u32| {
        let out = folder.path().join(threads.to_string());
        let mut command = resetbench();
        command
            .args(["run", "--profile", "smoke", "--aa", "--json", "-w", "stress/touch", "--out"])
            .arg(&out);
        command.args(["-s", "fresh/pooling", "-s", "copy/full", "-p", &format!("threads={threads}")]);
        for param in ["memory_pages=80", "span=256", "dirty=16", "image_kib=256", "spike=64", "grow=2"] {
            command.args(["-p", param]);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        let cells = summary["cells"].as_array().unwrap();
        assert_eq!(cells.len(), 5, "two strategies, baseline, floor, and the baseline again");
        for cell in cells {
            assert_eq!(cell["equivalence"], "equivalent", "{cell:#}");
        }
        let rows = fs::read_to_string(out.join("rows.ndjson")).unwrap();
        let rows = rows.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let counted = |row: &Value| row["metric"] == "minor_faults" && row["phase"] == "cycle";
        let samples: Vec<usize> =
            rows.filter(counted).map(|row| row["samples"].as_array().unwrap().len()).collect();
        samples[0]
    };
    assert_eq!(blocks(2), 2 * blocks(1));
}

/// Each thread looks behind its memories with an instance of its own, between a block and the next.
#[test]
fn an_instance_that_looks_takes_no_place_of_another_threads_session() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = resetbench();
    command.args([
        "run",
        "--profile",
        "smoke",
        "--json",
        "-w",
        "stress/touch",
        "-p",
        "threads=8",
        "-p",
        "dirty=16",
    ]);
    let output =
        command.args(["-s", "fresh/pooling*", "--out"]).arg(folder.path().join("run")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let cells = summary["cells"].as_array().unwrap();
    let judged = cells.iter().filter(|cell| cell["equivalence"] == "equivalent").count();
    assert!(judged >= 7, "{cells:#?}");
}
