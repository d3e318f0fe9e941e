//! Finds out which wasmtime is linked in, for `run.json`: wasmtime does not say so at run time.

use std::fs;

fn main() {
    println!("cargo::rerun-if-changed=Cargo.lock");
    let lock = fs::read_to_string("Cargo.lock").expect("cargo writes a lock file before it builds");
    let version = lock
        .split("[[package]]")
        .find(|package| package.contains("name = \"wasmtime\"\n"))
        .and_then(|package| package.lines().find_map(|line| line.strip_prefix("version = ")))
        .expect("wasmtime is a dependency")
        .trim_matches('"');
    println!("cargo::rustc-env=RESETBENCH_WASMTIME_VERSION={version}");
}
