//! Blocks that fail, and indexers that do nothing: nobody gets a recommendation from blocks that did not run.

use std::fs;
use std::path::{Path, PathBuf};

use predicates::prelude::*;
use predicates::str::contains;

use crate::common::{list, read, resetbench};

/// A module that speaks as much of the ABI as a test needs.
fn module(folder: &Path, wat: &str) -> PathBuf {
    let path = folder.join("indexer.wasm");
    fs::write(&path, wat::parse_str(wat).expect("a module")).unwrap();
    path
}

/// A short run of one strategy on a module, and what it printed.
fn run(folder: &Path, wat: &str) -> (PathBuf, String) {
    let module = module(folder, wat);
    let out = folder.join("run");
    let mut command = resetbench();
    let blocks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/blocks");
    command.args(["run", "--profile", "smoke", "--seed", "1", "-s", "copy/full", "--limit", "3", "--blocks"]);
    let output = command
        .arg(blocks)
        .arg("--module")
        .arg(&module)
        .arg("--out")
        .arg(&out)
        .assert()
        .success()
        .get_output()
        .clone();
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    // A table wraps its sentences.
    (out, printed.concat().split_whitespace().collect::<Vec<_>>().join(" "))
}

const TRAPS: &str = r#"(module (memory (export "memory") 1) (func (export "_start") unreachable))"#;

#[test]
fn blocks_that_all_trap_are_told_everywhere_and_nothing_is_recommended() {
    let folder = tempfile::tempdir().unwrap();
    let (out, printed) = run(folder.path(), TRAPS);
    let told = "1 of 1 blocks did not complete (1 trapped; the first: block 0 trapped";
    assert!(printed.contains(&format!("WARNING: {told}")), "{printed}");

    let rows = fs::read_to_string(out.join("rows.ndjson")).unwrap();
    assert!(rows.contains(r#""metric":"blocks_trapped","unit":"count","value":1"#), "{rows}");
    let summary = read(&out.join("summary.json"));
    for cell in list(&summary, "cells").iter().filter(|cell| cell["equivalence"] == "equivalent") {
        assert_eq!(cell["outcomes"]["trapped"], 1, "{cell}");
    }
    for file in ["report.md", "report.html"] {
        let text = fs::read_to_string(out.join(file)).unwrap();
        assert!(text.contains("1 of 1 blocks did not complete"), "{file}");
    }

    let recommend = |flags: &[&str]| resetbench().arg("recommend").arg(&out).args(flags).assert();
    recommend(&[])
        .failure()
        .stdout(contains("use           nothing"))
        .stderr(contains(told).and(contains("--failing-blocks")));
    let asked = recommend(&["--failing-blocks", "--json"]).success().get_output().stdout.clone();
    let asked: serde_json::Value = serde_json::from_slice(&asked).unwrap();
    let answer = &list(&asked, "recommendations")[0];
    assert!(answer["strategy"].is_string(), "{answer}");
    assert!(answer["unknown"].to_string().contains(told), "said all the same: {answer}");

    for (format, expected) in [
        ("openmetrics", r#"outcome="trapped"} 1"#),
        ("junit", "Warning: 1 of 1 blocks"),
        ("markdown", "**Warning: 1 of 1 blocks"),
    ] {
        resetbench()
            .args(["export", "--format", format])
            .arg(&out)
            .assert()
            .success()
            .stdout(contains(expected));
    }
}

#[test]
fn a_host_function_that_refuses_is_a_failure_and_no_trap() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = r#"(module (import "env" "__flush" (func $flush (param i32)))
        (memory (export "memory") 1)
        (func (export "_start") (call $flush (i32.const 2))))"#;
    let (_, printed) = run(folder.path(), nothing);
    assert!(printed.contains("(1 failed; the first: block 0 failed (no buffer at 0x2: "), "{printed}");
}

#[test]
fn a_guest_that_aborts_goes_on_and_its_block_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    // "oops" in UTF-16, and a flush of the key `k` with the value `v` that comes after it.
    let aborts = r#"(module
        (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
        (import "env" "__flush" (func $flush (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 96) "\08\00\00\00o\00o\00p\00s\00")
        (data (i32.const 196) "\06\00\00\00\0a\01k\0a\01v")
        (func (export "_start")
            (call $abort (i32.const 100) (i32.const 0) (i32.const 7) (i32.const 9))
            (call $flush (i32.const 200))))"#;
    let (_, printed) = run(folder.path(), aborts);
    assert!(
        printed.contains("(1 failed; the first: block 0 failed (the guest aborted at 7:9: oops))"),
        "{printed}"
    );
    assert!(!printed.contains("no block flushed anything"), "{printed}");
}

#[test]
fn a_system_call_in_a_flush_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let calls = r#"(module (import "env" "__flush" (func $flush (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 96) "\02\00\00\00\01\07")
        (func (export "_start") (call $flush (i32.const 100))))"#;
    let (_, printed) = run(folder.path(), calls);
    assert!(printed.contains("block 0 failed (__flush: a system call of newer hosts"), "{printed}");
}

#[test]
fn what_is_imported_and_not_offered_fails_the_block_that_calls_it() {
    let folder = tempfile::tempdir().unwrap();
    let bound = |body: &str| {
        format!(
            r#"(module (import "wbg" "__wbindgen_throw" (func $throw (param i32 i32)))
                (memory (export "memory") 1) (func (export "_start") {body}))"#
        )
    };
    let (_, printed) = run(folder.path(), &bound("nop"));
    let note =
        "imports wbg.__wbindgen_throw, which this host does not offer: a block that calls one of them fails";
    assert!(printed.contains(note) && !printed.contains("1 failed"), "{printed}");
    let (_, printed) = run(folder.path(), &bound("(call $throw (i32.const 1) (i32.const 2))"));
    assert!(printed.contains("block 0 failed (unknown import: `wbg::__wbindgen_throw`"), "{printed}");
}

#[test]
fn an_indexer_that_does_nothing_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let idle = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;
    let (out, printed) = run(folder.path(), idle);
    assert!(printed.contains("WARNING: no block flushed anything"), "{printed}");
    resetbench()
        .args(["recommend", "--format", "markdown"])
        .arg(&out)
        .assert()
        .success()
        .stdout(contains("no block flushed anything"));
}
