//! A running instance under a strategy: execute a block, reset, execute the next.

use std::ops::Range;
use std::thread;

use wasmtime::{AsContextMut, Instance, StoreContextMut, WasmParams, WasmResults};

use crate::block::Reset;
#[cfg(feature = "async")]
use crate::calls::Waiting;
use crate::calls::{Blocking, Calls, at_once};
use crate::error::Error;
use crate::fresh::FreshSession;
use crate::in_place::{InPlaceSession, Turns};
use crate::learned::Learned;
use crate::sys::process::Home;

/// One instance of a module, brought back by [`reset`](Self::reset) to what it was right after instantiation.
///
/// `T` is the host's state for one block; a reset replaces it by a new one. A session may move between threads if `T`
/// may, as a task of an async host does. It belongs to the process that started it: in a forked child, a reset is an error.
///
/// A session whose reset failed is of no use any more, and says so whatever it is asked for.
pub struct Session<T: 'static> {
    inner: Inner<T>,
    /// Where a forked child is told apart: always, but for mutants.
    home: Option<Home>,
    health: Health,
}

/// Whether what the instance holds is known.
enum Health {
    Sound,
    /// A reset has begun and not ended: it is under way, or the host's own code panicked in it.
    Resetting,
    /// The future of a reset was dropped while the new instance was made: it has to be reset again.
    GivenUp,
    /// A reset failed, and why.
    Failed(String),
}

/// The lifecycles. Boxed: a session is made once and moved about.
enum Inner<T: 'static> {
    Fresh(Box<FreshSession<T>>),
    InPlace(Box<InPlaceSession<T>>),
    Turns(Box<Turns<T>>),
}

impl<T: 'static> Session<T> {
    pub(crate) fn fresh(session: FreshSession<T>) -> Self {
        Self::of(Inner::Fresh(Box::new(session)))
    }

    pub(crate) fn in_place(session: InPlaceSession<T>) -> Self {
        let process = session.scope().process;
        let this = Self::of(Inner::InPlace(Box::new(session)));
        Self { home: this.home.filter(|_| process), ..this }
    }

    pub(crate) fn turns(session: Turns<T>) -> Self {
        Self::of(Inner::Turns(Box::new(session)))
    }

    fn of(inner: Inner<T>) -> Self {
        Self { inner, home: Some(Home::here()), health: Health::Sound }
    }

    /// The store, for the host's state, the epoch deadline and fuel of the next block, and what the host calls or reads
    /// itself. A reset restores all of them.
    ///
    /// It is lent as a context, since a whole `Store` could be exchanged for another one. What only a `Store` can be given is
    /// for [`Hooks`](crate::Hooks).
    ///
    /// # Errors
    /// When an earlier reset failed.
    pub fn store_mut(&mut self) -> Result<StoreContextMut<'_, T>, Error> {
        self.health.check()?;
        Ok(match &mut self.inner {
            Inner::Fresh(session) => session.store_mut()?,
            Inner::InPlace(session) => session.store_mut(),
            Inner::Turns(session) => session.awake_mut().store_mut(),
        }
        .as_context_mut())
    }

    /// The instance that runs the next block; it may be another one after each reset.
    ///
    /// # Errors
    /// When an earlier reset failed.
    pub fn instance(&self) -> Result<Instance, Error> {
        self.health.check()?;
        match &self.inner {
            Inner::Fresh(session) => session.instance(),
            Inner::InPlace(session) => Ok(session.instance()),
            Inner::Turns(session) => Ok(session.awake().instance()),
        }
    }

    /// Says which block comes next. Only `control/oracle` listens.
    pub fn expect(&mut self, block: u64) {
        match &mut self.inner {
            Inner::Fresh(_) => {}
            Inner::InPlace(session) => session.expect(block),
            Inner::Turns(session) => session.awake_mut().expect(block),
        }
    }

    /// The session if it keeps its memory from block to block, so that committing it makes sense; or why it does not.
    pub(crate) fn kept(&mut self) -> Result<&mut InPlaceSession<T>, &'static str> {
        match &mut self.inner {
            _ if self.health.check().is_err() => Err("a reset failed"),
            Inner::Fresh(_) => Err("a fresh strategy drops its memory after each block"),
            Inner::Turns(_) => Err("the strategy keeps two memories in turn"),
            Inner::InPlace(session) if session.may_use_the_heap() => {
                Err("the instance is made anew where a block has used the garbage-collected heap")
            }
            Inner::InPlace(session) if session.keeps_memory() => Ok(session),
            Inner::InPlace(_) => Err("the strategy gives its pages back at each reset"),
        }
    }

    /// What the strategy has learnt about the pages of each memory, if it learns.
    pub fn learned(&self) -> Vec<Learned> {
        match &self.inner {
            Inner::Fresh(_) => Vec::new(),
            Inner::InPlace(session) => session.learned(),
            Inner::Turns(session) => session.awake().learned(),
        }
    }

    /// What the last reset restored: of each memory of the module, the runs of pages that the strategy found dirty, as ascending
    /// byte ranges. Of a tracker that is [exact](crate::track::Tracker::is_exact), these are the pages that the block has
    /// written. Nothing where there was no reset, or where the strategy keeps no memory or resets it elsewhere.
    pub fn restored(&self) -> Vec<&[Range<usize>]> {
        match &self.inner {
            Inner::Fresh(_) | Inner::Turns(_) => Vec::new(),
            Inner::InPlace(session) => session.restored(),
        }
    }

    /// Bytes of the linear memories as large as they are now, touched or not, with the snapshots that they are restored from. Of
    /// a strategy that makes fresh instances, memories that the module does not export count as large as they began.
    pub fn memory_bytes(&mut self) -> u64 {
        match &mut self.inner {
            Inner::Fresh(session) => session.memory_bytes(),
            Inner::InPlace(session) => session.memory_bytes(),
            // The other one has blocks of the same kind, and may be with its thread.
            Inner::Turns(session) => 2 * session.awake().memory_bytes(),
        }
    }

    /// Whether the last block failed, as far as the strategy takes note of it.
    pub(crate) fn has_failed(&self) -> bool {
        match &self.inner {
            Inner::Fresh(_) => false,
            Inner::InPlace(session) => session.has_failed(),
            Inner::Turns(session) => session.awake().has_failed(),
        }
    }

    /// Calls the guest's entry point.
    ///
    /// # Errors
    /// A trap, or an error of a host function, as wasmtime reports it. The session can be reset afterwards. A session
    /// without an entry point is driven through its [`instance`](Self::instance). After a reset that failed, [`Error::Poisoned`].
    pub fn execute(&mut self) -> wasmtime::Result<()> {
        at_once(self.execute_by::<Blocking>())
    }

    /// [`execute`](Self::execute) for a host whose functions wait, or whose guests give way to others.
    ///
    /// The future may be dropped at any time, such as when a block takes too long: the guest is then gone from where it was,
    /// and the session can be reset.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    #[cfg(feature = "async")]
    pub async fn execute_async(&mut self) -> wasmtime::Result<()>
    where
        T: Send,
    {
        self.execute_by::<Waiting>().await
    }

    async fn execute_by<C: Calls<T>>(&mut self) -> wasmtime::Result<()> {
        self.health.check()?;
        match &mut self.inner {
            Inner::Fresh(session) => session.execute::<C>().await,
            Inner::InPlace(session) => session.execute::<C>().await,
            Inner::Turns(session) => session.awake_mut().execute::<C>().await,
        }
    }

    /// Calls an export of the guest by its name, such as a view or a trigger.
    ///
    /// # Errors
    /// As [`execute`](Self::execute), and when there is no such function or it is of another type.
    pub fn call<P, R>(&mut self, export: &str, params: P) -> wasmtime::Result<R>
    where
        P: WasmParams + Sync,
        R: WasmResults + Sync,
    {
        at_once(self.call_by::<Blocking, P, R>(export, params))
    }

    /// [`call`](Self::call) for a host whose functions wait, or whose guests give way to others. The future may be dropped as that
    /// of [`execute_async`](Self::execute_async).
    ///
    /// # Errors
    /// As [`call`](Self::call).
    #[cfg(feature = "async")]
    pub async fn call_async<P, R>(&mut self, export: &str, params: P) -> wasmtime::Result<R>
    where
        T: Send,
        P: WasmParams + Sync,
        R: WasmResults + Sync,
    {
        self.call_by::<Waiting, P, R>(export, params).await
    }

    async fn call_by<C: Calls<T>, P, R>(&mut self, export: &str, params: P) -> wasmtime::Result<R>
    where
        P: WasmParams + Sync,
        R: WasmResults + Sync,
    {
        self.health.check()?;
        match &mut self.inner {
            Inner::Fresh(session) => session.call::<C, P, R>(export, params).await,
            Inner::InPlace(session) => session.call::<C, P, R>(export, params).await,
            Inner::Turns(session) => session.awake_mut().call::<C, P, R>(export, params).await,
        }
    }

    /// Brings the instance back, whatever the last block did.
    ///
    /// # Errors
    /// When the engine or the kernel refuses, or the host has broken a condition that can be seen; the session is of no use
    /// then, and every later call says why.
    pub fn reset(&mut self) -> Result<Reset, Error> {
        at_once(self.reset_by::<Blocking>())
    }

    /// [`reset`](Self::reset) for a host whose functions wait, or whose guests give way to others: a new instance may run a start
    /// function.
    ///
    /// Where the future is dropped before its end, the session has to be reset again.
    ///
    /// # Errors
    /// As [`reset`](Self::reset).
    #[cfg(feature = "async")]
    pub async fn reset_async(&mut self) -> Result<Reset, Error>
    where
        T: Send,
    {
        self.reset_by::<Waiting>().await
    }

    pub(crate) async fn reset_by<C: Calls<T>>(&mut self) -> Result<Reset, Error> {
        self.health.check_for_reset()?;
        let resetting = Resetting::begin(&mut self.health);
        let done = if self.home.is_none_or(Home::is_here) {
            self.inner.reset::<C>().await
        } else {
            Err(Error::Forked)
        };
        resetting.end(&done);
        done
    }
}

impl<T: 'static> Inner<T> {
    async fn reset<C: Calls<T>>(&mut self) -> Result<Reset, Error> {
        match self {
            Self::Fresh(session) => session.reset::<C>().await,
            Self::InPlace(session) => session.reset::<C>().await,
            Self::Turns(session) => session.reset::<C>().await,
        }
    }
}

impl Health {
    fn check(&self) -> Result<(), Error> {
        match self {
            Self::GivenUp => Err(Error::Poisoned("its future was dropped: reset again".into())),
            other => other.check_for_reset(),
        }
    }

    fn check_for_reset(&self) -> Result<(), Error> {
        match self {
            Self::Sound | Self::GivenUp => Ok(()),
            Self::Resetting => Err(Error::Poisoned("the host's code panicked in it".into())),
            Self::Failed(reason) => Err(Error::Poisoned(reason.clone())),
        }
    }
}

/// A reset that is under way. Dropped before its end, it was given up, or it panicked.
struct Resetting<'a>(&'a mut Health);

impl<'a> Resetting<'a> {
    fn begin(health: &'a mut Health) -> Self {
        *health = Health::Resetting;
        Self(health)
    }

    fn end(self, done: &Result<Reset, Error>) {
        *self.0 = match done {
            Ok(_) => Health::Sound,
            Err(error) => Health::Failed(error.in_full()),
        };
    }
}

impl Drop for Resetting<'_> {
    fn drop(&mut self) {
        if matches!(self.0, Health::Resetting) && !thread::panicking() {
            *self.0 = Health::GivenUp;
        }
    }
}

/// A session that could not be sent would bind an async host to one thread.
const _: () = {
    const fn sent<S: Send>() {}
    sent::<Session<()>>();
};
