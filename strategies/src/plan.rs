//! From a module to a session: judge, rewrite, configure, start.

use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::{Config, Engine, Linker, Module};

use crate::error::Error;
use crate::fresh::FreshSession;
use crate::in_place::{Creator, InPlaceSession, Turns};
use crate::judgement::Support;
use crate::module::{Facts, instrument};
use crate::session::Session;
use crate::strategy::{Availability, Lifecycle, Strategy};

/// What a host may choose. The defaults are those of the measurements.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Applied to the engine's configuration before the strategy's own settings.
    pub configure: fn(&mut Config),
    /// The export that runs a block; a session without one is driven through its instance.
    pub entry: Option<&'static str>,
    /// Epoch ticks that instantiation may take, and each block until the host sets a deadline of its own.
    pub deadline: u64,
    /// How many sessions may live at once on one engine; the size of a pool.
    pub sessions: u32,
    /// For pools that keep memory resident: how many bytes of each slot.
    pub keep_resident: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            configure: |_| (),
            entry: Some("_start"),
            // Without end, and yet the current epoch can be added to it.
            deadline: u64::MAX / 2,
            sessions: 1,
            keep_resident: 64 << 20,
        }
    }
}

/// A strategy that has been found able to run a module.
#[derive(Debug)]
pub struct Plan<'wasm> {
    strategy: &'static Strategy,
    options: Options,
    facts: Facts,
    wasm: std::borrow::Cow<'wasm, [u8]>,
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
            Support::Refused { reason } => Err(Error::refused(strategy, reason)),
        }
    }

    /// A plan whose mechanisms were not probed: for the self-test, which is such a probe itself.
    pub(crate) fn unprobed(
        strategy: &'static Strategy,
        wasm: &'wasm [u8],
        options: Options,
    ) -> Result<Self, Error> {
        let facts = Facts::read(wasm)?;
        let wasm = match strategy.lifecycle() {
            Lifecycle::Fresh(_) => wasm.into(),
            Lifecycle::InPlace(_) => instrument(wasm, &facts)?.into(),
        };
        Ok(Self { strategy, options, facts, wasm, creator: Arc::default() })
    }

    /// The plan with a copy of the module, so that it can outlive the bytes that it was made from.
    pub fn into_owned(self) -> Plan<'static> {
        let Self { strategy, options, facts, wasm, creator } = self;
        Plan { strategy, options, facts, wasm: wasm.into_owned().into(), creator }
    }

    /// The strategy.
    pub fn strategy(&self) -> &'static Strategy {
        self.strategy
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
    /// When an import is missing, instantiation traps, or the snapshot cannot be taken.
    pub fn start<T: 'static>(
        &self,
        module: &Module,
        linker: &Linker<T>,
        state: impl FnMut() -> T + Send + 'static,
    ) -> Result<Session<T>, Error> {
        let state = Box::new(state);
        match self.strategy.lifecycle() {
            Lifecycle::Fresh(fresh) => {
                FreshSession::start(*fresh, module, linker, self.options, state).map(Session::fresh)
            }
            Lifecycle::InPlace(parts) if parts.turns => {
                // One closure makes the states of both.
                let state = Arc::new(Mutex::new(state));
                let start = || {
                    let state = state.clone();
                    let state = move || (state.lock().unwrap_or_else(PoisonError::into_inner))();
                    InPlaceSession::start(self, *parts, module, linker, Box::new(state))
                };
                Turns::start(start()?, start()?).map(Session::turns)
            }
            Lifecycle::InPlace(parts) => {
                let session = InPlaceSession::start(self, *parts, module, linker, state)?;
                Ok(Session::in_place(session))
            }
        }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn creator(&self) -> &Creator {
        &self.creator
    }
}
