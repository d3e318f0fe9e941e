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
