//! What goes wrong is said clearly, ends with a non-zero exit code, and loses nothing.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::common::{list, read, resetbench, text};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use tempfile::TempDir;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn wat(&self, name: &str, text: &str) -> PathBuf {
        self.file(name, wat::parse_str(text).unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// A run that must be refused before anything is measured.
fn refused(arguments: &[&str], paths: &[(&str, &Path)], reasons: &[&str]) {
    let place = Place::new();
    let out = place.path("out");
    let mut command = resetbench();
    command.args(["run", "--profile", "smoke", "--quiet", "--out"]).arg(&out).args(arguments);
    for (flag, path) in paths {
        command.arg(flag).arg(path);
    }
    let mut assert = command.assert().failure();
    for reason in reasons {
        assert = assert.stderr(contains(*reason));
    }
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    assert!(!out.exists(), "nothing was measured, yet there is a folder");
}

#[test]
fn a_module_that_is_none_is_refused() {
    let place = Place::new();
    let missing = place.path("absent.wasm");
    refused(&[], &[("--module", &missing)], &["absent.wasm", "No such file"]);
    let text = place.file("text.wasm", "hello");
    refused(&[], &[("--module", &text)], &["text.wasm", "not a WebAssembly module"]);
    let cut = place.file("cut.wasm", b"\0asm\x01\0\0\0\x01\xff");
    refused(&[], &[("--module", &cut)], &["cut.wasm", "not a WebAssembly module"]);
    let invalid = place
        .wat("invalid.wasm", r#"(module (memory (export "memory") 1) (func (export "_start") i32.const 1))"#);
    refused(&[], &[("--module", &invalid)], &["invalid.wasm", "not a valid WebAssembly module"]);
}

#[test]
fn a_module_that_speaks_another_abi_is_refused() {
    let place = Place::new();
    let start = place.wat("a.wasm", r#"(module (memory (export "memory") 1))"#);
    refused(&[], &[("--module", &start)], &["exports no `_start`"]);
    let memory = place.wat("b.wasm", r#"(module (func (export "_start")))"#);
    refused(&[], &[("--module", &memory)], &["exports no `memory`"]);
    let import = place.wat(
        "c.wasm",
        r#"(module (import "env" "socket" (func)) (memory (export "memory") 1) (func (export "_start")))"#,
    );
    refused(&["--strict-imports"], &[("--module", &import)], &["function `env.socket`", "__load_input"]);
    let memory = place.wat(
        "e.wasm",
        r#"(module (import "env" "memory" (memory 1)) (export "memory" (memory 0)) (func (export "_start")))"#,
    );
    refused(&[], &[("--module", &memory)], &["memory `env.memory`", "does not offer"]);
    let typed = place.wat(
        "d.wasm",
        r#"(module (memory (export "memory") 1) (func (export "_start") (param i32 i64) (result i32) i32.const 1))"#,
    );
    refused(&[], &[("--module", &typed)], &["its `_start` takes 2 parameters and returns 1 results"]);
}

#[test]
fn blocks_that_are_none_are_refused() {
    let place = Place::new();
    let absent = place.path("absent");
    refused(&[], &[("--blocks", &absent)], &["absent"]);
    let empty = place.path("empty");
    fs::create_dir(&empty).unwrap();
    refused(&[], &[("--blocks", &empty)], &["empty"]);
    let nothing = place.file("nothing.bin", "");
    refused(&[], &[("--blocks", &nothing)], &["nothing.bin"]);
    let cut = place.file("cut.hex", "0100000000000000");
    refused(&[], &[("--blocks", &cut)], &["cut.hex"]);
}

#[test]
fn unknown_names_are_refused_with_the_nearest() {
    refused(&["-s", "dirty/mincor"], &[], &["no strategy matches", "did you mean `dirty/mincore`?"]);
    refused(&["-w", "indexer/utox"], &[], &["no workload matches", "did you mean `indexer/utxo`?"]);
    refused(&["--param", "drity=3"], &[], &["no workload has a parameter `drity`"]);
    refused(&["--param", "dirty=many"], &[], &["whole number"]);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let place = Place::new();
    let file = place.file("file", "");
    resetbench()
        .args(["run", "--profile", "smoke", "-s", "copy/full", "-w", "stress/noop", "--out"])
        .arg(file.join("out"))
        .assert()
        .failure()
        .stderr(contains("cannot make"));
}

#[test]
fn a_report_of_no_run_is_refused() {
    let place = Place::new();
    resetbench()
        .arg("report")
        .arg(place.0.path())
        .assert()
        .failure()
        .stderr(contains("run.json").and(contains("is this the folder of a run?")));
}

/// A guest that takes its time: so long per block that a run of it is under way when it is disturbed.
const SLOW: &str = r#"
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (local $n i32)
    (loop $again
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $n) (i32.const 30000000))))))
"#;

/// A run of the slow guest, and the folder that it writes to.
fn slow_run(place: &Place) -> (std::process::Child, PathBuf) {
    let module = place.wat("slow.wasm", SLOW);
    let out = place.path("out");
    let child = Command::new(assert_cmd::cargo::cargo_bin!("resetbench"))
        .args(["run", "--profile", "quick", "--quiet", "-s", "copy/full", "--module"])
        .arg(&module)
        .arg("--out")
        .arg(&out)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    (child, out)
}

/// Waits until rows of the timing pass are on disk.
fn wait_for_times(out: &Path) {
    for _ in 0..600 {
        let rows = fs::read_to_string(out.join("rows.ndjson")).unwrap_or_default();
        if rows.lines().filter(|row| row.contains(r#""phase":"cycle""#)).count() >= 6 {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("no times after a minute");
}

#[test]
fn ctrl_c_keeps_what_was_measured() {
    let place = Place::new();
    let (run, out) = slow_run(&place);
    wait_for_times(&out);
    // SAFETY: kill(2) takes numbers only; the process is our own child, not yet waited for.
    unsafe { libc::kill(run.id().cast_signed(), libc::SIGINT) };
    let output = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("what was measured until then is kept"), "{said}");
    assert_eq!(read(&out.join("run.json"))["interrupted"], true);
    let summary = read(&out.join("summary.json"));
    let measured = list(&summary, "cells").iter().filter(|cell| cell["cycle_ns"].is_object()).count();
    assert!(measured >= 1, "{summary}");
}

#[test]
fn a_child_that_is_killed_becomes_a_row_and_the_run_goes_on() {
    let place = Place::new();
    let (run, out) = slow_run(&place);
    wait_for_times(&out);
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", run.id())).unwrap();
    let child: i32 = children.split_whitespace().next().expect("a child").parse().unwrap();
    // SAFETY: kill(2) takes numbers only; the process is a child of our child.
    unsafe { libc::kill(child, libc::SIGKILL) };
    let output = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), None, "{said}");
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("SIGKILL"), "{said}");
    let rows = fs::read_to_string(out.join("rows.ndjson")).unwrap();
    assert!(rows.lines().any(|row| row.contains(r#""status":"killed""#)), "no row with the signal");
    let summary = read(&out.join("summary.json"));
    let reasons: Vec<_> = list(&summary, "cells").iter().filter(|c| c["reason"].is_string()).collect();
    assert!(reasons.iter().any(|cell| text(cell, "reason").contains("SIGKILL")), "{reasons:?}");
    assert!(list(&summary, "cells").iter().any(|cell| cell["cycle_ns"].is_object()));
}

#[test]
fn a_trap_and_a_timeout_are_outcomes_and_no_reason_to_stop() {
    let place = Place::new();
    let trap = place.wat(
        "trap.wasm",
        r#"(module (memory (export "memory") 1)
             (func (export "_start") (i32.store (i32.const 9) (i32.const 1)) unreachable))"#,
    );
    let out = place.path("trap");
    resetbench()
        .args(["run", "--profile", "smoke", "--quiet", "-s", "copy/full", "--module"])
        .arg(&trap)
        .arg("--out")
        .arg(&out)
        .assert()
        .success();
    let summary = read(&out.join("summary.json"));
    for cell in list(&summary, "cells") {
        assert_eq!(text(cell, "equivalence"), "equivalent", "{cell}");
    }

    let endless = place.wat(
        "endless.wasm",
        r#"(module (memory (export "memory") 1) (func (export "_start") (loop $l (br $l))))"#,
    );
    let out = place.path("endless");
    resetbench()
        .args(["run", "--profile", "smoke", "--quiet", "-s", "copy/full", "--timeout", "1", "--module"])
        .arg(&endless)
        .arg("--out")
        .arg(&out)
        .assert()
        .failure()
        .stderr(contains("nothing could be measured"));
    let summary = read(&out.join("summary.json"));
    for cell in list(&summary, "cells") {
        assert!(
            text(cell, "reason").contains("block 0 took more than 1 s of CPU time on a fresh instance"),
            "{cell}"
        );
        assert!(text(cell, "reason").contains("--timeout"), "{cell}");
    }
}
