//! The long run: does a strategy's memory grow from block to block?
//!
//! The run is divided into windows of whole traces. Between two of them the child waits for the next request, and its
//! memory is read exactly, always at the same place of the trace, so that what a block borrows and the reset gives back
//! is never taken for growth.

use anyhow::{Result, bail};

use super::{Contender, Lane, Runner, Turn};
use crate::analyse::evidence::{LONG_RSS, LONG_WINDOW};
use crate::analyse::growth::WINDOWS;
use crate::launch::process::Ended;
use crate::measure::row::{Phase, Row, Status, Unit};
use crate::measure::sampler;
use crate::protocol::{Reply, Request};

/// What was read of one contender.
enum Watched {
    /// Readings before the first window and after each, and the blocks of a window.
    Readings(Vec<u64>, u64),
    /// The instrument failed.
    Unreadable(String),
    /// The contender ended, which is written already.
    Gone,
}

impl<'a> Runner<'a> {
    /// Runs each contender alone for the blocks that the effort asks for, if it asks for any.
    pub(super) fn long_runs(&mut self, lane: &Lane<'_>, contenders: &mut [Contender<'a>]) -> Result<()> {
        let Some(blocks) = self.plan.effort.long_blocks else { return Ok(()) };
        for contender in contenders {
            let watched = self.watch(lane, contender, blocks.div_ceil(u64::from(WINDOWS)))?;
            let row = self.row(lane, contender.strategy, Turn::default(), Phase::Memory);
            let row = Row { metric: LONG_RSS.into(), unit: Unit::Bytes, ..row };
            match watched {
                Watched::Readings(samples, window) => {
                    let (metric, unit, value) = (LONG_WINDOW.into(), Unit::Count, Some(window));
                    self.rows.write(&Row { value: samples.last().copied(), samples, ..row.clone() })?;
                    self.rows.write(&Row { metric, unit, value, ..row })?;
                }
                Watched::Unreadable(why) => {
                    self.rows.write(&Row { status: Status::Failed, error: Some(why), ..row })?;
                }
                Watched::Gone => {}
            }
        }
        Ok(())
    }

    /// Runs the windows one after the other; one that is interrupted has the readings up to then.
    fn watch(&mut self, lane: &Lane<'_>, contender: &mut Contender<'a>, blocks: u64) -> Result<Watched> {
        let (mut readings, mut window) = (Vec::new(), 0);
        loop {
            let Some(cell) = &contender.cell else { return Ok(Watched::Gone) };
            match sampler::resident(cell.pid()) {
                Ok(bytes) => readings.push(bytes),
                Err(why) => return Ok(Watched::Unreadable(why)),
            }
            if readings.len() > WINDOWS as usize || self.stopped() {
                return Ok(Watched::Readings(readings, window));
            }
            self.progress.say(&format!(
                "{}: long run of {}, window {} of {WINDOWS}",
                lane.workload.name,
                contender.strategy,
                readings.len()
            ));
            match self.ask(lane, contender, &Request::Run { millis: 0, blocks })? {
                Some(Reply::Ran { blocks }) => window = blocks,
                Some(other) => bail!("{}: {:?}", contender.strategy, Ended::unexpected(&other)),
                None => return Ok(Watched::Gone),
            }
        }
    }
}
