//! A running instance under a strategy: execute a block, reset, execute the next.

use wasmtime::{Engine, Instance, Store, TypedFunc, format_err};

use crate::error::Error;
use crate::fresh::FreshSession;
use crate::in_place::{InPlaceSession, Turns};
use crate::track::Learned;

/// What a reset did. A fresh strategy leaves the work to wasmtime, so that only `instances` is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reset {
    /// Instances made.
    pub instances: u64,
    /// Bytes written to make pages clean.
    pub bytes_restored: u64,
    /// Bytes given back to the kernel.
    pub bytes_returned: u64,
    /// Huge pages made of small ones, all of which were resident.
    pub huge_pages: u64,
    /// Contiguous runs of pages that were treated.
    pub regions: u64,
    /// System calls made by the reset itself.
    pub syscalls: u64,
}

/// One instance of a module, brought back by [`reset`](Self::reset) to what it was right after instantiation.
///
/// `T` is the host's state for one block; a reset replaces it by a new one. A session may move between threads if `T`
/// may, as a task of an async host does.
pub struct Session<T: 'static> {
    inner: Inner<T>,
}

/// The lifecycles. Boxed: a session is made once and moved about.
enum Inner<T: 'static> {
    Fresh(Box<FreshSession<T>>),
    InPlace(Box<InPlaceSession<T>>),
    Turns(Box<Turns<T>>),
}

impl<T: 'static> Session<T> {
    pub(crate) fn fresh(session: FreshSession<T>) -> Self {
        Self { inner: Inner::Fresh(Box::new(session)) }
    }

    pub(crate) fn in_place(session: InPlaceSession<T>) -> Self {
        Self { inner: Inner::InPlace(Box::new(session)) }
    }

    pub(crate) fn turns(session: Turns<T>) -> Self {
        Self { inner: Inner::Turns(Box::new(session)) }
    }

    /// The store, for the host's state and for epoch deadlines.
    pub fn store_mut(&mut self) -> &mut Store<T> {
        match &mut self.inner {
            Inner::Fresh(session) => session.store_mut(),
            Inner::InPlace(session) => session.store_mut(),
            Inner::Turns(session) => session.awake_mut().store_mut(),
        }
    }

    /// The instance that runs the next block.
    pub fn instance(&self) -> Instance {
        match &self.inner {
            Inner::Fresh(session) => session.instance(),
            Inner::InPlace(session) => session.instance(),
            Inner::Turns(session) => session.awake().instance(),
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
            Inner::Fresh(_) => Err("a fresh strategy drops its memory after each block"),
            Inner::Turns(_) => Err("the strategy keeps two memories in turn"),
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

    /// Calls the guest's entry point.
    ///
    /// # Errors
    /// A trap, or an error of a host function, as wasmtime reports it. The session can be reset afterwards. A session
    /// without an entry point is driven through [`instance`](Self::instance).
    pub fn execute(&mut self) -> wasmtime::Result<()> {
        match &mut self.inner {
            Inner::Fresh(session) => session.execute(),
            Inner::InPlace(session) => session.execute(),
            Inner::Turns(session) => session.awake_mut().execute(),
        }
    }

    /// Brings the instance back, whatever the last block did.
    ///
    /// # Errors
    /// When the engine or the kernel refuses; the session must not be used again then.
    pub fn reset(&mut self) -> Result<Reset, Error> {
        match &mut self.inner {
            Inner::Fresh(session) => session.reset(),
            Inner::InPlace(session) => session.reset(),
            Inner::Turns(session) => session.reset(),
        }
    }
}

/// A session that could not be sent would bind an async host to one thread.
const _: () = {
    const fn sent<S: Send>() {}
    sent::<Session<()>>();
};

/// A store whose start function may run for so many ticks; for blocks the host sets deadlines and fuel of its own.
pub(crate) fn store<T: 'static>(engine: &Engine, state: T, deadline: u64) -> Store<T> {
    let mut store = Store::new(engine, state);
    store.set_epoch_deadline(deadline);
    // An error only says that this engine does not count fuel.
    let _ = store.set_fuel(u64::MAX);
    store
}

/// Looks the entry point up, if there is to be one.
pub(crate) fn entry<T: 'static>(
    instance: Instance,
    store: &mut Store<T>,
    name: Option<&str>,
) -> Result<Option<TypedFunc<(), ()>>, Error> {
    let found = name.map(|name| instance.get_typed_func(store, name)).transpose();
    found.map_err(Error::engine("the module has no entry point without parameters"))
}

/// Calls the entry point.
pub(crate) fn call<T: 'static>(
    entry: Option<&TypedFunc<(), ()>>,
    store: &mut Store<T>,
) -> wasmtime::Result<()> {
    entry.ok_or_else(|| format_err!("the session was started without an entry point"))?.call(store, ())
}
