//! The long run: does a strategy's memory grow from block to block?
//!
//! The run is divided into windows of whole traces. Between two of them the child waits for the next request, and its
//! memory is read exactly, always at the same place of the trace, so that what a block borrows and the reset gives back
//! is never taken for growth.

use anyhow::Result;

use super::{Contender, Lane, Runner};
use crate::analyse::evidence::{LONG_RSS, LONG_WINDOW};
use crate::analyse::growth::WINDOWS;
use crate::measure::row::{Phase, Row, Status, Unit};
use crate::measure::sampler;
use crate::protocol::Request;

/// Readings before the first window and after each, and the blocks of a window; or why the instrument failed.
type Watched = Result<(Vec<u64>, u64), String>;

impl<'a> Runner<'a> {
    /// Runs each contender alone for the blocks that the effort asks for, if it asks for any.
    pub(super) fn long_runs(&mut self, lane: &Lane<'_>, contenders: &mut [Contender<'a>]) -> Result<()> {
        let Some(blocks) = self.plan.effort.long_blocks else { return Ok(()) };
        for contender in contenders {
            let watched = self.watch(lane, contender, blocks.div_ceil(u64::from(WINDOWS)))?;
            let row = self.row(lane, contender.strategy(), Phase::Memory);
            let row = Row { metric: LONG_RSS.into(), unit: Unit::Bytes, ..row };
            match watched {
                Some(Ok((samples, window))) => {
                    let (metric, unit, value) = (LONG_WINDOW.into(), Unit::Count, Some(window));
                    self.write(Row { value: samples.last().copied(), samples, ..row.clone() })?;
                    self.write(Row { metric, unit, value, ..row })?;
                }
                Some(Err(why)) => self.write(Row { status: Status::Failed, error: Some(why), ..row })?,
                None => {}
            }
        }
        Ok(())
    }

    /// Runs the windows one after the other; one that is interrupted has the readings up to then. `None` where the
    /// contender ended, which is written already.
    fn watch(
        &mut self,
        lane: &Lane<'_>,
        contender: &mut Contender<'a>,
        blocks: u64,
    ) -> Result<Option<Watched>> {
        let (mut readings, mut window) = (Vec::new(), 0);
        loop {
            let Some(cell) = &contender.cell else { return Ok(None) };
            match sampler::resident(cell.pid()) {
                Ok(bytes) => readings.push(bytes),
                Err(why) => return Ok(Some(Err(why))),
            }
            if readings.len() > WINDOWS as usize || self.stage.stopped() {
                return Ok(Some(Ok((readings, window))));
            }
            self.stage.progress.say(&format!(
                "{}: long run of {}, window {} of {WINDOWS}",
                lane.workload.name,
                contender.strategy(),
                readings.len()
            ));
            let Some(ran) = self.ask(lane, contender, &Request::Run { millis: 0, blocks })? else {
                return Ok(None);
            };
            window = ran;
        }
    }
}
