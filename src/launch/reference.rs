//! The untimed comparison of a cell with fresh instances: what each block flushed, and the instance's state after
//! each reset.

use anyhow::{Context, Result};
use reset_strategies::contract::State;
use reset_strategies::module::{Facts, instrument};
use wasmtime::{Config, Engine, Linker, Store};

use super::child::{Cell, options};
use super::protocol::{Observed, Reference, Spec, Verified};
use crate::workload::host::{self, BlockState, Shared};
use procfs::process::Process;

/// Runs the trace once and notes what each block did.
pub(super) fn observe(cell: &mut Cell) -> Result<Reference> {
    cell.rewind();
    let mut blocks = Vec::new();
    for block in 0..cell.blocks() {
        blocks.push(cell.observe(block));
        cell.session.reset()?;
    }
    Ok(Reference { blocks, store: cell.store_digest() })
}

/// Compares two runs of the trace with the reference.
///
/// The first is left alone until its end, since reading an instance's state touches every page of it, which could
/// hide that a page was overlooked. The second reads the whole state after each reset.
pub(super) fn verify(cell: &mut Cell, spec: &Spec, expected: &Reference) -> Result<Verified> {
    let wasm =
        std::fs::read(&spec.module).with_context(|| format!("cannot read {}", spec.module.display()))?;
    let facts = Facts::read(&wasm)?;
    let fresh = fresh_state(&wasm, &facts)?;
    let mut blocks = 0;
    let mut difference = None;
    'runs: for look_inside in [false, true] {
        cell.rewind();
        for (block, expected) in expected.blocks.iter().enumerate() {
            let observed = cell.observe(block);
            blocks += 1;
            difference = differs(block, expected, &observed);
            cell.session.reset()?;
            let last = block + 1 == cell.blocks();
            if difference.is_none() && (look_inside || last) {
                let instance = cell.session.instance();
                let found = State::read(&facts, instance, cell.session.store_mut());
                difference = fresh
                    .first_difference(&found)
                    .map(|difference| format!("after the reset that follows block {block}, {difference}"));
            }
            if difference.is_some() {
                break 'runs;
            }
        }
        if cell.store_digest() != expected.store {
            difference = Some("the host's store differs after the last block".into());
            break;
        }
    }
    Ok(Verified { blocks, difference, peak_rss: peak_rss() })
}

fn differs(block: usize, expected: &Observed, observed: &Observed) -> Option<String> {
    if expected.outcome != observed.outcome {
        Some(format!("block {block} {} where a fresh instance {}", observed.outcome, expected.outcome))
    } else if expected.flushed != observed.flushed {
        Some(format!("block {block} flushed other bytes than a fresh instance"))
    } else {
        None
    }
}

/// The state of a fresh instance, made by plain wasmtime and none of our strategies.
fn fresh_state(wasm: &[u8], facts: &Facts) -> Result<State> {
    let mut config = Config::new();
    (options().configure)(&mut config);
    let engine = Engine::new(&config).map_err(anyhow::Error::from)?;
    let wasm = instrument(wasm, facts)?;
    let module = wasmtime::Module::new(&engine, wasm).map_err(anyhow::Error::from)?;
    let mut linker = Linker::new(&engine);
    host::link(&mut linker).map_err(anyhow::Error::from)?;
    let mut store = Store::new(&engine, BlockState::new(Shared::default()));
    store.set_epoch_deadline(u64::MAX / 2);
    let instance = linker.instantiate(&mut store, &module).map_err(anyhow::Error::from)?;
    Ok(State::read(facts, instance, &mut store))
}

/// The most memory that this process had resident, in bytes; 0 when the kernel does not say.
fn peak_rss() -> u64 {
    let status = Process::myself().and_then(|process| process.status());
    status.ok().and_then(|status| status.vmhwm).map_or(0, |kib| kib * 1024)
}
