//! The user's own indexer and blocks.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use reset_strategies::module::{Facts, Import, Item};
use wasmparser::{ExternalKind, Parser, Payload, Validator, WasmFeatures};
use wasmtime::{Config, Engine, Module};

use super::blocks::Trace;
use super::definition::inputs;
use super::{Workload, host, module_file};
use crate::hosts;
use crate::prose::distinct;

/// Reads a module and makes a workload of it; without blocks it is given those of the main network. Functions that this host
/// does not offer may be imported, unless `strict`, and are named.
///
/// # Errors
/// When the file cannot be read, is no module, lacks `_start` or `memory`, has a `_start` with parameters or results, or imports
/// what this host does not offer: something else than a function, or anything where `strict`.
pub fn workload(path: &Path, given: Option<&Trace>, strict: bool) -> Result<Workload> {
    let shown = module_file::shown(path);
    let module = module_file::read(path)?;
    let foreign = check(&module, strict).with_context(|| format!("{shown} cannot be run as an indexer"))?;
    if !foreign.is_empty() {
        eprintln!(
            "note: {shown} imports {}, which this host does not offer: a block that calls one of them fails \
             (--strict-imports refuses such modules)",
            foreign.join(", ")
        );
    }
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
    (hosts::plain().options().configure)(&mut config);
    let engine = Engine::new(&config).map_err(anyhow::Error::from)?;
    Module::validate(&engine, module)
        .map_err(|error| anyhow::anyhow!("{error:#}"))
        .context("it is not a valid WebAssembly module")?;
    Ok(facts)
}

/// The functions that a module imports and this host does not offer, as `module.name`, each once.
pub fn foreign(facts: &Facts) -> Vec<String> {
    let imports = facts.imports.iter().filter(|import| import.item == Item::Function && !offered(import));
    distinct(imports.map(|import| format!("{}.{}", import.module, import.name)))
}

fn offered(import: &Import) -> bool {
    import.item == Item::Function && import.module == "env" && host::offers(&import.name)
}

/// Whether a module speaks the ABI: it exports `_start` and `memory`, and its imports are ours, or functions that it need not
/// call. Returns the latter.
fn check(module: &[u8], strict: bool) -> Result<Vec<String>> {
    let facts = valid(module)?;
    let refused = |import: &&Import| !offered(import) && (strict || import.item != Item::Function);
    if let Some(import) = facts.imports.iter().find(refused) {
        bail!(
            "it imports the {} `{}.{}`, which this host does not offer; it offers the functions {} from `env`",
            import.item,
            import.module,
            import.name,
            host::FUNCTIONS.join(", "),
        );
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
    Ok(foreign(&facts))
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
