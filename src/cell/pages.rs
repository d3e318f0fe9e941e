//! The pages that each block leaves dirty: those that it has written, and those that hold something else than before.
//!
//! Traces are run until two in a row come to the same. The second one does, unless the kernel or the strategy has made a
//! huge page meanwhile, which counts as written as a whole in that one reset; or unless the guest does something else each
//! time.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::Result;
use reset_strategies::module::{EXPORT_PREFIX, Item};
use reset_strategies::sys::page;
use reset_strategies::track::uffd_wp;
use wasmtime::{Memory, StoreContext};

use super::session::Cell;
use super::state;
use crate::protocol::pages::{Pages, Run, Touched};
use crate::workload::host::BlockState;

/// What the memories hold right after instantiation: their sizes, and the pages that are not all zeros.
#[derive(Default)]
struct Image {
    sizes: Vec<usize>,
    filled: Vec<BTreeMap<usize, Box<[u8]>>>,
}

/// Runs whole traces, two at least and so many at most.
///
/// # Errors
/// When a reset fails or a block times out.
pub fn pages(cell: &mut Cell, traces: u32) -> Result<Pages> {
    let image = Image::of(cell)?;
    let image_pages = image.filled.iter().map(|filled| filled.len() as u64).sum();
    let mut pages = Pages { page_bytes: page::size() as u64, image_pages, ..Pages::default() };
    while !pages.is_settled && pages.traces < traces.max(2) {
        let mut blocks = Vec::new();
        cell.each_block(1, |cell, block| {
            let outcome = cell.call();
            let mut touched = image.held_against(cell)?;
            let reset = cell.reset()?;
            // A memory that was made anew has not been restored.
            if cell.strategy().name() == uffd_wp::STRATEGY.name() && reset.instances == 0 {
                for (memory, runs) in touched.iter_mut().zip(cell.session.restored()) {
                    memory.written = Some(runs.iter().map(run_of).collect());
                }
            }
            blocks.push(touched);
            cell.check(block, outcome)
        })?;
        pages.is_settled = pages.traces > 0 && pages.blocks == blocks;
        pages.blocks = blocks;
        pages.traces += 1;
    }
    Ok(pages)
}

/// The memories of the instance in the order of the module: an in-place strategy has all exported once more by their index. Of a
/// fresh instance, those that the module exports.
fn memories(cell: &mut Cell) -> Result<Vec<Memory>> {
    let instance = cell.session.instance()?;
    let mut store = cell.session.store_mut()?;
    let of = |index| format!("{EXPORT_PREFIX}{}:{index}", Item::Memory);
    let all: Vec<_> = (0..).map_while(|index| instance.get_memory(&mut store, &of(index))).collect();
    Ok(if all.is_empty() { state::memories(&mut cell.session)? } else { all })
}

/// The pages of a range of bytes.
fn run_of(bytes: &Range<usize>) -> Run {
    let first = bytes.start / page::size();
    Run { first: first as u64, pages: (bytes.end.div_ceil(page::size()) - first) as u64 }
}

fn numbered(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    bytes.chunks(page::size()).enumerate()
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

impl Image {
    /// Of a session that was just reset.
    fn of(cell: &mut Cell) -> Result<Self> {
        let memories = memories(cell)?;
        let store = cell.session.store_mut()?;
        let mut image = Self::default();
        for memory in memories {
            let bytes = memory.data(&store);
            let filled = numbered(bytes).filter(|(_, page)| !is_blank(page));
            image.sizes.push(bytes.len());
            image.filled.push(filled.map(|(index, page)| (index, page.into())).collect());
        }
        Ok(image)
    }

    /// Compares all memories of a session whose block has ended.
    fn held_against(&self, cell: &mut Cell) -> Result<Vec<Touched>> {
        let memories = memories(cell)?;
        let store = cell.session.store_mut()?;
        let each = memories.into_iter().zip(&self.sizes).zip(&self.filled);
        Ok(each.map(|((memory, size), filled)| differing(memory, (&store).into(), *size, filled)).collect())
    }
}

fn differing(
    memory: Memory,
    store: StoreContext<'_, BlockState>,
    before: usize,
    filled: &BTreeMap<usize, Box<[u8]>>,
) -> Touched {
    let bytes = memory.data(store);
    let mut touched = Touched { before: before as u64, after: bytes.len() as u64, ..Touched::default() };
    for (index, page) in numbered(bytes) {
        let differing = match filled.get(&index) {
            Some(image) => page.iter().zip(image).filter(|(now, then)| now != then).count(),
            None if is_blank(page) => 0,
            None => page.iter().filter(|byte| **byte != 0).count(),
        };
        if differing == 0 {
            continue;
        }
        touched.differing_bytes += differing as u64;
        match touched.differing.last_mut() {
            Some(last) if last.end() == index as u64 => last.pages += 1,
            _ => touched.differing.push(Run { first: index as u64, pages: 1 }),
        }
    }
    touched
}
