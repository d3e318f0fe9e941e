//! Sessions that a pool lends for a call: of a view, or of a block in the same module.

use std::sync::Arc;

use anyhow::{Context, Result};
use reset_strategies::Hooks;
use reset_strategies::pool::{Lease, Limits, Pool};
use wasmtime::Linker;

use super::ground::{Ground, defining};
use super::waiting::Waiting;
use crate::hosts::TICKS;
use crate::protocol::staging;
use crate::workload::host::{BlockState, Metashrew, Shared, Spoken};

/// The export that runs a block, in a module that has views as well.
const START: &str = "_start";

/// A pool of so many sessions that run blocks. A block flushes, and a view does not: the functions of the host differ.
///
/// # Errors
/// When the strategy does not allow for so many.
pub(super) fn pool_for_blocks(ground: &Arc<Ground>, places: usize) -> Result<Pool<BlockState>> {
    let define = defining(Spoken::Metashrew(Metashrew), ground.spec.host.calls);
    let mut linker = Linker::new(ground.module.engine());
    define(&mut linker, &ground.module)?;
    let (state, hooks) = (ground.state(&Shared::default()), Hooks { define: Some(define), ..ground.hooks() });
    let limits = Limits::most(places);
    Ok(Pool::new(ground.plan.clone(), &ground.module, &linker, state, hooks, limits)?)
}

/// The blocks that were indexed before the requests came.
///
/// # Errors
/// When there are none, or they cannot be read.
pub(super) fn blocks(ground: &Ground) -> Result<Vec<Arc<[u8]>>> {
    staging::read_trace(ground.spec.blocks.as_deref().context("the workload has no blocks to be indexed")?)
}

/// Takes a session, which its caller has to give back.
///
/// # Errors
/// When there is none to be had.
pub(super) fn checkout(waiting: Option<&Waiting>, pool: &Pool<BlockState>) -> Result<Lease<BlockState>> {
    Ok(match waiting {
        None => pool.checkout()?,
        Some(waiting) => waiting.wait(pool.checkout_async())?,
    })
}

/// Gives a session back, which resets it.
///
/// # Errors
/// When that fails.
pub(super) fn give_back(waiting: Option<&Waiting>, lease: Lease<BlockState>) -> Result<()> {
    match waiting {
        None => drop(lease),
        Some(waiting) => waiting.wait(lease.give_back())?,
    }
    Ok(())
}

/// Hands an input over, with its deadline. Calls of one `id` change the same pages, which the floor relies on.
///
/// # Errors
/// When the session is of no use.
pub(super) fn begin(session: &mut Lease<BlockState>, id: u64, input: &Arc<[u8]>) -> Result<()> {
    session.expect(id);
    let mut store = session.store_mut()?;
    store.set_epoch_deadline(TICKS);
    store.data_mut().begin(input.clone());
    Ok(())
}

/// Has the request answered that the state has.
///
/// # Errors
/// As the guest ends.
pub(super) fn view(
    abi: &Spoken,
    waiting: Option<&Waiting>,
    session: &mut Lease<BlockState>,
) -> wasmtime::Result<()> {
    match waiting {
        None => abi.execute(session),
        Some(waiting) => waiting.call(abi.execute_async(session)),
    }
}

/// Runs the block that the state has.
///
/// # Errors
/// As the guest ends.
pub(super) fn block(waiting: Option<&Waiting>, session: &mut Lease<BlockState>) -> wasmtime::Result<()> {
    match waiting {
        None => session.call(START, ()),
        Some(waiting) => waiting.call(session.call_async(START, ())),
    }
}
