//! Performance events of the calling thread, in user mode: what the CPU did, where the machine lets us count it.

use crate::machine::perf::{Counter, Event};

/// Events with the names of their metrics.
const EVENTS: [(&str, Event); 3] = [
    ("instructions", Event::INSTRUCTIONS),
    ("cpu_cycles", Event::CYCLES),
    ("dtlb_load_misses", Event::DATA_TLB_LOAD_MISSES),
];

/// The counters that could be opened.
#[derive(Debug)]
pub struct Counters(Vec<(&'static str, Counter)>);

impl Counters {
    /// Opens what can be opened and counts; `doctor` and `run.json` say why the rest cannot.
    pub fn open() -> Self {
        let open = |(name, event)| Some((name, Counter::open(event).ok()?));
        let mut counters = Self(EVENTS.into_iter().filter_map(open).collect());
        // A virtual machine may let a counter open and keep it at zero; some instructions have run by now.
        counters.0.retain_mut(|(_, counter)| counter.read().is_ok_and(|count| count > 0));
        counters
    }

    /// Each counter's reading, always in the same order. One that can no longer be read stays where it was at zero.
    pub fn read(&mut self) -> Vec<(&'static str, u64)> {
        self.0.iter_mut().map(|(name, counter)| (*name, counter.read().unwrap_or(0))).collect()
    }
}
