//! A claim about growing a memory to its maximum at startup.

use std::sync::Arc;

use anyhow::{Context, Result};
use reset_strategies::commit::{self, Policy, WASM_PAGE};
use reset_strategies::{Options, Session, module};

use super::guest::{Guest, block};
use super::{Finding, Lab, Measure, Verdict};
use crate::hosts::Host;
use crate::measure::row::{Params, Unit};
use crate::workload::bundled;
use crate::workload::host::{BlockState, Outcome};

pub(super) const MEASURES: &[(&str, Measure)] = &[("growing-to-the-maximum", growing)];

/// Asks for one page more.
const GROWS: &str = r#"(module (memory (export "memory") 1)
  (func (export "grow") (result i32) (memory.grow (i32.const 1))))"#;

/// A guest in Rust, which asks for memory in its first block.
const RUST: &str = "indexer/utxo";

/// What policies commit here.
const COMMITTED: u64 = 64 << 20;

/// Pages of a 32-bit memory.
const MOST_PAGES: u64 = commit::WHOLE_MEMORY / WASM_PAGE as u64;

/// What a guest finds after a startup: what `memory.grow` returns, and how a first block ends.
#[derive(PartialEq, Eq)]
struct Found {
    grow: i32,
    outcome: Outcome,
    flushed: String,
}

impl Found {
    fn words(&self) -> String {
        let Self { grow, outcome, .. } = self;
        format!("memory.grow returns {grow}, and the first block of {RUST} {outcome}")
    }
}

/// The two guests, compiled for a strategy that keeps its memory, on metashrew's engine.
struct Growers {
    asks: Guest,
    indexes: Guest,
    input: Arc<[u8]>,
}

impl Growers {
    /// With a maximum of their memories, in pages, unless that is to stay as it is.
    fn new(maximum: Option<u64>) -> Result<Self> {
        let workload = bundled::named(RUST, &Params::new())?;
        let input = workload.trace.first().context("a trace has blocks")?.clone();
        let guest = |wasm: &[u8], entry| -> Result<Guest> {
            let options = Options { entry, ..<&Host>::default().options() };
            let Some(maximum) = maximum else { return Guest::new("copy/full", wasm, options) };
            let facts = module::Facts::read(wasm)?;
            let initial = facts.memories.first().context("the guest has a memory")?.initial;
            let wasm = module::with_memory_pages(wasm, initial, Some(maximum))?;
            Guest::new("copy/full", &wasm, options)
        };
        Ok(Self {
            asks: guest(&wat::parse_str(GROWS)?, None)?,
            indexes: guest(&workload.module, Options::default().entry)?,
            input,
        })
    }

    /// What guests find after what a host does to each of them at startup.
    fn after(&self, startup: impl Fn(&mut Session<BlockState>) -> Result<()>) -> Result<Found> {
        let mut asks = self.asks.session()?;
        startup(&mut asks)?;
        let grow = asks.call("grow", ())?;
        // Each startup has a store that nobody has written to.
        self.indexes.store.lock().rewind();
        let mut indexes = self.indexes.session()?;
        startup(&mut indexes)?;
        let (outcome, flushed) = block(&mut indexes, &self.input)?;
        Ok(Found { grow, outcome, flushed })
    }
}

/// Grows the memory to the most that a 32-bit one can have, which commits nothing.
fn to_the_maximum(session: &mut Session<BlockState>) -> Result<()> {
    let instance = session.instance()?;
    let mut store = session.store_mut()?;
    let memory = instance.get_memory(&mut store, "memory").context("the guest exports its memory")?;
    let pages = memory.size(&store);
    memory.grow(&mut store, MOST_PAGES - pages)?;
    Ok(())
}

fn growing(_: &mut Lab<'_>) -> Result<Finding> {
    let free = Growers::new(None)?;
    let untouched = free.after(|_| Ok(()))?;
    let grown = free.after(to_the_maximum)?;
    // The same by the policy that was shipped, on a smaller maximum, which spares the machine.
    let bounded = Growers::new(Some(COMMITTED / WASM_PAGE as u64))?;
    let by = |policy: &'static Policy| {
        move |session: &mut Session<BlockState>| Ok(policy.commit(session, COMMITTED).map(|_| ())?)
    };
    let shipped = bounded.after(by(&commit::NONZERO_THEN_ZERO))?;
    let (mut same, mut others) = (Vec::new(), Vec::new());
    for policy in commit::all().iter().filter(|policy| policy.needs_kept_memory() && !policy.is_visible()) {
        match free.after(by(policy)) {
            Ok(found) if found == untouched => same.push(policy.name()),
            Ok(found) => others.push(format!("{policy}: {}", found.words())),
            Err(error) => others.push(format!("not tried: {error:#}")),
        }
    }
    let measured = format!(
        "as it is, {}; grown to 4 GiB by the host, {}; after {} up to a maximum of {} MiB, {}. It is the growing and not the \
         committing: the same is found as without any by {}, which commit {} MiB behind the memory's size{}",
        untouched.words(),
        grown.words(),
        commit::NONZERO_THEN_ZERO.name(),
        COMMITTED >> 20,
        shipped.words(),
        if same.is_empty() { "none".into() } else { same.join(", ") },
        COMMITTED >> 20,
        others.iter().map(|other| format!("; {other}")).collect::<String>(),
    );
    let breaks = |found: &Found| found.grow == -1 && found.outcome != untouched.outcome;
    let verdict = Verdict::holds_if(breaks(&grown) && breaks(&shipped));
    // As the guest sees them, where -1 is all bits.
    let answers = [&untouched, &grown, &shipped].map(|found| u64::from(found.grow.cast_unsigned())).to_vec();
    Ok(Finding::new(verdict, measured).with(Unit::Count, answers))
}
