//! Compiled modules, shared by the children of a run: compiling would dominate every launch.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use anyhow::{Context, Result};
use wasmtime::{Engine, Module};

use crate::protocol::{COMPILE, LOAD};

/// The module, and the stage in which it was made. What was compiled is kept for the next child.
///
/// # Errors
/// When the module does not compile, or the folder cannot be written.
pub fn module(folder: &Path, engine: &Engine, wasm: &[u8]) -> Result<(Module, &'static str)> {
    let mut key = DefaultHasher::new();
    wasm.hash(&mut key);
    engine.precompile_compatibility_hash().hash(&mut key);
    let path = folder.join(format!("{:016x}.cwasm", key.finish()));
    if path.exists() {
        // SAFETY: the folder belongs to this run, whose children alone write to it, each file by an atomic rename
        // of what an engine of the same configuration serialised.
        let module = unsafe { Module::deserialize_file(engine, &path) };
        return Ok((module?, LOAD));
    }
    let module =
        Module::new(engine, wasm).map_err(anyhow::Error::from).context("cannot compile the module")?;
    let compiled = module.serialize()?;
    let partial = path.with_extension(format!("{}.partial", std::process::id()));
    fs::write(&partial, compiled)
        .and_then(|()| fs::rename(&partial, &path))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok((module, COMPILE))
}
