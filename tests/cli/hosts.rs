//! `--host`: everything runs as a host of the field does, and every result says which.

use std::path::Path;

use crate::common::{json, list, read, resetbench, text};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;

/// A short run as on a host into a folder; returns what the terminal has shown.
fn run(folder: &Path, host: &str) -> String {
    let mut command = resetbench();
    command.args([
        "run",
        "--profile",
        "smoke",
        "--seed",
        "1",
        "--quiet",
        "-w",
        "stress/touch",
        "-s",
        "copy/full",
    ]);
    let output = command.args(["--host", host, "--out"]).arg(folder).assert().success().get_output().clone();
    String::from_utf8(output.stdout).expect("tables")
}

/// The engine configuration with which a strategy ran.
fn configuration<'a>(record: &'a Value, strategy: &str) -> &'a str {
    let found = list(record, "strategies").iter().find(|one| one["name"] == strategy);
    text(found.unwrap_or_else(|| panic!("no {strategy} in {record}")), "configuration")
}

#[test]
fn a_run_is_as_on_the_host_that_it_names() {
    let temporary = tempfile::tempdir().unwrap();
    for (host, baseline, cow) in [
        ("metashrew", "fresh/relink", false),
        ("metashrew-2025-11", "fresh/relink", true),
        ("metashrew-view", "fresh/new-linker", false),
        ("qubitcoin", "fresh/new-linker", true),
        ("graph-node", "fresh/on-demand-cow", true),
    ] {
        let folder = temporary.path().join(host);
        let shown = run(&folder, host);
        assert!(shown.contains(&format!("stress/touch as on {host}")), "{shown}");
        assert!(shown.contains(&format!("baseline: {baseline}")), "{shown}");
        let (record, summary) = (read(&folder.join("run.json")), read(&folder.join("summary.json")));
        assert_eq!((text(&record["host"], "name"), text(&summary, "host")), (host, host));
        assert_eq!((text(&record, "baseline"), text(&summary, "baseline")), (baseline, baseline));
        let cow = format!("memory_init_cow={cow} ");
        assert!(configuration(&record, baseline).starts_with(&cow), "{record}");
        assert!(configuration(&record, "copy/full").starts_with("memory_init_cow=false "), "{record}");
        for cell in list(&summary, "cells") {
            assert_eq!(text(cell, "equivalence"), "equivalent", "{cell}");
            assert!(cell["ratio_to_baseline"].is_object() || text(cell, "strategy") == baseline, "{cell}");
        }
        for (format, has) in [("markdown", "as on "), ("gh-action", "as on "), ("openmetrics", "host=\"")] {
            let export = resetbench().args(["export", "--format", format]).arg(&folder).assert().success();
            export.stdout(contains(format!("{has}{host}")));
        }
        let recommended = json(&["recommend", "--json", folder.to_str().unwrap()]);
        assert!(text(&recommended, "host").starts_with(&format!("as on {host} (")), "{recommended}");
        assert!(
            list(&recommended, "recommendations").iter().all(|one| text(one, "paste").contains("_async")),
            "{recommended}"
        );
    }
    let [one, two] = ["metashrew", "graph-node"].map(|host| temporary.path().join(host));
    resetbench()
        .arg("compare")
        .args([&one, &two])
        .assert()
        .failure()
        .stderr(contains("measured as on metashrew").and(contains("they are not the same figure")));
}

#[test]
fn hosts_are_listed_with_what_they_set() {
    let listed = json(&["list", "--json"]);
    let names: Vec<_> = list(&listed, "hosts").iter().map(|host| text(host, "name")).collect();
    let expected = [
        "metashrew",
        "metashrew-2025-11",
        "metashrew-2025-06",
        "metashrew-view",
        "qubitcoin",
        "graph-node",
        "substreams",
        "plain",
    ];
    assert_eq!(names, expected);
    let output = resetbench().arg("list").assert().success();
    output.stdout(contains("calls that are futures,").and(contains("cranelift_nan_canonicalization=true")));
}

#[test]
fn an_unknown_host_is_refused_with_the_nearest() {
    for verb in ["run", "verify"] {
        resetbench()
            .args([verb, "--host", "metashrw"])
            .assert()
            .code(2)
            .stderr(contains("there is no host `metashrw`; did you mean `metashrew`?"));
    }
}

#[test]
fn resets_are_right_under_the_settings_of_a_host() {
    for host in ["metashrew", "metashrew-view", "qubitcoin", "graph-node", "substreams"] {
        let strategies = ["-s", "fresh", "-s", "copy/full", "-s", "dirty", "-s", "adaptive/hot-cold"];
        let report = resetbench()
            .args(["verify", "--profile", "smoke", "--seed", "1", "--json", "--host", host])
            .args(["-w", "foreign/c", "-w", "foreign/assemblyscript", "--budget", "10h"])
            .args(strategies)
            .assert()
            .success();
        let report: Value = serde_json::from_slice(&report.get_output().stdout).unwrap();
        assert_eq!(text(&report, "host"), host);
        assert!(report["clean_blocks"].as_u64() > Some(1_000), "{}", report["clean_blocks"]);
    }
}
