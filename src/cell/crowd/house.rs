//! The sessions of a crowd: two pools of one module, one whose sessions answer views and one whose sessions run blocks.

use std::sync::Arc;

use anyhow::Result;
use reset_strategies::Hooks;
use reset_strategies::pool::{Lease, Limits, Pool};
use wasmtime::Linker;

use super::super::ground::{Ground, defining};
use super::super::waiting::Waiting;
use super::{BLOCKS, VIEWS};
use crate::hosts::TICKS;
use crate::protocol::Observed;
use crate::workload::host::{Base, BlockState, Metashrew, Shared, Spoken, Store};

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
        let pool = |linker, places| -> Result<Pool<BlockState>> {
            let (state, hooks) = (ground.state(&Shared::default()), ground.hooks());
            let limits = Limits::most(places);
            Ok(Pool::new(ground.plan.clone(), &ground.module, &linker, state, hooks, limits)?)
        };
        Self::of(ground, pool(ground.linker()?, VIEWS)?)
    }

    /// The same with a pool of views that is there.
    pub fn of(ground: &Arc<Ground>, views: Pool<BlockState>) -> Result<Self> {
        // A block flushes, and a view does not: the functions of the host differ.
        let define = defining(Spoken::Metashrew(Metashrew), ground.spec.host.calls);
        let mut linker = Linker::new(ground.module.engine());
        define(&mut linker, &ground.module)?;
        let (state, hooks) =
            (ground.state(&Shared::default()), Hooks { define: Some(define), ..ground.hooks() });
        let limits = Limits::most(BLOCKS);
        let blocks = Pool::new(ground.plan.clone(), &ground.module, &linker, state, hooks, limits)?;
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
    /// Runs an input over a store, and says what it did.
    ///
    /// # Errors
    /// When there is no session, or it is of no use.
    pub fn run(&self, asked: Asked, input: &Arc<[u8]>, store: &Shared) -> Result<Observed> {
        let pool = match asked {
            Asked::View => &self.house.views,
            Asked::Block => &self.house.blocks,
        };
        let mut lease = match &self.waiting {
            None => pool.checkout()?,
            Some(waiting) => waiting.wait(pool.checkout_async())?,
        };
        let observed = self.observe(asked, input, store, &mut lease)?;
        match &self.waiting {
            None => drop(lease),
            Some(waiting) => waiting.wait(lease.give_back())?,
        }
        Ok(observed)
    }

    fn observe(
        &self,
        asked: Asked,
        input: &Arc<[u8]>,
        store: &Shared,
        session: &mut Lease<BlockState>,
    ) -> Result<Observed> {
        let mut context = session.store_mut()?;
        context.set_epoch_deadline(TICKS);
        let state = context.data_mut();
        state.over(store.clone());
        state.begin(input.clone());
        state.record();
        let abi = &self.house.ground.spec.abi;
        let result = match (asked, &self.waiting) {
            (Asked::View, None) => abi.execute(session),
            (Asked::View, Some(waiting)) => waiting.call(abi.execute_async(session)),
            (Asked::Block, None) => session.call(START, ()),
            (Asked::Block, Some(waiting)) => waiting.call(session.call_async(START, ())),
        };
        let mut context = session.store_mut()?;
        let state = context.data_mut();
        let flushed = state.digest().unwrap_or_default();
        Ok(Observed { outcome: state.outcome(result), flushed })
    }
}

/// The export that runs a block, in a module that has views as well.
const START: &str = "_start";

/// A store that nobody else has, over one that nobody writes to.
pub(super) fn copy_of(base: &Arc<Base>) -> Shared {
    Shared::new(Store::over(base.clone()))
}
