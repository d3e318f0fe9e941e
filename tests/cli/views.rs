//! Requests in place of blocks: the bundled views, and those of a user's module.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::assert::Assert;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;

use crate::common::{json, list, read, resetbench, text};

/// An indexer that stores the first bytes of its blocks, and its views: one that answers from the store, after a flush that would
/// change what it answers next, one that answers with its request and keeps it, and some that are none or fail.
const MODULE: &str = r#"(module
    (import "env" "__host_len" (func $length (result i32)))
    (import "env" "__load_input" (func $load (param i32)))
    (import "env" "__get_len" (func $get_len (param i32) (result i32)))
    (import "env" "__get" (func $get (param i32 i32)))
    (import "env" "__flush" (func $flush (param i32)))
    (memory (export "memory") 32)
    (global (export "number") i32 (i32.const 1))
    (data (i32.const 12) "\01\00\00\00k")
    (data (i32.const 28) "\09\00\00\00\0a\01k\0a\04")
    (func (export "_start")
        (call $load (i32.const 37))
        (call $flush (i32.const 32)))
    (func (export "stored") (result i32)
        (call $flush (i32.const 32))
        (i32.store (i32.const 1048576) (call $get_len (i32.const 16)))
        (if (i32.ne (i32.load (i32.const 1048576)) (i32.const 4)) (then unreachable))
        (call $get (i32.const 16) (i32.const 1048580))
        (i32.const 1048580))
    (func (export "echo") (result i32)
        (i32.store (i32.const 1048576) (call $length))
        (call $load (i32.const 1048580))
        (i32.const 1048580))
    (func (export "fails") (result i32) unreachable)
    (func (export "outside") (result i32) (i32.const -1))
    (func (export "takes") (param i32) (result i32) (i32.const 0)))"#;

fn module(folder: &Path, wat: &str) -> PathBuf {
    let path = folder.join("indexer.wasm");
    fs::write(&path, wat::parse_str(wat).unwrap()).unwrap();
    path
}

/// Verifies views of the module with two strategies and one that is to be caught.
fn verify(folder: &Path, more: &[&str]) -> Assert {
    let mut command = resetbench();
    command.args(["verify", "--profile", "smoke", "--seed", "1", "--quiet", "--json"]);
    command.args(["-s", "copy/full", "-s", "fresh/new-linker", "--schedule", "in-order"]);
    command.arg("--module").arg(folder.join("indexer.wasm")).args(more).assert()
}

/// The outcome of each cell, by strategy.
fn equivalences(assert: &Assert) -> Vec<(String, String)> {
    let told: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    let cells = list(&told, "cells").iter();
    cells.map(|cell| (text(cell, "strategy").into(), text(cell, "equivalence").into())).collect()
}

#[test]
fn bundled_views_are_equivalent_and_a_missing_reset_is_not() {
    let mut command = resetbench();
    command.args(["verify", "--profile", "smoke", "--seed", "1", "--quiet", "--json", "-w", "view/*"]);
    command.args(["-s", "copy/full", "-s", "fresh/pooling", "-s", "fresh/new-linker", "-s", "control/none"]);
    let assert = command.args(["--schedule", "in-order", "--schedule", "traps"]).assert().success();
    let told: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    assert_eq!(text(&told, "host"), "metashrew-view");
    let cells = list(&told, "cells");
    assert_eq!(cells.len(), 4 * 4);
    for cell in cells {
        let expected = if text(cell, "strategy") == "control/none" { "diverged" } else { "equivalent" };
        assert_eq!(text(cell, "equivalence"), expected, "{cell}");
    }
}

#[test]
fn the_suite_of_views_is_measured_on_their_host_and_nothing_else_is() {
    let temporary = tempfile::tempdir().unwrap();
    let run = |name: &str, more: &[&str]| {
        let folder = temporary.path().join(name);
        let mut command = resetbench();
        command.args(["run", "--profile", "smoke", "--seed", "1", "--quiet", "--suite", "views"]);
        command.args(["-s", "copy/full"]).args(more).arg("--out").arg(&folder).assert().success();
        (read(&folder.join("run.json")), read(&folder.join("summary.json")))
    };
    let (record, summary) = run("own", &[]);
    assert_eq!(text(&record["host"], "name"), "metashrew-view");
    let names: Vec<_> = list(&record, "workloads").iter().map(|one| text(one, "name")).collect();
    assert_eq!(names, ["view/balance", "view/outputs", "view/simulate", "view/mixed"]);
    for workload in list(&record, "workloads") {
        assert_eq!(text(workload, "filled_from_sha256").len(), 64);
        assert!((4..=64).contains(&workload["blocks"].as_u64().unwrap()), "{workload}");
    }
    for cell in list(&summary, "cells") {
        assert_eq!(text(cell, "equivalence"), "equivalent", "{cell}");
        assert!(cell["cycle_ns"]["p50"].as_u64().is_some(), "{cell}");
    }
    let (record, _) = run("other", &["--host", "plain"]);
    assert_eq!(text(&record["host"], "name"), "plain");
}

#[test]
fn views_are_no_workloads_of_a_usual_run() {
    let listed = json(&["list", "--json"]);
    let categories = list(&listed, "workloads").iter().filter(|one| text(one, "category") == "view");
    assert_eq!(categories.count(), 4);
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("run");
    let mut command = resetbench();
    command
        .args(["run", "--profile", "smoke", "--seed", "1", "--quiet", "-s", "copy/full", "--out"])
        .arg(&folder);
    command.assert().success();
    let record = read(&folder.join("run.json"));
    let names: Vec<_> = list(&record, "workloads").iter().map(|one| text(one, "name")).collect();
    assert!(
        names.contains(&"indexer/utxo") && !names.iter().any(|name| name.starts_with("view/")),
        "{names:?}"
    );
}

#[test]
fn a_users_views_answer_from_a_store_that_blocks_have_filled() {
    let folder = tempfile::tempdir().unwrap();
    module(folder.path(), MODULE);
    let requests = folder.path().join("requests.hex");
    fs::write(&requests, "# three\n00\n\n0x0102\nff\n").unwrap();
    let echo = format!("echo*2=@{}", requests.display());
    // It traps unless the store holds what the indexer has put there: the height of a block.
    let block = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/blocks");
    let blocks = ["--blocks", block.to_str().unwrap()];
    let assert =
        verify(folder.path(), &[&["--view", "stored", "--view", &echo], &blocks[..]].concat()).success();
    let equal = |strategy: &str| (strategy.to_owned(), "equivalent".to_owned());
    let mut found = equivalences(&assert);
    found.sort();
    assert_eq!(found, [equal("copy/full"), equal("fresh/new-linker")]);

    let out = folder.path().join("run");
    let mut command = resetbench();
    command.args([
        "run",
        "--profile",
        "smoke",
        "--seed",
        "1",
        "--json",
        "-s",
        "copy/full",
        "--view",
        "stored",
    ]);
    command.args(["--view", &echo, "--view", "fails=00"]).args(blocks);
    let assert =
        command.arg("--module").arg(folder.path().join("indexer.wasm")).arg("--out").arg(&out).assert();
    // A request that fails is a result: so many of them have.
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(said.contains("1 of 8 blocks did not complete (1 trapped"), "{said}");
    assert.success();
    let record = read(&out.join("run.json"));
    let workload = &list(&record, "workloads")[0];
    assert_eq!(workload["params"]["views"], "stored echo fails");
    assert_eq!((&workload["blocks"], text(&record["host"], "name")), (&8.into(), "metashrew-view"));
}

#[test]
fn a_view_without_an_indexer_answers_from_an_empty_store() {
    let folder = tempfile::tempdir().unwrap();
    module(folder.path(), &MODULE.replace("_start", "start"));
    verify(folder.path(), &["--view", "echo=00"]).success();
    let blocks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/blocks");
    let filled = verify(folder.path(), &["--view", "echo=00", "--blocks", blocks.to_str().unwrap()]);
    filled.failure().stderr(contains("does not run blocks as metashrew's indexers do"));
}

#[test]
fn a_store_that_cannot_be_filled_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let fails = MODULE.replacen("(call $load (i32.const 37))", "unreachable", 1);
    module(folder.path(), &fails);
    let error = verify(folder.path(), &["--view", "echo=00"]).failure();
    error.stderr(contains("the store cannot be filled: block 0 trapped"));
}

#[test]
fn what_is_no_view_or_no_request_is_told_why() {
    let folder = tempfile::tempdir().unwrap();
    module(folder.path(), MODULE);
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        format!("echo=@{}", path.display())
    };
    let (odd, none) = (file("odd.hex", "00\n# more\n0g\n"), file("none.hex", "# nothing\n"));
    for (view, why) in [
        ("eco=00", "it exports no function `eco`; did you mean `echo`?"),
        ("number=00", "its `number` is a global, and a view is a function"),
        ("takes=00", "its `takes` is (i32) -> (i32), and a view is () -> (i32)"),
        ("echo=0g", "`g` is no hex digit, where hex is the request; a file of requests is echo=@FILE"),
        ("echo=000", "3 hex digits are no whole bytes"),
        ("echo*0=00", "how often its requests come"),
        ("=00", "there is no export before the `=`"),
        ("echo=@/nowhere/at.all", "cannot read /nowhere/at.all"),
        (odd.as_str(), "odd.hex: line 3: `g` is no hex digit"),
        (none.as_str(), "none.hex holds no request"),
    ] {
        verify(folder.path(), &["--view", view]).failure().stderr(contains(why));
    }
    let alone = resetbench().args(["verify", "--view", "echo=00"]).assert().failure();
    alone.stderr(contains("--module <FILE>"));
    let both = verify(folder.path(), &["--view", "echo=00", "--handler", "echo"]).failure();
    both.stderr(contains("--handler").and(contains("cannot be used with")));
}

#[test]
fn inspect_says_whether_an_export_is_a_view() {
    let folder = tempfile::tempdir().unwrap();
    let module = module(folder.path(), MODULE);
    let inspect = |more: &[&str]| resetbench().arg("inspect").arg(&module).arg("--json").args(more).assert();
    let told = inspect(&["--view", "echo", "--view", "stored"]).success();
    let told: Value = serde_json::from_slice(&told.get_output().stdout).unwrap();
    assert_eq!(text(&told, "abi"), "metashrew-view");
    inspect(&["--view", "takes"]).failure().stderr(contains("a view is () -> (i32)"));
    let told = inspect(&[]).success();
    let told: Value = serde_json::from_slice(&told.get_output().stdout).unwrap();
    assert_eq!(text(&told, "abi"), "metashrew", "what is not asked for is no view");
}
