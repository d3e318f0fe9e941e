//! The user's own indexer and blocks.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use reset_strategies::module::{Facts, Item};
use wasmparser::{ExternalKind, Parser, Payload, Validator, WasmFeatures};
use wasmtime::{Config, Engine, Module};

use super::blocks::Trace;
use super::definition::inputs;
use super::{Workload, host, module_file};

/// Reads a module and makes a workload of it; without blocks it is given those of the main network.
///
/// # Errors
/// When the file cannot be read, is no module, lacks `_start` or `memory`, has a `_start` with parameters or results, or imports what this host does not offer.
pub fn workload(path: &Path, given: Option<&Trace>) -> Result<Workload> {
    let shown = module_file::shown(path);
    let module = module_file::read(path)?;
    check(&module).with_context(|| format!("{shown} cannot be run as an indexer"))?;
    let trace = given.cloned().unwrap_or_else(Trace::mainnet);
    Ok(Workload {
        name: module_file::name(path),
        category: "user".into(),
        summary: shown,
        module: Arc::from(module),
        trace: inputs(&trace.blocks),
        heights: trace.heights(),
        store: std::collections::BTreeMap::new(),
        threads: 1,
        params: crate::measure::row::Params::new(),
    })
}

/// The facts about a module that is valid with all that the engine has on.
///
/// # Errors
/// When the bytes are not a core module, are invalid, or use a proposal that is off.
pub fn valid(module: &[u8]) -> Result<Facts> {
    if !module.starts_with(b"\0asm") {
        bail!("it is not a WebAssembly module: it does not begin with \\0asm");
    }
    let facts = Facts::read(module)?;
    let mut config = Config::new();
    (host::options().configure)(&mut config);
    let engine = Engine::new(&config).map_err(anyhow::Error::from)?;
    Module::validate(&engine, module)
        .map_err(|error| anyhow::anyhow!("{error:#}"))
        .context("it is not a valid WebAssembly module")?;
    Ok(facts)
}

/// Whether a module speaks the ABI: its imports are ours, and it exports `_start` and `memory`.
fn check(module: &[u8]) -> Result<()> {
    let facts = valid(module)?;
    for import in &facts.imports {
        if import.item != Item::Function || import.module != "env" || !host::offers(&import.name) {
            bail!(
                "it imports `{}.{}`, which this host does not offer; it offers {} from `env`",
                import.module,
                import.name,
                host::FUNCTIONS.join(", "),
            );
        }
    }
    for (name, item, remedy) in [
        ("_start", Item::Function, "the function that runs a block"),
        ("memory", Item::Memory, "where blocks are loaded"),
    ] {
        if facts.exported(name).is_none_or(|export| export.item != item) {
            bail!("it exports no `{name}`, {remedy}");
        }
    }
    let (takes, gives) = signature(module, "_start")?;
    if takes + gives > 0 {
        bail!(
            "its `_start` takes {takes} parameters and returns {gives} results: this host calls it with none, for none"
        );
    }
    Ok(())
}

/// How many parameters and results an exported function has; the module is valid.
fn signature(module: &[u8], name: &str) -> Result<(usize, usize)> {
    let types = Validator::new_with_features(WasmFeatures::all()).validate_all(module)?;
    let types = types.as_ref();
    for payload in Parser::new(0).parse_all(module) {
        let Payload::ExportSection(exports) = payload? else { continue };
        for export in exports {
            let export = export?;
            if export.name == name && export.kind == ExternalKind::Func {
                let kind = types[types.core_function_at(export.index)].unwrap_func();
                return Ok((kind.params().len(), kind.results().len()));
            }
        }
    }
    bail!("it exports no function `{name}`")
}
