//! `resetbench list` and `resetbench doctor`.

use std::collections::HashSet;

use crate::common::{json, list, resetbench, text};

#[test]
fn list_names_strategies_and_workloads() {
    let found = json(&["list", "--json"]);
    let strategies: HashSet<_> = list(&found, "strategies").iter().map(|s| text(s, "name")).collect();
    let workloads: HashSet<_> = list(&found, "workloads").iter().map(|w| text(w, "name")).collect();
    for name in ["fresh/relink", "copy/full", "dirty/uffd-wp", "remap/madvise-cow", "control/oracle"] {
        assert!(strategies.contains(name), "{name} is missing");
    }
    for name in ["indexer/blocktracker", "indexer/utxo", "indexer/lru", "stress/allocate", "stress/touch"] {
        assert!(workloads.contains(name), "{name} is missing");
    }
    assert!(strategies.len() >= 17, "{} strategies", strategies.len());
}

#[test]
fn what_is_unavailable_says_why() {
    for strategy in list(&json(&["list", "--json"]), "strategies") {
        match text(strategy, "availability") {
            "available" => assert!(strategy["reason"].is_null(), "{strategy}"),
            "unavailable" => assert!(text(strategy, "reason").len() > 20, "{strategy}"),
            other => panic!("availability is {other}"),
        }
    }
}

#[test]
fn doctor_says_of_each_mechanism_whether_it_works() {
    let found = json(&["doctor", "--json"]);
    let mechanisms = list(&found, "mechanisms");
    assert!(mechanisms.len() >= 10, "{} mechanisms", mechanisms.len());
    for mechanism in mechanisms {
        let missing = text(mechanism, "availability") == "unavailable";
        assert_eq!(missing, mechanism["reason"].is_string(), "{mechanism}");
    }
    let page = found["machine"]["memory"]["page_bytes"].as_u64().expect("a page size");
    assert!(page.is_power_of_two() && page >= 4096);
}

#[test]
fn both_speak_to_people_too() {
    let shown = resetbench().arg("doctor").assert().success().get_output().stdout.clone();
    assert!(String::from_utf8_lossy(&shown).contains("MADV_DONTNEED"));
    let shown = resetbench().arg("list").assert().success().get_output().stdout.clone();
    assert!(String::from_utf8_lossy(&shown).contains("indexer/utxo"));
}

#[test]
fn what_a_host_must_not_do_is_told_of_each_strategy() {
    let found = json(&["list", "--json"]);
    let strategies = list(&found, "strategies");
    for strategy in strategies {
        let conditions = list(strategy, "conditions");
        assert!(!conditions.is_empty(), "{strategy}");
        for condition in conditions {
            let words = ["name", "must_not", "consequence"].map(|key| text(condition, key).len());
            assert!(words.iter().all(|len| *len > 5), "{condition}");
        }
    }
    let broken = |name: &str| {
        let strategy = strategies.iter().find(|s| text(s, "name") == name).expect("a strategy");
        list(strategy, "broken").iter().map(|range| text(range, "from").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(broken("fresh/pooling-scan"), ["7.3"]);
    assert_eq!(broken("dirty/uffd-wp"), ["6.7"]);
    assert!(broken("copy/full").is_empty());
}

#[test]
fn doctor_reports_what_decides_soundness() {
    let found = json(&["doctor", "--json"]);
    let memory = &found["machine"]["memory"];
    assert_eq!(memory["ksm"]["asked_for"], false);
    assert_eq!(memory["locked"]["future"], false);
    assert!(memory["swap"]["total_bytes"].is_u64(), "{memory}");
    let mechanisms = list(&found, "mechanisms");
    let pool = mechanisms.iter().find(|m| text(m, "name") == "wasmtime's pool scan").expect("a mechanism");
    assert_eq!(list(pool, "broken").len(), 1, "{pool}");
    let shown = resetbench().arg("doctor").assert().success().get_output().stdout.clone();
    let shown = String::from_utf8_lossy(&shown);
    for words in ["KSM", "this process did not ask for it", "locked"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

#[test]
fn doctor_says_how_pages_are_zeroed() {
    let found = json(&["doctor", "--json"]);
    let ways = list(&found, "zeroing");
    assert_eq!(ways.len(), 4, "{ways:?}");
    let shown = resetbench().arg("doctor").assert().success().get_output().stdout.clone();
    let shown = String::from_utf8_lossy(&shown);
    for way in ways {
        assert!(way["page_ns"].as_f64().unwrap() > 0.0, "{way}");
        assert!(shown.contains(&format!("  {}: ", text(way, "place"))), "{way}: {shown}");
    }
}
