//! Claims about what gives memory its pages, and how long that takes.

use anyhow::{Context, Result};
use reset_strategies::commit;
use wasmtime::{Engine, Instance, Module, Store};

use super::{Finding, Lab, Measure, Verdict};
use crate::machine::Machine;
use crate::measure::row::Unit;
use crate::startup::Path;
use crate::startup::bench::{BEST, Job};
use crate::startup::launch::Launched;
use crate::startup::report::Spread;

pub(super) const MEASURES: &[(&str, Measure)] = &[
    ("limits-do-not-commit", limits),
    ("one-byte-commits-a-wasm-page", one_byte),
    ("touch-as-written", as_written),
    ("zeros-share-a-page", zeros),
    ("nonzero-commits", nonzero),
    ("commit-time", commit_time),
];

/// Enough to tell a sixteenth from all.
const SOME: u64 = 512 << 20;

/// Launches behind a time.
const LAUNCHES: usize = 3;

fn limits(lab: &mut Lab<'_>) -> Result<Finding> {
    let launched = lab.launch(&Job::Path(Path::Precompiled, 0))?;
    let stage = |name: &str| launched.started.stages.iter().find(|stage| stage.name == name);
    let rss = |name: &str| stage(name).and_then(|stage| stage.rss_bytes);
    let (before, after) = rss("link").zip(rss("instantiate")).context("resident memory cannot be read")?;
    let grown = after.saturating_sub(before);
    let measured = format!("instantiating a memory with a reservation of 4 GiB adds {} KiB", grown >> 10);
    Ok(Finding::new(Verdict::holds_if(grown < 64 << 20), measured).with(Unit::Bytes, vec![grown]))
}

/// Bytes that a policy commits of [`SOME`], with words. By VmRSS as well as by mincore(2), whichever sees less: only the
/// one does not count pages that share the kernel's page of zeros, and only the other leaves out the rest of the process.
fn resident(lab: &mut Lab<'_>, policy: &'static str) -> Result<(u64, String)> {
    let Launched { started, rss_bytes } = lab.launch(&Job::Commit(policy, SOME))?;
    let rss = rss_bytes.context("VmRSS cannot be read")?;
    let resident = started.resident_bytes.min(rss);
    let share = resident as f64 / started.asked_bytes.max(1) as f64 * 100.0;
    let (asked, rss) = (started.asked_bytes >> 20, rss >> 20);
    Ok((
        resident,
        format!("{policy} commits {} of {asked} MiB ({share:.1} %), VmRSS {rss} MiB", resident >> 20),
    ))
}

fn one_byte(lab: &mut Lab<'_>) -> Result<Finding> {
    let (bytes, measured) = resident(lab, "touch-wasm-page")?;
    // Where huge pages come unasked, one byte commits 2 MiB.
    let huge = Machine::read().memory.thp.enabled.unwrap_or_else(|| "unknown".into());
    let measured = format!("{measured}; transparent huge pages: {huge}");
    Ok(Finding::new(Verdict::holds_if(bytes >= SOME), measured).with(Unit::Bytes, vec![bytes]))
}

fn as_written(_: &mut Lab<'_>) -> Result<Finding> {
    // The module of Rust's usual size: seventeen pages to begin with, and no maximum.
    let engine = Engine::default();
    let wasm = reset_strategies::module::with_initial_pages(&crate::startup::generate::module(1, 0), 17)?;
    let module = Module::new(&engine, wasm)?;
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[])?;
    let memory = instance.get_memory(&mut store, "memory").context("the module exports its memory")?;
    let failed = (0..65_536).find_map(|page| {
        let written = memory.write(&mut store, page * commit::WASM_PAGE, &[0]);
        written.err().map(|error| (page, error))
    });
    let pages = failed.as_ref().map_or(65_536, |(page, _)| *page as u64);
    let measured = match &failed {
        Some((page, error)) => {
            format!("write {page} of 65,536 fails ({error}): the memory has 17 pages until it is grown")
        }
        None => "all were written".to_owned(),
    };
    Ok(Finding::new(Verdict::holds_if(failed.is_none()), measured).with(Unit::Count, vec![pages]))
}

fn zeros(lab: &mut Lab<'_>) -> Result<Finding> {
    let (bytes, measured) = resident(lab, "write-zero")?;
    let measured = format!("{measured}: a page that is written gets memory of its own");
    Ok(Finding::new(Verdict::holds_if(bytes < SOME / 2), measured).with(Unit::Bytes, vec![bytes]))
}

fn nonzero(lab: &mut Lab<'_>) -> Result<Finding> {
    let (bytes, measured) = resident(lab, "nonzero-then-zero")?;
    Ok(Finding::new(Verdict::holds_if(bytes >= SOME), measured).with(Unit::Bytes, vec![bytes]))
}

fn commit_time(lab: &mut Lab<'_>) -> Result<Finding> {
    let mut seed = Vec::new();
    let mut best = Vec::new();
    // Interleaved, so that whatever the machine does meanwhile is done to both.
    for _ in 0..LAUNCHES {
        for (policy, times) in [("nonzero-then-zero", &mut seed), (BEST, &mut best)] {
            let launched = lab.launch(&Job::Commit(policy, commit::WHOLE_MEMORY))?;
            let stage = launched.started.stages.iter().find(|stage| stage.name == "commit");
            times.push(stage.context("a child that commits has that stage")?.ns);
        }
    }
    let spread = |times: &[u64]| Spread::of(times.to_vec()).context("there are launches");
    let (ours, theirs) = (spread(&best)?, spread(&seed)?);
    // Within a third of what is stated; further off, it is another machine's figure.
    let verdict = match theirs.p50 {
        1_000_000_000..=2_000_000_000 => Verdict::Holds,
        _ => Verdict::Depends,
    };
    let measured = format!("{theirs}, and {ours} by {BEST}; it depends on the machine");
    Ok(Finding::new(verdict, measured).with(Unit::Nanoseconds, seed))
}
