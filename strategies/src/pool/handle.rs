//! A pool as its host has it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Linker, Module};

use super::behind::Owner;
use super::lease::Lease;
use super::limits::Limits;
use super::places::Metrics;
use super::rules::Rules;
use super::shared::{Shared, Template};
#[cfg(feature = "async")]
use super::turn::Turn;
use super::turn::wait;
#[cfg(feature = "async")]
use crate::calls::Waiting;
use crate::calls::{Blocking, at_once};
use crate::error::Error;
use crate::hooks::Hooks;
use crate::plan::Plan;

/// Sessions of one module, for many callers: see [the module](crate::pool). A clone is another handle of the same pool.
pub struct Pool<T: Send + 'static> {
    owner: Owner<T>,
}

impl<T: Send + 'static> Pool<T> {
    /// A pool without sessions, which are started as they are needed. What sessions are made from is what
    /// [`Plan::start_with`] takes; `state` makes the host's state for one call, wherever that is.
    ///
    /// # Errors
    /// [`Error::Pool`] when the limits do not allow a single place, or there can never be as many as `limits` asks for;
    /// [`Error::Foreign`] when module or linker belong to something else; or a thread cannot be started.
    pub fn new(
        plan: Plan<'_>,
        module: &Module,
        linker: &Linker<T>,
        state: impl Fn() -> T + Send + Sync + 'static,
        hooks: Hooks<T>,
        limits: Limits,
    ) -> Result<Self, Error> {
        let (plan, module, linker, state) =
            (plan.into_owned(), module.clone(), linker.clone(), Arc::new(state));
        Self::with_rules(Template { plan, module, linker, state, hooks }, limits, Rules::ALL)
    }

    fn with_rules(template: Template<T>, limits: Limits, rules: Rules) -> Result<Self, Error> {
        Ok(Self { owner: Owner::new(Shared::new(template, limits, rules)?)? })
    }

    /// A session, for which the caller waits as long as [`Limits::within`] says, or without end.
    ///
    /// # Errors
    /// [`Error::NoSession`] when none came free in time; otherwise as [`Plan::start`], when one could not be started.
    pub fn checkout(&self) -> Result<Lease<T>, Error> {
        self.checkout_in(self.owner.shared.limits.within)
    }

    /// The same, for which the caller waits no longer than that.
    ///
    /// # Errors
    /// As [`checkout`](Self::checkout).
    pub fn checkout_within(&self, time: Duration) -> Result<Lease<T>, Error> {
        self.checkout_in(Some(time))
    }

    fn checkout_in(&self, time: Option<Duration>) -> Result<Lease<T>, Error> {
        let lease = wait(&self.owner, |now| now.checked_add(time?))?;
        at_once(lease.ready::<Blocking>())
    }

    /// The same as a future, which may be dropped at any time. It waits without end: its deadline is the executor's.
    ///
    /// # Errors
    /// As [`checkout`](Self::checkout).
    #[cfg(feature = "async")]
    pub async fn checkout_async(&self) -> Result<Lease<T>, Error> {
        let begin = std::time::Instant::now();
        match Turn::new(&self.owner).await {
            Ok(lease) => lease.ready::<Waiting>().await,
            Err(scarce) => Err(Error::NoSession { scarce, waited: begin.elapsed() }),
        }
    }

    /// What the pool is doing, and has done.
    pub fn metrics(&self) -> Metrics {
        self.owner.shared.metrics()
    }
}

#[cfg(feature = "mutants")]
impl<T: Send + 'static> Pool<T> {
    /// A pool that keeps a part of its promise only.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    #[doc(hidden)]
    pub fn mutant(
        mutant: &crate::mutants::PoolMutant,
        plan: Plan<'_>,
        module: &Module,
        linker: &Linker<T>,
        state: impl Fn() -> T + Send + Sync + 'static,
        limits: Limits,
    ) -> Result<Self, Error> {
        let (plan, module, linker, state) =
            (plan.into_owned(), module.clone(), linker.clone(), Arc::new(state));
        let hooks = Hooks::default();
        Self::with_rules(Template { plan, module, linker, state, hooks }, limits, mutant.rules())
    }
}

// Derived, it would ask the same of `T`.
impl<T: Send + 'static> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Self { owner: self.owner.clone() }
    }
}

impl<T: Send + 'static> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = &self.owner.shared;
        f.debug_struct("Pool").field("limits", &shared.limits).field("metrics", &shared.metrics()).finish()
    }
}

/// Threads and tasks share it, and send what they have of it.
const _: () = {
    const fn shared<P: Send + Sync + Clone>() {}
    const fn sent<L: Send>() {}
    shared::<Pool<()>>();
    sent::<Lease<std::cell::Cell<u8>>>();
};
