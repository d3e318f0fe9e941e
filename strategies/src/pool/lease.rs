//! A session that is lent.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::thread;

use super::behind::Owner;
use super::places::{Grant, Kept, Left};
use super::shared::{Use, end, wake};
use crate::calls::Calls;
#[cfg(feature = "async")]
use crate::calls::Waiting;
use crate::error::Error;
use crate::session::Session;

/// A session of a [`Pool`](super::Pool), equal to one that has just been started. Dropped, it gives the session back.
///
/// It belongs to whoever has it, and may be sent to another thread if `T` may. Where it is dropped because its thread panics, the
/// session is dropped with it, and the next caller has a new one. Whoever puts another session in its place (`mem::swap`) gives
/// that one to the pool, whatever it is of.
pub struct Lease<T: Send + 'static> {
    owner: Owner<T>,
    /// Absent only until the lease is handed out, and when it has been given back.
    session: Option<Session<T>>,
    /// What the place counts.
    bytes: u64,
    used: Use,
    /// Whether the thread was panicking when it got this: then that tells nothing of the session.
    panicking: bool,
}

impl<T: Send + 'static> Lease<T> {
    /// Holds what a caller was given; it has to be made [ready](Self::ready).
    pub(super) fn of(owner: Owner<T>, grant: Grant<Session<T>>) -> Self {
        let panicking = thread::panicking();
        let (session, bytes, used) = match grant {
            Grant::Clean(Kept { session, bytes }) => (Some(session), bytes, Use::None),
            Grant::Dirty(Kept { session, bytes }) => (Some(session), bytes, Use::Some),
            Grant::Empty(bytes) => (None, bytes, Use::None),
        };
        Self { owner, session, bytes, used, panicking }
    }

    /// Resets or starts the session, if it has to be.
    pub(super) async fn ready<C: Calls<T>>(mut self) -> Result<Self, Error> {
        let resets = self.owner.shared.rules.before_it_is_lent;
        if self.used == Use::Some && resets && self.reset::<C>().await.is_err() {
            // Before the new one is started, since there may be no room for both.
            if let Some(session) = self.session.take() {
                end(session);
            }
            self.used = Use::None;
            self.owner.shared.locked(|places| places.replaced());
        }
        if self.session.is_none() {
            let shared = &self.owner.shared;
            let mut session = shared.start::<C>().await?;
            let (before, now) = (self.bytes, session.memory_bytes());
            self.bytes = now;
            wake(shared.locked(|places| places.started(before, now)));
            let most = shared.limits.most_bytes;
            if now > most {
                drop(session);
                return Err(Error::Pool {
                    asked: "1 place".into(),
                    reason: format!(
                        "its memories and their snapshots take {now} bytes, and {most} are allowed"
                    ),
                    remedy: "allow more (Limits::most_bytes)".into(),
                });
            }
            self.session = Some(session);
        }
        Ok(self)
    }

    /// Resets the session here and now, and counts it anew.
    async fn reset<C: Calls<T>>(&mut self) -> Result<(), Error> {
        let Some(session) = &mut self.session else { return Ok(()) };
        let shared = &self.owner.shared;
        let now = shared.reset::<C>(session, self.bytes).await?;
        if now != self.bytes {
            let before = std::mem::replace(&mut self.bytes, now);
            wake(shared.locked(|places| places.count(before, now)));
        }
        self.used = Use::None;
        Ok(())
    }

    /// Resets the session in this task and gives it back, for a host whose instances can be made in futures only. Where the future
    /// is dropped before its end, that is as if the lease had been.
    ///
    /// # Errors
    /// When the reset failed; the session is replaced then, as always.
    #[cfg(feature = "async")]
    pub async fn give_back(mut self) -> Result<(), Error> {
        if self.used == Use::Some
            && let Err(error) = self.reset::<Waiting>().await
        {
            self.used = Use::Spoilt;
            return Err(error);
        }
        Ok(())
    }
}

const LENT: &str = "a lease that was handed out has a session";

impl<T: Send + 'static> Deref for Lease<T> {
    type Target = Session<T>;

    fn deref(&self) -> &Session<T> {
        self.session.as_ref().expect(LENT)
    }
}

impl<T: Send + 'static> DerefMut for Lease<T> {
    fn deref_mut(&mut self) -> &mut Session<T> {
        self.used = Use::Some;
        self.session.as_mut().expect(LENT)
    }
}

impl<T: Send + 'static> Drop for Lease<T> {
    fn drop(&mut self) {
        let shared = &self.owner.shared;
        let panicked = thread::panicking() && !self.panicking && shared.rules.drops_after_panic;
        match self.session.take() {
            Some(session) => {
                let used = if panicked { Use::Spoilt } else { self.used };
                shared.take_back(Kept { session, bytes: self.bytes }, used);
            }
            None => shared.vacate(self.bytes, Left::Empty),
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Lease<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
