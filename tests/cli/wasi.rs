//! Commands of WASI preview 1 as indexers.

use std::fs;
use std::path::{Path, PathBuf};

use predicates::str::contains;
use serde_json::Value;

use crate::common::{list, resetbench, text};

/// Copies its input to its output, five bytes at a time, then writes random bytes, the time, and how many blocks it has seen. A block
/// that begins with `!` it refuses.
const COMMAND: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_get" (func $folder (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 3000) "refused")
    (func $say (param $file i32) (param $at i32) (param $length i32)
        (i32.store (i32.const 16) (local.get $at))
        (i32.store (i32.const 20) (local.get $length))
        (if (call $write (local.get $file) (i32.const 16) (i32.const 1) (i32.const 24)) (then unreachable)))
    (func (export "_start")
        (if (i32.ne (call $folder (i32.const 3) (i32.const 64)) (i32.const 8)) (then unreachable))
        (i32.store (i32.const 0) (i32.const 1024))
        (i32.store (i32.const 4) (i32.const 5))
        (loop $more
            (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
            (if (i32.load (i32.const 8)) (then
                (if (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 33)) (then
                    (call $say (i32.const 2) (i32.const 3000) (i32.const 7))
                    (call $exit (i32.const 3))))
                (call $say (i32.const 1) (i32.const 1024) (i32.load (i32.const 8)))
                (br $more))))
        (i32.store (i32.const 4000) (i32.add (i32.load (i32.const 4000)) (i32.const 1)))
        (drop (call $random (i32.const 4004) (i32.const 16)))
        (drop (call $time (i32.const 0) (i64.const 0) (i32.const 4024)))
        (call $say (i32.const 1) (i32.const 4000) (i32.const 32))
        (call $exit (i32.const 0))))"#;

fn module(folder: &Path) -> PathBuf {
    let path = folder.join("command.wasm");
    fs::write(&path, wat::parse_str(COMMAND).expect("a module")).unwrap();
    path
}

fn blocks(folder: &Path, blocks: &[&str]) -> PathBuf {
    let into = folder.join("blocks");
    fs::create_dir(&into).unwrap();
    for (name, block) in blocks.iter().enumerate() {
        fs::write(into.join(name.to_string()), block).unwrap();
    }
    into
}

#[test]
fn commands_are_reset_and_those_that_are_not_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = blocks(folder.path(), &["the first", "!", "and the third block"]);
    let output = resetbench()
        .args(["verify", "--profile", "smoke", "--seed", "1", "--json", "--budget", "10h"])
        .args(["-s", "fresh/relink", "-s", "copy/full", "-s", "adaptive/hot-cold", "-s", "control/none"])
        .arg("--module")
        .arg(module(folder.path()))
        .arg("--blocks")
        .arg(blocks)
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(list(&report, "cells").len(), 4, "{report}");
    for cell in list(&report, "cells") {
        let wrong = text(cell, "strategy") == "control/none";
        assert_eq!(text(cell, "equivalence"), if wrong { "diverged" } else { "equivalent" }, "{cell}");
    }
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("imports wasi_snapshot_preview1.path_open, which this host does not offer"),
        "{said}"
    );
}

#[test]
fn a_command_that_exits_with_an_error_is_a_failed_block_with_what_it_said() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, block: &str| {
        let of = folder.path().join(name);
        fs::create_dir(&of).unwrap();
        let mut command = resetbench();
        command.args(["run", "--profile", "smoke", "--seed", "1", "-s", "copy/full", "--module"]);
        command.arg(module(&of)).arg("--blocks").arg(blocks(&of, &[block]));
        let assert = command.arg("--out").arg(of.join("out")).assert();
        String::from_utf8_lossy(&assert.get_output().stdout).into_owned()
    };
    let failed = run("failed", "!");
    assert!(failed.contains("the guest exited with 3; logged: refused"), "{failed}");
    let passed = run("passed", "a block");
    assert!(!passed.contains("WARNING"), "{passed}");
}

#[test]
fn a_module_that_metashrew_runs_is_no_command() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("both.wasm");
    let both = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
        (import "env" "__host_len" (func (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")))"#;
    fs::write(&path, wat::parse_str(both).unwrap()).unwrap();
    resetbench()
        .arg("inspect")
        .arg(&path)
        .assert()
        .success()
        .stdout(contains("It speaks the ABI of metashrew."));
    fs::write(&path, wat::parse_str(both.replace(r#""env" "__host_len""#, r#""env" "other""#)).unwrap())
        .unwrap();
    resetbench().arg("inspect").arg(&path).assert().success().stdout(contains("It speaks the ABI of wasi."));
}
