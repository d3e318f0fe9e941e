//! Takes a runner through the landscape until the time is spent.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use reset_strategies::sys::page;

use super::record::WorkloadRecord;
use super::runner::Runner;
use crate::workload::bundled;
use crate::workload::landscape::{Part, Place, WORKLOAD};

/// What became of the landscape.
#[derive(Clone, Debug, Default)]
pub struct Explored {
    pub measured: Vec<WorkloadRecord>,
    /// Places that were not measured, and why if it was not for want of time.
    pub left_out: Vec<String>,
}

/// Measures the places of a part, one after the other. A place whose expected time is not left is passed over for a smaller one.
///
/// # Errors
/// As for [`Runner::run`].
pub fn explore(runner: &mut Runner<'_>, part: &Part) -> Result<Explored> {
    let (bundled, definition) = bundled::find(WORKLOAD)?;
    let page_bytes = page::size() as u64;
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let mut explored = Explored::default();
    let mut clock = Clock::new(runner.plan.effort.budget);
    for (index, place) in part.places(cores).into_iter().enumerate() {
        if !part.has(&place, page_bytes) {
            continue;
        }
        if let Some(why) = part.impossible(&place, page_bytes) {
            explored.left_out.push(format!("{place}: {why}"));
            continue;
        }
        if runner.stage.stopped() || !clock.allows(&place, page_bytes) {
            explored.left_out.push(place.to_string());
            continue;
        }
        let params = definition.params(false, &place.params(page_bytes));
        let workload = bundled.workload(params, None)?;
        explored.measured.push(WorkloadRecord::new(&workload));
        runner.stage.progress.note(&place.to_string());
        let began = Instant::now();
        runner.workload(&workload, index)?;
        clock.spent(&place, page_bytes, began.elapsed());
        // An image makes a module as large as itself, and each engine compiles it.
        let folder = runner.stage.staging.path().join(workload.name.replace('/', "-"));
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    runner.stage.progress.finish();
    Ok(explored)
}

/// What is left of the time, and how long a place takes.
struct Clock {
    until: Instant,
    /// The most that a place took, per byte of memory.
    seconds_per_byte: Option<f64>,
}

impl Clock {
    fn new(budget: Duration) -> Self {
        Self { until: Instant::now() + budget, seconds_per_byte: None }
    }

    /// Whether the place is likely to fit. The first one is measured whatever it takes.
    fn allows(&self, place: &Place, page_bytes: u64) -> bool {
        let left = self.until.saturating_duration_since(Instant::now()).as_secs_f64();
        self.seconds_per_byte.is_none_or(|rate| rate * place.bytes(page_bytes) as f64 <= left)
    }

    fn spent(&mut self, place: &Place, page_bytes: u64, time: Duration) {
        let rate = time.as_secs_f64() / place.bytes(page_bytes) as f64;
        self.seconds_per_byte = Some(self.seconds_per_byte.map_or(rate, |known| known.max(rate)));
    }
}
