//! Finds out which wasmtime is linked in, for `run.json`, since wasmtime does not say so at run time; and takes the boots of
//! `results/kernels` along, for whoever asks what was seen on a kernel.

use std::path::Path;
use std::{env, fs};

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
    kernels();
}

/// Writes a list of the boots' files with their texts. A package without results has none.
fn kernels() {
    println!("cargo::rerun-if-changed=build.rs");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let folder = Path::new(&root).join("results/kernels");
    if folder.exists() {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    let entries = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "json")).collect();
    files.sort();
    let mut list =
        String::from("/// The names and texts of the committed files.\nstatic FILES: &[(&str, &str)] = &[\n");
    for file in &files {
        let name = file.file_name().expect("a file of a folder has a name").to_string_lossy();
        list += &format!("    ({name:?}, include_str!({:?})),\n", file.display().to_string());
    }
    list += "];\n";
    let out = env::var("OUT_DIR").expect("cargo says where to write");
    fs::write(Path::new(&out).join("kernels.rs"), list).expect("the build's folder is writable");
}
