//! From a module to a session: judge, rewrite, configure, start.

use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::{Config, Engine, Linker, Module};

use crate::calls::{Blocking, Calls, at_once};
use crate::error::Error;
use crate::fresh::FreshSession;
use crate::hooks::Hooks;
use crate::in_place::{Creator, InPlace, InPlaceSession, Template, Turns};
use crate::judgement::Support;
use crate::module::{Facts, instrument, origin_name};
use crate::options::Options;
use crate::session::Session;
use crate::strategy::{Availability, Lifecycle, Strategy};

/// A strategy that has been found able to run a module.
#[derive(Clone, Debug)]
pub struct Plan<'wasm> {
    strategy: &'static Strategy,
    options: Options,
    facts: Arc<Facts>,
    wasm: std::borrow::Cow<'wasm, [u8]>,
    /// What the module exports if it was compiled from `wasm`, and that is a rewritten one.
    origin: Option<String>,
    creator: Arc<Creator>,
}

impl<'wasm> Plan<'wasm> {
    /// Judges whether the strategy works on this machine and can restore this module, and rewrites the module where
    /// the strategy needs to reach what it hides.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Refused`], or the bytes are not a module.
    pub fn new(strategy: &'static Strategy, wasm: &'wasm [u8], options: Options) -> Result<Self, Error> {
        let name = strategy.name();
        if let Availability::Unavailable { reason } = strategy.availability() {
            return Err(Error::Unavailable { strategy: name, reason });
        }
        let plan = Self::unprobed(strategy, wasm, options)?;
        match strategy.support(&plan.facts) {
            Support::Supported => Ok(plan),
            Support::Refused { reason } => Err(Error::refused(strategy.name(), reason)),
        }
    }

    /// A plan whose mechanisms were not probed: for the self-test, which is such a probe itself.
    pub(crate) fn unprobed(
        strategy: &'static Strategy,
        wasm: &'wasm [u8],
        options: Options,
    ) -> Result<Self, Error> {
        let facts = Arc::new(Facts::read(wasm)?);
        let (origin, wasm) = match strategy.lifecycle() {
            Lifecycle::Fresh(_) => (None, wasm.into()),
            Lifecycle::InPlace(_) => {
                (origin_name(wasm, &facts).map(|(name, _)| name), instrument(wasm, &facts)?.into())
            }
        };
        Ok(Self { strategy, options, facts, wasm, origin, creator: Arc::default() })
    }

    /// The plan with a copy of the module, so that it can outlive the bytes that it was made from.
    pub fn into_owned(self) -> Plan<'static> {
        let Self { strategy, options, facts, wasm, origin, creator } = self;
        Plan { strategy, options, facts, wasm: wasm.into_owned().into(), origin, creator }
    }

    /// The strategy.
    pub fn strategy(&self) -> &'static Strategy {
        self.strategy
    }

    /// What the host has chosen.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// What the module contains.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The module to compile: the original, or rewritten so that everything that changes can be reached.
    pub fn wasm(&self) -> &[u8] {
        &self.wasm
    }

    /// The engine configuration that the strategy runs under.
    pub fn config(&self) -> Config {
        let mut config = self.strategy.config(&self.facts, &self.options);
        if let Lifecycle::InPlace(_) = self.strategy.lifecycle() {
            config.with_host_memory(self.creator.clone());
        }
        config
    }

    /// An engine with that configuration.
    ///
    /// # Errors
    /// When wasmtime cannot make one, for instance because a pool does not fit the address space.
    pub fn engine(&self) -> Result<Engine, Error> {
        Engine::new(&self.config()).map_err(Error::engine("cannot make an engine"))
    }

    /// Instantiates a module that was compiled from [`wasm`](Self::wasm) by an engine of this plan.
    ///
    /// `state` makes the host's state for one block, here and at every reset. It can be sent to another thread, so that
    /// the session can, wherever `T` can.
    ///
    /// # Errors
    /// When the module or the linker belongs to something else, an import is missing, instantiation traps or calls the host
    /// where that cannot be repeated, or the snapshot cannot be taken.
    pub fn start<T: 'static>(
        &self,
        module: &Module,
        linker: &Linker<T>,
        state: impl FnMut() -> T + Send + 'static,
    ) -> Result<Session<T>, Error> {
        self.start_with(module, linker, state, Hooks::default())
    }

    /// The same, for a host that has a limiter or a callback on its stores.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with<T: 'static>(
        &self,
        module: &Module,
        linker: &Linker<T>,
        state: impl FnMut() -> T + Send + 'static,
        hooks: Hooks<T>,
    ) -> Result<Session<T>, Error> {
        at_once(self.start_by::<T, Blocking>(module, linker, Box::new(state), hooks))
    }

    /// [`start`](Self::start) for a host whose functions wait, or whose guests give way to others.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    #[cfg(feature = "async")]
    pub async fn start_async<T: Send + 'static>(
        &self,
        module: &Module,
        linker: &Linker<T>,
        state: impl FnMut() -> T + Send + 'static,
    ) -> Result<Session<T>, Error> {
        self.start_async_with(module, linker, state, Hooks::default()).await
    }

    /// [`start_with`](Self::start_with) for such a host.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    #[cfg(feature = "async")]
    pub async fn start_async_with<T: Send + 'static>(
        &self,
        module: &Module,
        linker: &Linker<T>,
        state: impl FnMut() -> T + Send + 'static,
        hooks: Hooks<T>,
    ) -> Result<Session<T>, Error> {
        self.start_by::<T, crate::calls::Waiting>(module, linker, Box::new(state), hooks).await
    }

    pub(crate) async fn start_by<T: 'static, C: Calls<T>>(
        &self,
        module: &Module,
        linker: &Linker<T>,
        state: Box<dyn FnMut() -> T + Send>,
        hooks: Hooks<T>,
    ) -> Result<Session<T>, Error> {
        self.own(module, linker)?;
        match self.strategy.lifecycle() {
            Lifecycle::Fresh(fresh) => {
                let facts = self.facts.clone();
                FreshSession::start::<C>(*fresh, module, linker, self.options, hooks, facts, state)
                    .await
                    .map(Session::fresh)
            }
            Lifecycle::InPlace(parts) if parts.turns => {
                // One closure makes the states of both.
                let state = Arc::new(Mutex::new(state));
                let start = || {
                    let state = state.clone();
                    let state = move || (state.lock().unwrap_or_else(PoisonError::into_inner))();
                    let template = self.template(*parts, module, linker, hooks);
                    InPlaceSession::start::<C>(template, Box::new(state))
                };
                let (awake, asleep) = (start().await?, start().await?);
                Turns::start(awake, asleep).map(Session::turns)
            }
            Lifecycle::InPlace(parts) => {
                InPlaceSession::start::<C>(self.template(*parts, module, linker, hooks), state)
                    .await
                    .map(Session::in_place)
            }
        }
    }

    /// Whether a module is the plan's own, and can be linked.
    pub(crate) fn own<T>(&self, module: &Module, linker: &Linker<T>) -> Result<(), Error> {
        if !Engine::same(module.engine(), linker.engine()) {
            return Err(Error::Foreign("it and the linker were made by two engines".into()));
        }
        if let Some(origin) = &self.origin
            && module.get_export(origin).is_none()
        {
            return Err(Error::Foreign("it was compiled from other bytes than `Plan::wasm`".into()));
        }
        let imports = self.facts.imports.iter().map(|import| (&*import.module, &*import.name));
        if !imports.eq(module.imports().map(|import| (import.module(), import.name()))) {
            return Err(Error::Foreign("it imports something else than the plan's".into()));
        }
        Ok(())
    }

    pub(crate) fn template<T: 'static>(
        &self,
        parts: InPlace,
        module: &Module,
        linker: &Linker<T>,
        hooks: Hooks<T>,
    ) -> Template<T> {
        Template {
            strategy: self.strategy,
            parts,
            module: module.clone(),
            linker: linker.clone(),
            facts: self.facts.clone(),
            creator: self.creator.clone(),
            options: self.options,
            hooks,
        }
    }
}
