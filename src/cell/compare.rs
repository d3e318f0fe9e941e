//! The child's part: runs a script and compares every step with what fresh instances came to.
//!
//! Each script runs twice. The first run is left alone until its end, since reading an instance's state touches every
//! page of it, which could hide that a page was overlooked. The second reads the whole state after each reset.

use std::io;

use anyhow::Result;
use procfs::process::Process;

use super::forked;
use super::huge;
use super::pressure;
use super::session::Cell;
use super::state::{Fresh, Lookers, memories};
use crate::protocol::policy::Policy;
use crate::protocol::schedule::{Schedule, Script, Step, sticky};
use crate::protocol::{Observed, Reference, Verified};
use crate::workload::host::Outcome;

/// Runs the script and notes what each block did, up to one that times out: nothing can be compared with that.
///
/// # Errors
/// When a reset fails.
pub fn observe(cell: &mut Cell, script: &Script) -> Result<Reference> {
    cell.rewind();
    let mut blocks = Vec::new();
    for (at, step) in script.steps(cell.trace()).iter().enumerate() {
        let (observed, _) = run(cell, script.id(at), step)?;
        cell.reset()?;
        let late = script.is_late(step, &observed.outcome);
        blocks.push(observed);
        if late {
            break;
        }
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
    match (script.schedule, cell.committed()) {
        (Schedule::Committed, Err(reason)) => {
            return Ok(Verified::not_run(format!("nothing to commit: {reason}")));
        }
        // What interrupts one block is the epoch of all of them: others would time out as well.
        (
            Schedule::Timeouts
            | Schedule::TwoSessions
            | Schedule::FailingGrowth
            | Schedule::Forked
            | Schedule::Dropped,
            _,
        ) if !cell.is_alone() => {
            return Ok(Verified::not_run("the process has several sessions at once".into()));
        }
        _ => {}
    }
    let mut verified = Verified::default();
    let mut run = Run {
        cell,
        script,
        steps: &steps,
        fresh: &fresh,
        look: Look::AtTheEnd,
        lookers: fresh.lookers(),
        blocks: 0,
        seen: 0,
        hindrance: None,
    };
    for look in [Look::AtTheEnd, Look::Always] {
        run.look = look;
        match run.differs(expected) {
            None => {}
            Some(Difference::Unreachable(reason)) => verified.not_run = Some(reason),
            Some(Difference::Late(reason)) => {
                verified.unjudged = Some(reason);
                break;
            }
            // What a host does not reset is expected to leak; the question is what shows first, and where.
            Some(Difference::Output(text)) if script.policy != Policy::Every => {
                verified.consequence.get_or_insert(text);
            }
            Some(Difference::Output(text) | Difference::State(text)) => {
                let committed = run.cell.committed().map(|how| format!(" ({how})"));
                verified.difference = Some(text + committed.as_deref().unwrap_or_default());
                if script.policy == Policy::Every {
                    break;
                }
            }
        }
    }
    verified.blocks = run.blocks;
    let answered = verified.difference.is_some() || verified.not_run.is_some() || verified.unjudged.is_some();
    if run.seen == 0 && !answered {
        verified.not_run = unseen(script.schedule, run.hindrance);
    }
    verified.peak_rss = peak_rss();
    Ok(verified)
}

/// Why what a schedule is about has not happened in any of its blocks, if it is about something that may not.
fn unseen(schedule: Schedule, hindrance: Option<String>) -> Option<String> {
    let small = || hindrance.unwrap_or_else(|| "the memories are too small".into());
    match schedule {
        Schedule::PagedOut => {
            let reason = pressure::swap().err().unwrap_or_else(small);
            Some(format!("no page could be pushed out: {reason}"))
        }
        Schedule::MemoryLimit => Some(
            "nothing was swapped out under the limit: the memories hold next to nothing, or swap is full"
                .into(),
        ),
        Schedule::SplitHuge => Some(format!("no huge page could be made: {}", small())),
        Schedule::FailingGrowth => Some("no growth has failed".into()),
        Schedule::Dropped => Some("no block has waited: none looks at the epoch often enough".into()),
        _ => None,
    }
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
    lookers: Lookers<'a>,
    /// How often what the schedule is about has happened: pages pushed out, huge pages made, growths that failed, futures that were
    /// dropped.
    seen: u64,
    /// Why it has not, where it should have.
    hindrance: Option<String>,
}

/// Where a run differs first, in words.
enum Difference {
    /// In what a block did.
    Output(String),
    /// In what a reset left, or in how it went about it.
    State(String),
    /// Nowhere, but the run could not be what the schedule says.
    Unreachable(String),
    /// Nowhere before a block that ran out of time.
    Late(String),
}

impl Run<'_> {
    fn differs(&mut self, expected: &Reference) -> Option<Difference> {
        self.first_difference(expected).unwrap_or_else(|error| Some(Difference::State(format!("{error:#}"))))
    }

    fn first_difference(&mut self, expected: &Reference) -> Result<Option<Difference>> {
        self.cell.rewind();
        if self.script.policy != Policy::Every {
            // What the run before has left is not to be found by this one.
            if let Err(reason) = self.reset() {
                return Ok(Some(Difference::State(reason)));
            }
        }
        let mapped = address_space();
        let mut treated = Vec::new();
        let mut sizes = Vec::new();
        for (at, (step, expected)) in self.steps.iter().zip(&expected.blocks).enumerate() {
            let (mut observed, happened) = run(self.cell, self.script.id(at), step)?;
            self.seen += happened;
            if let Some(difference) = self.before_reset(at) {
                return Ok(Some(difference));
            }
            sizes = largest(sizes, &self.sizes()?);
            let resets = self.resets(&observed.outcome)?;
            if resets {
                match self.reset() {
                    Ok(bytes) => treated.push(bytes),
                    Err(reason) => return Ok(Some(self.state(at, resets, &reason))),
                }
                if self.script.policy.retries(&observed.outcome) {
                    let again = Step { interrupt: None, dropped: None, scarce: false, ..*step };
                    observed = run(self.cell, self.script.id(at), &again)?.0;
                }
            }
            let late = late(self.cell, self.script, step, &self.name(at), expected, &observed);
            self.blocks += u64::from(late.is_none());
            if late.is_none()
                && step.compared
                && let Some(text) = differs(&self.name(at), expected, &observed)
            {
                return Ok(Some(Difference::Output(text)));
            }
            // What a reset leaves is wrong however the block ended.
            let last = at + 1 == self.steps.len() || (late.is_some() && resets);
            if (self.look == Look::Always || last)
                && let Some(text) =
                    self.leftover(resets)?.or_else(|| self.fresh.difference(&mut self.cell.session))
            {
                return Ok(Some(self.state(at, resets, &text)));
            }
            if resets && let Some(text) = self.beyond() {
                return Ok(Some(self.state(at, resets, &text)));
            }
            if let Some(reason) = late {
                return Ok(Some(Difference::Late(reason)));
            }
            if self.script.schedule == Schedule::PagedOut
                && let Some(difference) = self.push_out()
            {
                return Ok(Some(difference));
            }
        }
        if self.cell.store_digest() != expected.store {
            return Ok(Some(Difference::Output("the host's store differs after the last block".into())));
        }
        Ok(self.afterwards(mapped, &treated, &sizes).map(Difference::State))
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
        match self.cell.reset() {
            Ok(done) => Ok(done.bytes_restored + done.bytes_returned),
            Err(error) => Err(format!("the reset failed: {:#}", anyhow::Error::from(error))),
        }
    }

    fn resets(&mut self, outcome: &Outcome) -> Result<bool> {
        let bytes = self.sizes()?.into_iter().max().unwrap_or(0);
        Ok(self.script.policy.resets(outcome, bytes as u64))
    }

    /// What the host still has of the block: its own to forget with each reset, and with no other policy.
    fn leftover(&mut self, resets: bool) -> Result<Option<String>> {
        let leftover = self.cell.session.store_mut()?.data().leftover();
        Ok(leftover.filter(|_| resets).map(|leftover| format!("the host still has {leftover}")))
    }

    fn sizes(&mut self) -> Result<Vec<usize>> {
        let memories = memories(&mut self.cell.session)?;
        let store = self.cell.session.store_mut()?;
        Ok(memories.iter().map(|memory| memory.data_size(&store)).collect())
    }

    /// Looks behind the memories after a reset, in schedules that may have left access there.
    fn beyond(&mut self) -> Option<String> {
        let suspect = matches!(self.script.schedule, Schedule::Committed | Schedule::FailingGrowth);
        if self.look != Look::Always || !suspect {
            return None;
        }
        self.lookers.beyond(self.cell.strategy(), &mut self.cell.session)
    }

    /// What happens between a block and its reset, as the schedule has it.
    fn before_reset(&mut self, at: usize) -> Option<Difference> {
        match self.script.schedule {
            Schedule::PagedOut => self.push_out(),
            // As a limit does that other blocks have used up.
            Schedule::MemoryLimit => {
                let group = self.cell.group();
                let session = &mut self.cell.session;
                let squeezed = group.and_then(|group| pressure::squeeze_out(session, &group));
                self.left(squeezed, "nothing can be pushed out")
            }
            // Split again after every second block.
            Schedule::SplitHuge => {
                match huge::collapse(&mut self.cell.session, at.is_multiple_of(2)) {
                    Ok(made) => self.seen += made as u64,
                    Err(error) => self.hindrance = Some(error.to_string()),
                }
                None
            }
            Schedule::Forked => {
                let text = self.fork()?;
                Some(Difference::State(format!("after {}, {text}", self.name(at))))
            }
            _ => None,
        }
    }

    /// Resets in a forked child.
    fn fork(&mut self) -> Option<String> {
        let fresh = self.fresh;
        let look = |session: &mut _| fresh.difference(session);
        let block = self.script.id(self.steps.len() + 1);
        forked::reset(&mut self.cell.session, block, look)
            .map_or_else(|error| Some(format!("the process cannot fork: {error}")), Result::err)
    }

    fn push_out(&mut self) -> Option<Difference> {
        let pushed = pressure::page_out(&mut self.cell.session);
        self.left(pushed, "MADV_PAGEOUT")
    }

    /// Counts the pages that have left memory, or says why none could.
    fn left(&mut self, pages: io::Result<usize>, what: &str) -> Option<Difference> {
        match pages {
            Ok(pages) => {
                self.seen += pages as u64;
                None
            }
            Err(error) => Some(Difference::Unreachable(format!("{what}: {error}"))),
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
            crate::protocol::schedule::Input::Block(block) if block == at => input.to_string(),
            _ => format!("step {at} ({input})"),
        }
    }
}

/// Runs one step; a reset is the caller's to do. Says also how often what the schedule is about has happened in it: growths that
/// have failed of those that were to fail, a future that was dropped.
///
/// # Errors
/// When an earlier reset failed.
pub(super) fn run(cell: &mut Cell, id: u64, step: &Step) -> Result<(Observed, u64)> {
    if step.host {
        touch(cell)?;
    }
    // The host drops what a block stored that is not compared: how far it came is not known.
    let before = (!step.compared).then(|| cell.store());
    let input = step.input.bytes(cell.trace());
    let mut happened = 0;
    if step.scarce {
        cell.session.store_mut()?.data_mut().scarcity.arm();
    }
    let observed = cell.observe(id, input, step)?;
    if step.scarce {
        happened = cell.session.store_mut()?.data_mut().scarcity.disarm();
    } else if step.dropped.is_some() {
        happened = u64::from(observed.outcome == Outcome::TimedOut);
    }
    if let Some(before) = before {
        cell.put_back(before);
    }
    Ok((observed, happened))
}

/// Reads a byte of every page of the memories, and writes to the last page of the first.
fn touch(cell: &mut Cell) -> Result<()> {
    let memories = memories(&mut cell.session)?;
    let store = &mut cell.session.store_mut()?;
    for memory in &memories {
        let pages = memory.data(&*store).iter().step_by(reset_strategies::sys::page::size());
        std::hint::black_box(pages.fold(0_u8, |sum, byte| sum.wrapping_add(*byte)));
    }
    if let Some(last) = memories.first().and_then(|memory| memory.data_mut(store).last_chunk_mut()) {
        *last = *b"host was";
    }
    Ok(())
}

pub(super) fn differs(block: &str, expected: &Observed, observed: &Observed) -> Option<String> {
    if expected.outcome != observed.outcome {
        Some(format!("{block} {} where a fresh instance {}", observed.outcome, expected.outcome))
    } else if expected.flushed != observed.flushed {
        Some(format!("{block} flushed other bytes than a fresh instance"))
    } else {
        None
    }
}

/// Why a block cannot be judged that ran out of time here or on a fresh instance, if it did and was not to.
pub(super) fn late(
    cell: &Cell,
    script: &Script,
    step: &Step,
    block: &str,
    expected: &Observed,
    observed: &Observed,
) -> Option<String> {
    let whose = match [expected, observed].map(|block| script.is_late(step, &block.outcome)) {
        [true, _] => "on a fresh instance",
        [false, true] => "where a fresh instance took less",
        [false, false] => return None,
    };
    let (schedule, limit) = (script.schedule, cell.timeout().as_secs_f32());
    Some(format!(
        "{schedule}: {block} took more than {limit} s of CPU time {whose}, so that nothing can be said of it: allow for \
         more with --timeout"
    ))
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
