//! The user's own indexer and blocks.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use reset_strategies::module::{Facts, Import, Item};
use wasmtime::{Config, Engine, Module};

use super::blocks::Trace;
use super::definition::inputs;
use super::filled::Filled;
use super::host::Spoken;
use super::requests::{self, Asked};
use super::{Workload, module_file};
use crate::hosts;
use crate::measure::row::Params;
use crate::prose::distinct;

/// How the user's module is taken.
#[derive(Clone, Copy, Debug)]
pub struct Taken<'a> {
    /// Refuse it where it imports functions that this host does not offer.
    pub strict_imports: bool,
    /// The function that runs a block, where the module has several.
    pub handler: Option<&'a str>,
    /// The views that are asked, where its inputs are requests.
    pub views: &'a [Asked],
}

impl Taken<'_> {
    /// The ABI that the module is to be run by.
    fn abi(&self, module: &[u8]) -> Result<Spoken> {
        if self.views.is_empty() {
            return Spoken::by(module, self.handler);
        }
        Spoken::views(module, &requests::exports(self.views))
    }

    /// Two functions of one module are two workloads.
    fn params(&self) -> Params {
        let exports = requests::exports(self.views);
        let views = (!exports.is_empty()).then(|| ("views".to_owned(), exports.join(" ").into()));
        let handler = self.handler.map(|handler| ("handler".to_owned(), handler.into()));
        views.into_iter().chain(handler).collect()
    }
}

/// Reads a module and makes a workload of it. Without blocks of the user's, which are read as its ABI has them, it is given those
/// of the main network; where views are asked, blocks fill the store that they answer from. Functions that this host does not offer
/// may be imported, unless that is refused, and are named.
///
/// # Errors
/// When the file cannot be read, is no module, speaks no ABI of this host, or imports what this host does not offer: something else
/// than a function, or anything where that is refused; or when the blocks cannot be read.
pub fn workload(
    path: &Path,
    taken: Taken<'_>,
    blocks: impl FnOnce(&Spoken) -> Result<Option<Trace>>,
) -> Result<Workload> {
    let shown = module_file::shown(path);
    let module = module_file::read(path)?;
    let (abi, foreign) =
        check(&module, taken).with_context(|| format!("{shown} cannot be run as an indexer"))?;
    if !foreign.is_empty() {
        eprintln!(
            "note: {shown} imports {}, which this host does not offer: a block that calls one of them fails \
             (--strict-imports refuses such modules)",
            foreign.join(", ")
        );
    }
    let given = blocks(&abi)?;
    let workload = Workload {
        name: module_file::name(path),
        category: "user".into(),
        summary: shown,
        module: Arc::from(module),
        abi,
        trace: Vec::new(),
        heights: None,
        store: std::collections::BTreeMap::new(),
        filled: None,
        threads: 1,
        params: taken.params(),
    };
    if taken.views.is_empty() { with_blocks(workload, given) } else { with_requests(workload, taken, given) }
}

fn with_blocks(workload: Workload, given: Option<Trace>) -> Result<Workload> {
    let trace = given.map_or_else(|| workload.abi.example(), Ok)?;
    let heights = trace.heights();
    Ok(Workload { trace: inputs(&workload.abi, &trace.blocks), heights, ..workload })
}

/// Views are answered from what the module itself makes of the blocks, if it runs blocks at all.
fn with_requests(workload: Workload, taken: Taken<'_>, given: Option<Trace>) -> Result<Workload> {
    let (mut filled, mut height) = (None, 0);
    match (Spoken::by(&workload.module, None), given) {
        (Ok(indexer @ Spoken::Metashrew(_)), given) => {
            let blocks = given.map_or_else(|| indexer.example(), Ok)?.blocks;
            height = blocks.last().map_or(0, |block| block.height);
            let inputs = inputs(&indexer, &blocks);
            filled = Some(Filled::by(workload.module.clone(), indexer, inputs));
        }
        (_, Some(_)) => bail!(
            "{} does not run blocks as metashrew's indexers do, so that --blocks cannot fill the store for its views",
            workload.summary
        ),
        (_, None) => {}
    }
    let trace = requests::given(taken.views, height)?;
    Ok(Workload { trace, filled, ..workload })
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
/// Of a module that speaks no ABI, those that no ABI has.
pub fn foreign(abi: Option<&Spoken>, facts: &Facts) -> Vec<String> {
    let offered = |import: &Import| abi.map_or_else(|| Spoken::any_offers(import), |abi| abi.offers(import));
    let imports = facts.imports.iter().filter(|import| import.item == Item::Function && !offered(import));
    distinct(imports.map(|import| format!("{}.{}", import.module, import.name)))
}

/// The ABI that a module speaks, and the functions that it imports and this host does not offer.
fn check(module: &[u8], taken: Taken<'_>) -> Result<(Spoken, Vec<String>)> {
    let facts = valid(module)?;
    let abi = taken.abi(module)?;
    let refused = |import: &&Import| match import.item {
        Item::Function => taken.strict_imports && !abi.offers(import),
        _ => true,
    };
    if let Some(import) = facts.imports.iter().find(refused) {
        let offered: Vec<_> =
            abi.functions().iter().map(|(module, name)| format!("{module}.{name}")).collect();
        bail!(
            "it imports the {} `{}.{}`, which this host does not offer; it offers the functions {}",
            import.item,
            import.module,
            import.name,
            offered.join(", "),
        );
    }
    let foreign = foreign(Some(&abi), &facts);
    Ok((abi, foreign))
}
