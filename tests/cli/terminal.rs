//! What every verb owes a terminal and a shell: width, colour, talk on standard error, completions, a manual.

use predicates::prelude::*;
use predicates::str::contains;

use crate::common::{committed, resetbench};

fn stdout(arguments: &[&str]) -> String {
    let output = resetbench().args(arguments).assert().success().get_output().stdout.clone();
    String::from_utf8(output).expect("UTF-8")
}

#[test]
fn shells_complete_verbs_and_flags() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout(&["completions", shell]);
        assert!(script.contains("recommend") && script.contains("max-rss"), "{shell}");
    }
    resetbench().args(["completions", "cmd"]).assert().code(2).stderr(contains("possible values: bash"));
}

#[test]
fn the_manual_has_every_verb_that_help_shows() {
    let manual = stdout(&["man"]);
    assert!(manual.starts_with(".ie") && manual.contains(".TH resetbench 1"), "{}", &manual[..80]);
    for verb in ["DOCTOR", "RUN", "RECOMMEND", "CHECK", "COMPLETIONS"] {
        assert!(manual.contains(&format!(".SH \"VERB {verb}\"")), "{verb}");
    }
    assert!(!manual.contains("VERB CHILD"), "verbs for the program's own use are nobody else's");
}

#[test]
fn tables_fit_eighty_columns_and_are_plain_when_piped() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["run.json", "rows.ndjson.gz"] {
        std::fs::copy(committed().join(name), folder.path().join(name)).unwrap();
    }
    let shown = resetbench().arg("report").arg(folder.path()).arg("--quiet").assert().success();
    let tables = String::from_utf8(shown.get_output().stdout.clone()).unwrap();
    assert!(tables.contains("best sound strategy: "), "{tables}");
    for text in [tables, stdout(&["list"]), stdout(&["doctor"])] {
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(!text.contains('\u{1b}'), "no escape sequences into a pipe");
    }
    assert!(shown.get_output().stderr.is_empty(), "--quiet");
}

#[test]
fn errors_are_plain_without_colour_and_leave_standard_output_alone() {
    let told = resetbench().args(["report", "/nonexistent"]).assert().code(1);
    told.stdout("").stderr(contains("error: ").and(contains("\u{1b}").not()));
}
