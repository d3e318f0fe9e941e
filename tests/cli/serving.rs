//! Serving views to many callers at once.

use std::collections::BTreeSet;

use serde_json::Value;

use super::common::{read, resetbench};

/// Two strategies beside the baseline and the floor: few enough for a test.
const FEW: [&str; 4] = ["-s", "adaptive/hot-cold", "-s", "fresh/pooling-scan"];

/// Whom a smoke run has call.
fn one_and_a_caller_for_each_cpu() -> BTreeSet<u64> {
    let cpus = std::thread::available_parallelism().unwrap().get() as u64;
    BTreeSet::from([1, cpus.min(32)])
}

#[test]
fn the_suite_of_views_is_served_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let run = resetbench()
        .args(["run", "--suite", "views", "--profile", "smoke", "-w", "view/balance", "--budget", "6s"])
        .args(FEW)
        .arg("--out")
        .arg(&out)
        .assert()
        .success();
    let tables = String::from_utf8(run.get_output().stdout.clone()).unwrap();
    for words in ["serving view/balance", "calls/s", "callers share", "serves most", "of CPU"] {
        assert!(tables.contains(words), "{words}: {tables}");
    }
    let report = read(&out.join("serving/serving.json"));
    assert_eq!((report["interrupted"].as_bool(), report["places"].as_u64()), (Some(false), Some(32)));
    let cells = report["cells"].as_array().unwrap();
    let names: Vec<&str> = cells.iter().filter_map(|cell| cell["strategy"].as_str()).collect();
    for strategy in ["adaptive/hot-cold", "fresh/pooling-scan", "fresh/new-linker", "control/oracle"] {
        assert!(names.contains(&strategy), "{names:?}");
    }
    for cell in cells {
        assert_eq!(cell["reason"], Value::Null, "{cell}");
        let closed = cell["closed"].as_array().unwrap();
        let callers: BTreeSet<u64> = closed.iter().filter_map(|it| it["callers"].as_u64()).collect();
        assert_eq!(callers, one_and_a_caller_for_each_cpu());
        for point in closed {
            let (latency, service) = (&point["latency_ns"], &point["service_ns"]);
            assert!(
                point["calls_per_second"].as_f64() > Some(0.0) && latency["n"].as_u64() > Some(0),
                "{point}"
            );
            assert!(latency["max"].as_u64() >= latency["p50"].as_u64(), "{latency}");
            assert_eq!(latency["n"], service["n"], "each call is waited for and served");
            assert_eq!(point["per_call"]["failed"], 0.0, "every balance can be told");
            assert!(point["memory"]["peak"].as_u64() >= point["memory"]["steady"].as_u64());
        }
        assert_eq!(cell["open"][0]["load"], 0.8);
        let baseline = cell["strategy"] == report["baseline"];
        assert_eq!(closed[0]["ratio_to_baseline"].is_null(), baseline, "{cell}");
    }
    // What was served is no cell of blocks, and a report can be drawn of it again.
    let html = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(html.contains("Serving: many calls at once") && html.contains("calls over callers"));
    assert!(out.join("serving-rates-view-balance.svg").exists());
    let again = resetbench().arg("report").arg(&out).assert().success();
    assert_eq!(String::from_utf8_lossy(&again.get_output().stdout), tables);
    let path = out.join("serving/serving.json");
    let other = std::fs::read_to_string(&path).unwrap().replacen("\"schema\": 1", "\"schema\": 999", 1);
    std::fs::write(&path, other).unwrap();
    let refused = resetbench().arg("report").arg(&out).assert().failure();
    let refused = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(refused.contains("serving.json") && refused.contains("999"), "{refused}");
}

#[test]
fn what_has_no_requests_is_not_served() {
    let run = resetbench().args(["run", "--suite", "views", "-w", "indexer/lru"]).assert().failure();
    let error = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert!(error.contains("indexer/lru") && error.contains("view"), "{error}");
}

#[test]
fn views_of_a_users_module_are_served_while_blocks_are_indexed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let module = concat!(env!("CARGO_MANIFEST_DIR"), "/guests/prebuilt/view.wasm");
    let run = resetbench()
        .args(["run", "--suite", "views", "--profile", "smoke", "--budget", "4s", "--while-indexing"])
        .args(["--module", module, "--view", "balance=51", "-s", "adaptive/hot-cold", "--out"])
        .arg(&out)
        .assert()
        .success();
    let tables = String::from_utf8_lossy(&run.get_output().stdout).into_owned();
    assert!(tables.contains("slower") && tables.contains("kept"), "{tables}");
    let report = read(&out.join("serving/serving.json"));
    let cells = report["cells"].as_array().unwrap();
    assert!(cells.iter().any(|cell| cell["strategy"] == "adaptive/hot-cold"));
    for cell in cells {
        let points = cell["indexing"].as_array().unwrap();
        let callers: BTreeSet<u64> = points.iter().filter_map(|it| it["callers"].as_u64()).collect();
        assert_eq!(callers, &one_and_a_caller_for_each_cpu() | &BTreeSet::from([0]), "{cell}");
        assert_eq!(points[0]["calls_per_second"], 0.0, "nobody calls");
        for point in points {
            assert!(point["block_ns"]["n"].as_u64() > Some(0), "blocks ran: {point}");
        }
        let most = points.last().unwrap();
        assert!(most["calls_per_second"].as_f64() > Some(0.0) && !most["blocks_slowed"].is_null());
    }
    let advice = resetbench()
        .args(["recommend", "--serving", "--ram", "8GiB", "--call-memory", "256MiB"])
        .arg(&out)
        .assert()
        .success();
    let advice = String::from_utf8_lossy(&advice.get_output().stdout).into_owned();
    assert!(advice.contains("31 places of 256 MiB"), "{advice}");
}

#[test]
fn what_is_only_about_serving_goes_with_it() {
    let refused = |arguments: &[&str]| {
        let run = resetbench().args(arguments).assert().failure();
        String::from_utf8_lossy(&run.get_output().stderr).into_owned()
    };
    assert!(refused(&["run", "--while-indexing", "-w", "stress/noop"]).contains("--suite views"));
    let empty = tempfile::tempdir().unwrap();
    let nothing = refused(&["recommend", "--serving", empty.path().to_str().unwrap()]);
    assert!(nothing.contains("nothing that was served") && nothing.contains("--suite views"), "{nothing}");
}
