//! Modules that speak the ABI of Substreams' handlers, and modules that speak none.

use std::fs;
use std::path::{Path, PathBuf};

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;

use crate::common::{list, resetbench, text};

/// What handlers are made of: a memory, and an allocator that never takes anything back.
const COMMON: &str = r#"
    (import "env" "output" (func $output (param i32 i32)))
    (import "env" "register_panic" (func $panic (param i32 i32 i32 i32 i32 i32)))
    (import "logger" "println" (func $println (param i32 i32)))
    (import "state" "set" (func $set (param i64 i32 i32 i32 i32)))
    (import "state" "append" (func $append (param i64 i32 i32 i32 i32)))
    (import "state" "add_int64" (func $add (param i64 i32 i32 i64)))
    (import "state" "delete_prefix" (func $delete (param i64 i32 i32)))
    (import "state" "get_at" (func $get_at (param i32 i64 i32 i32 i32) (result i32)))
    (import "state" "get_first" (func $get_first (param i32 i32 i32 i32) (result i32)))
    (import "state" "get_last" (func $get_last (param i32 i32 i32 i32) (result i32)))
    (import "state" "has_last" (func $has_last (param i32 i32 i32) (result i32)))
    (memory (export "memory") 2)
    (global $top (mut i32) (i32.const 4096))
    (func (export "alloc") (param i32) (result i32)
        (global.get $top)
        (global.set $top (i32.add (global.get $top) (local.get 0))))
    (func (export "dealloc") (param i32 i32))
    (func $expect (param $is i32) (param $wanted i32)
        (if (i32.ne (local.get $is) (local.get $wanted)) (then unreachable)))
    (data (i32.const 16) "key")
    (data (i32.const 24) "count")"#;

/// Puts the block into the store, in two parts, and looks at it as of before, in between and afterwards.
const STORES: &str = r#"
    (func (export "store_block") (param $at i32) (param $length i32)
        (call $expect (call $get_first (i32.const 0) (i32.const 16) (i32.const 3) (i32.const 64)) (i32.const 0))
        (call $set (i64.const 1) (i32.const 16) (i32.const 3) (local.get $at) (i32.const 2))
        (call $append (i64.const 2) (i32.const 16) (i32.const 3)
            (i32.add (local.get $at) (i32.const 2)) (i32.sub (local.get $length) (i32.const 2)))
        (call $expect (call $get_at (i32.const 0) (i64.const 1) (i32.const 16) (i32.const 3) (i32.const 64)) (i32.const 1))
        (call $expect (i32.load (i32.const 68)) (i32.const 2))
        (call $expect (call $get_last (i32.const 0) (i32.const 16) (i32.const 3) (i32.const 64)) (i32.const 1))
        (call $expect (i32.load (i32.const 68)) (local.get $length))
        (call $output (i32.load (i32.const 64)) (local.get $length))
        (call $add (i64.const 3) (i32.const 24) (i32.const 5) (i64.const 7))
        (call $delete (i64.const 4) (i32.const 16) (i32.const 1))
        (call $expect (call $has_last (i32.const 0) (i32.const 16) (i32.const 3)) (i32.const 0))
        (call $expect (call $has_last (i32.const 0) (i32.const 24) (i32.const 5)) (i32.const 1)))"#;

fn module(folder: &Path, parts: &[&str]) -> PathBuf {
    let path = folder.join("handler.wasm");
    let wat = format!("(module {})", parts.concat());
    fs::write(&path, wat::parse_str(wat).expect("a module")).unwrap();
    path
}

fn blocks(folder: &Path) -> PathBuf {
    let blocks = folder.join("blocks");
    fs::create_dir(&blocks).unwrap();
    for (name, bytes) in [("1.bin", &b"first"[..]), ("2.bin", b"the second"), ("10.bin", b"\0\0\0")] {
        fs::write(blocks.join(name), bytes).unwrap();
    }
    blocks
}

/// What `verify` finds of a module, under the settings of a host.
fn verified(module: &Path, blocks: &Path, host: &str) -> Value {
    let strategies =
        ["-s", "fresh/relink", "-s", "copy/full", "-s", "adaptive/hot-cold", "-s", "control/none"];
    let mut command = resetbench();
    command.args([
        "verify",
        "--profile",
        "smoke",
        "--seed",
        "1",
        "--json",
        "--budget",
        "10h",
        "--host",
        host,
    ]);
    let output =
        command.args(strategies).arg("--module").arg(module).arg("--blocks").arg(blocks).output().unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn handlers_are_reset_and_those_that_are_not_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (module, blocks) = (module(folder.path(), &[COMMON, STORES]), blocks(folder.path()));
    // Room that the host asks for in the middle of a call is asked for by a future where calls are futures.
    for host in ["plain", "metashrew"] {
        let report = verified(&module, &blocks, host);
        let cells = list(&report, "cells");
        assert_eq!(cells.len(), 4, "{report}");
        for cell in cells {
            let wrong = text(cell, "strategy") == "control/none";
            assert_eq!(
                text(cell, "equivalence"),
                if wrong { "diverged" } else { "equivalent" },
                "{host}: {cell}"
            );
        }
    }
}

#[test]
fn files_are_blocks_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (module, blocks) = (module(folder.path(), &[COMMON, STORES]), blocks(folder.path()));
    let run = |more: &[&str]| {
        let mut command = resetbench();
        command.args(["run", "--profile", "smoke", "--seed", "1", "-s", "copy/full", "--json", "--module"]);
        command.arg(&module).arg("--blocks").arg(&blocks).arg("--out").arg(folder.path().join("out"));
        command.args(more).assert()
    };
    run(&["--limit", "2"]).success().stderr(contains("note: 2 of 3 blocks (more with --limit)"));
    run(&["--start-height", "7"]).failure().stderr(contains("--start-height is for Bitcoin blocks"));
}

#[test]
fn a_panic_is_a_failed_block_with_what_it_said() {
    const PANICS: &str = r#"
        (data (i32.const 100) "no such account")
        (data (i32.const 120) "src/lib.rs")
        (func (export "map_block") (param i32 i32)
            (call $panic (i32.const 100) (i32.const 15) (i32.const 120) (i32.const 10) (i32.const 7) (i32.const 9))
            unreachable)"#;
    let folder = tempfile::tempdir().unwrap();
    let module = module(folder.path(), &[COMMON, PANICS]);
    let mut command = resetbench();
    command.args(["run", "--profile", "smoke", "--seed", "1", "-s", "copy/full", "--module"]).arg(module);
    command.arg("--blocks").arg(blocks(folder.path()));
    let out = folder.path().join("out");
    let assert = command.arg("--out").arg(&out).assert();
    let said = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
    assert!(said.contains("the guest panicked at src/lib.rs:7:9: no such account"), "{said}");
}

#[test]
fn a_module_that_speaks_no_abi_is_told_what_it_lacks_of_each() {
    let two = r#"(func (export "map_one") (param i32 i32)) (func (export "store_two") (param i32 i32))"#;
    let odd = r#"(func (export "map_one") (param i64) (result i32) (i32.const 0))"#;
    let folder = tempfile::tempdir().unwrap();
    let run = |parts: &[&str], more: &[&str]| {
        let module = module(folder.path(), parts);
        let mut command = resetbench();
        command.args(["run", "--profile", "smoke", "--seed", "1", "-s", "copy/full", "--json", "--module"]);
        command.arg(module).arg("--out").arg(folder.path().join("out")).args(more).assert()
    };
    let neither = run(&[COMMON], &[]).failure();
    neither.stderr(
        contains("metashrew: it exports no `_start`, the function that runs a block")
            .and(contains("substreams: it exports no `map_*` or `store_*`")),
    );
    let several = run(&[COMMON, two], &[]).failure();
    several.stderr(contains("it exports `map_one` and `store_two`: say with --handler which is to run"));
    run(&[COMMON, two], &["--handler", "store_two"]).success();
    run(&[COMMON, two], &["--handler", "three"]).failure().stderr(contains("it exports no function `three`"));
    let type_of = run(&[COMMON, odd], &[]).failure();
    type_of.stderr(contains("its `map_one` is (i64) -> (i32), where (i32, i32) -> () belongs"));
    let start = r#"(memory (export "memory") 1) (func (export "_start"))"#;
    let chosen = run(&[start], &["--handler", "map_one"]).failure();
    chosen.stderr(contains("metashrew: a block is run by `_start`, and not by `map_one` (--handler)"));
    let alone = r#"(memory (export "memory") 1) (func (export "map_one") (param i32 i32))"#;
    run(&[alone], &[]).failure().stderr(contains("substreams: it exports no function `alloc`"));
}

#[test]
fn what_no_abi_offers_traps_where_it_is_called() {
    let foreign = r#"(import "state" "set_sum_bigint" (func (param i64 i32 i32 i32 i32)))"#;
    let folder = tempfile::tempdir().unwrap();
    let module = module(folder.path(), &[foreign, COMMON, STORES]);
    let told = resetbench().arg("inspect").arg(&module).arg("--json").output().unwrap();
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["traps"], serde_json::json!(["state.set_sum_bigint"]));
    assert_eq!(told["abi"], "substreams");
}
