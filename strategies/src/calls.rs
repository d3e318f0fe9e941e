//! How the guest is called: so that the caller waits until it returns, or as a future.
//!
//! What surrounds a call is written once, as an `async fn` over a kind of [`Calls`]. Where the calls block, that future is ready
//! as soon as it is polled, and [`at_once`] has its value.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wasmtime::{Instance, InstancePre, Linker, Module, Store, TypedFunc, WasmParams, WasmResults};

/// A kind of calls into the guest.
pub(crate) trait Calls<T: 'static> {
    /// Looks the imports up, and instantiates.
    async fn link(linker: &Linker<T>, module: &Module, store: &mut Store<T>) -> wasmtime::Result<Instance>;

    /// Instantiates what is linked.
    async fn instantiate(linked: &InstancePre<T>, store: &mut Store<T>) -> wasmtime::Result<Instance>;

    /// Calls a function of the guest.
    async fn call<P, R>(function: &TypedFunc<P, R>, store: &mut Store<T>, params: P) -> wasmtime::Result<R>
    where
        P: WasmParams + Sync,
        R: WasmResults + Sync;
}

/// They return when the guest does.
pub(crate) struct Blocking;

impl<T: 'static> Calls<T> for Blocking {
    async fn link(linker: &Linker<T>, module: &Module, store: &mut Store<T>) -> wasmtime::Result<Instance> {
        linker.instantiate(store, module)
    }

    async fn instantiate(linked: &InstancePre<T>, store: &mut Store<T>) -> wasmtime::Result<Instance> {
        linked.instantiate(store)
    }

    async fn call<P, R>(function: &TypedFunc<P, R>, store: &mut Store<T>, params: P) -> wasmtime::Result<R>
    where
        P: WasmParams + Sync,
        R: WasmResults + Sync,
    {
        function.call(store, params)
    }
}

/// They wait where a function of the host does, and where fuel or epochs have the guest give way; each runs on a stack of its
/// own.
#[cfg(feature = "async")]
pub(crate) struct Waiting;

#[cfg(feature = "async")]
impl<T: Send + 'static> Calls<T> for Waiting {
    async fn link(linker: &Linker<T>, module: &Module, store: &mut Store<T>) -> wasmtime::Result<Instance> {
        linker.instantiate_async(store, module).await
    }

    async fn instantiate(linked: &InstancePre<T>, store: &mut Store<T>) -> wasmtime::Result<Instance> {
        linked.instantiate_async(store).await
    }

    async fn call<P, R>(function: &TypedFunc<P, R>, store: &mut Store<T>, params: P) -> wasmtime::Result<R>
    where
        P: WasmParams + Sync,
        R: WasmResults + Sync,
    {
        function.call_async(store, params).await
    }
}

/// The value of a future all of whose calls are [`Blocking`].
pub(crate) fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("a call that blocks has returned when it is polled"),
    }
}
