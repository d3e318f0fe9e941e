//! Futures without an executor: polled by hand, as often as a test wants.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

/// Polls at most so many times; what came of it, if it was enough.
pub fn poll<F: Future>(mut future: Pin<&mut F>, times: u64) -> Option<F::Output> {
    (0..times).find_map(|_| match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    })
}

/// Polls until it is over.
pub fn wait<F: Future>(future: F) -> F::Output {
    poll(pin!(future), u64::MAX).expect("it ends")
}
