//! A session with its blocks: executed, reset and timed.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use procfs::process::Process;
use reset_strategies::{Error, Reset, Session, Strategy};
use wasmtime::Trap;

use super::anchors;
use super::committed;
use super::ground::Ground;
use super::state::Fresh;
use super::ticker::Place;
use super::times::{Stages, nanos};
use super::waiting::Waiting;
use super::waste::Waste;
use crate::hosts::TICKS;
use crate::machine::group::Joined;
use crate::protocol::schedule::{Schedule, Step};
use crate::protocol::{Observed, Timed, Wasted};
use crate::workload::host::{self, BlockState, Outcome, Shared, Store};

/// Blocks run for so long before they count. Without that, the first block of `indexer/blocktracker` took 2.7 times as long as
/// those that follow, since other processes have used the caches; what it changes is in `docs/METHODOLOGY.md`.
const LEAD_IN: Duration = Duration::from_millis(3);

/// Most traces of a lead-in. Where they are over sooner, blocks touch so little that fewer would do.
const MOST_LEAD_IN: u32 = 32;

/// A trace that takes so long spends little of it on filling the caches, and goes without a lead-in.
const LONG_TRACE: Duration = Duration::from_millis(12);

/// A session with its blocks.
pub struct Cell {
    ground: Arc<Ground>,
    place: Place,
    store: Shared,
    waste: Waste,
    /// What was committed before the first block, or why nothing was.
    committed: Result<String, String>,
    /// What runs the futures of a host that has some.
    waiting: Option<Waiting>,
    pub session: Session<BlockState>,
}

impl Cell {
    /// Starts a session and runs the first block. It is for the calling thread to execute, whose CPU time blocks are given.
    ///
    /// # Errors
    /// When the module cannot be linked or instantiated, or the first reset fails.
    pub fn on(ground: &Arc<Ground>, stages: &mut Stages) -> Result<Self> {
        let Ground { spec, plan, module, .. } = &**ground;
        let place = ground.executing.join()?;
        let store = Shared::new(Store::over(ground.base.clone()));
        let linker = ground.linker()?;
        stages.end("link");
        let (state, hooks) = (ground.state(&store), ground.hooks());
        let waiting = Waiting::of(&spec.host)?;
        let mut session = match &waiting {
            None => plan.start_with(module, &linker, state, hooks)?,
            Some(waiting) => waiting.wait(plan.start_async_with(module, &linker, state, hooks))?,
        };
        stages.end("instantiate");
        let waste = Waste::new(spec.planted);
        let committed = match &spec.script {
            Some(script) => committed::commit(script, plan, &mut session)?,
            None => Err("nothing is committed".into()),
        };
        let mut cell = Self { ground: ground.clone(), place, store, waste, committed, waiting, session };
        if !cell.trace().is_empty() {
            cell.execute(0)?;
            stages.end("first-block");
            cell.reset()?;
            cell.rewind();
        }
        Ok(cell)
    }

    /// Times each block of whole traces, after a lead-in: the processes that ran before have left their own bytes in the caches.
    ///
    /// # Errors
    /// When a reset fails or a block times out.
    pub fn time(&mut self, passes: u32) -> Result<Timed> {
        let mut timed = Timed::default();
        let began = Instant::now();
        self.time_into(&mut timed, 1)?;
        let mut rest = passes.saturating_sub(1);
        if began.elapsed() < LONG_TRACE {
            let mut traces = 1;
            while began.elapsed() < LEAD_IN && traces < MOST_LEAD_IN {
                self.time_into(&mut timed, 1)?;
                traces += 1;
            }
            timed.lead_in();
            rest = passes;
        }
        self.time_into(&mut timed, rest)?;
        timed.learning.resident = resident().unwrap_or_default();
        self.waste.settle(&timed);
        let learnt = self.session.learned();
        timed.learning.regions /= ((timed.lead_in.len() + timed.reset.len()) as u64).max(1);
        timed.learning.hot = learnt.iter().map(|memory| memory.hot as u64).sum();
        timed.learning.cold = learnt.iter().map(|memory| memory.cold as u64).sum();
        Ok(timed)
    }

    fn time_into(&mut self, timed: &mut Timed, passes: u32) -> Result<()> {
        self.each_block(passes, |cell, block| {
            let started = Instant::now();
            let outcome = anchors::execute(|| {
                let outcome = cell.call();
                cell.waste.spend(Wasted::Execute);
                cell.waste.spend(Wasted::Faults);
                outcome
            });
            let executed = Instant::now();
            let reset = anchors::reset(|| {
                let reset = cell.reset();
                cell.waste.spend(Wasted::Reset);
                reset
            })?;
            let done = Instant::now();
            timed.execute.push(nanos(executed - started));
            timed.reset.push(nanos(done - executed));
            timed.learning.huge_pages += reset.huge_pages;
            timed.learning.regions += reset.regions;
            cell.check(block, outcome)
        })
    }

    /// Runs whole traces, each from the initial store.
    pub(super) fn each_block(
        &mut self,
        passes: u32,
        mut run: impl FnMut(&mut Self, usize) -> Result<()>,
    ) -> Result<()> {
        for _ in 0..passes {
            self.rewind();
            for block in 0..self.trace().len() {
                self.prepare(block)?;
                self.waste.dirty(&mut self.session)?;
                if let Some(length) = self.waste.of_host() {
                    self.store.lock().slow_down(length);
                }
                run(self, block)?;
            }
        }
        Ok(())
    }

    /// What it stands on.
    pub(super) fn ground(&self) -> &Arc<Ground> {
        &self.ground
    }

    /// The inputs.
    pub fn trace(&self) -> &[Arc<[u8]>] {
        &self.ground.trace
    }

    /// The strategy that resets.
    pub fn strategy(&self) -> &'static Strategy {
        self.ground.plan.strategy()
    }

    /// What was committed before the first block.
    ///
    /// # Errors
    /// Why nothing was, in words.
    pub fn committed(&self) -> Result<&str, &str> {
        self.committed.as_deref().map_err(String::as_str)
    }

    /// Another session like this one in the same process, over a store of its own.
    ///
    /// # Errors
    /// When it cannot start.
    pub fn another(&self) -> Result<Self> {
        Self::on(&self.ground, &mut Stages::here())
    }

    /// The control group of this process.
    ///
    /// # Errors
    /// When it has none of its own.
    pub fn group(&self) -> io::Result<Joined> {
        let members = self.ground.spec.group.as_deref();
        Joined::by(members.ok_or_else(|| io::Error::other("the process has no control group of its own"))?)
    }

    /// CPU time that a block may take.
    pub(super) fn timeout(&self) -> Duration {
        self.ground.spec.timeout()
    }

    /// Says whether its thread executes or waits for a task, where other sessions execute meanwhile.
    pub(super) fn set_busy(&self, busy: bool) {
        self.place.set_busy(busy);
    }

    /// Whether no other session lives in this process.
    pub fn is_alone(&self) -> bool {
        self.ground.spec.threads == 1
    }

    /// What a fresh instance of the module looks like; made once for all sessions of the process.
    ///
    /// # Errors
    /// When none can be made.
    pub fn fresh(&self) -> Result<Arc<Fresh>> {
        self.ground.fresh()
    }

    /// Brings the host's store back to what it was before the first block.
    pub fn rewind(&mut self) {
        self.store.lock().rewind();
    }

    /// A copy of the host's store, as far as blocks have written to it.
    pub fn store(&self) -> Store {
        self.store.lock().clone()
    }

    /// Makes that copy the host's store again.
    pub fn put_back(&mut self, store: Store) {
        *self.store.lock() = store;
    }

    /// Digest of the host's store.
    pub fn store_digest(&self) -> String {
        host::digest(&self.store.lock())
    }

    /// Hands the next input over and sets the deadline: the host's own work, which is not timed.
    pub(super) fn prepare(&mut self, block: usize) -> Result<()> {
        self.begin(block as u64, self.ground.trace[block].clone())
    }

    fn begin(&mut self, id: u64, input: Arc<[u8]>) -> Result<()> {
        self.session.expect(id);
        let mut store = self.session.store_mut()?;
        if self.ground.spec.is(Schedule::Allowances) {
            store.engine().increment_epoch();
        } else {
            store.set_epoch_deadline(TICKS);
        }
        store.data_mut().begin(input);
        Ok(())
    }

    pub(super) fn call(&mut self) -> wasmtime::Result<()> {
        let abi = &self.ground.spec.abi;
        match &self.waiting {
            None => abi.execute(&mut self.session),
            Some(waiting) => waiting.call(abi.execute_async(&mut self.session)),
        }
    }

    /// Calls the block until it has waited so often, and drops it then: it has ended as one whose time is over.
    fn call_and_drop(&mut self, waits: u32) -> wasmtime::Result<()> {
        let mut block = pin!(self.ground.spec.abi.execute_async(&mut self.session));
        let mut context = Context::from_waker(Waker::noop());
        let ended = (0..waits).find_map(|_| match block.as_mut().poll(&mut context) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        });
        ended.unwrap_or_else(|| Err(Trap::Interrupt.into()))
    }

    /// Brings the session back.
    ///
    /// # Errors
    /// As [`Session::reset`].
    pub(super) fn reset(&mut self) -> Result<Reset, Error> {
        match &self.waiting {
            None => self.session.reset(),
            Some(waiting) => waiting.wait(self.session.reset_async()),
        }
    }

    pub(super) fn outcome(&mut self, result: wasmtime::Result<()>) -> Result<Outcome> {
        Ok(self.session.store_mut()?.data_mut().outcome(result))
    }

    fn execute(&mut self, block: usize) -> Result<Outcome> {
        self.prepare(block)?;
        let result = self.call();
        self.outcome(result)
    }

    /// Executes the block of a step and says what it did. Its deadline passes or its future is dropped where the step says.
    ///
    /// # Errors
    /// When an earlier reset failed.
    pub fn observe(&mut self, id: u64, input: Arc<[u8]>, step: &Step) -> Result<Observed> {
        self.begin(id, input)?;
        let mut store = self.session.store_mut()?;
        let state = store.data_mut();
        state.record();
        if let Some(call) = step.interrupt {
            state.interrupt(call, self.ground.spec.ticks());
        }
        let result = match step.dropped {
            None => self.call(),
            Some(waits) => {
                state.wait();
                store.set_epoch_deadline(0);
                self.call_and_drop(waits)
            }
        };
        let outcome = self.outcome(result)?;
        let flushed = self.session.store_mut()?.data().digest().unwrap_or_default();
        Ok(Observed { outcome, flushed })
    }

    /// A timeout while measuring would be a time that means nothing.
    pub(super) fn check(&self, block: usize, result: wasmtime::Result<()>) -> Result<()> {
        self.within(block, result.is_err_and(|error| host::timed_out(&error)))
    }

    /// The same of an outcome.
    pub(super) fn in_time(&self, block: usize, outcome: &Outcome) -> Result<()> {
        self.within(block, *outcome == Outcome::TimedOut)
    }

    fn within(&self, block: usize, timed_out: bool) -> Result<()> {
        let limit = self.timeout().as_secs_f32();
        let word = self.ground.spec.abi.word();
        ensure!(
            !timed_out,
            "{word} {block} took more than {limit} s of CPU time while it was measured: allow for more with --timeout"
        );
        Ok(())
    }
}

/// Resident memory of this process, in bytes; not known where /proc is not to be read.
fn resident() -> Option<u64> {
    Some(Process::myself().ok()?.statm().ok()?.resident * procfs::page_size())
}

#[cfg(test)]
mod tests;
