//! Where a module's code is, for a profiler: a line for each function, in the form of perf's maps.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use wasmtime::Module;

use crate::files;

/// What the rest of a module's code is called: the ways in and out of the guest.
pub const TRAMPOLINE: &str = "wasmtime trampoline";

/// Writes where the functions of a module are: start and length in hex, and the name. What lies between them is
/// [trampolines](TRAMPOLINE). A function without a name is called by its index, as in `wasm function 12`.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, module: &Module) -> Result<()> {
    let text = module.text();
    let base = text.as_ptr().addr();
    let mut functions: Vec<_> = module.functions().collect();
    functions.sort_by_key(|function| function.offset);
    let mut map = String::new();
    let mut end = 0;
    for function in functions {
        trampoline(&mut map, base, end, function.offset);
        let name = function.name.unwrap_or_else(|| format!("wasm function {}", function.index.as_u32()));
        let _ = writeln!(map, "{:x} {:x} {name}", base + function.offset, function.len);
        end = function.offset + function.len;
    }
    trampoline(&mut map, base, end, text.len());
    files::write(path, map)
}

fn trampoline(map: &mut String, base: usize, from: usize, to: usize) {
    if to > from {
        let _ = writeln!(map, "{:x} {:x} {TRAMPOLINE}", base + from, to - from);
    }
}
