//! Who has which place, and who is next: all of a pool that a lock guards. It runs no code of the guest or of the host.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::task::Waker;
use std::time::Duration;

use super::limits::Limits;
use super::rules::Rules;
use crate::error::Scarce;

/// The places of a pool of sessions `S`.
pub(super) struct Places<S> {
    limits: Limits,
    rules: Rules,
    /// Bytes that a place counts before its session has been started.
    need: u64,
    /// Places that have a session, or are about to.
    taken: usize,
    /// What they count together.
    bytes: u64,
    /// Sessions that are ready. The last one is lent first: more of it is in the caches.
    clean: Vec<Kept<S>>,
    /// Sessions that are to be reset first.
    dirty: Vec<Kept<S>>,
    /// Who waits, in the order in which they came.
    queue: VecDeque<(Ticket, Waker)>,
    /// What is there for those who were woken and have not come yet.
    granted: BTreeMap<Ticket, Grant<S>>,
    next: Ticket,
    counts: Counts,
}

/// A number that says who came first.
pub(super) type Ticket = u64;

/// Those to be woken, once the lock is free: a waker is code of the host's.
pub(super) type Wakers = Vec<Waker>;

/// A session with the bytes that its place counts.
pub(super) struct Kept<S> {
    pub(super) session: S,
    pub(super) bytes: u64,
}

/// What somebody gets who checks out.
pub(super) enum Grant<S> {
    /// A session that is ready.
    Clean(Kept<S>),
    /// One that is to be reset.
    Dirty(Kept<S>),
    /// A place for a session that is to be started, with the bytes that it counts until then.
    Empty(u64),
}

/// What came of asking.
pub(super) enum Asked<S> {
    Granted(Grant<S>),
    Queued(Ticket),
    Refused(Scarce),
}

/// Why a place is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// No session could be started.
    Empty,
    /// Its reset failed, or its caller panicked.
    Replaced,
    /// It had grown too large.
    Shed,
}

#[derive(Default)]
struct Counts {
    started: u64,
    replaced: u64,
    shed: u64,
}

/// What a pool is doing, and has done. Taken at one moment, but for `resets` and `reset_time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Places that have a session: `in_use` and `idle`.
    pub places: usize,
    /// Those that are lent, being started or being reset, or were given to a caller who has not come to take it yet.
    pub in_use: usize,
    /// Those that nobody has.
    pub idle: usize,
    /// Those of the idle ones that are still to be reset: many of them tell that the threads behind the pool cannot keep up.
    pub to_reset: usize,
    /// Callers who wait.
    pub waiting: usize,
    /// What all places [count](crate::pool#bytes).
    pub bytes: u64,
    /// Sessions started.
    pub started: u64,
    /// Sessions dropped since their reset failed or their caller panicked.
    pub replaced: u64,
    /// Sessions dropped since the places held too many bytes when they came back.
    pub shed: u64,
    /// Resets, those that failed included.
    pub resets: u64,
    /// What they took, all together.
    pub reset_time: Duration,
}

impl<S> Places<S> {
    pub(super) fn new(limits: Limits, rules: Rules, need: u64) -> Self {
        Self {
            limits,
            rules,
            need,
            taken: 0,
            bytes: 0,
            clean: Vec::new(),
            dirty: Vec::new(),
            queue: VecDeque::new(),
            granted: BTreeMap::new(),
            next: 0,
            counts: Counts::default(),
        }
    }

    /// What a caller gets who needs not wait: nothing as long as others do.
    pub(super) fn take_at_once(&mut self) -> Option<Grant<S>> {
        if self.queue.is_empty() { self.take() } else { None }
    }

    /// The same for a caller who is ready to wait.
    pub(super) fn ask(&mut self, waker: Waker) -> Asked<S> {
        if let Some(grant) = self.take_at_once() {
            return Asked::Granted(grant);
        }
        let most = self.limits.most_waiting;
        if self.queue.len() >= most {
            return Asked::Refused(Scarce::Waiting { most });
        }
        let ticket = self.next;
        self.next += 1;
        self.queue.push_back((ticket, waker));
        Asked::Queued(ticket)
    }

    /// What a caller gets who was queued; or nothing, and whom to wake is exchanged.
    pub(super) fn look(&mut self, ticket: Ticket, waker: &mut Waker) -> Option<Grant<S>> {
        let granted = self.granted.remove(&ticket);
        if granted.is_none()
            && let Ok(at) = self.queue.binary_search_by_key(&ticket, |(ticket, _)| *ticket)
        {
            mem::swap(&mut self.queue[at].1, waker);
        }
        granted
    }

    /// A caller goes who was queued. What it has been given and has not taken is returned, to be given back.
    pub(super) fn leave(&mut self, ticket: Ticket) -> (Option<Waker>, Option<Grant<S>>) {
        let waiting = self.queue.binary_search_by_key(&ticket, |(ticket, _)| *ticket).ok();
        let waker = waiting.and_then(|at| self.queue.remove(at)).map(|(_, waker)| waker);
        (waker, self.granted.remove(&ticket))
    }

    /// What a caller lacks who has to wait.
    pub(super) fn scarce(&self) -> Scarce {
        let Limits { most, most_bytes, .. } = self.limits;
        if self.taken < most && !self.fits() {
            Scarce::Bytes { most: most_bytes, held: self.bytes, place: self.need }
        } else {
            Scarce::Places { most }
        }
    }

    /// A session comes back whose place counted `before`.
    ///
    /// # Errors
    /// With the session where the places hold too much: it is to be dropped, and its place left.
    pub(super) fn give(&mut self, kept: Kept<S>, before: u64, is_clean: bool) -> Result<Wakers, Kept<S>> {
        self.bytes = self.bytes - before + kept.bytes;
        if self.bytes > self.limits.most_bytes {
            return Err(kept);
        }
        if is_clean {
            self.clean.push(kept)
        } else {
            self.dirty.push(kept)
        }
        Ok(self.serve())
    }

    /// A place that counted so many bytes has no session any more.
    pub(super) fn vacate(&mut self, bytes: u64, why: Left) -> Wakers {
        match why {
            Left::Empty => {}
            Left::Replaced => self.counts.replaced += 1,
            Left::Shed => self.counts.shed += 1,
        }
        if why == Left::Replaced && !self.rules.replaces {
            return Wakers::new();
        }
        self.taken -= 1;
        self.count(bytes, 0)
    }

    /// A session that was dropped makes room for another one in the same place.
    pub(super) fn replaced(&mut self) {
        self.counts.replaced += 1;
    }

    /// A session has been started in a place that counted `before`.
    pub(super) fn started(&mut self, before: u64, now: u64) -> Wakers {
        self.counts.started += 1;
        self.need = now;
        self.count(before, now)
    }

    /// A place counts otherwise than before. There may be room for others then.
    pub(super) fn count(&mut self, before: u64, now: u64) -> Wakers {
        self.bytes = self.bytes - before + now;
        self.serve()
    }

    /// A session that somebody is to reset.
    pub(super) fn take_dirty(&mut self) -> Option<Kept<S>> {
        self.dirty.pop()
    }

    pub(super) fn metrics(&self, resets: u64, reset_time: Duration) -> Metrics {
        let idle = self.clean.len() + self.dirty.len();
        let Counts { started, replaced, shed } = self.counts;
        Metrics {
            places: self.taken,
            in_use: self.taken - idle,
            idle,
            to_reset: self.dirty.len(),
            waiting: self.queue.len(),
            bytes: self.bytes,
            started,
            replaced,
            shed,
            resets,
            reset_time,
        }
    }

    /// A place, if there is one.
    fn take(&mut self) -> Option<Grant<S>> {
        if let Some(kept) = self.clean.pop() {
            return Some(Grant::Clean(kept));
        }
        if let Some(kept) = self.dirty.pop() {
            return Some(Grant::Dirty(kept));
        }
        (self.taken < self.limits.most && self.fits()).then(|| {
            self.taken += 1;
            self.bytes += self.need;
            Grant::Empty(self.need)
        })
    }

    /// Whether the bytes allow another session. The first may take all of them: what it needs is not known before.
    fn fits(&self) -> bool {
        self.taken == 0 || self.bytes.saturating_add(self.need) <= self.limits.most_bytes
    }

    /// Gives what is free to those who wait.
    fn serve(&mut self) -> Wakers {
        let mut wakers = Wakers::new();
        while !self.queue.is_empty()
            && let Some(grant) = self.take()
        {
            let first = if self.rules.in_turn { self.queue.pop_front() } else { self.queue.pop_back() };
            let (ticket, waker) = first.expect("somebody waits");
            self.granted.insert(ticket, grant);
            wakers.push(waker);
        }
        wakers
    }
}

#[cfg(test)]
mod tests;
