//! `resetbench inspect` through the real binary.

use std::fs;
use std::path::PathBuf;

use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

fn inspect() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_resetbench"));
    command.arg("inspect");
    command
}

fn prebuilt(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("guests/prebuilt/{name}.wasm"))
}

fn text(name: &str) -> String {
    let output = inspect()
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .arg(format!("guests/prebuilt/{name}.wasm"))
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn json(module: &[u8]) -> Value {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("module.wasm");
    fs::write(&path, module).unwrap();
    let output = inspect().arg(path).arg("--json").unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Expects a failure without a trace of a panic, and these words.
fn fails(path: PathBuf, words: &[&str]) {
    let mut assert = inspect().arg(path).assert().failure().code(1).stdout("");
    assert = assert.stderr(predicate::str::contains("panicked").not());
    for word in words {
        assert = assert.stderr(predicate::str::contains(*word));
    }
}

#[test]
fn the_table_names_what_is_restored_and_what_is_refused() {
    insta::assert_snapshot!("passive", text("passive"));
    insta::assert_snapshot!("tables", text("tables"));
    insta::assert_snapshot!("two-memories", text("two-memories"));
}

#[test]
fn functions_that_the_host_does_not_offer_are_named() {
    let wat = r#"(module (import "wbg" "now" (func (result f64))) (import "env" "__host_len" (func (result i32)))
        (import "wbg" "now" (func (result f64))) (memory (export "memory") 1) (func (export "_start")))"#;
    assert_eq!(json(&wat::parse_str(wat).unwrap())["traps"], serde_json::json!(["wbg.now"]));
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("module.wat");
    fs::write(&path, wat).unwrap();
    let told = "a block that calls one fails\n\n  wbg.now\n";
    inspect().arg(path).assert().success().stdout(predicate::str::contains(told));
    assert!(!text("c").contains("does not offer"));
}

#[test]
fn json_has_an_answer_of_every_strategy_to_every_construct() {
    let found = json(&fs::read(prebuilt("tables")).unwrap());
    assert_eq!(found["schema"], 1);
    let constructs = found["constructs"].as_array().unwrap();
    assert_eq!(constructs[1]["construct"], "table 0");
    let strategies = found["strategies"].as_array().unwrap();
    assert_eq!(strategies.len(), reset_strategies::registry::all().len());
    for strategy in strategies {
        assert_eq!(strategy["answers"].as_array().unwrap().len(), constructs.len(), "{strategy}");
        let fresh = strategy["name"].as_str().unwrap().starts_with("fresh/");
        assert_eq!(strategy["support"], if fresh { "supported" } else { "refused" }, "{strategy}");
        assert_eq!(strategy["reason"].is_null(), fresh, "{strategy}");
        assert!(strategy["conditions"][0]["must_not"].is_string(), "{strategy}");
    }
    assert!(strategies.iter().any(|strategy| strategy["control"] == true));
}

#[test]
fn bundled_modules_of_other_compilers_are_judged_as_expected() {
    for (name, supported) in [
        ("assemblyscript", true),
        ("c", true),
        ("passive", true),
        ("tables", false),
        ("two-memories", true),
        ("lru", true),
        ("utxo", true),
    ] {
        let found = json(&fs::read(prebuilt(name)).unwrap());
        let strategies = found["strategies"].as_array().unwrap();
        let full = strategies.iter().find(|strategy| strategy["name"] == "copy/full").unwrap();
        assert_eq!(full["support"] == "supported", supported, "{name}: {full}");
    }
}

#[test]
fn a_module_without_state_says_so() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("empty.wasm");
    fs::write(&path, b"\0asm\x01\0\0\0").unwrap();
    inspect()
        .arg(path)
        .assert()
        .success()
        .stdout(predicate::str::contains("nothing that a block could change"));
}

#[test]
fn what_cannot_be_judged_is_a_clear_error() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    fails(folder.path().join("missing.wasm"), &["cannot read the module", "missing.wasm", "No such file"]);
    fails(folder.path().into(), &["cannot read the module"]);
    fails(file("empty", b""), &["not a WebAssembly module"]);
    fails(file("text", b"hello"), &["not a WebAssembly module"]);
    fails(file("cut", b"\0asm\x01\0\0\0\x01\x7f"), &["not a WebAssembly module", "offset"]);
    fails(file("component", b"\0asm\x0d\0\x01\0"), &["component"]);
    // A function without a body.
    fails(
        file("invalid", b"\0asm\x01\0\0\0\x03\x02\x01\x07"),
        &["not a WebAssembly module", "code section is absent"],
    );
    // A memory with pages of one byte.
    fails(
        file("off", b"\0asm\x01\0\0\0\x05\x04\x01\x08\0\0"),
        &["not a valid WebAssembly module", "custom page sizes"],
    );
}

#[test]
fn hostile_sizes_are_refused_and_not_tried() {
    // Four memories of 4 GiB each.
    let memories = b"\0asm\x01\0\0\0\x05\x11\x04\0\x80\x80\x04\0\x80\x80\x04\0\x80\x80\x04\0\x80\x80\x04";
    let found = json(memories);
    let full =
        &found["strategies"].as_array().unwrap().iter().find(|s| s["name"] == "copy/full").unwrap()["reason"];
    assert!(full.as_str().unwrap().starts_with("memory 1 brings the initial size to 131072 pages"), "{full}");
}

/// What `inspect` says that a strategy can bring back is what `verify` finds, also of modules that an engine may not take.
#[test]
fn verify_refuses_what_inspect_refuses_and_nothing_else() {
    let shared = r#"(module (memory (export "memory") 1 2 shared) (func (export "_start")))"#.to_owned();
    let globals: String = (0..80_000).map(|n| format!("(global (mut i64) (i64.const {n}))")).collect();
    let many = format!(r#"(module (memory (export "memory") 1) {globals} (func (export "_start")))"#);
    for (wat, outcome) in [(shared, "refused"), (many, "equivalent")] {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("module.wat");
        fs::write(&path, wat).unwrap();
        let output = inspect().arg(&path).arg("--json").unwrap();
        let inspected: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_resetbench"));
        command.args([
            "verify",
            "--json",
            "-q",
            "--profile",
            "smoke",
            "--seed",
            "1",
            "--schedule",
            "in-order",
        ]);
        let output =
            command.args(["-s", "fresh/*", "-s", "copy/full", "--module"]).arg(&path).output().unwrap();
        let verified: Value = serde_json::from_slice(&output.stdout).unwrap();
        for cell in verified["cells"].as_array().unwrap() {
            let of = |strategy: &&Value| strategy["name"] == cell["strategy"];
            let strategy = inspected["strategies"].as_array().unwrap().iter().find(of).unwrap();
            assert_eq!(strategy["support"] == "refused", outcome == "refused", "{strategy}");
            if cell["equivalence"] != "unavailable" {
                assert_eq!(cell["equivalence"], outcome, "{cell}");
            }
        }
    }
}
