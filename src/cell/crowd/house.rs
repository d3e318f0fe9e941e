//! The sessions of a crowd: two pools of one module, one whose sessions answer views and one whose sessions run blocks.

use std::sync::Arc;

use anyhow::Result;
use reset_strategies::pool::{Lease, Pool};

use super::super::ground::Ground;
use super::super::lending;
use super::super::waiting::Waiting;
use crate::protocol::Observed;
use crate::protocol::schedule::{BLOCKS, VIEWS};
use crate::workload::host::{Base, BlockState, Shared, Store};

/// The pools.
pub(super) struct House {
    pub ground: Arc<Ground>,
    views: Pool<BlockState>,
    blocks: Pool<BlockState>,
}

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    View,
    Block,
}

/// Whose calls a thread makes.
pub(super) struct Guest<'a> {
    house: &'a House,
    waiting: Option<Waiting>,
}

impl House {
    /// Makes both pools.
    ///
    /// # Errors
    /// When the strategy does not allow for so many sessions.
    pub fn open(ground: &Arc<Ground>) -> Result<Self> {
        Self::of(ground, ground.pool(VIEWS)?)
    }

    /// The same with a pool of views that is there.
    pub fn of(ground: &Arc<Ground>, views: Pool<BlockState>) -> Result<Self> {
        let blocks = lending::pool_for_blocks(ground, BLOCKS as usize)?;
        Ok(Self { ground: ground.clone(), views, blocks })
    }

    /// A thread's way in.
    ///
    /// # Errors
    /// When there is no runtime for the host's futures.
    pub fn enter(&self) -> Result<Guest<'_>> {
        Ok(Guest { house: self, waiting: Waiting::of(&self.ground.spec.host)? })
    }
}

impl Guest<'_> {
    /// Runs an input over a store, and says what it did. The same `id` has the same input over the same store.
    ///
    /// # Errors
    /// When there is no session, or it is of no use.
    pub fn run(&self, (asked, id): (Asked, u64), input: &Arc<[u8]>, store: &Shared) -> Result<Observed> {
        let pool = match asked {
            Asked::View => &self.house.views,
            Asked::Block => &self.house.blocks,
        };
        let waiting = self.waiting.as_ref();
        let mut lease = lending::checkout(waiting, pool)?;
        let observed = self.observe((asked, id), input, store, &mut lease)?;
        lending::give_back(waiting, lease)?;
        Ok(observed)
    }

    fn observe(
        &self,
        (asked, id): (Asked, u64),
        input: &Arc<[u8]>,
        store: &Shared,
        session: &mut Lease<BlockState>,
    ) -> Result<Observed> {
        lending::begin(session, id, input)?;
        let mut context = session.store_mut()?;
        let state = context.data_mut();
        state.over(store.clone());
        state.record();
        let waiting = self.waiting.as_ref();
        let result = match asked {
            Asked::View => lending::view(&self.house.ground.spec.abi, waiting, session),
            Asked::Block => lending::block(waiting, session),
        };
        let mut context = session.store_mut()?;
        let state = context.data_mut();
        let flushed = state.digest().unwrap_or_default();
        Ok(Observed { outcome: state.outcome(result), flushed })
    }
}

/// A store that nobody else has, over one that nobody writes to.
pub(super) fn copy_of(base: &Arc<Base>) -> Shared {
    Shared::new(Store::over(base.clone()))
}
