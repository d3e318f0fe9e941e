//! `compare` and `merge`: runs against each other.

mod common;

use common::{Run, STRATEGY, resetbench};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn a_change_has_an_interval_and_a_verdict() {
    let folder = folder();
    let a = Run::new("before").write(folder.path());
    let mut later = Run::new("after");
    later.strategy *= 1.25;
    let b = later.write(folder.path());
    let json = resetbench().arg("compare").arg("--json").args([&a, &b]).output().unwrap();
    let comparison: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let change = comparison["changes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|change| change["series"]["strategy"] == STRATEGY && change["series"]["metric"] == "cycle")
        .unwrap();
    assert_eq!(change["verdict"], "slower");
    let value = change["change"]["value"].as_f64().unwrap();
    assert!((1.24..1.26).contains(&value), "{value}");
    resetbench().arg("compare").args([&a, &b]).assert().success().stdout(contains("**more**"));
    resetbench().arg("compare").args([&a, &a]).assert().success().stdout(contains("**more**").not());
}

#[test]
fn what_is_unlike_is_said() {
    let folder = folder();
    let a = Run::new("here").write(folder.path());
    let mut other = Run::new("there");
    other.record.machine.class = "aarch64-other".into();
    other.record.wasmtime = "49.0.0".into();
    let b = other.write(folder.path());
    resetbench()
        .arg("compare")
        .args([&a, &b])
        .assert()
        .success()
        .stdout(contains("the machine class differs").and(contains("wasmtime differs")));
}

#[test]
fn machines_become_columns() {
    let folder = folder();
    let a = Run::new("here").write(folder.path());
    let older = {
        let mut run = Run::new("long ago");
        run.record.started = "2020-01-01T00:00:00Z".into();
        run.write(folder.path())
    };
    let mut other = Run::new("there");
    other.record.machine.class = "aarch64-other".into();
    let b = other.write(folder.path());
    let out = folder.path().join("fleet");
    resetbench()
        .arg("merge")
        .args([&older, &a, &b])
        .arg("--out")
        .arg(&out)
        .assert()
        .success()
        .stdout(contains("# 2 machines").and(contains("| `aarch64-other` |")).and(contains("long ago")));
    let fleet: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("fleet.json")).unwrap()).unwrap();
    assert_eq!(fleet["machines"].as_object().unwrap().len(), 2);
    assert_eq!(fleet["series"][0]["ratios"].as_object().unwrap().len(), 2);
}
