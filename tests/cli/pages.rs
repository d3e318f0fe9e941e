//! `profile --pages`: exact maps of what modules write, and what those predict.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use assert_cmd::assert::Assert;
use predicates::str::contains;
use resetbench::files;
use resetbench::measure::row::Params;
use resetbench::profile::fingerprint::Fingerprint;
use resetbench::profile::fingerprint::report::{Resemblance, bundled};
use resetbench::profile::report::Report;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{committed, list, resetbench};
use crate::documents::kept;

/// Why written pages cannot be told here, if so.
fn untold(report: &Value) -> bool {
    let missing = report["pages"][0]["map"]["missing"].as_str();
    missing.inspect(|why| eprintln!("NOT TESTED HERE: {why}")).is_some()
}

/// The report on a module in text, given the blocks of `tests/chain`.
fn of_module(module: &str) -> Value {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("module.wat");
    fs::write(&path, module).unwrap();
    let chain = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chain");
    report(&[
        "--module",
        path.to_str().unwrap(),
        "--blocks",
        chain.to_str().unwrap(),
        "--start-height",
        "100",
    ])
}

/// A module whose memory begins with so many pages of 64 KiB, and what its block does after it has loaded its input to 4 KiB x 32.
fn module(pages: u32, block: &str) -> String {
    format!(
        r#"(module (import "env" "__load_input" (func $load (param i32)))
            (memory (export "memory") {pages}) (data (i32.const 28672) "\05")
            (func (export "_start") (local $height i32)
                (call $load (i32.const 131072))
                (local.set $height (i32.load (i32.const 131072)))
                {block}))"#
    )
}

fn map(report: &Value) -> &Value {
    &report["pages"][0]["map"]
}

/// The runs of a block, as pairs.
fn runs(block: &Value) -> Vec<(u64, u64)> {
    let number = |run: &Value, name: &str| run[name].as_u64().unwrap();
    list(block, "dirty").iter().map(|run| (number(run, "first"), number(run, "pages"))).collect()
}

#[test]
fn the_map_of_a_module_has_the_pages_that_it_writes_and_no_others() {
    // Pages 3, 5 and 6; page 7, which holds its byte again at the end; a page that goes with the height; and the last one of
    // two by which the memory grows. Page 40 is read.
    let module = module(
        4,
        "(i32.store8 (i32.const 12288) (i32.const 1))
         (i32.store (i32.const 24574) (i32.const -1))
         (i32.store8 (i32.const 28672) (i32.const 9)) (i32.store8 (i32.const 28672) (i32.const 5))
         (drop (i32.load (i32.const 163840)))
         (i32.store8 (i32.add (i32.const 196608) (i32.mul (i32.const 4096)
            (i32.and (local.get $height) (i32.const 3)))) (i32.const 1))
         (drop (memory.grow (i32.const 2)))
         (i32.store8 (i32.const 393215) (i32.const 1))",
    );
    let report = of_module(&module);
    if untold(&report) || map(&report)["page_bytes"] != 4096 {
        return;
    }
    let map = map(&report);
    let blocks = list(map, "blocks");
    assert_eq!(blocks.len(), 7);
    for (height, block) in (100..).zip(blocks) {
        let expected = [(3, 1), (5, 3), (32, 1), (48 + (height & 3), 1), (95, 1)];
        assert_eq!(runs(block), expected, "block {height}: {block:#}");
        assert_eq!((&block["before"], &block["after"]), (&json!(4 << 16), &json!(6 << 16)));
        // Page 7 does not differ; one byte on pages 3, 48 and 95, two on each of 5 and 6, and the block itself.
        assert_eq!(block["differing_pages"], 6);
        assert!(block["differing_bytes"].as_u64().unwrap() > 7);
    }
    let figures = &map["figures"];
    assert_eq!((&figures["dirty_pages"]["p50"], &figures["footprint"]), (&json!(7), &json!(10)));
    assert_eq!(figures["growth_bytes"]["max"], 2 << 16);
    // Six pages are always dirty, and of four others one in turn.
    assert_eq!(figures["often"]["always"], 0.6);
    assert_eq!((&map["is_settled"], &map["basis"]), (&json!(true), &json!("written")));
}

#[test]
fn pages_between_written_ones_stay_out_where_huge_pages_are_made_of_them() {
    // Seven of eight pages of what it grows by, 8 MiB: enough for the strategy to make huge pages of it.
    let module = module(
        4,
        "(local.set $height (memory.grow (i32.const 128)))
         (local.set $height (i32.const 0))
         (loop $next
            (if (i32.ne (i32.and (local.get $height) (i32.const 7)) (i32.const 7))
                (then (i32.store8
                    (i32.add (i32.const 262144) (i32.mul (local.get $height) (i32.const 4096))) (i32.const 1))))
            (local.set $height (i32.add (local.get $height) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $height) (i32.const 2048))))",
    );
    let report = of_module(&module);
    if untold(&report) || map(&report)["page_bytes"] != 4096 {
        return;
    }
    let sevens = (0..256).map(|run| (64 + 8 * run, 7));
    let expected: Vec<_> = [(32, 1)].into_iter().chain(sevens).collect();
    for block in list(map(&report), "blocks") {
        assert_eq!(runs(block), expected);
    }
    assert_eq!(map(&report)["is_settled"], true);
}

#[test]
fn blocks_that_write_nothing_have_a_map_and_a_module_without_memory_is_refused() {
    let quiet = r#"(module (memory (export "memory") 2) (func (export "_start")))"#;
    let report = of_module(quiet);
    assert_eq!(map(&report)["figures"]["footprint"], 0);
    assert_eq!(list(&map(&report)["blocks"][0], "dirty"), [] as [Value; 0]);
    assert_eq!(map(&report)["regions"][0]["name"], "memory");

    let folder = TempDir::new().unwrap();
    let path = folder.path().join("none.wat");
    fs::write(&path, r#"(module (func (export "_start")))"#).unwrap();
    let mut command = resetbench();
    command.args(["profile", "--pages", "--quiet", "--module"]).arg(&path);
    command.current_dir(&folder).assert().failure().stderr(contains("it exports no `memory`"));
}

#[test]
fn several_memories_lie_one_behind_the_other() {
    let two = r#"(module (memory $a (export "memory") 1) (memory $b 1)
        (func (export "_start") (i32.store8 $a (i32.const 4096) (i32.const 1)) (i32.store8 $b (i32.const 8192) (i32.const 1))))"#;
    let report = of_module(two);
    if untold(&report) || map(&report)["page_bytes"] != 4096 {
        return;
    }
    assert_eq!(runs(&map(&report)["blocks"][0]), [(1, 1), (16 + 2, 1)]);
    assert_eq!(map(&report)["regions"][1]["name"], "memory 1");
}

/// Shows pages where the committed results are.
fn here(arguments: &[&str]) -> Assert {
    let folder = TempDir::new().unwrap();
    let mut command = resetbench();
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["profile", "--pages", "--quiet", "--out"]);
    command.arg(folder.path().join("out")).args(arguments).assert().success()
}

/// As JSON.
fn report(arguments: &[&str]) -> Value {
    let assert = here(&[&["--json"], arguments].concat());
    serde_json::from_slice(&assert.get_output().stdout).expect("JSON")
}

#[test]
fn bundled_indexers_have_the_pages_that_they_are_known_for_and_predictions_that_hold() {
    let report = report(&["-w", "indexer/lru", "-w", "indexer/blocktracker"]);
    if untold(&report) || map(&report)["page_bytes"] != 4096 {
        return;
    }
    for entry in list(&report, "pages") {
        let (map, held) = (&entry["map"], &entry["held"]);
        let figures = &map["figures"];
        let known = match map["workload"].as_str().unwrap() {
            "indexer/blocktracker" => (341, 3),
            _ => (8533, 3),
        };
        let found = (figures["dirty_pages"]["p50"].as_u64(), figures["runs"]["p50"].as_u64());
        assert_eq!(found, (Some(known.0), Some(known.1)));
        assert_eq!(figures["motion"], 0.0);
        assert!(held["ratio"].as_f64().unwrap() <= 1.25, "{held:#}");
        let ranking = list(&entry["prediction"], "ranking");
        assert!(
            ranking.len() > 10 && ranking.is_sorted_by_key(|one| one["cycle_ns"].as_f64().unwrap() as u64)
        );
        assert_eq!(list(&entry["prediction"], "neighbours").len(), 3);
    }
}

#[test]
fn the_table_has_a_row_for_each_workload_and_the_worst_ratio() {
    let output = here(&["--table", "-w", "indexer/blocktracker", "-w", "stress/noop"]);
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    let row = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("| {name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
    };
    assert!(row("indexer/blocktracker").contains("adaptive/hot-cold"), "{text}");
    // Nobody has measured it.
    let fields: Vec<_> = row("stress/noop").split('|').map(str::trim).collect();
    assert!(fields.ends_with(&["-", "-", "-", ""]), "{text}");
    assert!(text.contains("Held against measurements of 1 workload: "), "{text}");
}

#[test]
fn a_module_that_is_made_anew_for_each_block_has_the_pages_that_differ() {
    let report = report(&["-w", "foreign/tables"]);
    let map = map(&report);
    assert_eq!(map["basis"], "differing");
    assert!(map["missing"].as_str().unwrap().contains("table 1"), "{map:#}");
    assert!(map["figures"]["footprint"].as_u64().unwrap() > 0, "{map:#}");
    let ranking = list(&report["pages"][0]["prediction"], "ranking");
    assert!(!ranking.is_empty());
    assert!(
        ranking.iter().all(|one| one["strategy"].as_str().unwrap().starts_with("fresh/")),
        "{ranking:#?}"
    );
}

#[test]
fn the_guest_of_the_landscape_is_where_its_parameters_put_it() {
    let places = [
        (256, 0, 0),
        (256, 1, 0),
        (256, 2, 0),
        (256, 0, 1),
        (256, 1, 1),
        (256, 2, 1),
        (2048, 1, 1),
        (1024, 2, 1),
    ];
    for (dirty, shape, motion) in places {
        let params = [("dirty", dirty), ("shape", shape), ("motion", motion)];
        let params = params.map(|(name, value)| format!("{name}={value}"));
        let mut arguments = vec!["-w", "stress/touch"];
        arguments.extend(params.iter().flat_map(|param| ["-p", param]));
        let report = report(&arguments);
        if untold(&report) {
            return;
        }
        let entry = &report["pages"][0];
        let params: Params = serde_json::from_value(entry["map"]["params"].clone()).unwrap();
        let found: Fingerprint = serde_json::from_value(entry["fingerprint"].clone()).unwrap();
        let place = Fingerprint::of_place(&params, 8).unwrap();
        assert!(found.distance(&place) < 0.1, "{params:?}: {found:?} and {place:?}");
        assert_eq!(found.shape(), place.shape(), "{params:?}");
        assert!(
            (found.faults - place.faults).abs() < 0.2 && found.memory_mib == place.memory_mib,
            "{found:?}"
        );
    }
}

#[test]
fn the_fingerprints_that_come_along_are_those_of_the_bundled_guests() {
    let report = report(&[]);
    if untold(&report) || map(&report)["page_bytes"] != 4096 {
        return;
    }
    let entry = |entry: &Value| {
        let name = entry["map"]["workload"].as_str().unwrap().to_owned();
        (name, serde_json::from_value(entry["fingerprint"].clone()).unwrap())
    };
    let found: BTreeMap<String, Fingerprint> = list(&report, "pages").iter().map(entry).collect();
    if std::env::var_os("RESETBENCH_RENEW").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/profile/fingerprint/bundled.json");
        return kept(&path, &files::json(&found).unwrap());
    }
    let known = bundled();
    assert!(found.keys().eq(known.keys()), "renew bundled.json: {:?}", found.keys());
    for (name, found) in found {
        let known = &known[&name];
        let growth = |of: &Fingerprint| (of.grows, of.grown);
        let is_it = found.distance(known) < 0.05 && growth(&found) == growth(known);
        assert!(is_it, "{name}: renew bundled.json: {found:?} and {known:?}");
    }
    let nearest = Resemblance::of(&known["indexer/lru"], "indexer/lru").unwrap();
    assert_eq!(nearest.workload, "stress/allocate");
}

#[test]
fn pictures_and_figures_are_written_where_they_are_asked_for() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out");
    let mut command = resetbench();
    command.args(["profile", "--pages", "--quiet", "-w", "stress/noop", "--out"]).arg(&out);
    (command.assert().success()).stdout(contains("stress/noop: ")).stdout(contains("fingerprint"));
    let report: Report = serde_json::from_slice(&fs::read(out.join("profile.json")).unwrap()).unwrap();
    assert_eq!(report.pages[0].map.workload, "stress/noop");
    for name in ["dirty-map-stress-noop.svg", "dirty-map-stress-noop.dark.svg"] {
        assert!(fs::read_to_string(out.join(name)).unwrap().starts_with("<svg"), "{name}");
    }
}

#[test]
fn without_a_landscape_there_is_a_map_and_no_prediction() {
    let folder = TempDir::new().unwrap();
    let elsewhere = |arguments: &[&str]| {
        let mut command = resetbench();
        command.current_dir(folder.path()).args(["profile", "--pages", "-w", "stress/noop"]).args(arguments);
        command.assert()
    };
    let output = elsewhere(&["--json"]).success().stderr(contains("no landscape here"));
    let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert!(report["pages"][0]["prediction"].is_null());
    elsewhere(&["--from", "."]).failure().stderr(contains("run.json"));
}

#[test]
fn a_run_that_is_named_is_held_against() {
    let run = committed();
    let report = report(&["-w", "indexer/blocktracker", "--from", run.to_str().unwrap()]);
    let held = &report["pages"][0]["held"];
    assert_eq!(held["measured_best"], "adaptive/hot-cold");
    assert!(held["error"].as_f64().unwrap() < 0.5, "{held:#}");
}
