//! What all handles of a pool share: how sessions are made, and what becomes of those that come back.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use wasmtime::{Linker, Module};

use super::limits::{Limits, Resets};
use super::places::{Kept, Left, Metrics, Places, Wakers};
use super::room::Needs;
use super::rules::Rules;
use crate::calls::{Blocking, Calls, at_once};
use crate::error::Error;
use crate::hooks::Hooks;
use crate::plan::Plan;
use crate::session::Session;
use crate::strategy::Lifecycle;

/// Makes the host's state.
pub(super) type MakeState<T> = Arc<dyn Fn() -> T + Send + Sync>;

/// What sessions are started from.
pub(super) struct Template<T: 'static> {
    pub(super) plan: Plan<'static>,
    pub(super) module: Module,
    pub(super) linker: Linker<T>,
    pub(super) state: MakeState<T>,
    pub(super) hooks: Hooks<T>,
}

/// A pool without those who hold it.
pub(super) struct Shared<T: Send + 'static> {
    template: Template<T>,
    pub(super) limits: Limits,
    pub(super) rules: Rules,
    needs: Needs,
    /// Whether what a block has grown a memory by stays.
    keeps_memory: bool,
    state: Mutex<State<T>>,
    /// For the threads behind the pool: there is a session to reset, or the end has come.
    work: Condvar,
    resets: AtomicU64,
    reset_ns: AtomicU64,
}

struct State<T: 'static> {
    places: Places<Session<T>>,
    closed: bool,
}

/// What has become of a session that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Nobody has changed it since it was reset.
    None,
    /// It is to be reset.
    Some,
    /// It is of no use any more.
    Spoilt,
}

impl<T: Send + 'static> Shared<T> {
    pub(super) fn new(template: Template<T>, limits: Limits, rules: Rules) -> Result<Self, Error> {
        template.plan.own(&template.module, &template.linker)?;
        let strategy = template.plan.strategy();
        let needs = Needs::of(&template.plan);
        limits.check(&template.plan, needs)?;
        // A snapshot is as large as the memory at most.
        let has_snapshot = matches!(strategy.lifecycle(), Lifecycle::InPlace(_));
        let need = needs.memory.saturating_mul(1 + u64::from(has_snapshot));
        Ok(Self {
            limits,
            rules,
            needs,
            keeps_memory: strategy.keeps_memory(),
            state: Mutex::new(State { places: Places::new(limits, rules, need), closed: false }),
            work: Condvar::new(),
            resets: AtomicU64::new(0),
            reset_ns: AtomicU64::new(0),
            template,
        })
    }

    /// Does something under the lock.
    pub(super) fn locked<R>(&self, act: impl FnOnce(&mut Places<Session<T>>) -> R) -> R {
        act(&mut self.lock().places)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn metrics(&self) -> Metrics {
        let resets = self.resets.load(Ordering::Relaxed);
        let reset_time = Duration::from_nanos(self.reset_ns.load(Ordering::Relaxed));
        self.locked(|places| places.metrics(resets, reset_time))
    }

    /// Starts a session.
    pub(super) async fn start<C: Calls<T>>(&self) -> Result<Session<T>, Error> {
        let Template { plan, module, linker, state, hooks } = &self.template;
        let state = state.clone();
        let started = plan.start_by::<T, C>(module, linker, Box::new(move || state()), *hooks).await;
        started.map_err(|error| self.needs.explain(error))
    }

    /// Resets a session that counts `bytes`; what it counts then. What the host's code panics with in it is the session's end, and
    /// nobody else's.
    pub(super) async fn reset<C: Calls<T>>(
        &self,
        session: &mut Session<T>,
        bytes: u64,
    ) -> Result<u64, Error> {
        let grown = if self.keeps_memory { Some(self.counted(bytes, session)) } else { None };
        let begin = Instant::now();
        let done = contained(session.reset_by::<C>()).await;
        let took = begin.elapsed().as_nanos();
        self.resets.fetch_add(1, Ordering::Relaxed);
        self.reset_ns.fetch_add(u64::try_from(took).unwrap_or(u64::MAX), Ordering::Relaxed);
        match done {
            Ok(done) => done.map(|_| grown.unwrap_or_else(|| session.memory_bytes())),
            Err(_) => Err(Error::Poisoned("the host's code panicked in it".into())),
        }
    }

    /// What a session counts now.
    fn counted(&self, before: u64, session: &mut Session<T>) -> u64 {
        let now = session.memory_bytes();
        if self.keeps_memory { before.max(now) } else { now }
    }

    /// Takes a session back.
    pub(super) fn take_back(&self, mut kept: Kept<Session<T>>, used: Use) {
        let forgets = !self.rules.resets || !self.rules.after_failure && kept.session.has_failed();
        match (used, self.limits.resets) {
            (Use::Spoilt, _) => self.discard(kept, Left::Replaced),
            (Use::None, _) => self.put(kept, None, true),
            (Use::Some, _) if forgets => self.put(kept, None, true),
            (Use::Some, Resets::Inline) => self.clean(kept),
            (Use::Some, Resets::Behind(_) | Resets::AtCheckout) => {
                let before = kept.bytes;
                kept.bytes = self.counted(before, &mut kept.session);
                self.put(kept, Some(before), false);
                self.work.notify_one();
            }
        }
    }

    /// Resets a session that nobody has, and makes it ready for others.
    fn clean(&self, mut kept: Kept<Session<T>>) {
        let before = kept.bytes;
        match at_once(self.reset::<Blocking>(&mut kept.session, before)) {
            Ok(bytes) => self.put(Kept { bytes, ..kept }, Some(before), true),
            Err(_) => self.discard(kept, Left::Replaced),
        }
    }

    /// Makes a session one that others can have. Its place counted `before`, if that was something else than it does now.
    fn put(&self, kept: Kept<Session<T>>, before: Option<u64>, is_clean: bool) {
        let before = before.unwrap_or(kept.bytes);
        match self.locked(|places| places.give(kept, before, is_clean)) {
            Ok(wakers) => wake(wakers),
            Err(kept) => self.discard(kept, Left::Shed),
        }
    }

    /// Drops a session, and leaves its place afterwards: until then it takes what another one would.
    fn discard(&self, kept: Kept<Session<T>>, why: Left) {
        let Kept { session, bytes } = kept;
        end(session);
        self.vacate(bytes, why);
    }

    /// Leaves a place that has no session.
    pub(super) fn vacate(&self, bytes: u64, why: Left) {
        wake(self.locked(|places| places.vacate(bytes, why)));
    }

    /// Resets sessions that come back, until the pool is closed.
    pub(super) fn clean_all(&self) {
        let mut state = self.lock();
        while !state.closed {
            match state.places.take_dirty() {
                Some(kept) => {
                    drop(state);
                    self.clean(kept);
                    state = self.lock();
                }
                None => state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Has the threads behind the pool end.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
    }
}

/// Wakes those who have been given something.
pub(super) fn wake(wakers: Wakers) {
    for waker in wakers {
        waker.wake();
    }
}

/// Drops a session. The host's state is dropped with it, and may panic, of which its hook has told.
pub(super) fn end<T>(session: Session<T>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(session)));
}

/// A future whose panic is an error. What it was about must not be used again.
async fn contained<F: Future>(future: F) -> thread::Result<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(polled) => polled.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}
