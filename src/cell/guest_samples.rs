//! Blocks that are run to see where the guest is: the epoch is advanced at each tick, and [`guest_stacks`] takes the stack.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::guest_stacks;
use super::session::Cell;
use crate::protocol::GuestStacks;

/// Runs whole traces, and takes so many stacks in a second.
///
/// # Errors
/// When a reset fails or a block times out.
pub(super) fn sample(cell: &mut Cell, passes: u32, hertz: u32) -> Result<GuestStacks> {
    let over = AtomicBool::new(false);
    let engine = cell.ground().module.engine().clone();
    let tick = Duration::from_secs(1) / hertz.max(1);
    guest_stacks::begin();
    let ran = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                thread::sleep(tick);
                engine.increment_epoch();
            }
        });
        let _stops = Stops(&over);
        cell.each_block(passes, |cell, block| {
            cell.session.store_mut()?.set_epoch_deadline(1);
            guest_stacks::allow(cell.timeout());
            let outcome = cell.call();
            cell.reset()?;
            cell.check(block, outcome)
        })
    });
    let seen = guest_stacks::end();
    ran.map(|()| seen)
}

/// Stops the ticks when it is dropped, by a panic, too: a scope waits for its threads.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
