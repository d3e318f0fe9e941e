//! What parent and child say about serving: callers at once over a pool of sessions.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::measure::latencies::Latencies;

/// From a request to serve until its first call: by then all callers have been started.
pub const START: Duration = Duration::from_millis(5);

/// Calls to be made for some time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Serve {
    /// Threads that call.
    pub callers: u32,
    pub millis: u64,
    pub load: Load,
    /// Whether blocks are indexed meanwhile.
    #[serde(default)]
    pub indexing: bool,
    /// Whether this is the slice in which strategies settle, and does not count.
    #[serde(default)]
    pub settling: bool,
    /// From which requests and arrivals are drawn: the same for all contenders of a round.
    pub seed: u64,
}

/// When callers call.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Load {
    /// Each as soon as its last call is over, so that the server is as busy as can be.
    Closed,
    /// When requests arrive, so many in a second on average and independently of each other (a Poisson process), whether
    /// or not the last ones are answered.
    Open { per_second: f64 },
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Served {
    /// From the first call to the end of the last one.
    pub elapsed_ns: u64,
    /// Calls that trapped or failed, as the guest's own requests make them.
    pub failed: u64,
    /// Requests that had arrived and whose turn did not come until the time was over.
    pub left: u64,
    /// From arrival to answer: waiting and service.
    pub latency: Latencies,
    /// From arrival until a session was there.
    pub waiting: Latencies,
    /// The call itself.
    pub service: Latencies,
    /// Giving the session back, with its reset where that is the caller's.
    pub reset: Latencies,
    /// Blocks that were indexed meanwhile, each with its reset.
    #[serde(default)]
    pub blocks: Latencies,
    pub counts: Counts,
    /// Sessions of the pool after it.
    pub places: u64,
}

/// What all calls caused together, in the whole process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub minor_faults: u64,
    pub voluntary_switches: u64,
    pub involuntary_switches: u64,
    /// CPU time in guest and host.
    pub user_ns: u64,
    /// CPU time in the kernel.
    pub system_ns: u64,
    /// Of the whole machine; absent where it does not say.
    pub tlb_shootdowns: Option<u64>,
}

impl Served {
    /// Calls that were answered, failed ones included.
    pub fn calls(&self) -> u64 {
        self.latency.calls()
    }

    /// Calls per second.
    pub fn rate(&self) -> f64 {
        self.calls() as f64 * 1e9 / self.elapsed_ns.max(1) as f64
    }

    /// What a block took on average; 0 where there was none.
    pub fn block_ns(&self) -> f64 {
        self.blocks.total_ns() as f64 / self.blocks.calls().max(1) as f64
    }

    /// Adds what other slices came to.
    pub fn add(&mut self, other: &Self) {
        self.elapsed_ns += other.elapsed_ns;
        self.failed += other.failed;
        self.left += other.left;
        self.latency.add(&other.latency);
        self.waiting.add(&other.waiting);
        self.service.add(&other.service);
        self.reset.add(&other.reset);
        self.blocks.add(&other.blocks);
        self.counts.add(&other.counts);
        self.places = self.places.max(other.places);
    }
}

impl Counts {
    /// Each that is known, by its name in rows.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let Self {
            minor_faults,
            voluntary_switches,
            involuntary_switches,
            user_ns,
            system_ns,
            tlb_shootdowns,
        } = *self;
        [
            ("minor_faults", Some(minor_faults)),
            ("voluntary_switches", Some(voluntary_switches)),
            ("involuntary_switches", Some(involuntary_switches)),
            ("user_ns", Some(user_ns)),
            ("system_ns", Some(system_ns)),
            ("tlb_shootdowns", tlb_shootdowns),
        ]
        .into_iter()
        .filter_map(|(name, count)| Some((name, count?)))
    }

    fn add(&mut self, other: &Self) {
        self.minor_faults += other.minor_faults;
        self.voluntary_switches += other.voluntary_switches;
        self.involuntary_switches += other.involuntary_switches;
        self.user_ns += other.user_ns;
        self.system_ns += other.system_ns;
        self.tlb_shootdowns = match (self.tlb_shootdowns, other.tlb_shootdowns) {
            (Some(own), Some(more)) => Some(own + more),
            (own, more) => own.or(more),
        };
    }

    /// What was added since an earlier reading.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            minor_faults: self.minor_faults.saturating_sub(before.minor_faults),
            voluntary_switches: self.voluntary_switches.saturating_sub(before.voluntary_switches),
            involuntary_switches: self.involuntary_switches.saturating_sub(before.involuntary_switches),
            user_ns: self.user_ns.saturating_sub(before.user_ns),
            system_ns: self.system_ns.saturating_sub(before.system_ns),
            tlb_shootdowns: self
                .tlb_shootdowns
                .zip(before.tlb_shootdowns)
                .map(|(now, then)| now.saturating_sub(then)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(calls: u64, elapsed_ns: u64, faults: u64) -> Served {
        let mut latency = Latencies::default();
        (0..calls).for_each(|_| latency.record(1_000));
        let counts = Counts { minor_faults: faults, ..Counts::default() };
        Served { elapsed_ns, latency, counts, places: calls, ..Served::default() }
    }

    #[test]
    fn slices_add_up_and_rates_are_of_all_their_time() {
        let mut all = served(10, 1_000_000_000, 3);
        all.add(&served(50, 2_000_000_000, 4));
        assert_eq!((all.calls(), all.counts.minor_faults, all.places), (60, 7, 50));
        assert!((all.rate() - 20.0).abs() < 1e-9);
        assert!(Served::default().rate().abs() < 1e-9);
    }

    #[test]
    fn a_count_that_one_reading_lacks_is_unknown_and_none_falls() {
        let (early, late) = (
            Counts { minor_faults: 5, tlb_shootdowns: Some(7), ..Counts::default() },
            Counts { minor_faults: 9, tlb_shootdowns: None, ..Counts::default() },
        );
        assert_eq!(late.since(&early), Counts { minor_faults: 4, ..Counts::default() });
        assert_eq!(early.since(&late).minor_faults, 0);
    }
}
