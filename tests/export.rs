//! `export`: what other people's tools read.

mod common;

use common::{Run, STRATEGY, resetbench};

fn exported(format: &str, change: impl FnOnce(&mut Run)) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let mut run = Run::new("a-run");
    change(&mut run);
    let run = run.write(folder.path());
    let output = resetbench().args(["export", "--format", format]).arg(run).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn bencher_metrics_have_values_and_bounds() {
    let text = exported("bencher", |_| {});
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let cell = &json[format!("{STRATEGY} on stress/touch dirty=256")];
    let ratio = &cell["cycle-ratio"];
    let end = |name: &str| ratio[name].as_f64().unwrap();
    assert!(end("lower_value") <= end("value") && end("value") <= end("upper_value"), "{ratio}");
    assert!((end("value") - 0.4).abs() < 0.01);
    assert!(cell["latency"]["value"].is_u64());
    assert_eq!(json.as_object().unwrap().len(), 2, "the second baseline is no contender: {text}");
}

#[test]
fn the_github_action_gets_smaller_is_better() {
    let json: serde_json::Value = serde_json::from_str(&exported("gh-action", |_| {})).unwrap();
    let [entry] = json.as_array().unwrap().as_slice() else { panic!("{json}") };
    assert!(entry["name"].as_str().unwrap().starts_with(STRATEGY));
    assert_eq!(entry["unit"], "x fresh/relink");
    assert!(entry["value"].is_f64() && entry["range"].is_string() && entry["extra"].is_string());
}

#[test]
fn open_metrics_are_well_formed() {
    let text = exported("openmetrics", |_| {});
    assert!(text.ends_with("# EOF\n"));
    let mut family = String::new();
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().unwrap().to_owned();
        } else if let Some(rest) = line.strip_prefix("# UNIT ") {
            // The name of a family with a unit ends in the unit.
            assert!(rest.split_once(' ').is_some_and(|(name, unit)| name.ends_with(unit)), "{line}");
        } else if !line.starts_with('#') {
            assert!(line.starts_with(&family), "{line} is not of {family}");
            let (_, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().unwrap().is_finite());
        }
    }
    assert!(text.contains(r#"resetbench_cycle_ratio{strategy="dirty/uffd-wp",workload="stress/touch",params="{\"dirty\":256}",end="value"} 0."#), "{text}");
}

#[test]
fn junit_fails_what_is_not_sound() {
    let text = exported("junit", |run| run.diverged = true);
    let document = roxmltree::Document::parse(&text).unwrap();
    let suites = document.root_element();
    assert_eq!((suites.attribute("tests"), suites.attribute("failures")), (Some("3"), Some("1")));
    let failure = document.descendants().find(|node| node.has_tag_name("failure")).unwrap();
    assert_eq!(failure.attribute("message"), Some("memory 0 differs at 0x40"));
    assert_eq!(failure.parent().unwrap().attribute("name"), Some(STRATEGY));
}

#[test]
fn junit_passes_what_is() {
    let text = exported("junit", |_| {});
    let document = roxmltree::Document::parse(&text).unwrap();
    assert_eq!(document.root_element().attribute("failures"), Some("0"));
}

#[test]
fn markdown_has_a_table() {
    let text = exported("markdown", |_| {});
    assert!(text.contains("| strategy |") && text.contains(&format!("`{STRATEGY}`")), "{text}");
}

#[test]
fn a_planted_run_is_no_result() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::new("planted");
    let planted = resetbench::protocol::Planted { what: resetbench::protocol::Wasted::Reset, amount: 20 };
    run.record.strategies[1].planted = Some(planted);
    let run = run.write(folder.path());
    let refused = resetbench().args(["export", "--format", "junit"]).arg(run).assert().failure();
    refused.stderr(predicates::str::contains("made worse on purpose"));
}
