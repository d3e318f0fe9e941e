//! Waiting for a place, in a thread or in a task: both stand in the same queue.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use super::behind::Owner;
use super::lease::Lease;
use super::places::{Asked, Grant, Ticket};
use crate::error::{Error, Scarce};
use crate::session::Session;

/// A caller's turn: comes when there is a place. Dropped, it leaves the queue, and what it has been given in the meantime goes to
/// the next.
pub(super) struct Turn<'a, T: Send + 'static> {
    owner: &'a Owner<T>,
    ticket: Option<Ticket>,
}

impl<'a, T: Send + 'static> Turn<'a, T> {
    pub(super) fn new(owner: &'a Owner<T>) -> Self {
        Self { owner, ticket: None }
    }

    fn lease(&self, grant: Grant<Session<T>>) -> Poll<Result<Lease<T>, Scarce>> {
        Poll::Ready(Ok(Lease::of(self.owner.clone(), grant)))
    }

    /// Waits in this thread; nothing if the time has come before the turn.
    fn wait(mut self, until: Option<Instant>) -> Option<Result<Lease<T>, Scarce>> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            if let Poll::Ready(lease) = Pin::new(&mut self).poll(&mut Context::from_waker(&waker)) {
                return Some(lease);
            }
            match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => thread::park(),
                Some(left) if left.is_zero() => return None,
                Some(left) => thread::park_timeout(left),
            }
        }
    }
}

impl<T: Send + 'static> Future for Turn<'_, T> {
    /// A lease that is yet to be made ready.
    type Output = Result<Lease<T>, Scarce>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let shared = &self.owner.shared;
        let Some(ticket) = self.ticket else {
            if let Some(grant) = shared.locked(|places| places.take_at_once()) {
                return self.lease(grant);
            }
            // Cloned and dropped without the lock: it is code of the host's.
            let waker = context.waker().clone();
            return match shared.locked(|places| places.ask(waker)) {
                Asked::Granted(grant) => self.lease(grant),
                Asked::Refused(scarce) => Poll::Ready(Err(scarce)),
                Asked::Queued(ticket) => {
                    self.ticket = Some(ticket);
                    Poll::Pending
                }
            };
        };
        let mut waker = context.waker().clone();
        match shared.locked(|places| places.look(ticket, &mut waker)) {
            None => Poll::Pending,
            Some(grant) => {
                self.ticket = None;
                self.lease(grant)
            }
        }
    }
}

impl<T: Send + 'static> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let (_waker, granted) = self.owner.shared.locked(|places| places.leave(ticket));
        if self.owner.shared.rules.hands_on {
            // A lease that nobody has used goes to the next.
            drop(granted.map(|grant| Lease::of(self.owner.clone(), grant)));
        }
    }
}

/// Wakes a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A lease that is yet to be made ready, for a thread that waits until then.
///
/// # Errors
/// [`Error::NoSession`].
pub(super) fn wait<T: Send + 'static>(
    owner: &Owner<T>,
    until: impl FnOnce(Instant) -> Option<Instant>,
) -> Result<Lease<T>, Error> {
    if let Some(grant) = owner.shared.locked(|places| places.take_at_once()) {
        return Ok(Lease::of(owner.clone(), grant));
    }
    let begin = Instant::now();
    let scarce = match Turn::new(owner).wait(until(begin)) {
        Some(Ok(lease)) => return Ok(lease),
        Some(Err(scarce)) => scarce,
        None => owner.shared.locked(|places| places.scarce()),
    };
    Err(Error::NoSession { scarce, waited: begin.elapsed() })
}
