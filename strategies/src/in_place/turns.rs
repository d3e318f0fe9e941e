//! Two instances in turn: while a block runs in one, a thread brings back the memories of the other.
//!
//! The base of a memory cannot change, so that it takes two instances. The work is moved to another core, not saved. On the
//! core that executes, memories are handed over, the helper may have to be woken, and clean lines come from another cache.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::{io, mem};

use super::InPlaceSession;
use super::memories::Memories;
use crate::block::Reset;
use crate::calls::Calls;
use crate::error::Error;
use crate::sys::Mechanism;

/// A second core for the thread that resets.
pub static SECOND_CORE: Mechanism =
    Mechanism::new("second core", "lets a thread reset one instance while a block runs in another", || {
        match thread::available_parallelism() {
            Ok(cores) if cores.get() >= 2 => Ok(()),
            Ok(_) => Err("this process may use a single core".into()),
            Err(error) => Err(format!("how many cores this process may use is not known: {error}")),
        }
    });

/// A session of two instances.
pub(crate) struct Turns<T: 'static> {
    /// Runs the next block.
    awake: InPlaceSession<T>,
    /// Its memories are with the helper.
    asleep: InPlaceSession<T>,
    helper: Helper,
}

impl<T: 'static> Turns<T> {
    pub(crate) fn start(awake: InPlaceSession<T>, mut asleep: InPlaceSession<T>) -> Result<Self, Error> {
        let helper = Helper::start()?;
        helper.give(asleep.take())?;
        Ok(Self { awake, asleep, helper })
    }

    /// The session whose instance runs the next block.
    pub(crate) fn awake(&self) -> &InPlaceSession<T> {
        &self.awake
    }

    pub(crate) fn awake_mut(&mut self) -> &mut InPlaceSession<T> {
        &mut self.awake
    }

    /// Hands the memories of the last block over and takes those of the block before back, for which it waits if it must.
    /// Says what the helper did to the latter.
    pub(crate) async fn reset<C: Calls<T>>(&mut self) -> Result<Reset, Error> {
        let renewed = if self.awake.has_used_the_heap() {
            self.awake.renew::<C>().await?.instances
        } else {
            self.awake.reset_store()?;
            0
        };
        self.helper.give(self.awake.take())?;
        let (memories, done) = self.helper.take()?;
        mem::swap(&mut self.awake, &mut self.asleep);
        self.awake.put(memories)?;
        // What it was given a block ago counts from then.
        self.awake.allow()?;
        Ok(Reset { instances: renewed, ..done })
    }
}

/// The thread that resets.
struct Helper {
    /// Absent once it is to end.
    dirty: Option<Sender<Memories>>,
    clean: Receiver<Result<(Memories, Reset), Error>>,
    thread: Option<JoinHandle<()>>,
}

impl Helper {
    fn start() -> Result<Self, Error> {
        let (dirty, given) = channel::<Memories>();
        let (taken, clean) = channel();
        let work = move || {
            for mut memories in given {
                // SAFETY: `Turns` gives the memories of the instance that falls asleep, and lends its store to nobody
                // before it has taken them back. Where that fails it stays with an instance whose memories it has
                // given: these are dropped as they are, since this loop has ended.
                let done = unsafe { memories.reset(None) };
                let failed = done.is_err();
                if taken.send(done.map(|done| (memories, done))).is_err() || failed {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("reset".into()).spawn(work);
        let thread = thread.map_err(Error::kernel("cannot start the thread that resets"))?;
        Ok(Self { dirty: Some(dirty), clean, thread: Some(thread) })
    }

    fn give(&self, memories: Memories) -> Result<(), Error> {
        let given = self.dirty.as_ref().map(|dirty| dirty.send(memories));
        given.and_then(Result::ok).ok_or_else(ended)
    }

    fn take(&self) -> Result<(Memories, Reset), Error> {
        self.clean.recv().map_err(|_| ended())?
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        drop(self.dirty.take());
        // One that panicked has said so; there is nothing to add while a session is dropped.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn ended() -> Error {
    Error::kernel("a memory was not reset")(io::Error::other("the thread that resets has ended"))
}
