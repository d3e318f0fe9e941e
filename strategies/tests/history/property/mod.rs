//! The property: whatever several sessions of a process did in turns, and whatever a host did around them, after its
//! reset each is as a fresh instance, traps beyond its size, and finds zeros where it grows.
//!
//! Looking at a page touches it, which can hide that it was overlooked: so the input decides after which resets the
//! whole state is looked at, and between two looks what grows looks at what it gets.

mod guest;
mod input;

use std::sync::LazyLock;

use reset_strategies::commit::{self, Policy};
use reset_strategies::contract::Edges;
use reset_strategies::{Availability, Error, Lifecycle, Session, Strategy, registry};
use wasmtime::Trap;

use guest::{Host, WASM_PAGE, by_host, compiled, first_byte, fresh, memory_of};
use input::{Block, End, History, Kept, Shape};

/// What became of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It held for so many blocks.
    Held { blocks: usize },
    /// A session was refused, or what it needs is not here; the others held.
    Refused { reason: String },
    /// The bytes say nothing.
    Inert,
}

/// Wasm pages that every session grows by at last.
const AT_LAST: u64 = 40;

/// Strategies that claim to be sound, here or not: an input means the same on every machine.
static STRATEGIES: LazyLock<Vec<(&'static Strategy, Availability)>> = LazyLock::new(|| {
    let all = registry::all().iter().copied();
    let sound = all.filter(|s| matches!(s.lifecycle(), Lifecycle::InPlace(_)) && !s.is_control());
    let sound = sound.chain(registry::find("control/second-core"));
    sound.map(|strategy| (strategy, strategy.availability())).collect()
});

/// Commit policies that need kept memory, here or not.
static POLICIES: LazyLock<Vec<(&'static Policy, bool)>> = LazyLock::new(|| {
    let all = commit::all().iter().copied().filter(|policy| policy.needs_kept_memory());
    all.map(|policy| (policy, policy.available().is_ok())).collect()
});

/// A session with what is expected of it.
struct Subject {
    session: Session<Host>,
    shape: Shape,
    name: String,
    /// Wasm pages of its first memory.
    pages: u64,
    /// The largest that its first memory has been, in bytes.
    largest: usize,
}

/// Makes a history from `bytes` and checks the property.
///
/// # Errors
/// Where it does not hold.
pub fn check(bytes: &[u8]) -> Result<Checked, String> {
    let Ok(history) = History::decode(bytes) else { return Ok(Checked::Inert) };
    if history.rounds.is_empty() {
        return Ok(Checked::Inert);
    }
    let mut subjects = Vec::new();
    let mut refused = None;
    for kept in &history.sessions {
        match Subject::start(history.shape, *kept)? {
            Ok(subject) => subjects.push(Some(subject)),
            Err(reason) => {
                refused = Some(reason);
                subjects.push(None);
            }
        }
    }
    let mut blocks = 0;
    let many = subjects.len();
    for (round, told) in history.rounds.iter().enumerate() {
        let [execute, reset] = told.first.map(|first| (0..many).map(move |at| (first + at) % many));
        for at in execute {
            if let (Some(subject), Some(block)) = (&mut subjects[at], &told.blocks[at]) {
                subject.execute(block).map_err(|what| subject.fails(round, at, what))?;
                blocks += 1;
            }
        }
        for at in reset {
            if let (Some(subject), Some(_)) = (&mut subjects[at], &told.blocks[at]) {
                subject.reset(told.look).map_err(|what| subject.fails(round, at, what))?;
            }
        }
    }
    for (at, subject) in subjects.iter_mut().enumerate() {
        if let Some(subject) = subject {
            let ended = subject.look().and_then(|()| subject.grow_at_last(history.edges));
            ended.map_err(|what| subject.fails(history.rounds.len(), at, what))?;
        }
    }
    Ok(refused.map_or(Checked::Held { blocks }, |reason| Checked::Refused { reason }))
}

/// The history in words, for one who looks into a failure.
pub fn described(bytes: &[u8]) -> String {
    History::decode(bytes).map_or_else(|error| error.to_string(), |history| format!("{history:#?}"))
}

impl Subject {
    /// A session, or why there is none.
    fn start(shape: Shape, kept: Kept) -> Result<Result<Self, String>, String> {
        let (strategy, availability) = &STRATEGIES[usize::from(kept.strategy) % STRATEGIES.len()];
        if let Availability::Unavailable { reason } = availability {
            return Ok(Err(format!("{strategy}: {reason}")));
        }
        let compiled = compiled(strategy, shape).map_err(|error| format!("{strategy}: {error:?}"))?;
        let started = compiled.plan.start(&compiled.module, &compiled.linker, Host::default);
        let session = match started {
            Ok(session) => session,
            Err(Error::Refused { reason, .. }) => return Ok(Err(format!("{strategy}: {reason}"))),
            Err(error) => return Err(format!("{strategy} cannot start: {error}")),
        };
        let mut subject = Self { session, shape, name: strategy.to_string(), pages: 0, largest: 0 };
        if let Some(index) = kept.policy {
            let (policy, here) = POLICIES[usize::from(index) % POLICIES.len()];
            match here.then(|| policy.commit(&mut subject.session, kept.mebibytes << 20)) {
                None | Some(Err(commit::Error::Lost { .. } | commit::Error::Shortage(_))) => {}
                Some(Err(error)) => return Err(format!("{strategy} + {policy}: {error}")),
                Some(Ok(_)) => subject.name += &format!(" + {policy}, {} MiB", kept.mebibytes),
            }
        }
        let instance = subject.session.instance().map_err(|error| error.to_string())?;
        let store = &mut subject.session.store_mut().map_err(|error| error.to_string())?;
        subject.pages = memory_of(instance, &mut *store, 0).size(&*store);
        subject.largest = subject.pages as usize * WASM_PAGE;
        Ok(Ok(subject))
    }

    fn fails(&self, round: usize, at: usize, what: String) -> String {
        let Shape { two_memories, large } = self.shape;
        let (memories, first) = (1 + u8::from(two_memories), if large { "large" } else { "small" });
        format!("round {round}, session {at} ({}, {memories} memories, the first {first}): {what}", self.name)
    }

    fn execute(&mut self, block: &Block) -> Result<(), String> {
        let instance = self.session.instance().map_err(|error| error.to_string())?;
        let store = &mut self.session.store_mut().map_err(|error| error.to_string())?;
        let before = block.steps.iter().take_while(|step| step.is_host()).count();
        for step in &block.steps[..before] {
            let memory = memory_of(instance, &mut *store, step.memory);
            by_host(*step, memory, &mut *store);
        }
        *store.data_mut() = Host::of(&block.steps[before..], block.end);
        let executed = self.session.execute();
        let store = &mut self.session.store_mut().map_err(|error| error.to_string())?;
        let done = store.data().is_done();
        if !done || executed.is_ok() != (block.end == End::Return) {
            return Err(format!("it ends otherwise than by {:?}: {executed:?}", block.end));
        }
        self.largest = self.largest.max(memory_of(instance, &mut *store, 0).data_size(&*store));
        for step in &block.after {
            let memory = memory_of(instance, &mut *store, step.memory);
            by_host(*step, memory, &mut *store);
        }
        Ok(())
    }

    fn reset(&mut self, look: bool) -> Result<(), String> {
        self.session.reset().map_err(|error| format!("cannot be reset: {error}"))?;
        if look { self.look() } else { Ok(()) }
    }

    /// Looks at the state and beyond the size.
    fn look(&mut self) -> Result<(), String> {
        let (facts, expected) = fresh(self.shape, self.pages).map_err(|error| format!("fresh: {error:?}"))?;
        let instance = self.session.instance().map_err(|error| error.to_string())?;
        let store = &mut self.session.store_mut().map_err(|error| error.to_string())?;
        if let Some(difference) = expected.first_difference_in(facts, instance, &mut *store) {
            return Err(format!("after a reset, {difference}"));
        }
        let load = instance.get_typed_func::<i32, i32>(&mut *store, "load 0").map_err(|e| e.to_string())?;
        let size = self.pages as usize * WASM_PAGE;
        for at in [size, self.largest.max(size + 1) - 1, self.largest.max(size)] {
            match load.call(&mut *store, at as i32) {
                Err(error) if error.downcast_ref() == Some(&Trap::MemoryOutOfBounds) => {}
                other => return Err(format!("byte {at} beyond the size gives {other:?}")),
            }
        }
        Ok(())
    }

    /// Grows for the last time, looks at what it gets, and has it taken back.
    fn grow_at_last(&mut self, edges: bool) -> Result<(), String> {
        let instance = self.session.instance().map_err(|error| error.to_string())?;
        let store = &mut self.session.store_mut().map_err(|error| error.to_string())?;
        if edges {
            let (facts, expected) =
                fresh(self.shape, self.pages).map_err(|error| format!("fresh: {error:?}"))?;
            let edges = Edges::of(facts, instance, &mut *store).map_err(|error| error.to_string())?;
            let difference = edges.first_difference(expected, store, AT_LAST);
            if let Some(difference) = difference.map_err(|error| error.to_string())? {
                return Err(format!("beyond the size, {difference}"));
            }
        } else {
            for index in 0..=u8::from(self.shape.two_memories) {
                let memory = memory_of(instance, &mut *store, index);
                let old = memory.data_size(&*store);
                let most = memory.ty(&*store).maximum().unwrap_or(u64::MAX);
                let wanted = if index == 0 { (self.largest / WASM_PAGE) as u64 + AT_LAST } else { AT_LAST };
                let pages = wanted.min(most).saturating_sub(memory.size(&*store));
                memory.grow(&mut *store, pages).map_err(|error| format!("cannot grow: {error:?}"))?;
                if let Some(at) = first_byte(&memory.data(&*store)[old..]) {
                    return Err(format!("memory {index} grows and byte {} is not zero", old + at));
                }
            }
        }
        self.reset(true)
    }
}

/// The plan's strategies, for a summary.
pub fn strategies() -> impl Iterator<Item = &'static Strategy> {
    STRATEGIES.iter().filter(|(_, here)| *here == Availability::Available).map(|(strategy, _)| *strategy)
}
