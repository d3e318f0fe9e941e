//! `resetbench recommend` on the committed run and on runs of its own.

use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

use crate::common::{committed, json, list, read, resetbench, text};

/// The committed cell that an answer names.
fn cell(answer: &Value) -> Value {
    let summary = read(&committed().join("summary.json"));
    let same = |cell: &&Value| ["workload", "strategy"].iter().all(|key| cell[*key] == answer[*key]);
    list(&summary, "cells").iter().find(same).expect("a cell").clone()
}

fn recommended(limits: &[&str]) -> Vec<Value> {
    let folder = committed();
    let mut arguments = vec!["recommend", folder.to_str().unwrap(), "--json"];
    arguments.extend(limits);
    list(&json(&arguments), "recommendations").to_vec()
}

#[test]
fn a_sound_strategy_is_named_for_each_workload_and_agrees_with_the_table() {
    let cells = read(&committed().join("summary.json"));
    let cells = list(&cells, "cells");
    let found = recommended(&[]);
    let workloads: Vec<_> = found.iter().map(|answer| text(answer, "workload")).collect();
    for primary in ["indexer/blocktracker", "indexer/lru", "indexer/utxo", "stress/allocate", "stress/touch"]
    {
        assert!(workloads.contains(&primary), "{primary}");
    }
    for answer in &found {
        let of = |cell: &&Value| cell["workload"] == answer["workload"] && cell["control"] == false;
        let cell =
            |name: &Value| cells.iter().filter(of).find(|cell| cell["strategy"] == *name).expect("a cell");
        let chosen = cell(&answer["strategy"]);
        assert_eq!(chosen["equivalence"], "equivalent");
        // Not measurably slower than the table's best, or the same within the margin.
        let low = chosen["regret"]["low"].as_f64().unwrap();
        let high = chosen["regret"]["high"].as_f64().unwrap();
        assert!(low <= 1.0 || high <= 1.02, "{chosen}");
        let shortest = cells.iter().filter(of).filter_map(|cell| cell["cycle_ns"]["p50"].as_u64()).min();
        let mut named: Vec<&Value> = list(answer, "tied").iter().collect();
        named.push(&answer["strategy"]);
        let best = |name: &&Value| cell(name)["cycle_ns"]["p50"].as_u64() == shortest;
        assert!(named.into_iter().any(|name| best(&name)), "the table's best is named: {answer}");
        assert!(!text(answer, "because").is_empty() && answer["runner_up"].is_string());
        assert!(!text(answer, "paste").is_empty());
    }
}

#[test]
fn limits_that_exclude_the_answer_change_it() {
    for before in recommended(&[]) {
        let workload = text(&before, "workload");
        for change in list(&before, "changes") {
            assert_ne!(change["strategy"], before["strategy"], "{workload}: {change}");
        }
        let rss = cell(&before)["rss_bytes"]["peak"].as_u64().unwrap();
        let after = recommended(&["-w", workload, "--max-rss", &(rss - 1).to_string()]);
        let foretold =
            list(&before, "changes").iter().find(|change| text(change, "condition").starts_with("RSS"));
        assert_eq!(after[0]["strategy"], foretold.unwrap()["strategy"], "{workload}");
    }
    for answer in recommended(&["--kernel", "5.15", "--must-survive", "swap"]) {
        let strategy = text(&answer, "strategy");
        assert!(
            !["dirty/pagemap-scan", "adaptive/hot-cold", "fresh/pooling-scan"].contains(&strategy),
            "{strategy}"
        );
    }
}

#[test]
fn where_nothing_fits_it_fails_and_says_who_comes_nearest() {
    resetbench()
        .args(["recommend", committed().to_str().unwrap(), "--max-rss", "1MiB"])
        .assert()
        .code(1)
        .stdout(contains("nothing"))
        .stderr(contains("error: indexer/lru: none of the"))
        .stderr(contains("The least RSS has"));
}

#[test]
fn it_fits_eighty_columns_and_a_page() {
    let folder = committed();
    let shown = resetbench().args(["recommend", folder.to_str().unwrap()]).assert().success();
    let shown = String::from_utf8(shown.get_output().stdout.clone()).unwrap();
    let prose = shown.split("\n/// ").next().unwrap();
    for line in prose.lines().filter(|line| !line.ends_with(':')) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    resetbench()
        .args(["recommend", folder.to_str().unwrap(), "--format", "markdown"])
        .assert()
        .success()
        .stdout(contains("## indexer/utxo").and(contains("```rust")));
}

#[test]
fn limits_that_are_none_are_refused() {
    let folder = committed();
    for (flag, value, why) in [
        ("--max-rss", "20MB", "no unit of memory"),
        ("--max-startup", "soon", "--max-startup"),
        ("--kernel", "new", "no version of Linux"),
        ("--must-survive", "fire", "possible values: swap"),
    ] {
        let told = resetbench().args(["recommend", folder.to_str().unwrap(), flag, value]).assert().code(2);
        told.stderr(contains(why));
    }
    resetbench().args(["recommend"]).assert().code(2).stderr(contains("--module <FILE>"));
    resetbench().args(["recommend", "/nonexistent"]).assert().code(1).stderr(contains("run.json"));
}

#[test]
fn ones_own_module_is_measured_and_recommended_for() {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("own");
    let module = concat!(env!("CARGO_MANIFEST_DIR"), "/guests/prebuilt/blocktracker.wasm");
    let shown = resetbench()
        .args(["recommend", "--module", module, "--profile", "smoke", "--quiet", "--json", "--out"])
        .arg(&out)
        .assert()
        .success();
    let found: Value =
        serde_json::from_slice(&shown.get_output().stdout).expect("nothing but JSON on stdout");
    assert_eq!(text(&found["recommendations"][0], "workload"), "user/blocktracker");
    assert!(out.join("rows.ndjson").exists());
}
