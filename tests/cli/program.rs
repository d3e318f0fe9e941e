//! A run is of one program, whatever becomes of the file that it was started from.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use resetbench::launch::process::Cell;
use resetbench::launch::stage::Stage;
use resetbench::measure::row::Params;
use resetbench::protocol::{Request, Spec, Timed, staging};
use resetbench::workload::bundled;

use crate::common::{copy_program, list, read, text};

pub const BINARY: &str = env!("CARGO_BIN_EXE_resetbench");

/// A copy of the program that a test may replace.
pub fn copied(folder: &Path) -> PathBuf {
    let path = folder.join("resetbench");
    copy_program(Path::new(BINARY), &path);
    path
}

/// Puts another program in its place, as a build does.
pub fn replace(path: &Path) {
    let other = path.with_extension("new");
    copy_program(Path::new("/bin/false"), &other);
    fs::rename(&other, path).unwrap();
}

/// Waits until a run has opened its programs and written what it is.
pub fn begun(out: &Path) {
    let since = Instant::now();
    while !out.join("run.json").exists() {
        assert!(since.elapsed() < Duration::from_secs(600), "it has not begun");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The file that a process runs.
fn inode(pid: u32) -> u64 {
    fs::metadata(format!("/proc/{pid}/exe")).unwrap().ino()
}

#[test]
fn children_are_the_program_that_was_there_when_the_stage_was_set() {
    let temporary = tempfile::tempdir().unwrap();
    let path = copied(temporary.path());
    let stage = Stage::silent(&path).unwrap();
    let noop = bundled::named("stress/noop", &Params::new()).unwrap();
    let staged = staging::stage(stage.staging.path(), &noop).unwrap();
    let spec = Spec::new("copy/full", &noop, &staged, Duration::from_secs(60));
    let (first, _) = Cell::start(&stage.binary, spec.clone()).unwrap();
    replace(&path);
    let (mut second, _) = Cell::start(&stage.binary, spec.clone())
        .unwrap_or_else(|ended| panic!("the program that took its place was started: {ended}"));
    second.ask::<Timed>(&Request::Time { passes: 1 }).unwrap();
    assert_eq!(inode(first.pid()), inode(second.pid()));
}

#[test]
fn a_program_that_is_replaced_in_the_middle_of_a_run_is_run_to_its_end() {
    let temporary = tempfile::tempdir().unwrap();
    let path = copied(temporary.path());
    let out = temporary.path().join("run");
    let mut run = Command::new(&path)
        .args(["run", "--profile", "smoke", "--quiet", "-s", "copy/full", "-w", "stress/noop", "--out"])
        .arg(&out)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    begun(&out);
    replace(&path);
    assert!(run.wait().unwrap().success());
    for cell in list(&read(&out.join("summary.json")), "cells") {
        assert_eq!(text(cell, "equivalence"), "equivalent", "{cell}");
    }
}
