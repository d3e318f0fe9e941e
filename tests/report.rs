//! `report`: what lies beside a run's own files, and files that are not what they are called.

mod common;

use std::fs;

use common::{Run, STRATEGY, resetbench};
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;

#[test]
fn claims_beside_a_run_are_part_of_its_report() {
    let parent = tempfile::tempdir().unwrap();
    let folder = Run::new("claimed").write(parent.path());
    let page = || {
        resetbench().arg("report").arg(&folder).assert().success();
        fs::read_to_string(folder.join("report.html")).unwrap()
    };
    let without = page();
    assert!(without.contains(STRATEGY) && !without.contains("id=\"claims\""));
    let claims = r#"{"schema":1,"machine":"any","interrupted":false,"claims":[{"id":"c1","source":"a talk",
        "statement":"resets are free","quoted":"1x","measured":"0.40x","verdict":"does-not-hold"}]}"#;
    fs::write(folder.join("claims.json"), claims).unwrap();
    let with = page();
    assert!(
        with.contains("id=\"claims\"") && with.contains("resets are free") && with.contains("does not hold")
    );
}

#[test]
fn a_landscape_beside_a_run_is_part_of_its_report() {
    let parent = tempfile::tempdir().unwrap();
    let folder = Run::new("workloads").write(parent.path());
    let mut landscape = Run::new("landscape");
    landscape.record.command = "resetbench run --suite landscape".into();
    landscape.record.left_out = ["the second place", "the third place"].map(String::from).into();
    landscape.write(&folder);
    resetbench().arg("report").arg(&folder).assert().success().stdout(contains(STRATEGY));
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(
        page.contains("id=\"answer\"") && !page.contains("id=\"places\""),
        "it is not taken for the run's own"
    );
    for said in ["id=\"landscape\"", "resetbench run --suite landscape", "the third place"] {
        assert!(page.contains(said), "{said}");
    }
    assert!(!folder.join("landscape.json").exists());
}

#[test]
fn policies_beside_a_run_are_part_of_its_report() {
    let parent = tempfile::tempdir().unwrap();
    let folder = Run::new("policies").write(parent.path());
    let policies = r#"{"schema":1,"command":"resetbench policies","machine":"any","wasmtime":"48","seed":1,
        "interrupted":false,"cells":[{"workload":"foreign/c","params":{},"memory_max_bytes":2147483648,
        "strategy":"copy/full","policy":"on-failure","equivalence":"diverged","verified_blocks":2,
        "first_difference":"memory 0 differs","consequence":"block 1 flushed other bytes","reason":null,
        "cost":{"launches":3,"blocks":40,"block_ns":{"p50":1000,"p95":1100,"p99":1200,"max":1300,"n":120},
        "total_ns":41000,"ratio_to_every":{"value":0.5,"low":0.4,"high":0.625},"resets":0,"retries":0,"failed":0},
        "memory":null,"growth":null}]}"#;
    fs::write(folder.join("policies.json"), policies).unwrap();
    resetbench().arg("report").arg(&folder).assert().success();
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    for part in ["id=\"policies\"", "<td>diverged</td>", "block 1 flushed other bytes", "no saving"] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn a_malformed_file_beside_a_run_is_named() {
    let parent = tempfile::tempdir().unwrap();
    let folder = Run::new("broken").write(parent.path());
    fs::write(folder.join("determinism.json"), "{}").unwrap();
    let says = contains("determinism.json is malformed").and(contains("remove it"));
    resetbench().arg("report").arg(&folder).assert().failure().stderr(says);
}
