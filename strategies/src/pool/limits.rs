//! What a pool may take: places, memory, time and threads.

use std::time::Duration;

use super::room::Needs;
use crate::error::Error;
use crate::plan::Plan;
use crate::strategy::{Lifecycle, Strategy};

/// What a pool may take. Begins with [`most`](Self::most); what is not said is not limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub(super) most: usize,
    pub(super) most_bytes: u64,
    pub(super) most_waiting: usize,
    pub(super) within: Option<Duration>,
    pub(super) resets: Resets,
}

/// Where a session that comes back is reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resets {
    /// By the thread that returns it, before the lease is gone. The default: what the guest wrote is still in this core's cache,
    /// no other thread has to wake up, and on a machine whose cores are all busy one that did would only take turns with
    /// the callers.
    #[default]
    Inline,
    /// By so many threads of the pool, for hosts that have cores to spare and callers that wait for each answer. A session that
    /// none of them has come to is reset by whoever checks it out, so that nobody waits for a thread while there is work.
    Behind(usize),
    /// By whoever checks it out next: in a task, if that is an async host's. A place that nobody needs is never reset.
    AtCheckout,
}

impl Limits {
    /// At most so many sessions at once.
    pub const fn most(places: usize) -> Self {
        Self {
            most: places,
            most_bytes: u64::MAX,
            most_waiting: usize::MAX,
            within: None,
            resets: Resets::Inline,
        }
    }

    /// At most so many bytes of memory in all places together: [what is counted](crate::pool#bytes).
    pub const fn most_bytes(self, bytes: u64) -> Self {
        Self { most_bytes: bytes, ..self }
    }

    /// At most so many callers that wait; those who come then are told so at once.
    pub const fn most_waiting(self, callers: usize) -> Self {
        Self { most_waiting: callers, ..self }
    }

    /// How long [`Pool::checkout`](super::Pool::checkout) waits. Futures have the deadline that the host's executor gives them.
    pub const fn within(self, time: Duration) -> Self {
        Self { within: Some(time), ..self }
    }

    /// Where sessions are reset.
    pub const fn resets(self, resets: Resets) -> Self {
        Self { resets, ..self }
    }

    /// Whether there can be so many places.
    pub(super) fn check(&self, plan: &Plan<'_>, needs: Needs) -> Result<(), Error> {
        let refuse = |asked: &str, reason: String, remedy: &str| {
            Err(Error::Pool { asked: asked.into(), reason, remedy: remedy.into() })
        };
        let places = if self.most == 1 { "1 place" } else { &*format!("{} places", self.most) };
        if self.most == 0 {
            return refuse(
                places,
                "nobody would ever be served".into(),
                "ask for one at least (Limits::most)",
            );
        }
        if self.resets == Resets::Behind(0) {
            let remedy = "ask for one at least, or for Resets::AtCheckout";
            return refuse("0 threads", "nobody would reset".into(), remedy);
        }
        let strategy = plan.strategy();
        if strategy.is_process_wide() && self.most > 1 {
            let reason = format!("a reset of `{strategy}` cleans every page of the process");
            return refuse(places, reason, "ask for one, or take another strategy");
        }
        let sessions = plan.options().sessions as usize;
        if is_pooled(strategy) && self.most > sessions {
            let reason = format!("`{strategy}` has room for {sessions} instances (Options::sessions)");
            return refuse(places, reason, "raise that before the engine is made, or ask for fewer");
        }
        if needs.memory > self.most_bytes {
            let reason = format!("one takes {} bytes, and {} are allowed", needs.memory, self.most_bytes);
            return refuse(places, reason, "allow more (Limits::most_bytes)");
        }
        needs.check(self.most)
    }
}

/// Whether instances live in a pool of the engine's.
fn is_pooled(strategy: &Strategy) -> bool {
    matches!(strategy.lifecycle(), Lifecycle::Fresh(fresh) if fresh.pooled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use crate::registry;

    /// How a strategy, available here or not, answers to limits.
    fn refusal(strategy: &str, limits: Limits) -> Option<String> {
        let wasm = wat::parse_str("(module (memory 2))").unwrap();
        let options = Options { sessions: 3, ..Options::default() };
        let plan = Plan::unprobed(registry::find(strategy).unwrap(), &wasm, options).unwrap();
        limits.check(&plan, Needs::of(&plan)).err().map(|error| error.to_string())
    }

    #[test]
    fn a_pool_that_cannot_be_is_refused_with_limit_and_remedy() {
        for (strategy, limits, words) in [
            ("copy/full", Limits::most(0), &["0 places", "Limits::most"][..]),
            ("copy/full", Limits::most(2).resets(Resets::Behind(0)), &["0 threads", "Resets::AtCheckout"]),
            ("dirty/soft-dirty", Limits::most(2), &["every page of the process", "another strategy"]),
            ("fresh/pooling", Limits::most(4), &["3 instances", "Options::sessions"]),
            ("fresh/pooling-resident", Limits::most(4), &["3 instances", "Options::sessions"]),
            ("copy/full", Limits::most(2).most_bytes(131_071), &["131072", "131071", "Limits::most_bytes"]),
            ("copy/full", Limits::most(1 << 20), &["address space", "fewer than"]),
        ] {
            let refusal =
                refusal(strategy, limits).unwrap_or_else(|| panic!("{strategy}: {limits:?} is allowed"));
            for word in words {
                assert!(refusal.contains(word), "{strategy}: {refusal:?} lacks {word:?}");
            }
        }
        for (strategy, limits) in [
            ("copy/full", Limits::most(100).resets(Resets::Behind(1))),
            ("dirty/soft-dirty", Limits::most(1)),
            ("fresh/pooling", Limits::most(3)),
            ("fresh/relink", Limits::most(4).most_bytes(131_072)),
        ] {
            assert_eq!(refusal(strategy, limits), None, "{strategy}");
        }
    }
}
