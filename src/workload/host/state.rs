//! The host's state for one block, over a [store](super::store) that outlives it, and how a block ended.

use std::fmt;
use std::hint::spin_loop;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use wasmtime::{Module, ModuleExport, Result, StoreContextMut, Trap, UpdateDeadline};

use super::super::scarcity::Scarcity;
use super::MEMORY;
use super::hash::hex;
use super::store::{Shared, Store};

/// How much of a log line is kept: enough for a sentence.
pub(super) const LOG_BYTES: usize = 512;

/// The host's state for one block.
#[derive(Debug)]
pub struct BlockState {
    store: Shared,
    input: Arc<[u8]>,
    flushed: Option<Sha256>,
    log: String,
    /// What the guest said when it aborted first, in its start function or in the block.
    abort: Option<String>,
    /// How much of the input the guest has read, where its ABI lets it read bit by bit.
    read: usize,
    /// How often the guest has asked for what only a host can know.
    asked: u64,
    /// What the guest has answered, where its ABI has it answer.
    answer: Vec<u8>,
    /// What the block has done to the store, where its ABI lets a guest look at the store as it was before.
    changes: Vec<Change>,
    interrupt: Option<Interrupt>,
    /// Where the guest's memory is, if that is known.
    pub(super) memory: Option<Exported>,
    /// Whether the block lets others run where its deadline has passed, instead of ending there.
    waits: bool,
    /// What the guest may grow to; no limits unless a host sets some and hands them to its store.
    pub limits: wasmtime::StoreLimits,
    /// Has growth fail, once a host arms it and hands it to its store.
    pub scarcity: Scarcity,
}

/// Where a module exports its memory. To look the name up in each call of the host takes a tenth of a short view.
#[derive(Clone, Copy)]
pub struct Exported(pub(super) ModuleExport);

impl Exported {
    /// That of the module from which instances are made; nothing where it exports none.
    pub fn of(module: &Module) -> Option<Self> {
        module.get_export_index(MEMORY).map(Self)
    }
}

impl fmt::Debug for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MEMORY)
    }
}

/// A value of the store that a block has replaced.
#[derive(Debug)]
pub(super) struct Change {
    /// The guest's own counter.
    pub ordinal: u64,
    pub key: Box<[u8]>,
    /// What was there before, if anything was.
    pub old: Option<Box<[u8]>>,
}

/// A guest that has ended itself, and with which code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the guest exited with {0}")]
pub(super) struct Exit(pub i32);

/// A deadline that passes at a call to the host.
#[derive(Clone, Copy, Debug)]
struct Interrupt {
    /// Calls that remain, the one that interrupts included.
    calls: u32,
    /// Ticks of the epoch until the deadline.
    ticks: u64,
}

/// How a block ended.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome", content = "reason")]
pub enum Outcome {
    /// The function that runs a block returned.
    Completed,
    /// The guest trapped.
    Trapped(String),
    /// A function of the host ended it: the guest aborted, or gave arguments that the host cannot use.
    Failed(String),
    /// The epoch deadline passed.
    TimedOut,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("completed"),
            Self::Trapped(reason) => write!(f, "trapped ({reason})"),
            Self::Failed(reason) => write!(f, "failed ({reason})"),
            Self::TimedOut => f.write_str("timed out"),
        }
    }
}

impl BlockState {
    /// An empty state over a store.
    pub fn new(store: Shared) -> Self {
        Self {
            store,
            input: Arc::from([]),
            flushed: None,
            log: String::new(),
            abort: None,
            read: 0,
            asked: 0,
            answer: Vec::new(),
            changes: Vec::new(),
            interrupt: None,
            memory: None,
            waits: false,
            limits: wasmtime::StoreLimits::default(),
            scarcity: Scarcity::default(),
        }
    }

    /// The state of a block whose memories may grow to so many bytes each.
    #[must_use]
    pub fn limited(mut self, most: Option<usize>) -> Self {
        if let Some(bytes) = most {
            self.limits = wasmtime::StoreLimitsBuilder::new().memory_size(bytes).build();
        }
        self
    }

    /// The state of a block of an instance whose memory is there.
    #[must_use]
    pub fn exported(self, memory: Option<Exported>) -> Self {
        Self { memory, ..self }
    }

    /// Has the guest read and write another store.
    pub fn over(&mut self, store: Shared) {
        self.store = store;
    }

    /// Gives the guest its next input.
    pub fn begin(&mut self, input: Arc<[u8]>) {
        self.input = input;
        (self.read, self.asked) = (0, 0);
        self.answer.clear();
        self.changes.clear();
        self.flushed = None;
    }

    /// Lets the deadline pass at the guest's n-th call to the host, which is the same place in every run.
    pub fn interrupt(&mut self, call: u32, ticks: u64) {
        self.interrupt = Some(Interrupt { calls: call, ticks });
    }

    /// Has the block wait where its deadline has passed, each time that it looks at the epoch, for a host that has
    /// [`deadline`] called.
    pub fn wait(&mut self) {
        self.waits = true;
    }

    /// What of the last block is still here, if anything is.
    pub fn leftover(&self) -> Option<&'static str> {
        if !self.input.is_empty() {
            Some("the block's input")
        } else if !self.log.is_empty() {
            Some("what the block logged")
        } else if !self.answer.is_empty() {
            Some("what the block answered")
        } else if !self.changes.is_empty() {
            Some("what the block changed")
        } else if self.asked > 0 {
            Some("how often the block asked")
        } else {
            (self.flushed.is_some() || self.interrupt.is_some() || self.waits).then_some("the block's record")
        }
    }

    /// The store, and what the block has done to it.
    pub(super) fn store_mut(&mut self) -> (MutexGuard<'_, Store>, &mut Vec<Change>) {
        (asked(&self.store), &mut self.changes)
    }

    /// The store, as it is.
    pub(super) fn stored(&self) -> MutexGuard<'_, Store> {
        asked(&self.store)
    }

    /// What the guest is given.
    pub(super) fn input(&self) -> &Arc<[u8]> {
        &self.input
    }

    /// Takes what leaves the guest into the digest, where there is one.
    pub(super) fn flushed(&mut self, parts: &[&[u8]]) {
        if let Some(hash) = &mut self.flushed {
            parts.iter().for_each(|part| hash.update(part));
        }
    }

    /// Keeps a copy of what the guest answers, which leaves the guest as what it flushes does.
    pub(super) fn answered(&mut self, answer: &[u8]) {
        self.flushed(&[answer]);
        self.answer = answer.to_vec();
    }

    /// What the guest has answered; nothing where it has not, and where its ABI has no answers.
    pub fn answer(&self) -> &[u8] {
        &self.answer
    }

    /// The next so many bytes of the input, or what is left of it.
    pub(super) fn next(&mut self, bytes: usize) -> &[u8] {
        let rest = &self.input[self.read.min(self.input.len())..];
        let next = &rest[..bytes.min(rest.len())];
        self.read += next.len();
        next
    }

    /// How often the guest has asked before for what only a host can know.
    pub(super) fn asked(&mut self) -> u64 {
        self.asked += 1;
        self.asked - 1
    }

    /// Keeps what the guest says bit by bit, as much of it as makes a sentence.
    pub(super) fn log_more(&mut self, text: &[u8]) {
        let room = LOG_BYTES.saturating_sub(self.log.len());
        self.log.push_str(&String::from_utf8_lossy(&text[..text.len().min(room)]));
    }

    /// Keeps the guest's last line, as much of it as makes a sentence.
    pub(super) fn log(&mut self, text: &[u8]) {
        self.log = String::from_utf8_lossy(&text[..text.len().min(LOG_BYTES)]).into_owned();
    }

    /// Takes note of what the guest says when it aborts first.
    pub(super) fn abort(&mut self, said: impl FnOnce() -> String) {
        self.abort.get_or_insert_with(said);
    }

    /// Counts a call to the host down to the one at which the deadline passes. Ticks of the epoch until it has, if this is it.
    pub(super) fn called(&mut self) -> Option<u64> {
        self.scarcity.relent();
        let interrupt = self.interrupt.as_mut()?;
        interrupt.calls = interrupt.calls.saturating_sub(1);
        if interrupt.calls > 0 {
            return None;
        }
        self.interrupt.take().map(|interrupt| interrupt.ticks)
    }

    /// Has the digest of flushed bytes computed for this block. Off by default: hashing is not the guest's work.
    pub fn record(&mut self) {
        self.flushed = Some(Sha256::new());
    }

    /// SHA-256 of all that was flushed, in hex, if it was recorded.
    pub fn digest(&self) -> Option<String> {
        self.flushed.clone().map(|hash| hex(&hash.finalize()))
    }

    /// Sorts what an execution returned into an outcome, once for each. A guest that has aborted has failed, however it went on.
    pub fn outcome(&mut self, result: Result<()>) -> Outcome {
        let (ended, cause): (fn(String) -> Outcome, _) = match (result, self.abort.take()) {
            (Err(error), _) if timed_out(&error) => return Outcome::TimedOut,
            (Err(error), None) if error.downcast_ref() == Some(&Exit(0)) => return Outcome::Completed,
            (_, Some(abort)) => (Outcome::Failed, abort),
            (Ok(()), None) => return Outcome::Completed,
            (Err(error), None) if error.downcast_ref::<Trap>().is_some() => {
                (Outcome::Trapped, error.root_cause().to_string())
            }
            (Err(error), None) => (Outcome::Failed, error.root_cause().to_string()),
        };
        ended(if self.log.is_empty() { cause } else { format!("{cause}; logged: {}", self.log) })
    }
}

/// The store, for a function of the host, which loses time first where that is planted.
fn asked(store: &Shared) -> MutexGuard<'_, Store> {
    let mut store = store.lock();
    if let Some(length) = store.take_slow() {
        lose(length);
    }
    store
}

/// Spins; a function of its own for a profiler to see.
#[inline(never)]
fn lose(length: Duration) {
    let until = Instant::now() + length;
    while Instant::now() < until {
        spin_loop();
    }
}

/// What becomes of a block whose deadline has passed: it ends, or it [waits](BlockState::wait) and looks again.
///
/// # Errors
/// None.
pub fn deadline(store: StoreContextMut<'_, BlockState>) -> Result<UpdateDeadline> {
    Ok(if store.data().waits { UpdateDeadline::Yield(0) } else { UpdateDeadline::Interrupt })
}

/// Whether the epoch deadline ended an execution.
pub fn timed_out(error: &wasmtime::Error) -> bool {
    error.downcast_ref::<Trap>() == Some(&Trap::Interrupt)
}
