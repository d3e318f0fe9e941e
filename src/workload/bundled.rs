//! The workloads that come with the binary, modules included: one line each.

use anyhow::{Context, Result, bail};

use super::Workload;
use super::blocks::Trace;
use super::definition::Definition;
use crate::measure::row::Params;

/// A guest's definition and its prebuilt module.
#[derive(Clone, Copy, Debug)]
pub struct Bundled {
    definition: &'static str,
    module: &'static [u8],
}

macro_rules! bundled {
    ($($folder:literal, $module:literal;)*) => {
        &[$(Bundled {
            definition: include_str!(concat!("../../guests/", $folder, "/workload.toml")),
            module: include_bytes!(concat!("../../guests/prebuilt/", $module, ".wasm")),
        }),*]
    };
}

static ALL: &[Bundled] = bundled! {
    "blocktracker", "blocktracker";
    "utxo", "utxo";
    "lru", "lru";
    "allocate", "allocate";
    "chunked", "chunked";
    "touch", "touch";
    "noop", "noop";
    "other/assemblyscript", "assemblyscript";
    "other/c", "c";
    "other/tables", "tables";
    "other/passive", "passive";
    "other/two-memories", "two-memories";
    "other/dispatch", "dispatch";
    "other/edge", "edge";
    "substreams", "substreams";
    "other/growth", "growth";
    "views/balance", "view";
    "views/outputs", "view";
    "views/simulate", "view";
    "views/mixed", "view";
};

/// All bundled workloads, those that are measured by default first.
pub fn all() -> &'static [Bundled] {
    ALL
}

/// The bundled workload of that name, at its full size except for the given parameters.
///
/// # Errors
/// When there is none.
pub fn named(name: &str, chosen: &Params) -> Result<Workload> {
    let (bundled, definition) = find(name)?;
    bundled.workload(definition.params(false, chosen), None)
}

/// The guest of that name, and its definition.
///
/// # Errors
/// When there is none.
pub fn find(name: &str) -> Result<(&'static Bundled, Definition)> {
    for bundled in all() {
        let definition = bundled.definition()?;
        if definition.name == name {
            return Ok((bundled, definition));
        }
    }
    bail!("there is no workload `{name}`")
}

impl Bundled {
    /// What the guest's folder says of it.
    ///
    /// # Errors
    /// When its `workload.toml` is malformed.
    pub fn definition(&self) -> Result<Definition> {
        Definition::parse(self.definition).context("a bundled workload.toml")
    }

    /// The module as it was compiled.
    pub fn module(&self) -> &'static [u8] {
        self.module
    }

    /// Settles parameters and blocks.
    ///
    /// # Errors
    /// When a parameter does not fit.
    pub fn workload(&self, params: Params, blocks: Option<&Trace>) -> Result<Workload> {
        self.definition()?.workload(self.module, params, blocks)
    }
}
