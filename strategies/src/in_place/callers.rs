//! Whether a thread that can have written to an instance's memories has taken a fault since the last reset, where the host
//! has said that no thread does but those that call ([`Options::writes_on_calling_thread`](crate::Options)).
//!
//! The kernel counts the faults of each thread, too. That count stands still while other threads fault, and yet is the
//! right one only as long as all writes are made by one thread that is known: the one that has entered the session since
//! the last reset. Where two have, or where another one resets, nothing is known.

use std::pin::pin;
use std::thread::{self, ThreadId};
use std::{future, io};

use crate::sys::faults;

/// The threads that have entered a session since its last reset.
#[derive(Debug)]
pub(super) struct Callers {
    /// Whether the host has said it, and anybody wants to know.
    counted: bool,
    only: Option<Only>,
}

/// The only thread that can have written.
#[derive(Clone, Copy, Debug)]
struct Only {
    thread: ThreadId,
    /// Its count when nothing had been written.
    faults: u64,
    /// Whether it has entered. If not, another one may take its place.
    entered: bool,
}

impl Callers {
    pub(super) fn new(counted: bool) -> Self {
        Self { counted: counted && faults::COUNT.available().is_ok(), only: None }
    }

    /// Takes note that this thread may write from now on.
    pub(super) fn enter(&mut self) {
        if !self.counted {
            return;
        }
        let here = thread::current().id();
        self.only = match self.only {
            Some(only) if only.thread == here => Some(Only { entered: true, ..only }),
            Some(Only { entered: false, .. }) => {
                faults::count_of_thread().ok().map(|faults| Only { thread: here, faults, entered: true })
            }
            _ => None,
        };
    }

    /// Runs what may write. A future may go on in another thread whenever it is polled, and what is left of it is taken down
    /// in the thread that drops it, where the guest's host functions may write once more.
    pub(super) async fn run<F: Future>(&mut self, writes: F) -> F::Output {
        let entering = Entering(self);
        let mut writes = pin!(writes);
        future::poll_fn(|context| {
            entering.0.enter();
            writes.as_mut().poll(context)
        })
        .await
    }

    /// Takes note that anything may have been written by anybody.
    pub(super) fn forget(&mut self) {
        self.only = None;
    }

    /// Whether any fault was taken by a thread that can have written, if that is known.
    pub(super) fn have_faulted(&self) -> io::Result<Option<bool>> {
        match self.only {
            Some(only) if only.thread == thread::current().id() => {
                Ok(Some(faults::count_of_thread()? != only.faults))
            }
            _ => Ok(None),
        }
    }

    /// Begins anew at the end of a reset, before which they [had faulted](Self::have_faulted) or not.
    pub(super) fn begin(&mut self, had_faulted: Option<bool>) -> io::Result<()> {
        if !self.counted {
            return Ok(());
        }
        self.only = match self.only {
            // Where the count stood, the reset has only written to pages that take no fault.
            Some(only) if had_faulted == Some(false) => Some(Only { entered: false, ..only }),
            _ => {
                let faults = faults::count_of_thread()?;
                Some(Only { thread: thread::current().id(), faults, entered: false })
            }
        };
        Ok(())
    }
}

/// A future that may write. Dropped, it enters once more.
struct Entering<'a>(&'a mut Callers);

impl Drop for Entering<'_> {
    fn drop(&mut self) {
        self.0.enter();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After a reset, or `None` where faults are not counted.
    fn after_a_reset() -> Option<Callers> {
        let mut callers = Callers::new(true);
        if !callers.counted {
            eprintln!("NOT TESTED HERE: faults are not counted");
            return None;
        }
        assert_eq!(callers.have_faulted().unwrap(), None, "before the first reset");
        callers.begin(None).unwrap();
        Some(callers)
    }

    fn elsewhere<R: Send>(act: impl FnOnce() -> R + Send) -> R {
        thread::scope(|scope| scope.spawn(act).join().unwrap())
    }

    #[test]
    fn nothing_is_known_where_nothing_was_promised() {
        let mut callers = Callers::new(false);
        callers.begin(None).unwrap();
        callers.enter();
        assert_eq!(callers.have_faulted().unwrap(), None);
    }

    #[test]
    fn the_faults_of_the_thread_that_enters_are_told() {
        let Some(mut callers) = after_a_reset() else { return };
        callers.enter();
        assert_eq!(callers.have_faulted().unwrap(), Some(false));
        let page = memmap2::MmapMut::map_anon(1).unwrap();
        let mut page = std::hint::black_box(page);
        page[0] = 1;
        assert_eq!(callers.have_faulted().unwrap(), Some(true));
        callers.begin(Some(true)).unwrap();
        assert_eq!(callers.have_faulted().unwrap(), Some(false));
    }

    #[test]
    fn nothing_is_known_of_a_session_that_two_threads_have_entered() {
        let Some(mut callers) = after_a_reset() else { return };
        callers.enter();
        elsewhere(|| callers.enter());
        assert_eq!(callers.have_faulted().unwrap(), None);
        elsewhere(|| assert_eq!(callers.have_faulted().unwrap(), None));
        callers.enter();
        assert_eq!(callers.have_faulted().unwrap(), None, "it has come back");
    }

    #[test]
    fn nothing_is_known_where_another_thread_resets() {
        let Some(mut callers) = after_a_reset() else { return };
        callers.enter();
        elsewhere(|| {
            assert_eq!(callers.have_faulted().unwrap(), None);
            callers.begin(None).unwrap();
            assert_eq!(callers.have_faulted().unwrap(), Some(false));
        });
        assert_eq!(callers.have_faulted().unwrap(), None);
    }

    #[test]
    fn a_session_that_has_moved_before_its_block_is_that_of_the_thread_which_it_moved_to() {
        let Some(mut callers) = after_a_reset() else { return };
        elsewhere(|| {
            callers.enter();
            assert_eq!(callers.have_faulted().unwrap(), Some(false));
        });
        assert_eq!(callers.have_faulted().unwrap(), None);
    }

    #[test]
    fn a_future_that_is_dropped_enters_where_it_is_dropped() {
        let Some(mut callers) = after_a_reset() else { return };
        {
            let mut waits = Box::pin(callers.run(future::pending::<()>()));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(waits.as_mut().poll(&mut context).is_pending());
            elsewhere(|| drop(waits));
        }
        assert_eq!(callers.have_faulted().unwrap(), None);
    }
}
