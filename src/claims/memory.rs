//! Claims about what gives memory its pages, and how long that takes.

use anyhow::{Context, Result};
use reset_strategies::commit;
use wasmtime::{Engine, Instance, Module, Store};

use super::{Finding, Lab, Measure, Verdict};
use crate::measure::row::Unit;
use crate::present::units::ns;
use crate::startup::Path;
use crate::startup::launch::Launched;

pub(super) const MEASURES: &[(&str, Measure)] = &[
    ("limits-do-not-commit", limits),
    ("one-byte-commits-a-wasm-page", one_byte),
    ("touch-as-written", as_written),
    ("min-max-commits", min_max),
    ("zeros-share-a-page", zeros),
    ("nonzero-commits", nonzero),
    ("commit-time", commit_time),
];

/// Enough to tell a sixteenth from all.
const SOME: u64 = 512 << 20;

/// Launches behind a time.
const LAUNCHES: usize = 3;

fn holds_if(holds: bool) -> Verdict {
    if holds { Verdict::Holds } else { Verdict::DoesNotHold }
}

fn limits(lab: &mut Lab<'_>) -> Result<Finding> {
    let launched = lab.bench.path(Path::Precompiled, 0)?;
    let stage = |name: &str| launched.started.stages.iter().find(|stage| stage.name == name);
    let rss = |name: &str| stage(name).and_then(|stage| stage.rss_bytes);
    let (before, after) = rss("link").zip(rss("instantiate")).context("resident memory cannot be read")?;
    let grown = after.saturating_sub(before);
    let measured = format!("instantiating a memory with a reservation of 4 GiB adds {} KiB", grown >> 10);
    Ok(Finding::new(holds_if(grown < 64 << 20), measured).with(Unit::Bytes, vec![grown]))
}

fn resident(launched: &Launched) -> (u64, String) {
    let (resident, asked) = (launched.started.resident_bytes, launched.started.asked_bytes);
    let share = resident as f64 / asked.max(1) as f64 * 100.0;
    (resident, format!("{} of {} MiB resident ({share:.1} %)", resident >> 20, asked >> 20))
}

fn one_byte(lab: &mut Lab<'_>) -> Result<Finding> {
    let launched = lab.bench.commit("touch-wasm-page", SOME)?;
    let (bytes, measured) = resident(&launched);
    Ok(Finding::new(holds_if(bytes >= SOME), measured).with(Unit::Bytes, vec![bytes]))
}

fn as_written(_: &mut Lab<'_>) -> Result<Finding> {
    // The module of Rust's usual size: seventeen pages to begin with, and no maximum.
    let engine = Engine::default();
    let wasm = reset_strategies::module::with_initial_pages(&crate::startup::generate::module(1, 0), 17)?;
    let module = Module::new(&engine, wasm).map_err(anyhow::Error::from)?;
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).map_err(anyhow::Error::from)?;
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
    Ok(Finding::new(holds_if(failed.is_none()), measured).with(Unit::Count, vec![pages]))
}

fn min_max(lab: &mut Lab<'_>) -> Result<Finding> {
    let cell = lab.case(crate::determinism::Case { policy: "module-min-max", ..super::lab::LAZY })?;
    let small = crate::determinism::Case {
        policy: "module-min-max",
        environment: super::lab::group(512),
        ..super::lab::LAZY
    };
    let small = lab.case(small)?;
    let measured = format!(
        "in 512 MiB it starts all the same and commits nothing ({}); without a limit the block is {}",
        crate::determinism::word(small.outcome),
        crate::determinism::word(cell.outcome)
    );
    let started = small.committed_bytes.is_some();
    Ok(Finding::new(holds_if(!started), measured).with(Unit::Nanoseconds, vec![cell.wall_ns, small.wall_ns]))
}

fn zeros(lab: &mut Lab<'_>) -> Result<Finding> {
    let launched = lab.bench.commit("write-zero", SOME)?;
    let (bytes, measured) = resident(&launched);
    let seen = launched.rss_bytes.unwrap_or(0);
    let measured =
        format!("{measured} after writing zeros, {} MiB by VmRSS: each page has its own memory", seen >> 20);
    Ok(Finding::new(holds_if(bytes < SOME / 2), measured).with(Unit::Bytes, vec![bytes, seen]))
}

fn nonzero(lab: &mut Lab<'_>) -> Result<Finding> {
    let launched = lab.bench.commit("nonzero-then-zero", SOME)?;
    let (bytes, measured) = resident(&launched);
    Ok(Finding::new(holds_if(bytes >= SOME), measured).with(Unit::Bytes, vec![bytes]))
}

fn commit_time(lab: &mut Lab<'_>) -> Result<Finding> {
    let mut times = Vec::new();
    let mut best = Vec::new();
    // Interleaved, so that whatever the machine does meanwhile is done to both.
    for _ in 0..LAUNCHES {
        for (policy, times) in [("nonzero-then-zero", &mut times), ("populate-thp", &mut best)] {
            let launched = lab.bench.commit(policy, commit::WHOLE_MEMORY)?;
            let stage = launched.started.stages.iter().find(|stage| stage.name == "commit");
            times.push(stage.context("a child that commits has that stage")?.ns);
        }
    }
    times.sort_unstable();
    best.sort_unstable();
    let spread = |times: &[u64]| {
        format!("{} ({} - {})", ns(times[LAUNCHES / 2]), ns(times[0]), ns(times[LAUNCHES - 1]))
    };
    let median = times[LAUNCHES / 2];
    // Within a third of what is stated; further off, it is another machine's figure.
    let verdict = match median {
        1_000_000_000..=2_000_000_000 => Verdict::Holds,
        _ => Verdict::Depends,
    };
    let measured =
        format!("{}; populate-thp takes {}; it depends on the machine", spread(&times), spread(&best));
    Ok(Finding::new(verdict, measured).with(Unit::Nanoseconds, times))
}
