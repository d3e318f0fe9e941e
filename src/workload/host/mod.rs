//! The host of an indexer: what its guest imports, over a key-value state in memory, and how a block is given to it.
//!
//! Guests speak one of several [ABIs](Abi); which one, their imports and exports tell. As the hosts of the field do, it lets a
//! module import functions that it does not offer, and such a function traps when it is called.

mod hash;
mod metashrew;
mod state;
mod store;
mod substreams;
mod view;
mod wasi;

use std::fmt;
use std::path::Path;

use anyhow::Context;
use reset_strategies::Session;
use reset_strategies::module::{Facts, Import};
use serde::{Deserialize, Serialize};
use wasmparser::{ExternalKind, FuncType, Parser, Payload, ValType, Validator, WasmFeatures};
use wasmtime::{Caller, Extern, Linker, Memory, Module, Result, bail};

pub use self::hash::{digest_of_nothing, hex};
pub use self::metashrew::Metashrew;
pub use self::state::{BlockState, Exported, Outcome, deadline, timed_out};
pub use self::store::{Base, Entries, Shared, Store, digest};
pub use self::substreams::Substreams;
pub use self::view::View;
pub use self::wasi::Wasi;
use super::blocks::{Block, Trace};
use crate::hosts::Calls;
use crate::prose::nearest;

/// An ABI: what a guest may import, and how a block is run in it.
pub trait Abi: Sized {
    /// What it is called.
    const NAME: &'static str;

    /// The functions that a guest may import, each with its module.
    const FUNCTIONS: &'static [(&'static str, &'static str)];

    /// What an input is called in messages.
    const INPUT: &'static str = "block";

    /// The ABI as a module with that interface speaks it. Where there are several functions that run a block, it is `handler`.
    ///
    /// # Errors
    /// What the module lacks, as the rest of a sentence about it.
    fn of(interface: &Interface, handler: Option<&str>) -> Result<Self, String>;

    /// The export that runs a block all by itself, if one does.
    fn entry(&self) -> Option<&'static str>;

    /// Reads the user's blocks.
    ///
    /// # Errors
    /// When they cannot be read, or a height is given that they do not have.
    fn read(&self, given: &Given<'_>) -> anyhow::Result<Trace>;

    /// Blocks for a module that comes without: those of Bitcoin's main network.
    ///
    /// # Errors
    /// None, since these blocks are what they are.
    fn example(&self) -> anyhow::Result<Trace>;

    /// What the guest is given for a block.
    fn input(&self, block: &Block) -> Vec<u8>;

    /// Defines the functions, for calls of that kind.
    ///
    /// # Errors
    /// When the linker already has one of them.
    fn link(&self, linker: &mut Linker<BlockState>, calls: Calls) -> Result<()>;

    /// Runs the block that the [state](BlockState::begin) has.
    ///
    /// # Errors
    /// A trap, or an error of a function of the host.
    fn execute(&self, session: &mut Session<BlockState>) -> Result<()>;

    /// The same where calls are futures.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    fn execute_async(&self, session: &mut Session<BlockState>) -> impl Future<Output = Result<()>>;
}

/// Blocks as the user gives them.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// A file or a folder.
    pub path: &'a Path,
    /// The height to begin at.
    pub start_height: Option<u32>,
    /// The most blocks to read.
    pub limit: usize,
}

impl Given<'_> {
    /// Refuses a height, for whom blocks have none.
    ///
    /// # Errors
    /// When there is one.
    fn without_height(&self, guest: &str) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.start_height.is_none(),
            "--start-height is for Bitcoin blocks: {guest} is given files as they are"
        );
        Ok(())
    }
}

macro_rules! spoken {
    ($($abi:ident,)*) => {
        /// The ABI that a module speaks.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Spoken {
            $($abi($abi),)*
        }

        impl Spoken {
            /// Tries all ABIs.
            fn tried(interface: &Interface, handler: Option<&str>) -> Result<Self, Vec<String>> {
                let mut lacking = Vec::new();
                $(match <$abi as Abi>::of(interface, handler) {
                    Ok(abi) => return Ok(Self::$abi(abi)),
                    Err(what) => lacking.push(format!("{}: {what}", $abi::NAME)),
                })*
                Err(lacking)
            }

            /// Whether any of them has a function that a guest may import so.
            pub fn any_offers(import: &Import) -> bool {
                $(offered(<$abi as Abi>::FUNCTIONS, import))||*
            }

            /// What it is called.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$abi(_) => $abi::NAME,)* }
            }

            /// The functions that a guest may import, each with its module.
            pub fn functions(&self) -> &'static [(&'static str, &'static str)] {
                match self { $(Self::$abi(_) => $abi::FUNCTIONS,)* }
            }

            /// What an input is called in messages: a block or a request.
            pub fn word(&self) -> &'static str {
                match self { $(Self::$abi(_) => $abi::INPUT,)* }
            }

            /// The export that runs a block all by itself, if one does.
            pub fn entry(&self) -> Option<&'static str> {
                match self { $(Self::$abi(abi) => abi.entry(),)* }
            }

            /// Reads the user's blocks.
            ///
            /// # Errors
            /// When they cannot be read, or a height is given that they do not have.
            pub fn read(&self, given: &Given<'_>) -> anyhow::Result<Trace> {
                match self { $(Self::$abi(abi) => abi.read(given),)* }
            }

            /// Blocks for a module that comes without.
            ///
            /// # Errors
            /// None.
            pub fn example(&self) -> anyhow::Result<Trace> {
                match self { $(Self::$abi(abi) => abi.example(),)* }
            }

            /// What the guest is given for a block.
            pub fn input(&self, block: &Block) -> Vec<u8> {
                match self { $(Self::$abi(abi) => abi.input(block),)* }
            }

            /// Runs the block that the state has.
            ///
            /// # Errors
            /// A trap, or an error of a function of the host.
            pub fn execute(&self, session: &mut Session<BlockState>) -> Result<()> {
                match self { $(Self::$abi(abi) => abi.execute(session),)* }
            }

            /// The same where calls are futures.
            ///
            /// # Errors
            /// As [`execute`](Self::execute).
            pub async fn execute_async(&self, session: &mut Session<BlockState>) -> Result<()> {
                match self { $(Self::$abi(abi) => abi.execute_async(session).await,)* }
            }

            fn define(&self, linker: &mut Linker<BlockState>, calls: Calls) -> Result<()> {
                match self { $(Self::$abi(abi) => abi.link(linker, calls),)* }
            }
        }
    };
}

// A module that speaks several is taken for the first.
spoken! {
    Wasi,
    Metashrew,
    Substreams,
    View,
}

impl Default for Spoken {
    fn default() -> Self {
        Self::Metashrew(Metashrew)
    }
}

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Spoken {
    /// The ABI that a valid module speaks; `handler` is the function that runs a block, where the ABI leaves it open.
    ///
    /// # Errors
    /// When it speaks none: what it lacks of each.
    pub fn by(module: &[u8], handler: Option<&str>) -> anyhow::Result<Self> {
        let interface = Interface::read(module)?;
        let abi = Self::tried(&interface, handler)
            .map_err(|lacking| anyhow::anyhow!("it speaks no ABI of this host: {}", lacking.join("; ")))?;
        anyhow::ensure!(interface.memory, "it exports no `{MEMORY}`, where blocks are loaded");
        Ok(abi)
    }

    /// The ABI of a valid module whose exports answer requests.
    ///
    /// # Errors
    /// When one of them cannot: what it is, and what belongs there.
    pub fn views(module: &[u8], exports: &[String]) -> anyhow::Result<Self> {
        let interface = Interface::read(module)?;
        let view = View::asked(&interface, exports).map_err(anyhow::Error::msg)?;
        anyhow::ensure!(interface.memory, "it exports no `{MEMORY}`, where requests are loaded");
        Ok(Self::View(view))
    }

    /// Whether a guest may import that.
    pub fn offers(&self, import: &Import) -> bool {
        offered(self.functions(), import)
    }

    /// Defines the host's functions, and for all others that the module imports some that trap.
    ///
    /// # Errors
    /// When the linker already has one of them.
    pub fn link(&self, linker: &mut Linker<BlockState>, module: &Module, calls: Calls) -> Result<()> {
        self.define(linker, calls)?;
        linker.define_unknown_imports_as_traps(module)
    }
}

fn offered(functions: &[(&str, &str)], import: &Import) -> bool {
    functions.contains(&(&*import.module, &*import.name))
}

/// The export through which all ABIs exchange bytes.
const MEMORY: &str = "memory";

/// What a module exports and imports, as far as an ABI is about it.
#[derive(Debug, Default)]
pub struct Interface {
    functions: Vec<(String, FuncType)>,
    /// What else it exports, and what each is.
    others: Vec<(String, &'static str)>,
    memory: bool,
    /// What it imports, each with its module.
    imports: Vec<(String, String)>,
}

impl Interface {
    fn read(module: &[u8]) -> anyhow::Result<Self> {
        let types = Validator::new_with_features(WasmFeatures::all()).validate_all(module)?;
        let types = types.as_ref();
        let imports = Facts::read(module)?.imports.into_iter();
        let imports = imports.map(|import| (import.module, import.name)).collect();
        let mut found = Self { imports, ..Self::default() };
        for payload in Parser::new(0).parse_all(module) {
            let Payload::ExportSection(exports) = payload? else { continue };
            for export in exports {
                let export = export.context("its exports")?;
                match export.kind {
                    ExternalKind::Func => {
                        let kind = types[types.core_function_at(export.index)].unwrap_func();
                        found.functions.push((export.name.into(), kind.clone()));
                    }
                    ExternalKind::Memory => {
                        found.memory |= export.name == MEMORY;
                        found.others.push((export.name.into(), "memory"));
                    }
                    ExternalKind::Table => found.others.push((export.name.into(), "table")),
                    ExternalKind::Global => found.others.push((export.name.into(), "global")),
                    ExternalKind::Tag => found.others.push((export.name.into(), "tag")),
                    ExternalKind::FuncExact => {}
                }
            }
        }
        Ok(found)
    }

    /// Whether it imports something of that kind.
    fn imports(&self, is: impl Fn(&str, &str) -> bool) -> bool {
        self.imports.iter().any(|(module, name)| is(module, name))
    }

    /// The name of a function that is probably meant by another one.
    fn nearest(&self, name: &str) -> String {
        let names: Vec<_> = self.functions.iter().map(|(known, _)| known.clone()).collect();
        nearest(name, &names)
    }

    /// The type of the function of that name.
    fn function(&self, name: &str) -> Option<&FuncType> {
        self.functions.iter().find(|(known, _)| known == name).map(|(_, kind)| kind)
    }
}

/// The export that runs a block all by itself.
const START: &str = "_start";

/// Whether a module has it, and no other function is asked for.
///
/// # Errors
/// What it lacks.
fn runs_alone(interface: &Interface, handler: Option<&str>) -> Result<(), String> {
    if let Some(handler) = handler {
        return Err(format!("a block is run by `{START}`, and not by `{handler}` (--handler)"));
    }
    let Some(start) = interface.function(START) else {
        return Err(format!("it exports no `{START}`, the function that runs a block"));
    };
    let (takes, gives) = (start.params().len(), start.results().len());
    if takes + gives > 0 {
        return Err(format!(
            "its `{START}` takes {takes} parameters and returns {gives} results: this host calls it with none, for none"
        ));
    }
    Ok(())
}

/// A function's type, as it is written.
fn signature(params: &[ValType], results: &[ValType]) -> String {
    let list = |types: &[ValType]| types.iter().map(ValType::to_string).collect::<Vec<_>>().join(", ");
    format!("({}) -> ({})", list(params), list(results))
}

/// Notes that the guest has called, and lets its deadline pass if this is the place.
fn called(caller: &mut Caller<'_, BlockState>) {
    if let Some(ticks) = caller.data_mut().called() {
        (0..ticks).for_each(|_| caller.engine().increment_epoch());
    }
}

/// The memory that a call is about.
fn memory(caller: &mut Caller<'_, BlockState>) -> Result<Memory> {
    called(caller);
    let known = caller.data().memory;
    // One of another module is none here: by its name then.
    let export = known.and_then(|known| caller.get_module_export(&known.0));
    match export.or_else(|| caller.get_export(MEMORY)) {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => bail!("the guest exports no memory"),
    }
}
