//! `startup`, through the real binary, with little memory.

use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

#[test]
fn stages_add_up_and_committed_memory_is_resident() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let output = Command::new(cargo_bin("resetbench"))
        .args(["startup", "--profile", "smoke", "--json", "--quiet", "--seed", "1", "--out"])
        .arg(&out)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["module_bytes"].as_u64().unwrap() >= 3 << 20);

    let total = |path: &str| {
        let paths = report["paths"].as_array().unwrap();
        let cell = paths.iter().find(|cell| cell["path"] == path && cell["commit_bytes"] == 0).unwrap();
        let stages = cell["stages"].as_array().unwrap();
        assert!(stages.len() >= 6, "{cell}");
        assert!(stages.iter().all(|stage| stage["rss_bytes"].as_u64() > Some(0)), "{cell}");
        let sum = |end: &str| stages.iter().map(|stage| stage["time"][end].as_u64().unwrap()).sum::<u64>();
        let total = |end: &str| cell["total"][end].as_u64().unwrap();
        assert!(sum("min") <= total("min") && total("max") <= sum("max"), "the stages add up: {cell}");
        total("p50")
    };
    // The full factor is measured by `--profile quick`; a test must not fail because a machine is busy.
    assert!(total("jit") > 20 * total("snapshot"), "{} against {}", total("jit"), total("snapshot"));
    assert!(total("precompiled") > total("snapshot"));

    for cell in report["commits"].as_array().unwrap() {
        let (name, bytes) = (cell["commit"].as_str().unwrap(), cell["bytes"].as_u64().unwrap());
        if !cell["reason"].is_null() {
            eprintln!("NOT TESTED HERE: {name}: {}", cell["reason"]);
            continue;
        }
        let resident = cell["resident_bytes"].as_u64().unwrap();
        match name {
            "lazy" => assert_eq!(resident, 0),
            "touch-wasm-page" => assert!(resident < bytes / 8, "{cell}"),
            _ => {
                assert_eq!(resident, bytes, "{cell}");
                assert!(cell["rss_bytes"].as_u64().unwrap() >= bytes, "{cell}");
            }
        }
    }
}
