//! `profile`: stacks through guest, host and kernel, shares that come to all, and planted costs that are found.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{copy_program, read, resetbench};

/// A profile in a folder of its own.
struct Profile {
    folder: TempDir,
    json: Value,
}

impl Profile {
    fn of(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("out");
        resetbench().args(["profile", "--quiet", "--out"]).arg(&out).args(arguments).assert().success();
        let json = read(&out.join("profile.json"));
        Self { folder, json }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("out").join(name)
    }

    fn cell(&self, index: usize) -> &Value {
        &self.json["cells"][index]["profile"]
    }

    /// Whether stacks are there, and the kernel's part of them with names; says so where not.
    fn seen(&self) -> (bool, bool) {
        let basis = &self.cell(0)["basis"];
        if basis["from"] != "samples" {
            eprintln!("NOT TESTED HERE: samples: {}", self.json["notes"]);
            return (false, false);
        }
        let kernel = basis["kernel"] == true && basis["kernel_names"] == true;
        if !kernel {
            eprintln!("NOT TESTED HERE: stacks of the kernel: {}", self.json["notes"]);
        }
        (true, kernel)
    }

    fn stacks(&self, cell: &str) -> Vec<(Vec<String>, u64)> {
        let path = self.path(&format!("folded/{cell}.txt"));
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let line = |line: &str| {
            let (stack, count) = line.rsplit_once(' ').expect("a count");
            (stack.split(';').map(ToOwned::to_owned).collect(), count.parse().expect("a number"))
        };
        text.lines().map(line).collect()
    }
}

/// Every division of a cell's time has all of it.
fn comes_to_all(profile: &Value) {
    for stage in ["cycle", "execute", "reset"] {
        let parts = profile[stage].as_array().expect("shares");
        let sum: u64 = parts.iter().map(|part| part["thousandths"].as_u64().expect("thousandths")).sum();
        assert_eq!(sum, 1_000, "{stage}: {parts:?}");
    }
    let ns: f64 =
        profile["cycle"].as_array().expect("shares").iter().filter_map(|part| part["ns"].as_f64()).sum();
    let cycle =
        profile["execute_ns"].as_f64().expect("a time") + profile["reset_ns"].as_f64().expect("a time");
    assert!((ns - cycle).abs() < cycle * 0.001 + 1.0, "{ns} is not {cycle}");
}

#[test]
fn a_profile_has_stacks_through_guest_host_and_kernel() {
    let both = ["-w", "indexer/lru", "-s", "fresh/relink", "-s", "adaptive/hot-cold"];
    let profile = Profile::of(&[&both[..], &["--host", "plain", "--seconds", "1"]].concat());
    assert_eq!(profile.json["cells"].as_array().map(Vec::len), Some(2));
    (0..2).for_each(|index| comes_to_all(profile.cell(index)));
    let (sampled, kernel) = profile.seen();
    if !sampled {
        return;
    }
    let page = fs::read_to_string(profile.path("report.html")).expect("a page");
    assert!(page.contains("where a block&apos;s time goes") || page.contains("where a block's time goes"));
    let (first, second) = ("indexer-lru.fresh-relink", "indexer-lru.adaptive-hot-cold");
    for cell in [first, second] {
        let stacks = profile.stacks(cell);
        let total: u64 = stacks.iter().map(|(_, count)| count).sum();
        // From our session into the guest: what calls it is ours and wasmtime's, the way in is compiled.
        let whole = |stack: &[String]| {
            let guest = stack.iter().position(|frame| frame.ends_with("_[j]"))?;
            let ours = stack[..guest].iter().any(|frame| frame.contains("reset_strategies::"));
            let engine = stack[..guest].iter().any(|frame| frame.contains("wasmtime::"));
            Some(ours && engine && stack[guest] == "wasmtime trampoline_[j]" && stack.len() > guest + 1)
        };
        let guest: u64 = stacks
            .iter()
            .filter(|(stack, _)| stack[0] == "execute" && whole(stack) == Some(true))
            .map(|(_, n)| n)
            .sum();
        assert!(guest * 5 > total, "{cell}: {guest} of {total} stacks lead through the guest");
        assert!(stacks.iter().any(|(stack, _)| stack[0] == "reset"), "{cell}: no stack of a reset");
        // Out of the guest again.
        let back = |stack: &[String]| {
            let host = stack.iter().rposition(|frame| frame.ends_with("_[j]"))?;
            Some(stack[host + 1..].iter().any(|frame| !frame.ends_with("_[k]")))
        };
        assert!(stacks.iter().any(|(stack, _)| back(stack) == Some(true)), "{cell}: no function of the host");
        let of_kernel = stacks.iter().any(|(stack, _)| stack.iter().any(|frame| frame.ends_with("_[k]")));
        assert!(of_kernel || !kernel, "{cell}: no frame of the kernel");
        let unplaced: u64 = stacks.iter().filter(|(stack, _)| stack[0] == "unplaced").map(|(_, n)| n).sum();
        assert!(unplaced * 10 < total, "{cell}: {unplaced} of {total} stacks were cut off");
        let flame = format!("flame/{cell}.svg");
        let picture = fs::read_to_string(profile.path(&flame)).expect("a flame graph");
        assert!(page.contains(&format!("href=\"{flame}\"")), "{flame} is not linked");
        assert!(picture.contains("<svg") && picture.contains("execute"), "{cell}");
        let timeline = read(&profile.path(&format!("{cell}.profile.json")));
        assert!(timeline["threads"][0]["samples"]["length"].as_u64() > Some(0), "{cell}");
    }
    for (name, has, lacks) in [
        ("fresh-relink-adaptive-hot-cold", "reset_strategies::sys::zero", "deallocate_memories"),
        ("adaptive-hot-cold-fresh-relink", "deallocate_memories", "reset_strategies::sys::zero"),
    ] {
        let difference = fs::read_to_string(profile.path(&format!("flame/diff-indexer-lru.{name}.svg")));
        let difference = difference.expect("a differential flame graph");
        assert!(difference.contains(has) && !difference.contains(lacks), "{name}: whose stacks are these?");
    }
}

#[test]
fn guests_on_stacks_of_their_own_execute() {
    let arguments = ["-w", "indexer/lru", "-s", "copy/full", "--host", "metashrew", "--seconds", "0.5"];
    let profile = Profile::of(&arguments);
    comes_to_all(profile.cell(0));
    if !profile.seen().0 {
        return;
    }
    let stacks = profile.stacks("indexer-lru.copy-full");
    let guest = |stage: &str| -> u64 {
        let of = |stack: &[String]| stack[0] == stage && stack.iter().any(|frame| frame.ends_with("_[j]"));
        stacks.iter().filter(|(stack, _)| of(stack)).map(|(_, count)| count).sum()
    };
    assert!(guest("execute") > 0, "{stacks:?}");
    assert_eq!(guest("reset"), 0, "the reset of this strategy runs no guest");
    assert!(guest("unplaced") * 10 < guest("execute"), "{stacks:?}");
}

#[test]
fn without_samples_shares_are_estimates_that_come_to_all() {
    let profile = Profile::of(&["-w", "indexer/lru", "-s", "copy/full", "--no-sampling", "--seconds", "0.4"]);
    comes_to_all(profile.cell(0));
    let basis = &profile.cell(0)["basis"];
    assert_eq!(basis["from"], "counts");
    assert!(
        profile.json["notes"][0].as_str().is_some_and(|note| note.contains("estimates")),
        "{}",
        profile.json["notes"]
    );
    let part = |share: &str| {
        let parts = profile.cell(0)["reset"].as_array().expect("shares");
        parts.iter().find(|part| part["share"] == share).expect("all are there")["ns"].as_f64()
    };
    assert!(part("copying") > Some(0.0), "a full copy copies");
    // Where the guest was, wasmtime can tell.
    let stacks = profile.stacks("indexer-lru.copy-full");
    let total: u64 = stacks.iter().map(|(_, count)| count).sum();
    assert_eq!(Some(total), basis["guest_samples"].as_u64());
    let is_of_guest = |(stack, _): &(Vec<String>, u64)| {
        stack[0] == "execute" && stack.len() > 1 && stack[1..].iter().all(|frame| frame.ends_with("_[j]"))
    };
    assert!(total > 20 && stacks.iter().all(is_of_guest), "{stacks:?}");
    assert!(profile.path("flame/indexer-lru.copy-full.svg").is_file());
    assert!(!profile.path("indexer-lru.copy-full.profile.json").exists(), "nobody knows when these were");
}

#[test]
fn what_cannot_be_profiled_is_refused_or_has_its_reason() {
    for (arguments, said) in [
        (&["-s", "fresh/relinc"][..], "did you mean `fresh/relink`?"),
        (&["--seconds", "0"], "above 0"),
        (&["--seconds", "soon"], "number of seconds"),
        (&["--frequency", "0"], "1..=20000"),
        (&["-s", "copy/full", "--plant", "fresh/relink:reset:1"], "does not run here"),
    ] {
        let out = tempfile::tempdir().expect("a folder");
        let folder = out.path().join("out");
        resetbench()
            .args(["profile", "--out"])
            .arg(&folder)
            .args(arguments)
            .assert()
            .failure()
            .stderr(contains(said));
        assert!(!folder.exists(), "{arguments:?}: nothing was profiled, yet there is a folder");
    }
    let out = tempfile::tempdir().expect("a folder");
    let unsound = ["-w", "indexer/lru", "-s", "control/none", "--seconds", "0.2"];
    let mut command = resetbench();
    command.args(["profile", "--out"]).arg(out.path().join("out")).args(unsound);
    command
        .assert()
        .failure()
        .stdout(contains("not equal to a fresh instance"))
        .stderr(contains("nothing could be profiled"));
    let cell = &read(&out.path().join("out/profile.json"))["cells"][0];
    assert_eq!((&cell["equivalence"], &cell["profile"]), (&Value::from("diverged"), &Value::Null));
}

#[test]
fn without_privileges_the_kernel_is_missing_and_the_remedy_is_said() {
    let level = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if level.trim() != "2" || !root {
        eprintln!(
            "NOT TESTED HERE: samples without privileges (root: {root}, perf_event_paranoid: {})",
            level.trim()
        );
        return;
    }
    // A place that is open to all, with the program in it: where it was built may be closed to others.
    let place = tempfile::tempdir().expect("a folder");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).expect("our own folder");
    let program = place.path().join("resetbench");
    copy_program(&cargo_bin("resetbench"), &program);
    let out = place.path().join("out");
    let arguments = ["profile", "-w", "indexer/lru", "-s", "copy/full", "--seconds", "0.6", "--out"];
    const NOBODY: u32 = 65_534;
    let mut command = Command::new(&program);
    command.args(arguments).arg(&out).env("TMPDIR", place.path()).current_dir(place.path());
    let output = command.uid(NOBODY).gid(NOBODY).output().expect("a process");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("sysctl kernel.perf_event_paranoid=1"), "{said}");
    let json = read(&out.join("profile.json"));
    let profile = &json["cells"][0]["profile"];
    comes_to_all(profile);
    assert_eq!((&profile["basis"]["from"], &profile["basis"]["kernel"]), (&"samples".into(), &false.into()));
}

#[test]
fn a_profile_that_is_interrupted_draws_what_it_has() {
    let place = tempfile::tempdir().expect("a folder");
    let out = place.path().join("out");
    let mut command = Command::new(cargo_bin("resetbench"));
    command
        .args(["profile", "--quiet", "-w", "indexer/lru", "-s", "copy/full", "--seconds", "600", "--out"])
        .arg(&out);
    let mut child = command.env("TMPDIR", place.path()).stdout(Stdio::null()).spawn().expect("a process");
    let until = Instant::now() + Duration::from_secs(300);
    // It is steady and sampled at some time after its code has been mapped.
    while !has_code_map(place.path()) {
        assert!(
            child.try_wait().expect("a status").is_none() && Instant::now() < until,
            "nothing was sampled"
        );
        thread::sleep(Duration::from_millis(50));
    }
    thread::sleep(Duration::from_secs(2));
    let id = i32::try_from(child.id()).expect("an id");
    // SAFETY: sends a signal to a child that has not been waited for, so that the id is still its own.
    assert_eq!(unsafe { libc::kill(id, libc::SIGINT) }, 0);
    let status = child.wait().expect("a status");
    assert_eq!((status.code(), status.signal()), (Some(130), None));
    let json = read(&out.join("profile.json"));
    assert_eq!(json["interrupted"], true);
    comes_to_all(&json["cells"][0]["profile"]);
}

fn has_code_map(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.filter_map(Result::ok).any(|entry| {
        let path = entry.path();
        path.extension().is_some_and(|ending| ending == "code-map") || path.is_dir() && has_code_map(&path)
    })
}

/// By how much a share of all samples each frame or share grew, from the first to the second.
fn grown(first: BTreeMap<String, f64>, second: BTreeMap<String, f64>) -> Vec<(f64, String)> {
    let grown =
        second.into_iter().map(|(name, share)| (share - first.get(&name).copied().unwrap_or(0.0), name));
    let mut grown: Vec<_> = grown.collect();
    grown.sort_by(|a, b| b.0.total_cmp(&a.0));
    grown
}

fn shares(profile: &Profile) -> BTreeMap<String, f64> {
    let parts = profile.cell(0)["cycle"].as_array().expect("shares");
    let part = |part: &Value| {
        let thousandths = part["thousandths"].as_f64().expect("thousandths");
        (part["share"].as_str().expect("a name").to_owned(), thousandths / 1_000.0)
    };
    parts.iter().map(part).collect()
}

/// The share of samples that have a frame at all.
fn frames(profile: &Profile) -> BTreeMap<String, f64> {
    let stacks = profile.stacks("indexer-lru.copy-full");
    let all: u64 = stacks.iter().map(|(_, count)| count).sum();
    let mut frames = BTreeMap::new();
    for (mut stack, count) in stacks {
        stack.sort_unstable();
        stack.dedup();
        for frame in stack {
            *frames.entry(frame).or_default() += count as f64 / all as f64;
        }
    }
    frames
}

#[test]
fn a_planted_cost_is_the_largest_difference() {
    let arguments = ["-w", "indexer/lru", "-s", "copy/full", "--host", "plain", "--seconds", "1"];
    let profile = |plant: Option<&str>| {
        let plant: Vec<&str> = plant.into_iter().flat_map(|plant| ["--plant", plant]).collect();
        Profile::of(&[&arguments[..], &plant].concat())
    };
    let plain = profile(None);
    let (sampled, kernel) = plain.seen();
    if !sampled {
        return;
    }
    // Each takes as long as the whole cycle, so that it is half of what is seen.
    let cases = [
        ("reset", "resetbench::cell::waste::spin", Some("rest")),
        ("faults", "resetbench::cell::waste::fault", kernel.then_some("first-touch")),
        ("host", "resetbench::workload::host::state::lose", Some("host")),
    ];
    for (what, frame, share) in cases {
        let planted = profile(Some(&format!("copy/full:{what}:1000")));
        assert!(!planted.json["cells"][0]["planted"].is_null(), "no result may carry it unseen");
        let frames = grown(frames(&plain), frames(&planted));
        let found = frames.iter().find(|(_, name)| name == frame);
        let (by, _) = found.unwrap_or_else(|| panic!("{what}: no {frame} in {frames:?}"));
        // What is around it has grown as much, and nothing more than that.
        assert!(*by > 0.2 && *by > frames[0].0 * 0.8, "{what}: {by} of {:?}", &frames[..8]);
        if let Some(share) = share {
            let shares = grown(shares(&plain), shares(&planted));
            assert_eq!(shares[0].1, share, "{what}: {shares:?}");
        }
    }
}
