//! Tests that run in a process of their own, since they change what a whole process is like.

use std::env;
use std::process::Command;

/// Set in the child.
const CHILD: &str = "RESET_STRATEGIES_CHILD";

/// Whether this is the child; otherwise the test of that name is run in one, and has to succeed there.
///
/// A test begins with `if !child::is("its_name") { return; }`.
pub fn is(test: &str) -> bool {
    if env::var_os(CHILD).is_some() {
        return true;
    }
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(CHILD, "1");
    let output = child.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    for line in text.lines().filter(|line| line.contains("NOT TESTED HERE")) {
        eprintln!("{line}");
    }
    assert!(output.status.success() && text.contains("1 passed"), "{}: {text}", output.status);
    false
}
