//! The child's part: runs a script and compares every step with what fresh instances came to.
//!
//! Each script runs twice. The first run is left alone until its end, since reading an instance's state touches every
//! page of it, which could hide that a page was overlooked. The second reads the whole state after each reset.

use anyhow::Result;
use procfs::process::Process;

use super::policy::Policy;
use super::pressure;
use super::schedule::{Schedule, Script, Step, sticky};
use super::state::{Fresh, memories};
use crate::launch::child::Cell;
use crate::launch::protocol::{Observed, Reference, Verified};
use crate::workload::host::Outcome;

/// Runs the script and notes what each block did.
///
/// # Errors
/// When a reset fails.
pub fn observe(cell: &mut Cell, script: &Script) -> Result<Reference> {
    cell.rewind();
    let mut blocks = Vec::new();
    for (at, step) in script.steps(cell.trace()).iter().enumerate() {
        blocks.push(run(cell, script.id(at), step));
        cell.session.reset()?;
    }
    Ok(Reference { blocks, store: cell.store_digest() })
}

/// Compares two runs of the script with the reference.
///
/// # Errors
/// When there is no fresh instance to compare with.
pub fn verify(cell: &mut Cell, script: &Script, expected: &Reference) -> Result<Verified> {
    let fresh = cell.fresh()?;
    let steps = script.steps(cell.trace());
    let mut verified = Verified::default();
    let mut pages_left = 0;
    for look in [Look::AtTheEnd, Look::Always] {
        let mut run =
            Run { cell: &mut *cell, script, steps: &steps, fresh: &fresh, look, blocks: 0, pages_left: 0 };
        let found = run.differs(expected);
        verified.blocks += run.blocks;
        pages_left += run.pages_left;
        match found {
            None => {}
            Some(Difference::Unreachable(reason)) => verified.not_run = Some(reason),
            // What a host does not reset is expected to leak; the question is what shows first, and where.
            Some(Difference::Output(text)) if script.policy != Policy::Every => {
                verified.consequence.get_or_insert(text);
            }
            Some(Difference::Output(text) | Difference::State(text)) => {
                verified.difference = Some(text);
                if script.policy == Policy::Every {
                    break;
                }
            }
        }
    }
    if script.schedule == Schedule::PagedOut && pages_left == 0 && verified.difference.is_none() {
        let reason = pressure::swap().err().unwrap_or_else(|| "the memories are too small".into());
        verified.not_run = Some(format!("no page could be pushed out: {reason}"));
    }
    verified.peak_rss = peak_rss();
    Ok(verified)
}

/// When the state is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    AtTheEnd,
    Always,
}

/// One run of a script.
struct Run<'a> {
    cell: &'a mut Cell,
    script: &'a Script,
    steps: &'a [Step],
    fresh: &'a Fresh,
    look: Look,
    /// Blocks compared.
    blocks: u64,
    /// Pages that were pushed out.
    pages_left: usize,
}

/// Where a run differs first, in words.
enum Difference {
    /// In what a block did.
    Output(String),
    /// In what a reset left, or in how it went about it.
    State(String),
    /// Nowhere, but the run could not be what the schedule says.
    Unreachable(String),
}

impl Run<'_> {
    fn differs(&mut self, expected: &Reference) -> Option<Difference> {
        self.cell.rewind();
        if self.script.policy != Policy::Every {
            // What the run before has left is not to be found by this one.
            if let Err(reason) = self.reset() {
                return Some(Difference::State(reason));
            }
        }
        let mapped = address_space();
        let mut treated = Vec::new();
        let mut sizes = Vec::new();
        for (at, (step, expected)) in self.steps.iter().zip(&expected.blocks).enumerate() {
            let mut observed = run(self.cell, self.script.id(at), step);
            if let Some(difference) = self.push_out() {
                return Some(difference);
            }
            sizes = largest(sizes, &self.sizes());
            let resets = self.resets(&observed.outcome);
            if resets {
                match self.reset() {
                    Ok(bytes) => treated.push(bytes),
                    Err(reason) => return Some(self.state(at, resets, &reason)),
                }
                if self.script.policy.retries(&observed.outcome) {
                    observed = run(self.cell, self.script.id(at), &Step { interrupt: None, ..*step });
                }
            }
            self.blocks += 1;
            if step.interrupt.is_none()
                && let Some(text) = differs(&self.name(at), expected, &observed)
            {
                return Some(Difference::Output(text));
            }
            let last = at + 1 == self.steps.len();
            if (self.look == Look::Always || last)
                && let Some(text) =
                    self.leftover(resets).or_else(|| self.fresh.difference(&mut self.cell.session))
            {
                return Some(self.state(at, resets, &text));
            }
            if let Some(difference) = self.push_out() {
                return Some(difference);
            }
        }
        if self.cell.store_digest() != expected.store {
            return Some(Difference::Output("the host's store differs after the last block".into()));
        }
        self.afterwards(mapped, &treated, &sizes).map(Difference::State)
    }

    /// What only shows at the end: old bytes where the memory grows, a set that never shrinks, memory that is lost.
    fn afterwards(&mut self, mapped: u64, treated: &[u64], sizes: &[usize]) -> Option<String> {
        if self.script.policy != Policy::Every {
            return None;
        }
        if self.script.schedule == Schedule::Spike
            && self.cell.strategy().is_exact()
            && let Some(at) = sticky(treated)
        {
            return Some(format!(
                "the reset that follows {} treats {} KiB, most of which an earlier block wrote: the dirty set does not \
                 shrink",
                self.name(at),
                treated[at] >> 10
            ));
        }
        self.cell.session.expect(self.script.id(self.steps.len()));
        if let Some(text) = self.fresh.old_bytes(&mut self.cell.session, sizes) {
            return Some(format!("after the last reset, {text}"));
        }
        if let Err(error) = self.reset() {
            return Some(error);
        }
        // Compiles what looks: once for both runs.
        if self.look == Look::Always {
            if let Some(text) = self.fresh.beyond(&mut self.cell.session) {
                return Some(format!("after the last reset, {text}"));
            }
            if let Err(error) = self.reset() {
                return Some(error);
            }
        }
        let grown = address_space().saturating_sub(mapped);
        // Of several sessions one may be looked at while another makes its next instance.
        (grown > LOST && self.cell.is_alone()).then(|| {
            let resets = treated.len();
            format!("{resets} resets have left {} MiB of mappings behind", grown >> 20)
        })
    }

    /// Resets; returns the bytes treated.
    fn reset(&mut self) -> Result<u64, String> {
        match self.cell.session.reset() {
            Ok(done) => Ok(done.bytes_restored + done.bytes_returned),
            Err(error) => Err(format!("the reset failed: {:#}", anyhow::Error::from(error))),
        }
    }

    fn resets(&mut self, outcome: &Outcome) -> bool {
        let bytes = self.sizes().into_iter().max().unwrap_or(0);
        self.script.policy.resets(outcome, bytes as u64)
    }

    /// What the host still has of the block: its own to forget with each reset, and with no other policy.
    fn leftover(&mut self, resets: bool) -> Option<String> {
        let leftover = self.cell.session.store_mut().data().leftover();
        leftover.filter(|_| resets).map(|leftover| format!("the host still has {leftover}"))
    }

    fn sizes(&mut self) -> Vec<usize> {
        let memories = memories(&mut self.cell.session);
        let store = self.cell.session.store_mut();
        memories.iter().map(|memory| memory.data_size(&*store)).collect()
    }

    fn push_out(&mut self) -> Option<Difference> {
        if self.script.schedule != Schedule::PagedOut {
            return None;
        }
        match pressure::page_out(&mut self.cell.session) {
            Ok(pages) => {
                self.pages_left += pages;
                None
            }
            Err(error) => Some(Difference::Unreachable(format!("MADV_PAGEOUT: {error}"))),
        }
    }

    fn state(&self, at: usize, resets: bool, text: &str) -> Difference {
        let name = self.name(at);
        Difference::State(if resets {
            format!("after the reset that follows {name}, {text}")
        } else {
            format!("after {name}, which no reset follows, {text}")
        })
    }

    /// The step and its input, or the input alone where that is the same.
    fn name(&self, at: usize) -> String {
        let input = self.steps[at].input;
        match input {
            super::schedule::Input::Block(block) if block == at => input.to_string(),
            _ => format!("step {at} ({input})"),
        }
    }
}

/// Runs one step; a reset is the caller's to do.
fn run(cell: &mut Cell, id: u64, step: &Step) -> Observed {
    if step.host {
        touch(cell);
    }
    // The host drops what a block stored that was interrupted: how far it came is not compared.
    let before = step.interrupt.map(|_| cell.store());
    let input = step.input.bytes(cell.trace());
    let observed = cell.observe(id, input, step.interrupt);
    if let Some(before) = before {
        cell.put_back(before);
    }
    observed
}

/// Reads a byte of every page of the memories, and writes to the last page of the first.
fn touch(cell: &mut Cell) {
    let memories = memories(&mut cell.session);
    let store = cell.session.store_mut();
    for memory in &memories {
        let pages = memory.data(&*store).iter().step_by(reset_strategies::sys::page::size());
        std::hint::black_box(pages.fold(0_u8, |sum, byte| sum.wrapping_add(*byte)));
    }
    if let Some(last) = memories.first().and_then(|memory| memory.data_mut(store).last_chunk_mut()) {
        *last = *b"host was";
    }
}

fn differs(block: &str, expected: &Observed, observed: &Observed) -> Option<String> {
    if expected.outcome != observed.outcome {
        Some(format!("{block} {} where a fresh instance {}", observed.outcome, expected.outcome))
    } else if expected.flushed != observed.flushed {
        Some(format!("{block} flushed other bytes than a fresh instance"))
    } else {
        None
    }
}

fn largest(mut sizes: Vec<usize>, others: &[usize]) -> Vec<usize> {
    sizes.resize(others.len(), 0);
    sizes.iter_mut().zip(others).for_each(|(size, other)| *size = (*size).max(*other));
    sizes
}

/// Address space that a run may gain without being said to lose any: a quarter of what is reserved for one memory, and
/// more than the allocator keeps after a state was read.
const LOST: u64 = 1 << 30;

/// Address space that this process has mapped, in bytes; 0 when the kernel does not say.
fn address_space() -> u64 {
    let memory = Process::myself().and_then(|process| process.statm());
    memory.map_or(0, |memory| memory.size * procfs::page_size())
}

/// The most memory that this process had resident, in bytes; 0 when the kernel does not say.
fn peak_rss() -> u64 {
    let status = Process::myself().and_then(|process| process.status());
    status.ok().and_then(|status| status.vmhwm).map_or(0, |kib| kib * 1024)
}
