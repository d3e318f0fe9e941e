//! Fresh strategies: the store is dropped and a new instance made. They differ in allocator, configuration and
//! linking.

pub mod on_demand;
#[cfg(feature = "pool-arms")]
pub mod pool_arms;
pub mod pooling;
#[cfg(feature = "pool-scan")]
pub mod pooling_scan;
pub mod relink;

use std::sync::Arc;

use wasmtime::{
    Config, Engine, Instance, InstancePre, Linker, Module, Store, TypedFunc, WasmParams, WasmResults,
};

use crate::block::{self, Reset};
use crate::calls::Calls;
use crate::error::Error;
use crate::hooks::{Define, Hooks};
use crate::in_place;
use crate::judgement::{Answer, Judgement};
use crate::module::{Export, Facts, Item};
use crate::options::Options;

/// How a fresh strategy makes its instances.
#[derive(Clone, Copy, Debug)]
pub struct Fresh {
    /// When imports are looked up and type-checked.
    pub link: Link,
    /// The allocator and its settings.
    pub configure: fn(&mut Config, &Facts, &Options),
    /// Whether instances live in a pool of the engine's, which has room for [`Options::sessions`] of them.
    pub pooled: bool,
    /// What a reset drops.
    pub drops: Drops,
    /// The same for a host that uses wasmtime alone, as a Rust function.
    pub recipe: &'static str,
}

/// What a fresh strategy's reset drops before it makes a new instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drops {
    /// The store, and with it the instance.
    Store,
    /// Nothing: instances pile up in one store, which never frees one. No strategy does this, but hosts have.
    Nothing,
}

impl Fresh {
    /// `InstancePre` and wasmtime's defaults; strategies say in what they differ from this.
    pub const BASE: Self =
        Self { link: Link::Once, configure: |_, _, _| (), pooled: false, drops: Drops::Store, recipe: "" };

    /// The same on the pooling allocator, which is for the strategy to configure.
    pub const POOLED: Self = Self { pooled: true, ..Self::BASE };
}

/// When imports are looked up and type-checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// At every instantiation, by `Linker::instantiate`.
    PerBlock,
    /// Likewise, by a linker that is made for it: the host's functions are defined in it before
    /// ([`Hooks::define`](crate::Hooks::define)).
    NewLinker,
    /// Once, by `Linker::instantiate_pre`.
    Once,
}

/// Judges a module: wasmtime makes everything anew, even what cannot be brought back.
pub(crate) fn judge(facts: &Facts) -> Vec<Judgement> {
    let mut judgements = in_place::constructs(facts);
    for judgement in &mut judgements {
        if let Answer::Refused { .. } = judgement.answer {
            judgement.answer = Answer::Restored;
        }
    }
    // All other imports belong to a store, and each instance has a new one.
    for (index, memory) in facts.memories.iter().enumerate().filter(|(_, memory)| memory.shared) {
        let reason = if memory.imported {
            "is imported and shared, so that it outlives every store"
        } else {
            "is shared, which wasmtime makes on demand only, and only where a host asks for it (Config::shared_memory)"
        };
        let name = format!("memory {index}");
        for judgement in judgements.iter_mut().filter(|judgement| judgement.construct == name) {
            judgement.answer = Answer::Refused { reason: reason.into() };
        }
    }
    judgements
}

pub(crate) struct FreshSession<T: 'static> {
    engine: Engine,
    template: Template<T>,
    drops: Drops,
    options: Options,
    hooks: Hooks<T>,
    state: Box<dyn FnMut() -> T + Send>,
    facts: Arc<Facts>,
    /// Absent only while a reset replaces it, or after one that failed.
    live: Option<Live<T>>,
}

/// What instances are made from.
enum Template<T: 'static> {
    PerBlock(Box<(Linker<T>, Module)>),
    NewLinker(Box<(Linker<T>, Module)>),
    Once(InstancePre<T>),
}

struct Live<T: 'static> {
    store: Store<T>,
    instance: Instance,
    start: Option<TypedFunc<(), ()>>,
}

impl<T: 'static> FreshSession<T> {
    pub(crate) async fn start<C: Calls<T>>(
        fresh: Fresh,
        module: &Module,
        linker: &Linker<T>,
        options: Options,
        hooks: Hooks<T>,
        facts: Arc<Facts>,
        state: Box<dyn FnMut() -> T + Send>,
    ) -> Result<Self, Error> {
        let template = match fresh.link {
            Link::PerBlock => Template::PerBlock(Box::new((linker.clone(), module.clone()))),
            Link::NewLinker => Template::NewLinker(Box::new((linker.clone(), module.clone()))),
            Link::Once => {
                let pre = linker.instantiate_pre(module).map_err(Error::engine("cannot link the module"))?;
                Template::Once(pre)
            }
        };
        let engine = module.engine().clone();
        let drops = fresh.drops;
        let mut session = Self { engine, template, drops, options, hooks, state, facts, live: None };
        session.instantiate::<C>().await?;
        Ok(session)
    }

    async fn instantiate<C: Calls<T>>(&mut self) -> Result<(), Error> {
        let state = (self.state)();
        let mut store = match self.live.take() {
            Some(Live { mut store, .. }) if self.drops == Drops::Nothing => {
                *store.data_mut() = state;
                store
            }
            // Dropped before the new one is made, so that a pool of one is enough.
            old => {
                drop(old);
                block::store(&self.engine, state, &self.options, self.hooks)?
            }
        };
        let instance = match &self.template {
            Template::PerBlock(parts) => C::link(&parts.0, &parts.1, &mut store).await,
            Template::NewLinker(parts) => {
                let (given, module) = &**parts;
                match anew(given, module, self.hooks.define, &mut store) {
                    Ok(linker) => C::link(&linker, module, &mut store).await,
                    Err(error) => Err(error),
                }
            }
            Template::Once(pre) => C::instantiate(pre, &mut store).await,
        }
        .map_err(Error::engine("cannot instantiate the module"))?;
        let start = block::entry(instance, &mut store, self.options.entry)?;
        // What instantiation took of it is not the block's.
        block::allow(&mut store, &self.options);
        self.live = Some(Live { store, instance, start });
        Ok(())
    }

    fn live_mut(&mut self) -> Result<&mut Live<T>, Error> {
        self.live.as_mut().ok_or_else(gone)
    }

    pub(crate) fn store_mut(&mut self) -> Result<&mut Store<T>, Error> {
        Ok(&mut self.live_mut()?.store)
    }

    pub(crate) fn instance(&self) -> Result<Instance, Error> {
        self.live.as_ref().map(|live| live.instance).ok_or_else(gone)
    }

    /// Bytes of the memories that the module defines: as large as they are where it exports them, and as they began where it
    /// does not.
    pub(crate) fn memory_bytes(&mut self) -> u64 {
        let Some(Live { store, instance, .. }) = &mut self.live else { return 0 };
        let exports = &self.facts.exports;
        let defined = self.facts.memories.iter().enumerate().filter(|(_, memory)| !memory.imported);
        defined
            .map(|(index, memory)| {
                let is_it = |export: &&Export| export.item == Item::Memory && export.index as usize == index;
                let exported = exports.iter().find(is_it);
                let exported = exported.and_then(|export| instance.get_memory(&mut *store, &export.name));
                exported.map_or(memory.initial_bytes(), |memory| memory.data_size(&*store) as u64)
            })
            .sum()
    }

    pub(crate) async fn execute<C: Calls<T>>(&mut self) -> wasmtime::Result<()> {
        let live = self.live_mut()?;
        block::execute::<T, C>(live.start.as_ref(), &mut live.store).await
    }

    pub(crate) async fn call<C: Calls<T>, P, R>(&mut self, export: &str, params: P) -> wasmtime::Result<R>
    where
        P: WasmParams + Sync,
        R: WasmResults + Sync,
    {
        let live = self.live_mut()?;
        block::call::<T, C, P, R>(live.instance, &mut live.store, export, params).await
    }

    pub(crate) async fn reset<C: Calls<T>>(&mut self) -> Result<Reset, Error> {
        self.instantiate::<C>().await?;
        Ok(Reset { instances: 1, ..Reset::default() })
    }
}

/// A new linker with the functions of the host: as it defines them, or one by one from the linker that it has given.
fn anew<T: 'static>(
    given: &Linker<T>,
    module: &Module,
    define: Option<Define<T>>,
    store: &mut Store<T>,
) -> wasmtime::Result<Linker<T>> {
    let mut linker = Linker::new(module.engine());
    match define {
        Some(define) => define(&mut linker, module)?,
        None => {
            let given: Vec<_> = given
                .iter(&mut *store)
                .map(|(module, name, item)| (module.to_owned(), name.to_owned(), item))
                .collect();
            for (module, name, item) in given {
                linker.define(&mut *store, &module, &name, item)?;
            }
        }
    }
    Ok(linker)
}

/// Only a failed reset leaves no instance.
fn gone() -> Error {
    Error::Poisoned("no new instance could be made".into())
}
