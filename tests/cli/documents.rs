//! What documents quote of the program is what it prints, and what they name is there.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::resetbench;

/// Set to have the documents rewritten instead of compared.
const RENEW: &str = "RESETBENCH_RENEW";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> Vec<PathBuf> {
    let in_docs = root().join("docs").read_dir().expect("docs").map(|entry| entry.expect("an entry").path());
    let mut documents: Vec<_> =
        in_docs.filter(|path| path.extension().is_some_and(|ext| ext == "md")).collect();
    documents.extend(["README.md", "strategies/README.md"].map(|path| root().join(path)));
    documents.sort();
    documents
}

/// Compares a file that is kept in the repository with what it should be, or renews it.
pub fn kept(path: &Path, expected: &str) {
    let found = fs::read_to_string(path).unwrap_or_default();
    if std::env::var_os(RENEW).is_some() {
        fs::write(path, expected).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    } else {
        assert!(found == expected, "{} is out of date: run the tests with {RENEW}=1", path.display());
    }
}

/// Puts what each quoted command prints between its markers.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        out += &format!("{line}\n");
        let Some(command) = line.strip_prefix("<!-- begin $ ").and_then(|rest| rest.strip_suffix(" -->"))
        else {
            continue;
        };
        let end = lines.by_ref().find(|line| *line == "<!-- end -->");
        assert!(end.is_some(), "no end of {command}");
        let arguments = command.split(' ').skip(1);
        let run = resetbench().current_dir(root()).args(arguments).assert().success();
        let printed = String::from_utf8(run.get_output().stdout.clone()).expect("UTF-8");
        // A table is part of the page; anything else is shown with its command, as a terminal has it.
        out += &match printed.starts_with('|') {
            true => format!("\n{printed}\n"),
            false => format!("\n```text\n$ {command}\n{printed}```\n\n"),
        };
        out += "<!-- end -->\n";
    }
    out
}

#[test]
fn documents_quote_what_the_program_prints() {
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        kept(&path, &quoted(&text));
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for path in documents() {
        let text = fs::read_to_string(&path).expect("a document");
        let targets =
            text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        for target in targets.filter(|target| !target.contains("://") && !target.contains(' ')) {
            let (file, _anchor) = target.split_once('#').unwrap_or((target, ""));
            let there = file.is_empty() || path.parent().expect("a folder").join(file).exists();
            assert!(there, "{}: {target} leads nowhere", path.display());
        }
    }
}
