//! Many calls at once: a pool of sessions of one module.
//!
//! A [`Pool`] has places for sessions. Each is started when it is first needed. [`Pool::checkout`] lends a session as a
//! [`Lease`], and waits where all of them are lent; who came first is served first. A lease that is dropped gives its session
//! back, and the session is reset before anybody else gets it: at once, behind the caller's back or at the next checkout, as
//! [`Resets`] says.
//!
//! No lock is held while the guest or the host's code runs. A session whose reset failed, or whose caller panicked, is dropped;
//! the next caller that needs it has a new one started.
//!
//! # Bytes
//!
//! [`Limits::most_bytes`] bounds what the linear memories of all places take, with the snapshots that they are restored from.
//! Each session counts [`Session::memory_bytes`](crate::Session::memory_bytes), touched or not. It is asked when it has been
//! started, when it comes back and when it has been reset; a strategy that keeps the memory which a block grew by
//! counts as large as it has ever been. A place that is yet to be started counts as the last one that was; until there is one,
//! as the module's initial memories, and twice that where there will be a snapshot.
//!
//! A session that comes back when the places hold more than they may is dropped. What a guest may grow to while it runs is for the
//! limiter of [`Hooks`](crate::Hooks) to say. Not counted are tables, stacks, the host's state, compiled code, and what the
//! pooling allocator keeps of slots that nobody uses.
//!
//! # Futures
//!
//! [`Pool::checkout_async`] waits in the same queue, and may be dropped at any time. It starts and resets in its own task. A lease
//! cannot: it is dropped in no task that could wait. Where instances can be made in futures only (epochs or fuel that have the
//! guest give way, imports that wait in a start function), choose [`Resets::AtCheckout`], or end each lease by
//! [`Lease::give_back`].
//!
//! # Costs
//!
//! Measured once, in processor time on an AMD EPYC (Zen 3) with 2 cores. To check out and to return take 0.1 µs where nobody
//! else is there and nothing was called. With a call they take 0.3 to 0.6 µs, since the reset is timed and memory looked up; the
//! smallest call and reset take 1.2 µs by themselves, under `copy/full`. Eight threads that have a place each take 0.2 to 0.4 µs
//! more a call than with a session each.
//!
//! Where there are fewer places than threads, each call waits until another thread has woken up: 5 to 6 µs more with eight
//! threads for two places. That is the price of serving in turn. Have as many places as threads that call, where memory
//! allows it.

mod behind;
mod handle;
mod lease;
mod limits;
mod places;
mod room;
mod rules;
mod shared;
mod turn;

pub use handle::Pool;
pub use lease::Lease;
pub use limits::{Limits, Resets};
pub use places::Metrics;
#[cfg(feature = "mutants")]
pub(crate) use rules::Rules;
