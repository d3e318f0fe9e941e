//! `resetbench run` and `resetbench report` on real guests, end to end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::common::{json, list, read, resetbench, text};
use predicates::str::contains;
use resetbench::analyse::steady::WARM_UP;
use resetbench::launch::settling::MOST;
use resetbench::machine::pinning::Pinning;
use serde_json::Value;

/// Runs at the lowest effort into a folder.
fn run(folder: &Path, arguments: &[&str]) -> Value {
    resetbench()
        .args(["run", "--profile", "smoke", "--quiet", "--out"])
        .arg(folder)
        .args(arguments)
        .assert()
        .success();
    read(&folder.join("summary.json"))
}

#[test]
fn every_strategy_is_judged_on_the_indexers() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("run");
    let summary = run(&folder, &["-w", "indexer", "--param", "limit_mebibytes=4"]);

    // Arms of others are measured where they are named.
    let availability: BTreeMap<_, _> = list(&json(&["list", "--json"]), "strategies")
        .iter()
        .filter(|s| s["arm_of"].is_null())
        .map(|s| (text(s, "name").to_owned(), text(s, "availability") == "available"))
        .collect();
    let cells = list(&summary, "cells");
    let strategies: BTreeSet<_> = cells.iter().map(|cell| text(cell, "strategy").to_owned()).collect();
    assert_eq!(strategies, availability.keys().cloned().collect());
    let workloads: BTreeSet<_> = cells.iter().map(|cell| text(cell, "workload")).collect();
    assert_eq!(workloads, BTreeSet::from(["indexer/blocktracker", "indexer/lru", "indexer/utxo"]));

    for cell in cells {
        let (strategy, found) = (text(cell, "strategy"), text(cell, "equivalence"));
        let expected = match strategy {
            "control/none" | "control/zero-all" => "diverged",
            // Whether freed pages come back as zeros is up to the kernel.
            "control/madv-free" => continue,
            _ if availability[strategy] => "equivalent",
            _ => "unavailable",
        };
        assert_eq!(found, expected, "{cell}");
        let measured = cell["cycle_ns"]["p50"].as_u64();
        assert_eq!(measured.is_some(), found == "equivalent", "a wrong reset has no time: {cell}");
        // On a busy machine a launch may not settle, and that is said of a cell that is right, too.
        let unsettled = cell["settling"]["unsettled"].as_u64() > Some(0);
        assert_eq!(cell["reason"].is_string(), found != "equivalent" || unsettled, "{cell}");
        if found == "equivalent" {
            assert!(measured > Some(0), "{cell}");
            assert!(cell["rss_bytes"]["peak"].as_u64() > Some(1 << 20), "{cell}");
            assert!(cell["minor_faults"].is_number(), "{cell}");
        }
    }

    for name in ["run.json", "rows.ndjson", "report.html", "report.md"] {
        assert!(folder.join(name).is_file(), "{name} is missing");
    }
    for figure in ["startup", "overhead", "rss"] {
        for format in ["svg", "png"] {
            let path = folder.join(format!("{figure}-indexer-utxo.{format}"));
            assert!(path.metadata().is_ok_and(|file| file.len() > 1_000), "{}", path.display());
        }
    }
}

#[test]
fn a_report_is_drawn_from_saved_files_alone() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("run");
    let summary = run(&folder, &["-s", "copy/full", "-w", "stress/noop"]);
    let saved = fs::read(folder.join("overhead-stress-noop.svg")).unwrap();
    let moved = temporary.path().join("moved");
    fs::create_dir(&moved).unwrap();
    for name in ["run.json", "rows.ndjson"] {
        fs::copy(folder.join(name), moved.join(name)).unwrap();
    }
    fs::remove_dir_all(&folder).unwrap();
    resetbench().arg("report").arg(&moved).assert().success();
    assert_eq!(read(&moved.join("summary.json")), summary);
    assert_eq!(fs::read(moved.join("overhead-stress-noop.svg")).unwrap(), saved);
}

#[test]
fn the_seed_decides_the_order_of_contenders() {
    let temporary = tempfile::tempdir().unwrap();
    let orders = |name: &str, seed: &str| -> Vec<(u64, u64, u64, String)> {
        let folder = temporary.path().join(name);
        run(&folder, &["-s", "remap", "-w", "stress/noop", "--seed", seed]);
        let rows = fs::read_to_string(folder.join("rows.ndjson")).unwrap();
        rows.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|row| row["phase"] == "cycle" && row["metric"] == "time")
            .map(|row| {
                let number = |key: &str| row[key].as_u64().unwrap();
                (number("launch"), number("round"), number("order"), text(&row, "strategy").to_owned())
            })
            .filter(|(_, round, _, _)| (MOST..MOST + 3).contains(&u32::try_from(*round).unwrap()))
            .collect()
    };
    let first = orders("first", "7");
    assert!(first.len() >= 3 * 3 * 4, "{} rows", first.len());
    assert_eq!(first, orders("again", "7"));
    assert_ne!(first, orders("other", "8"));
}

#[test]
fn contenders_are_kept_on_the_cpus_that_the_record_names_unless_they_are_not_to_be() {
    let temporary = tempfile::tempdir().unwrap();
    let cpus = |name: &str, option: &[&str]| {
        let folder = temporary.path().join(name);
        run(&folder, &[&["-s", "copy/full", "-w", "stress/noop"], option].concat());
        read(&folder.join("run.json"))["cpus"].clone()
    };
    let machine = Pinning::of_this_machine();
    let expected = if machine.cpus().is_empty() { Value::Null } else { machine.cpus().into() };
    assert_eq!(cpus("kept", &[]), expected);
    assert_eq!(cpus("unpinned", &["--unpinned"]), Value::Null);
}

#[test]
fn who_is_steady_runs_rounds_while_others_are_on_their_way() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("run");
    // One of these makes huge pages for a while, and the others do not.
    let chosen = ["-w", "indexer/lru", "-s", "adaptive/hot-cold", "-s", "copy/full", "-s", "fresh/pooling"];
    run(&folder, &chosen);
    let cells = read(&folder.join("summary.json"));
    for cell in list(&cells, "cells").iter().filter(|cell| cell["equivalence"] == "equivalent") {
        let has_ratio = !cell["ratio_to_baseline"].is_null();
        assert!(has_ratio, "{}: it has rounds, but too few with the baseline", text(cell, "strategy"));
    }
    let rows = fs::read_to_string(folder.join("rows.ndjson")).unwrap();
    let mut steps = BTreeMap::<(u64, String), BTreeSet<u64>>::new();
    for row in rows.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let number = |key: &str| row[key].as_u64();
        if let (Some(launch), Some(round)) = (number("launch"), number("round"))
            && round < u64::from(MOST)
            && row["metric"] == "time"
        {
            steps.entry((launch, text(&row, "strategy").to_owned())).or_default().insert(round);
        }
    }
    for ((launch, strategy), rounds) in &steps {
        let (first, last) = (*rounds.first().unwrap(), *rounds.last().unwrap());
        assert!(first >= WARM_UP as u64, "{strategy}, launch {launch}: {rounds:?}");
        assert!(rounds.iter().copied().eq(first..=last), "{strategy}, launch {launch}: {rounds:?}");
    }
    let meanwhile = steps.values().filter(|rounds| rounds.len() > 2).count();
    assert!(meanwhile > 0, "nobody had a round while others were on their way: {steps:?}");
}

#[test]
fn explain_says_what_was_decided_and_how_pages_are_zeroed() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("run");
    let strategy = "adaptive/hot-cold";
    let summary = run(&folder, &["-s", strategy, "-w", "stress/touch"]);
    let explained = resetbench().args(["report", "--explain", "--quiet"]).arg(&folder).assert().success();
    let explained = String::from_utf8_lossy(&explained.get_output().stdout).into_owned();
    for way in list(&read(&folder.join("run.json")), "zeroing") {
        let sentence = format!("{} by {} (", text(way, "place"), text(way, "way"));
        assert!(explained.contains(&sentence), "{sentence}: {explained}");
    }
    let cells = list(&summary, "cells").iter().filter(|cell| text(cell, "strategy") == strategy);
    let learned = cells.map(|cell| !cell["learned"].is_null()).collect::<Vec<_>>();
    assert_eq!(
        explained.contains(&format!("{strategy} on stress/touch as on metashrew restores ")),
        learned == [true],
        "{explained}"
    );
}

#[test]
fn ones_own_module_runs_through_all_strategies() {
    let temporary = tempfile::tempdir().unwrap();
    let module = temporary.path().join("mine.wasm");
    let guest = include_bytes!("../../guests/prebuilt/blocktracker.wasm");
    fs::write(&module, guest).unwrap();
    let blocks = temporary.path().join("blocks");
    fs::create_dir(&blocks).unwrap();
    fs::write(blocks.join("0.hex"), GENESIS).unwrap();
    let folder = temporary.path().join("run");
    let summary = run(
        &folder,
        &["--module", module.to_str().unwrap(), "--blocks", blocks.to_str().unwrap(), "-s", "dirty"],
    );
    let cells = list(&summary, "cells");
    assert!(cells.iter().all(|cell| text(cell, "workload") == "user/mine"));
    let equivalent = cells.iter().filter(|cell| text(cell, "equivalence") == "equivalent").count();
    assert!(equivalent >= 4, "{equivalent} strategies ran");
    assert_eq!(list(&read(&folder.join("run.json")), "workloads")[0]["blocks"], 1);
}

#[test]
fn a_folder_in_use_is_never_overwritten() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("run");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("rows.ndjson"), "precious").unwrap();
    resetbench()
        .args(["run", "--profile", "smoke", "--quiet", "-s", "copy/full", "-w", "stress/noop", "--out"])
        .arg(&folder)
        .assert()
        .success();
    assert_eq!(fs::read_to_string(folder.join("rows.ndjson")).unwrap(), "precious");
    assert!(temporary.path().join("run-2/summary.json").is_file());
}

#[test]
fn machine_output_is_alone_on_standard_output() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("run");
    let arguments = ["run", "--profile", "smoke", "--json", "-s", "copy/full", "-w", "stress/noop", "--out"];
    let assert = resetbench().args(arguments).arg(&folder).assert().success();
    let printed: Value = serde_json::from_slice(&assert.get_output().stdout).expect("only JSON");
    assert_eq!(printed, read(&folder.join("summary.json")));
}

#[test]
fn a_long_run_says_whether_memory_grows() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("run");
    let arguments = ["-s", "copy/full", "-s", "control/oracle", "-w", "stress/noop", "--long-blocks", "200"];
    let summary = run(&folder, &arguments);
    let trace = list(&read(&folder.join("run.json")), "workloads")[0]["blocks"].as_u64().unwrap();
    for cell in list(&summary, "cells") {
        let growth = &cell["rss_growth"];
        assert_eq!(growth["windows"], 20, "{cell}");
        let blocks = growth["blocks"].as_u64().unwrap();
        assert!(blocks >= 200 && blocks.is_multiple_of(trace), "whole traces: {cell}");
        let [value, low, high] = ["bytes_per_block", "low", "high"].map(|key| growth[key].as_f64().unwrap());
        assert!(low < value && value < high, "{cell}");
    }
    for page in ["report.md", "report.html"] {
        let page = fs::read_to_string(folder.join(page)).unwrap();
        assert!(page.contains("bytes per block"), "{page}");
    }
    // Without being asked for, there is none.
    let plain = run(&temporary.path().join("plain"), &["-s", "copy/full", "-w", "stress/noop"]);
    assert!(list(&plain, "cells").iter().all(|cell| cell["rss_growth"].is_null()));
}

#[test]
fn the_time_to_spend_can_be_given() {
    let temporary = tempfile::tempdir().unwrap();
    let mut command = resetbench();
    command.args([
        "run",
        "--profile",
        "smoke",
        "--budget",
        "3s",
        "-s",
        "copy/full",
        "-w",
        "stress/noop",
        "--out",
    ]);
    command.arg(temporary.path().join("run")).assert().success().stderr(contains("about 3 s,"));
    resetbench().args(["run", "--budget", "soon"]).assert().failure().stderr(contains("--budget <TIME>"));
}

#[test]
fn each_cell_says_why_its_timing_ended() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("run");
    let workload = ["-w", "stress/touch", "-p", "dirty=16", "-p", "span=64", "-p", "memory_pages=8"];
    let summary = run(&folder, &[&workload[..], &["-s", "copy/full", "-s", "control/none"]].concat());
    let ended: BTreeMap<_, _> = list(&summary, "cells")
        .iter()
        .map(|cell| (text(cell, "strategy"), (cell["ended"].as_str(), cell["launches"].as_u64().unwrap())))
        .collect();
    for yardstick in ["fresh/relink", "control/oracle"] {
        assert_eq!(ended[yardstick], (Some("yardstick"), 3), "{ended:?}");
    }
    // How narrow an interval is depends on the machine; that three launches were enough, or all there were, does not.
    let (why, launches) = ended["copy/full"];
    assert!(matches!(why, Some("narrow" | "launches")) && launches == 3, "{ended:?}");
    assert_eq!(ended["control/none"], (None, 0), "what diverged is not timed");

    let rows = fs::read_to_string(folder.join("rows.ndjson")).unwrap();
    let rows: Vec<Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: Vec<_> = rows.iter().filter(|row| text(row, "metric").starts_with("ended_")).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    for row in said {
        let why = text(row, "metric").strip_prefix("ended_");
        assert_eq!(why, ended[text(row, "strategy")].0, "{row}");
        assert_eq!((&row["launch"], &row["value"]), (&2.into(), &3.into()), "{row}");
    }
    for page in ["report.md", "report.html"] {
        let page = fs::read_to_string(folder.join(page)).unwrap();
        assert!(page.contains("How long: 1 of 1 cells "), "{page}");
    }
}

#[test]
fn long_runs_that_cannot_be_are_refused() {
    let refused = |arguments: &[&str], why: &str| {
        let assert = resetbench().arg("run").args(arguments).assert().failure();
        let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(said.contains(why), "{said}");
    };
    refused(&["--long-blocks", "0"], "--long-blocks <N>");
    refused(&["--suite", "landscape", "--long-blocks", "10000"], "the landscape has too many places");
}

/// The first block of the main network.
const GENESIS: &str = include_str!("../blocks/000000.hex");
