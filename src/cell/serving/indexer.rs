//! Who indexes while others call.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use reset_strategies::pool::Pool;

use super::super::ground::Ground;
use super::super::lending;
use super::super::times::nanos;
use super::super::waiting::Waiting;
use super::slice::Slice;
use crate::measure::latencies::Latencies;
use crate::workload::host::{self, BlockState, Shared, Store};

/// A session that runs blocks, and the chain that it runs again and again.
pub(super) struct Indexer {
    ground: Arc<Ground>,
    pool: Pool<BlockState>,
    blocks: Vec<Arc<[u8]>>,
}

impl Indexer {
    /// Makes the session, and runs the chain once.
    ///
    /// # Errors
    /// When there are no blocks, the strategy allows for no such session, or a block does not complete.
    pub fn start(ground: &Arc<Ground>) -> Result<Self> {
        let (blocks, pool) = (lending::blocks(ground)?, lending::pool_for_blocks(ground, 1)?);
        let this = Self { ground: ground.clone(), pool, blocks };
        this.chain(|| true)?;
        Ok(this)
    }

    /// Runs blocks until the slice is over, one at least, and says what each took with its reset. The first block of a slice
    /// begins the chain.
    ///
    /// # Errors
    /// When a block does not complete.
    pub fn run(&self, slice: &Slice) -> Result<Latencies> {
        std::thread::sleep(slice.began.saturating_duration_since(Instant::now()));
        let goes_on = || Instant::now() < slice.until;
        let mut all = self.chain(goes_on)?;
        while goes_on() {
            all.add(&self.chain(goes_on)?);
        }
        Ok(all)
    }

    /// Runs the chain from its beginning: a block, and further ones as far as it may.
    fn chain(&self, goes_on: impl Fn() -> bool) -> Result<Latencies> {
        let _place = self.ground.executing.join()?;
        let waiting = Waiting::of(&self.ground.spec.host)?;
        let waiting = waiting.as_ref();
        let store = Shared::new(Store::default());
        let mut took = Latencies::default();
        for (at, block) in self.blocks.iter().enumerate().take_while(|(at, _)| *at == 0 || goes_on()) {
            let began = Instant::now();
            let mut session = lending::checkout(waiting, &self.pool)?;
            lending::begin(&mut session, at as u64, block)?;
            session.store_mut()?.data_mut().over(store.clone());
            let result = lending::block(waiting, &mut session);
            let outcome = session.store_mut()?.data_mut().outcome(result);
            lending::give_back(waiting, session)?;
            took.record(nanos(began.elapsed()));
            ensure!(outcome == host::Outcome::Completed, "block {at} {outcome}");
        }
        Ok(took)
    }
}
