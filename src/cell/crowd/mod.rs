//! Views and blocks at once: callers hammer a pool of sessions, while blocks run, fail and are reorganised.
//!
//! Every answer has to be that of a fresh instance at the height that it was asked for, and every store that of a quiet run.
//! Some callers ask for previews: a block runs on a copy of the store that is theirs alone, and the view sees what it has
//! written. What is expected is computed beforehand, one call after the other, on fresh instances.

mod callers;
mod chain;
mod expected;
mod house;
mod indexer;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Result, anyhow};
use reset_strategies::Error;

use self::chain::{Branches, Published};
use self::expected::Expected;
use self::house::House;
use super::lending;
use super::session::Cell;
use crate::protocol::Verified;
use crate::protocol::schedule::{Schedule, Script};

/// Threads that call. More than there are places, so that some wait.
const CALLERS: u32 = 4;

/// Whether the script is for a crowd.
pub(super) fn is_for(script: &Script) -> bool {
    script.schedule == Schedule::Concurrent
}

/// Has callers make as many calls as the script has steps.
///
/// # Errors
/// When nothing can be expected: fresh instances cannot run the module.
pub(super) fn verify(cell: &Cell, script: &Script) -> Result<Verified> {
    let ground = cell.ground();
    if ground.spec.blocks.is_none() {
        return Ok(Verified::not_run("only views are called at once".into()));
    }
    let expected = Expected::compute(ground, Branches::of(lending::blocks(ground)?))?;
    match House::open(ground) {
        Ok(house) => Crowd { house: &house, expected: &expected, isolated: true }.run(script),
        // Right, or refused.
        Err(error) => match error.downcast_ref() {
            Some(Error::Refused { .. } | Error::Unavailable { .. } | Error::Pool { .. }) => {
                Ok(Verified::not_run(format!("several sessions are refused: {error:#}")))
            }
            _ => Err(error),
        },
    }
}

/// Who is there, and what is right.
struct Crowd<'a> {
    house: &'a House,
    expected: &'a Expected,
    /// Whether a preview runs on a store of its own. One that does not makes a mutant.
    isolated: bool,
}

/// What all threads share.
struct Shared {
    published: Published,
    /// Calls that may still be made.
    left: AtomicU64,
    done: AtomicU64,
    /// The first difference.
    difference: Mutex<Option<String>>,
}

impl Shared {
    /// Whether there is another call to be made.
    fn another(&self) -> bool {
        let take = |left: u64| left.checked_sub(1);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Whether callers still call.
    fn goes_on(&self) -> bool {
        self.left.load(Ordering::Relaxed) > 0
    }

    /// Counts a comparison, and ends all calls if it has found something.
    fn compared(&self, found: Option<String>) {
        self.done.fetch_add(1, Ordering::Relaxed);
        if let Some(found) = found {
            self.left.store(0, Ordering::Relaxed);
            let mut first = self.difference.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(found);
        }
    }
}

impl Crowd<'_> {
    /// Runs all threads to their end.
    fn run(&self, script: &Script) -> Result<Verified> {
        let calls = u64::try_from(script.blocks)?.max(1);
        let shared = Shared {
            published: Published::new(self.expected.main()),
            left: AtomicU64::new(calls),
            done: AtomicU64::new(0),
            difference: Mutex::new(None),
        };
        thread::scope(|scope| -> Result<()> {
            let shared = &shared;
            let mut threads = vec![scope.spawn(move || self.index(shared))];
            threads.extend(
                (0..CALLERS).map(|number| scope.spawn(move || self.call(shared, script.seed, number))),
            );
            let ended: Vec<_> = threads
                .into_iter()
                .map(|thread| {
                    let ended = thread.join().map_err(|_| anyhow!("a thread panicked")).flatten();
                    // Nobody waits for whoever cannot go on.
                    if ended.is_err() {
                        shared.left.store(0, Ordering::Relaxed);
                    }
                    ended
                })
                .collect();
            ended.into_iter().collect()
        })?;
        let difference = shared.difference.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Verified { blocks: shared.done.into_inner(), difference, ..Verified::default() })
    }
}
