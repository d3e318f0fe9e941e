//! What the tests of the binary share.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

/// The binary, with a time limit that only a hang can reach.
pub fn resetbench() -> Command {
    let mut command = Command::cargo_bin("resetbench").expect("cargo builds the binary for its tests");
    command.timeout(std::time::Duration::from_secs(600));
    command.env("NO_COLOR", "1");
    command
}

/// Copies a program that is to be started, by another process: a child that some other test starts meanwhile would hold ours
/// open for writing, and the kernel starts no file that anybody writes to (ETXTBSY).
pub fn copy_program(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg(from).arg(to).status().expect("a process");
    assert!(copied.success(), "cannot copy {}", from.display());
}

/// The committed reference run.
pub fn committed() -> PathBuf {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    let mut runs: Vec<_> = results.read_dir().expect("results").map(|entry| entry.unwrap().path()).collect();
    runs.retain(|path| path.join("run.json").exists());
    runs.sort();
    runs.pop().expect("a committed run")
}

/// What a command prints on standard output, as JSON.
pub fn json(arguments: &[&str]) -> Value {
    let output = resetbench().args(arguments).assert().success().get_output().stdout.clone();
    serde_json::from_slice(&output).expect("JSON on standard output")
}

/// A JSON file.
pub fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The member of a JSON object as text.
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text `{key}` in {value}"))
}

/// The members of a JSON array.
pub fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap_or_else(|| panic!("no list `{key}` in {value}"))
}
