//! Times of a child's startup, by stages.

use std::time::{Duration, Instant};

use crate::machine::clock;

/// Times the stages of startup.
pub struct Stages {
    done: Vec<(String, u64)>,
    last: Instant,
}

impl Stages {
    /// Begins with the time since the parent started this process.
    pub(super) fn since(started_ns: u64) -> Self {
        let process = clock::monotonic_ns().saturating_sub(started_ns);
        Self { done: vec![("process".into(), process)], last: Instant::now() }
    }

    /// Begins here, in a process that runs already.
    pub fn here() -> Self {
        Self { done: Vec::new(), last: Instant::now() }
    }

    /// The stages in nanoseconds, in the order in which they happened.
    pub fn done(self) -> Vec<(String, u64)> {
        self.done
    }

    /// Begins the next stage here: what came before is no part of startup.
    pub(super) fn skip(&mut self) {
        self.last = Instant::now();
    }

    pub(super) fn end(&mut self, stage: &str) {
        let now = Instant::now();
        self.done.push((stage.into(), nanos(now - self.last)));
        self.last = now;
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
