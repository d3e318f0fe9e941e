//! What policies are tried on: workloads whose memory ends somewhere, and whose blocks may fail now and then.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use reset_strategies::module::{Facts, with_memory_pages};
use serde_json::Value;

use crate::protocol::schedule::{Cut, Input};
use crate::units::bytes;
use crate::workload::{Workload, bundled};

/// The parameter that says which blocks of a trace are cut short.
const CUT_EVERY: &str = "cut_every";

/// A bundled workload, parameters other than its own, and how often a block is cut short.
type Default = (&'static str, &'static [(&'static str, u64)], Option<u32>);

/// What is tried where nothing is asked for: a plain indexer, a guest whose memory grows in each block, and an indexer
/// with a cache whose blocks fail now and then.
const DEFAULTS: [Default; 3] = [
    ("indexer/blocktracker", &[], None),
    ("stress/touch", &[("grow", 8)], None),
    ("indexer/lru", &[("limit_mebibytes", 4)], Some(16)),
];

/// The workloads where nothing is asked for, each with how often its blocks fail.
///
/// # Errors
/// When a bundled workload is malformed.
pub fn defaults() -> Result<Vec<(Workload, Option<u32>)>> {
    let workload = |(name, params, cut_every): Default| {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value)));
        Ok((bundled::named(name, &params.collect())?, cut_every))
    };
    DEFAULTS.into_iter().map(workload).collect()
}

/// The workload with a memory that ends at `memory_max` bytes, and every n-th block cut short.
///
/// Without an end of its own, a guest that is never reset would grow until the machine's memory ends.
///
/// # Errors
/// When the module's memory begins beyond that, or cannot be rewritten.
pub fn scenario(workload: Workload, memory_max: u64, cut_every: Option<u32>) -> Result<Workload> {
    let module = bounded(&workload.module, memory_max).with_context(|| workload.name.clone())?;
    let workload = Workload { module: module.into(), ..workload };
    Ok(match cut_every {
        None => workload,
        Some(every) => {
            let trace = cut(&workload.trace, every as usize);
            let mut params = workload.params;
            params.insert(CUT_EVERY.into(), every.into());
            Workload { trace, params, ..workload }
        }
    })
}

/// The most bytes that the memories of a module can come to.
///
/// # Errors
/// When the module cannot be read.
pub fn most_bytes(module: &[u8]) -> Result<u64> {
    let memories = Facts::read(module)?.memories;
    Ok(memories.iter().fold(0, |sum, memory| memory.maximum_bytes().saturating_add(sum)))
}

/// The module with its first memory ending at `most` bytes, unless it ends before.
fn bounded(module: &[u8], most: u64) -> Result<Vec<u8>> {
    let facts = Facts::read(module)?;
    let memory = facts.memories.first().context("the module has no memory")?;
    if memory.maximum_bytes() <= most {
        return Ok(module.to_vec());
    }
    if memory.initial_bytes() > most {
        bail!(
            "its memory begins with {}: allow for more than {} with --memory-max",
            bytes(memory.initial_bytes()),
            bytes(most)
        );
    }
    let pages = most >> memory.page_size_log2;
    Ok(with_memory_pages(module, memory.initial, Some(pages))?)
}

/// The trace, repeated until every n-th block can be one of which only the height is left.
fn cut(trace: &[Arc<[u8]>], every: usize) -> Vec<Arc<[u8]>> {
    let length = if trace.is_empty() { 0 } else { trace.len().next_multiple_of(every) };
    let input = |at: usize| {
        let block = at % trace.len();
        let input = match (at + 1) % every {
            0 => Input::Cut(block, Cut::Height),
            _ => Input::Block(block),
        };
        input.bytes(trace)
    };
    (0..length).map(input).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::row::Params;

    const MIB: u64 = 1 << 20;

    #[test]
    fn every_nth_block_is_cut_short() {
        let lengths = |trace: &[usize], every| {
            let trace: Vec<Arc<[u8]>> = trace.iter().map(|&length| vec![7; length].into()).collect();
            cut(&trace, every).iter().map(|input| input.len()).collect::<Vec<_>>()
        };
        assert_eq!(lengths(&[9], 4), [9, 9, 9, 4]);
        assert_eq!(lengths(&[9, 8, 7], 2), [9, 4, 7, 4]);
        assert_eq!(lengths(&[], 2), [0; 0]);
    }

    #[test]
    fn a_memory_ends_where_it_is_told_to() {
        let touch = bundled::named("stress/touch", &Params::new()).unwrap();
        assert_eq!(most_bytes(&touch.module).unwrap(), 4096 * MIB);
        let ends = |most| scenario(touch.clone(), most, None).map(|bound| most_bytes(&bound.module).unwrap());
        assert_eq!(ends(64 * MIB).unwrap(), 64 * MIB);
        assert_eq!(ends(64 * MIB + 70_000).unwrap(), 64 * MIB + 65_536, "whole pages");
        assert_eq!(ends(8192 * MIB).unwrap(), 4096 * MIB, "never more than it had");
        let refused = format!("{:#}", ends(MIB).unwrap_err());
        assert_eq!(
            refused,
            "stress/touch: its memory begins with 32.0 MiB: allow for more than 1.00 MiB with --memory-max"
        );
    }

    #[test]
    fn the_defaults_are_bundled() {
        let names: Vec<_> = defaults().unwrap().into_iter().map(|(workload, _)| workload.name).collect();
        assert_eq!(names, DEFAULTS.map(|(name, ..)| name));
    }
}
