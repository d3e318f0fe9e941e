//! A future of the host's that waits.

use std::pin::Pin;
use std::task::{Context, Poll};

/// Waits once.
#[derive(Default)]
pub struct Once(bool);

impl Future for Once {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        context.waker().wake_by_ref();
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}
