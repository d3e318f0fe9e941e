//! `trust`: that it tries, and that what it plants is named. What it finds in so short a time means nothing.

mod common;

use common::resetbench;
use serde_json::Value;

#[test]
fn trials_are_counted_by_contender() {
    let mut command = resetbench();
    command.args(["trust", "--aa", "1", "--planted", "1", "--launches", "2", "--quiet-core"]);
    let output = command.args(["--seconds", "0.2", "--aa-seconds", "0.2"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&str> = answer["series"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["fresh/relink#2", "fresh/relink#planted-execute-20", "fresh/relink#planted-reset-20"]);
    for trial in answer["trials"].as_array().unwrap() {
        assert!(trial["ratio"]["value"].as_f64().is_some_and(|ratio| ratio > 0.0), "{trial}");
    }
}

#[test]
fn a_comparison_takes_one_workload() {
    let output =
        resetbench().args(["trust", "--aa", "1", "--planted", "0", "-w", "indexer"]).output().unwrap();
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains("these are 3 workloads, and a comparison takes one: name it with --workload"),
        "{told}"
    );
}
