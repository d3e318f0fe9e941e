//! `resetbench kernels`, and who goes by what it prints.

use std::fs;

use predicates::str::contains;
use serde_json::json;

use crate::common::{committed, list, read, resetbench, text};

/// A folder with one boot, on which a sound strategy was seen to be right or not.
fn boot(equivalence: &str) -> tempfile::TempDir {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("boots/x86_64-9.1");
    fs::create_dir_all(&folder).unwrap();
    let boot = json!({
        "schema": 1, "cell": "x86_64-9.1", "arch": "x86_64", "kernel": "9.1.0-amd64", "page_size": 4096, "swap": false,
        "cgroup": 2, "ksm": false, "program": "resetbench", "date": "2026-11-29", "outcome": "completed", "steps": [],
    });
    fs::write(folder.join("cell.json"), boot.to_string()).unwrap();
    let difference = (equivalence == "diverged").then_some("memory 0 differs");
    let verify = json!({
        "schema": 1, "seed": 1, "policy": "every", "clean_blocks": 10, "schedules": [],
        "cells": [{
            "strategy": "copy/full", "workload": "foreign/c", "control": false, "equivalence": equivalence, "blocks": 10,
            "first_difference": difference, "schedule": "in-order", "schedules": [{"name": "in-order", "blocks": 10}],
        }],
    });
    fs::write(folder.join("verify.json"), verify.to_string()).unwrap();
    scratch
}

#[test]
fn boots_are_collected_and_only_an_unsound_strategy_is_a_failure() {
    for (equivalence, code) in [("equivalent", 0), ("diverged", 1)] {
        let scratch = boot(equivalence);
        let out = scratch.path().join("out");
        let ran = resetbench()
            .args(["kernels", "collect"])
            .arg(scratch.path().join("boots"))
            .arg("--out")
            .arg(&out)
            .assert()
            .code(code)
            .stdout(contains("Linux 9.1.0-amd64"));
        if code == 1 {
            ran.stderr(contains(
                "error: x86_64-9.1: copy/full is not equal to a fresh instance: memory 0 differs",
            ));
        }
        let cell = read(&out.join("x86_64-9.1.json"));
        assert_eq!(list(&cell, "strategies")[0]["equivalence"], equivalence);
    }
    let scratch = tempfile::tempdir().unwrap();
    let nowhere =
        resetbench().args(["kernels", "collect"]).arg(scratch.path()).arg("--out").arg("/nowhere").assert();
    nowhere.code(1).stderr(contains("it takes one folder for each boot"));
}

#[test]
fn what_was_seen_is_printed_in_three_ways() {
    resetbench().arg("kernels").assert().success();
    resetbench()
        .args(["kernels", "--format", "markdown"])
        .assert()
        .success()
        .stdout(contains("| # | Linux |"));
    let printed = resetbench().args(["kernels", "--json"]).assert().success();
    let cells: Vec<serde_json::Value> = serde_json::from_slice(&printed.get_output().stdout).expect("JSON");
    for cell in &cells {
        assert!(!text(&cell["boot"], "cell").is_empty());
    }
}

/// From a run on another kernel: what is broken on the one that is asked for is ruled out, with the reason.
#[test]
fn a_kernel_that_is_asked_for_rules_out_what_fails_there() {
    let folder = committed();
    let shown =
        resetbench().arg("recommend").arg(&folder).args(["--kernel", "7.3", "--json"]).assert().success();
    let found: serde_json::Value = serde_json::from_slice(&shown.get_output().stdout).expect("JSON");
    let mut ruled_out = 0;
    for answer in list(&found, "recommendations") {
        assert_ne!(answer["strategy"], "fresh/pooling-scan");
        let excluded = list(answer, "excluded").iter().find(|out| out["strategy"] == "fresh/pooling-scan");
        let Some(excluded) = excluded else { continue };
        ruled_out += 1;
        let reason = text(excluded, "reason");
        assert!(reason.starts_with("wasmtime's pool scan is broken on Linux 7.3 and later: "), "{reason}");
        let seen = resetbench::kernels::all()
            .iter()
            .any(|cell| cell.kernel() == "7.3".parse().ok() && cell.strategy("fresh/pooling-scan").is_some());
        assert_eq!(reason.contains("it was seen to be unavailable on Linux 7.3"), seen, "{reason}");
    }
    assert!(ruled_out > 0);
    // A kernel of which nothing is known is said to be that.
    let shown = resetbench().arg("recommend").arg(&folder).args(["--kernel", "99.1"]).assert().success();
    shown.stdout(contains("what strategies do on Linux 99.1"));
}
