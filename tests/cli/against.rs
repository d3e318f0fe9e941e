//! `run --against`: two builds in the same rounds.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use resetbench::launch::settling::MOST;
use resetbench::measure::row::Params;
use resetbench::protocol::Spec;
use resetbench::protocol::staging::Staged;
use resetbench::workload::bundled;
use serde_json::Value;

use crate::common::{list, read, resetbench, text};
use crate::program::{BINARY, begun, copied, replace};

/// A short run on few cells, with the other program and its name as they are typed.
fn run(out: &Path, against: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> assert_cmd::Command {
    let mut command = resetbench();
    command.args(["run", "--profile", "smoke", "--quiet", "-s", "copy/full", "-w", "stress/noop", "--out"]);
    command.arg(out).arg("--against").arg(against).args(arguments);
    command
}

/// Another build: the same program, with a word of it replaced by one of the same length wherever it occurs.
fn altered(folder: &Path, word: &str, by: &str) -> PathBuf {
    assert_eq!(word.len(), by.len());
    let mut bytes = fs::read(BINARY).unwrap();
    let places: Vec<usize> = bytes
        .windows(word.len())
        .enumerate()
        .filter(|(_, at)| *at == word.as_bytes())
        .map(|(at, _)| at)
        .collect();
    for at in places {
        bytes[at..at + by.len()].copy_from_slice(by.as_bytes());
    }
    let path = folder.join("altered");
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// What a program says that it is.
fn about(program: &Path) -> Value {
    let output = Command::new(program).arg("about").output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}

fn rows(out: &Path) -> Vec<Value> {
    let rows = fs::read_to_string(out.join("rows.ndjson")).unwrap();
    rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The strategies of a run with the name of what became of each.
fn outcomes(out: &Path) -> Vec<(String, String, Option<String>)> {
    let summary = read(&out.join("summary.json"));
    let cells = list(&summary, "cells").iter();
    cells
        .map(|cell| {
            let reason = cell["reason"].as_str().map(str::to_owned);
            (text(cell, "strategy").into(), text(cell, "equivalence").into(), reason)
        })
        .collect()
}

#[test]
fn two_builds_are_verified_and_measured_in_the_same_rounds() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("run");
    run(&out, BINARY, &["-s", "control/none", "--aa"]).assert().success();

    let summary = read(&out.join("summary.json"));
    let cells = list(&summary, "cells");
    let strategies: BTreeSet<_> = cells.iter().map(|cell| text(cell, "strategy")).collect();
    let twins = ["control/oracle@other", "copy/full@other", "fresh/relink@other"];
    let own = ["control/none", "control/oracle", "copy/full", "fresh/relink", "fresh/relink#2"];
    assert_eq!(
        strategies,
        own.into_iter().chain(twins).collect(),
        "controls that are no yardsticks have no twin"
    );
    for cell in cells.iter().filter(|cell| twins.contains(&text(cell, "strategy"))) {
        assert_eq!(text(cell, "equivalence"), "equivalent", "{cell}");
        assert_eq!(cell["control"], true, "{cell}");
        assert!(cell["cycle_ns"].is_object() && cell["ratio_to_baseline"].is_object(), "{cell}");
    }

    let rows = rows(&out);
    // Of all; before them each has had some of its own.
    let rounds = |strategy: &str| -> BTreeSet<(u64, u64)> {
        let times = rows.iter().filter(|row| row["phase"] == "cycle" && row["metric"] == "time");
        let own = times.filter(|row| row["strategy"] == strategy);
        let at = own.map(|row| (row["launch"].as_u64().unwrap(), row["round"].as_u64().unwrap()));
        at.filter(|(_, round)| *round >= u64::from(MOST)).collect()
    };
    assert!(!rounds("copy/full").is_empty());
    for strategy in ["copy/full", "fresh/relink", "control/oracle"] {
        assert_eq!(rounds(strategy), rounds(&format!("{strategy}@other")), "{strategy}");
    }
    let compiled = |row: &&Value| row["metric"] == "compile" && row["phase"] == "verify";
    let compiled: Vec<_> = rows.iter().filter(compiled).map(|row| text(row, "strategy")).collect();
    assert!(
        compiled.iter().any(|strategy| strategy.ends_with("@other")),
        "artifacts are not shared: {compiled:?}"
    );
    assert!(rows.iter().any(|row| row["phase"] == "memory" && row["strategy"] == "copy/full@other"));

    let record = read(&out.join("run.json"));
    let against = &record["against"];
    assert_eq!((&against["name"], &against["version"]), (&"other".into(), &record["version"]));
    assert_eq!(against["wasmtime"], record["wasmtime"]);
    assert_eq!(text(against, "executable_sha256").len(), 64);
    assert_eq!(against["executable_sha256"], record["executable_sha256"]);
    let planned = list(&record, "strategies").iter().find(|s| s["name"] == "copy/full@other").unwrap();
    assert!(planned["control"] == true && text(planned, "configuration").contains("memory=own"), "{planned}");

    // Nobody is advised to use the other build.
    let standings = serde_json::to_string(&summary["standings"]).unwrap();
    assert!(standings.contains("best") && !standings.contains('@'), "{standings}");
    let folder = out.to_str().unwrap();
    let printed = |arguments: &[&str]| {
        let assert = resetbench().args(arguments).assert().success();
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    printed(&["report", folder]);
    let page = fs::read_to_string(out.join("report.md")).unwrap();
    let (chosen, controls) = page.split_once("*controls, never recommended*").expect("a table with controls");
    assert!(!chosen.contains("@other") && controls.contains("copy/full@other"), "{page}");
    let html = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(html.contains("-s copy/full --against PROGRAM=other"), "how to have the cell again");
    for format in ["text", "json"] {
        let said = printed(&["recommend", folder, "--format", format]);
        assert!(said.contains("stress/noop") && !said.contains("@other"), "{said}");
    }
    printed(&["compare", folder, folder]);
    for format in ["bencher", "gh-action", "openmetrics", "junit", "markdown"] {
        printed(&["export", "--format", format, folder]);
    }
}

#[test]
fn a_build_that_lacks_a_strategy_has_that_cell_unavailable_and_the_run_goes_on() {
    let temporary = tempfile::tempdir().unwrap();
    let other = altered(temporary.path(), "copy/full", "copy/fulx");
    let names: Vec<_> =
        list(&about(&other), "strategies").iter().map(|s| text(s, "name").to_owned()).collect();
    assert!(names.contains(&"copy/fulx".into()) && !names.contains(&"copy/full".into()), "{names:?}");
    let out = temporary.path().join("run");
    let mut typed = other.clone().into_os_string();
    typed.push("=before-2.0");
    run(&out, typed, &[]).assert().success();
    for (strategy, equivalence, reason) in outcomes(&out) {
        if strategy == "copy/full@before-2.0" {
            assert_eq!(equivalence, "unavailable");
            assert_eq!(reason.as_deref(), Some("this build has no strategy `copy/full`"));
        } else {
            assert_eq!((equivalence.as_str(), reason), ("equivalent", None), "{strategy}");
        }
    }
    let record = read(&out.join("run.json"));
    assert_ne!(record["against"]["executable_sha256"], record["executable_sha256"]);
    let planned = list(&record, "strategies").iter().find(|s| s["name"] == "copy/full@before-2.0").unwrap();
    assert_eq!(text(planned, "unavailable"), "this build has no strategy `copy/full`");
}

#[test]
fn a_slower_build_can_be_played_and_is_no_result() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("run");
    run(&out, BINARY, &["--plant", "copy/full:reset:500"]).assert().success();
    let planted: Vec<_> = list(&read(&out.join("run.json")), "strategies")
        .iter()
        .filter(|strategy| !strategy["planted"].is_null())
        .map(|strategy| (text(strategy, "name").to_owned(), strategy["planted"].clone()))
        .collect();
    let expected = serde_json::json!({"what": "reset", "amount": 500});
    assert_eq!(planted, [("copy/full".to_owned(), expected)]);
    let page = fs::read_to_string(out.join("report.md")).unwrap();
    assert!(page.contains("`copy/full` was made worse on purpose"), "{page}");
    for verb in [&["recommend"][..], &["export", "--format", "bencher"]] {
        let assert = resetbench().args(verb).arg(&out).assert().failure();
        let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(said.contains("made worse on purpose"), "{said}");
    }
    let absent = ["run", "--profile", "smoke", "-s", "copy/full", "--plant", "dirty/pagemap:reset:20"];
    let assert = resetbench().args(absent).assert().failure();
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(said.contains("`dirty/pagemap` does not run here"), "{said}");
}

/// Nothing is measured, and the error names the file, what is wrong with it, and what to do.
fn refused(against: impl AsRef<std::ffi::OsStr>, reasons: &[&str]) {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("run");
    let assert = run(&out, against, &[]).timeout(Duration::from_secs(120)).assert().failure();
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    for reason in reasons.iter().chain(&["--against"]) {
        assert!(said.contains(reason), "no `{reason}` in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    assert!(!out.exists(), "nothing was measured, yet there is a folder");
}

#[test]
fn what_is_no_build_of_this_program_is_refused_before_anything_is_measured() {
    let temporary = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8], mode| {
        let path = temporary.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    refused(temporary.path().join("absent"), &["absent", "No such file"]);
    refused(temporary.path(), &["is no file", "name the program itself"]);
    refused(file("script", b"#!/bin/sh\nexec true\n", 0o755), &["script", "name the program itself"]);
    refused(file("text", b"hello", 0o755), &["text", "it has to be a program for this machine"]);
    refused(file("plain", &fs::read(BINARY).unwrap(), 0o644), &["plain", "chmod +x"]);
    refused("/bin/true", &["/bin/true", "no build of resetbench"]);
    refused("/bin/false", &["/bin/false", "it ended with exit status: 1", "no build of resetbench"]);
    refused("/bin/echo", &["it said `about`", "no build of resetbench"]);
}

#[test]
fn a_build_that_speaks_another_protocol_is_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let other = altered(temporary.path(), "protocol", "protocox");
    assert!(about(&other)["protocox"].is_number(), "the word is where it is said");
    refused(&other, &["altered", "does not say which protocol it speaks", "protocol::VERSION"]);
}

/// Set to have this program hang when it is asked what it is.
const HANG: &str = "RESETBENCH_TEST_HANG";

/// This test's own program is asked with the word `about`, for which it runs this.
#[test]
fn about_to_be_asked_it_hangs_if_it_is_told_to() {
    if std::env::var_os(HANG).is_some() {
        std::thread::sleep(Duration::from_secs(600));
    }
}

#[test]
fn a_program_that_hangs_is_given_up() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("run");
    let own = std::env::current_exe().unwrap();
    let assert = run(&out, own, &[]).env(HANG, "1").timeout(Duration::from_secs(300)).assert().failure();
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(said.contains("it said nothing for") && said.contains("or it hangs"), "{said}");
    assert!(!out.exists());
}

#[test]
fn a_second_program_and_a_name_that_is_no_word_are_refused() {
    refused(format!("{BINARY}=Old"), &["`Old` is no name", "small letters"]);
    refused(format!("{BINARY}=a@b"), &["`a@b` is no name"]);
    refused(format!("{BINARY}="), &["is no name"]);
    refused("=old", &["there is no program"]);
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("run");
    let assert = run(&out, BINARY, &["--against", BINARY]).assert().failure();
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(said.contains("cannot be used multiple times"), "{said}");
    assert!(!out.exists());
}

#[test]
fn a_child_refuses_a_task_of_another_protocol() {
    let said = |task: &str| {
        let assert = resetbench().args(["child", task]).write_stdin("").assert().success();
        let reply: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
        text(&reply["failed"], "reason").to_owned()
    };
    assert!(said(r#"{"protocol": 999, "news": []}"#).contains("the parent speaks protocol 999"));
    assert!(
        said(r#"{"strategy": "copy/full"}"#).contains("the parent does not say which protocol it speaks")
    );
    // One that could be read as ours.
    let noop = bundled::named("stress/noop", &Params::new()).unwrap();
    let absent = || "absent".into();
    let staged = Staged { module: absent(), trace: absent(), filled: None, blocks: None, cache: absent() };
    let spec = Spec::new("copy/full", &noop, &staged, Duration::from_secs(1));
    let task = serde_json::to_string(&Spec { protocol: 999, ..spec }).unwrap();
    assert!(said(&task).contains("the parent speaks protocol 999"), "{}", said(&task));
    resetbench().args(["child", "hello"]).write_stdin("").assert().failure();
}

#[test]
fn another_program_that_is_replaced_in_the_middle_of_a_run_is_run_to_its_end() {
    let temporary = tempfile::tempdir().unwrap();
    let other = copied(temporary.path());
    let out = temporary.path().join("run");
    let mut run = Command::new(BINARY)
        .args(["run", "--profile", "smoke", "--quiet", "-s", "copy/full", "-w", "stress/noop", "--out"])
        .arg(&out)
        .arg("--against")
        .arg(&other)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    begun(&out);
    replace(&other);
    assert!(run.wait().unwrap().success());
    let outcomes = outcomes(&out);
    assert_eq!(outcomes.len(), 6);
    for (strategy, equivalence, reason) in outcomes {
        assert_eq!(equivalence, "equivalent", "{strategy}: {reason:?}");
    }
}

#[test]
fn another_program_that_is_written_to_in_the_middle_of_a_run_is_not_started_again() {
    let temporary = tempfile::tempdir().unwrap();
    let other = copied(temporary.path());
    let out = temporary.path().join("run");
    let run = Command::new(BINARY)
        .args([
            "run",
            "--profile",
            "smoke",
            "-s",
            "copy/full",
            "-w",
            "stress/noop",
            "--budget",
            "10s",
            "--out",
        ])
        .arg(&out)
        .arg("--against")
        .arg(&other)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    begun(&out);
    // As long as one of its children runs, the kernel allows nobody to write to it; its times are nobody's business.
    fs::File::open(&other).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let output = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let outcomes = outcomes(&out);
    let failed = |(strategy, _, reason): &&(String, String, Option<String>)| {
        strategy.ends_with("@other")
            && reason.as_ref().is_some_and(|reason| reason.contains("was written to since it was opened"))
    };
    assert_eq!(outcomes.iter().filter(failed).count(), 3, "{outcomes:?}\n{said}");
}

#[test]
fn a_page_and_memory_that_are_wasted_are_found_whatever_the_times() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("night");
    let plants =
        ["dirty/pagemap-scan:pages:1", "dirty/pagemap:memory:200"].map(|plant| format!("--plant={plant}"));
    resetbench()
        .args(["run", "--profile", "smoke", "--quiet", "--aa", "-w", "stress/touch"])
        .args(["-s", "dirty/pagemap-scan", "-s", "dirty/pagemap", "--against", BINARY, "--out"])
        .arg(&out)
        .args(plants)
        .assert()
        .success();
    let judged = resetbench().args(["check", "--json"]).arg(&out).assert().code(1);
    let report: Value = serde_json::from_slice(&judged.get_output().stdout).unwrap();
    let exact: Vec<_> = list(&report, "findings")
        .iter()
        .filter(|finding| text(finding, "ground") != "time")
        .map(|finding| (text(finding, "strategy"), text(finding, "ground"), text(finding, "sentence")))
        .collect();
    let [(scan, "counts", page), (pagemap, "memory", held)] = exact[..] else { panic!("{exact:?}") };
    assert_eq!((scan, pagemap), ("dirty/pagemap-scan", "dirty/pagemap"));
    assert!(page.contains(" restores 1 page a block more than in `other`"), "{page}");
    assert!(held.contains(" holds ") && held.contains(" between blocks, after "), "{held}");
}
