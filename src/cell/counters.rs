//! The counter pass: what each block causes in the kernel and the CPU, phase by phase.
//!
//! What a counter cannot say here is absent: no row, never zero.

use std::collections::BTreeMap;

use anyhow::Result;
use reset_strategies::track::Learned;
use reset_strategies::{Lifecycle, Reset};

use super::session::Cell;
use crate::analyse::learned::{ALONE, COLD_PAGES, FAULT, HOT_PAGES, RESTORES};
use crate::measure::faults::Usage;
use crate::measure::interrupts::Interrupts;
use crate::measure::perf::Counters;
use crate::measure::row::{Phase, Unit};
use crate::protocol::Count;

/// Counts over whole traces.
///
/// # Errors
/// When a reset fails, a block times out, or getrusage is refused.
pub fn count(cell: &mut Cell, passes: u32) -> Result<Vec<Count>> {
    let mut perf = Counters::open();
    let mut tally = Tally::default();
    let in_place = matches!(cell.strategy().lifecycle(), Lifecycle::InPlace(_));
    cell.each_block(passes, |cell, block| {
        let interrupts = Interrupts::now();
        let before = perf.read();
        let started = Usage::thread()?;
        let outcome = cell.call();
        let executed = Usage::thread()?;
        let between = perf.read();
        let resetting = Usage::thread()?;
        let reset = cell.reset()?;
        let done = Usage::thread()?;
        let after = perf.read();

        tally.usage(&executed.delta(&started), &done.delta(&resetting));
        tally.events([&before, &between, &after]);
        tally.reset(&reset, in_place);
        if let (Some(before), Some(after)) = (interrupts, Interrupts::now()) {
            tally.interrupts(&before, &after);
        }
        cell.check(block, outcome)
    })?;
    tally.learned(&cell.session.learned());
    Ok(tally.into_counts())
}

/// Samples by metric and phase.
#[derive(Default)]
struct Tally(BTreeMap<(&'static str, Phase), (Unit, Vec<u64>)>);

impl Tally {
    fn add(&mut self, metric: &'static str, phase: Phase, unit: Unit, value: u64) {
        self.0.entry((metric, phase)).or_insert((unit, Vec::new())).1.push(value);
    }

    fn both(&mut self, metric: &'static str, execute: u64, reset: u64) {
        self.add(metric, Phase::Execute, Unit::Count, execute);
        self.add(metric, Phase::Reset, Unit::Count, reset);
        self.add(metric, Phase::Cycle, Unit::Count, execute + reset);
    }

    fn usage(&mut self, execute: &Usage, reset: &Usage) {
        self.both("minor_faults", execute.minor_faults, reset.minor_faults);
        self.both("major_faults", execute.major_faults, reset.major_faults);
        self.both("voluntary_switches", execute.voluntary_switches, reset.voluntary_switches);
        self.both("involuntary_switches", execute.involuntary_switches, reset.involuntary_switches);
    }

    /// Readings before the block, between execute and reset, and after.
    fn events(&mut self, [before, between, after]: [&Vec<(&'static str, u64)>; 3]) {
        for ((before, between), after) in before.iter().zip(between).zip(after) {
            let since = |late: u64, early: u64| late.saturating_sub(early);
            self.both(before.0, since(between.1, before.1), since(after.1, between.1));
        }
    }

    /// A fresh strategy leaves the work to wasmtime, which does not tell.
    fn reset(&mut self, reset: &Reset, in_place: bool) {
        let mut add = |metric, unit, value| self.add(metric, Phase::Reset, unit, value);
        if !in_place {
            return add("instances", Unit::Count, reset.instances);
        }
        add("bytes_restored", Unit::Bytes, reset.bytes_restored);
        add("bytes_returned", Unit::Bytes, reset.bytes_returned);
        add("huge_pages", Unit::Count, reset.huge_pages);
        add("regions", Unit::Count, reset.regions);
        add("syscalls", Unit::Count, reset.syscalls);
    }

    /// What an adaptive strategy decides by, and how it stands after the last block.
    fn learned(&mut self, memories: &[Learned]) {
        let Some(Learned { costs, .. }) = memories.first() else { return };
        let restores = RESTORES.into_iter().zip(costs.restore_ns);
        for (metric, ns) in restores.chain([(FAULT, costs.fault_ns), (ALONE, costs.alone_ns)]) {
            self.add(metric, Phase::Reset, Unit::Nanoseconds, ns.round() as u64);
        }
        let pages =
            |of: fn(&Learned) -> usize| memories.iter().map(|learned| of(learned) as u64).sum::<u64>();
        self.add(HOT_PAGES, Phase::Reset, Unit::Count, pages(|learned| learned.hot));
        self.add(COLD_PAGES, Phase::Reset, Unit::Count, pages(|learned| learned.cold));
    }

    /// Of the whole machine: the interrupts that a block sends reach other CPUs.
    fn interrupts(&mut self, before: &Interrupts, after: &Interrupts) {
        let rows = [
            ("tlb_shootdowns", before.tlb_shootdowns, after.tlb_shootdowns),
            ("function_calls", before.function_calls, after.function_calls),
        ];
        for (metric, before, after) in rows {
            if let (Some(before), Some(after)) = (before, after) {
                self.add(metric, Phase::Cycle, Unit::Count, after.saturating_sub(before));
            }
        }
    }

    fn into_counts(self) -> Vec<Count> {
        let count = |((metric, phase), (unit, samples)): ((&str, Phase), (Unit, Vec<u64>))| Count {
            phase,
            metric: metric.into(),
            unit,
            samples,
        };
        self.0.into_iter().map(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(tally: Tally) -> Vec<(String, Phase, Vec<u64>)> {
        tally.into_counts().into_iter().map(|count| (count.metric, count.phase, count.samples)).collect()
    }

    #[test]
    fn what_is_unknown_has_no_row() {
        let mut tally = Tally::default();
        tally.reset(&Reset { instances: 1, ..Reset::default() }, false);
        tally.interrupts(&Interrupts::default(), &Interrupts::default());
        tally.events([&Vec::new(); 3]);
        assert_eq!(metrics(tally), [("instances".into(), Phase::Reset, vec![1])]);
    }

    #[test]
    fn a_cycle_is_both_phases() {
        let mut tally = Tally::default();
        let at = |n| vec![("instructions", n)];
        tally.events([&at(5), &at(12), &at(15)]);
        let expected = [(Phase::Execute, 7), (Phase::Reset, 3), (Phase::Cycle, 10)];
        assert_eq!(metrics(tally), expected.map(|(phase, n)| ("instructions".into(), phase, vec![n])));
    }
}
