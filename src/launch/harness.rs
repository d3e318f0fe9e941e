//! What the harness itself takes: the least cycle there can be, and the sampler's share of a core.

use std::time::Duration;

use anyhow::Result;
use reset_strategies::registry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::process::Cell;
use super::runner::{Runner, SAMPLE_EVERY};
use crate::analyse::quantile::median;
use crate::measure::row::Params;
use crate::measure::sampler::Sampler;
use crate::protocol::staging;
use crate::protocol::{Request, Spec, Timed};
use crate::workload::bundled;

/// The guest that returns at once.
const NOOP: &str = "stress/noop";

/// Traces of eight blocks: enough for a median of half a microsecond.
const PASSES: u32 = 250;

/// How long the sampler is watched.
const WATCH: Duration = Duration::from_millis(200);

/// The harness's own cost on this machine.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Harness {
    /// Median cycle of a guest that returns at once, under the floor: clock readings included.
    pub noop_cycle_ns: u64,
    /// CPU time that the sampler of memory took.
    pub sampler_ns: u64,
    /// While it watched for so long.
    pub sampled_ns: u64,
    /// The interval between two samples.
    pub interval_ns: u64,
}

impl Harness {
    /// In one line.
    pub fn sentence(&self) -> String {
        format!(
            "harness: the cycle of a guest that returns at once takes {} ns; sampling memory every {} ms takes {:.2} % of a \
             core, in a pass of its own",
            self.noop_cycle_ns,
            self.interval_ns / 1_000_000,
            self.sampler_ns as f64 / self.sampled_ns.max(1) as f64 * 100.0,
        )
    }
}

/// Measures the harness; `None` where the child ends early or the sampler cannot say what it took.
///
/// # Errors
/// When files cannot be written or no child can be started.
pub fn measure(runner: &Runner<'_>) -> Result<Option<Harness>> {
    let noop = bundled::named(NOOP, &Params::new())?;
    let staged = staging::stage(runner.stage.staging.path(), &noop)?;
    let host = runner.plan.host.clone();
    let spec = Spec { host, ..Spec::new(registry::FLOOR, &noop, &staged, runner.plan.timeout) };
    let Ok((mut cell, _)) = Cell::start(&runner.stage.binary, spec) else { return Ok(None) };
    let mut time = |passes| cell.ask::<Timed>(&Request::Time { passes });
    let (_, Ok(timed)) = (time(1), time(PASSES)) else { return Ok(None) };
    let Some(noop_cycle_ns) = median(&mut timed.cycles()) else { return Ok(None) };
    let Ok(sampler) = Sampler::start(cell.pid(), SAMPLE_EVERY) else { return Ok(None) };
    let ran = cell.ask::<u64>(&Request::Run { millis: u64::try_from(WATCH.as_millis())?, blocks: 0 });
    let samples = sampler.stop();
    let (Ok(_), Some(last)) = (ran, samples.series.last()) else { return Ok(None) };
    Ok(Some(Harness {
        noop_cycle_ns,
        sampler_ns: samples.cpu_ns,
        sampled_ns: last.at_ns,
        interval_ns: u64::try_from(SAMPLE_EVERY.as_nanos())?,
    }))
}
