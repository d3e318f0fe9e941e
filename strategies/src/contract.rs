//! The reset contract, and the comparison that checks it.
//!
//! After a reset the instance is observationally equal to a fresh one:
//!
//! - every byte of every memory,
//! - the size of every memory, and so where the guest traps out of bounds,
//! - every mutable global, exported or not,
//! - every element and the size of every table,
//! - dropped data and element segments,
//! - the host's state for the block,
//!
//! after a normal return, a trap, a timeout or an out-of-memory alike. What a strategy cannot restore for a module it
//! refuses beforehand: there is no third case.
//!
//! [`State`] holds what a fresh instance has and finds the first place where another differs. [`Edges`] looks at what
//! lies beyond a memory's size. Three things are not seen: in a module that is not
//! [instrumented](crate::module::instrument) what it hides; which object on the garbage-collected heap a reference
//! designates, other than none; and the host's state, whose values only the host can compare.

mod difference;
mod edges;
mod view;

pub use difference::{Difference, Value};
pub use edges::{Edges, Looker};

use wasmtime::{AsContextMut, Instance};

use crate::in_place::{Image, Piece, is_blank};
use crate::module::{Facts, SegmentKind};
use view::View;

/// The state of an instance, as far as it can be reached from outside.
#[derive(Clone, Debug, Default)]
pub struct State {
    memories: Vec<Option<Image>>,
    rest: Rest,
}

/// All state but that of memories.
#[derive(Clone, Debug, Default)]
struct Rest {
    globals: Vec<Option<Value>>,
    tables: Vec<Option<Vec<Value>>>,
    drops: Vec<(SegmentKind, u32, Option<Value>)>,
    /// Whether a function that is not among those known to be referred to is certainly another one.
    functions_known: bool,
}

impl State {
    /// Reads the state of an instance. What is neither exported by the module nor by instrumentation stays unknown.
    pub fn read(facts: &Facts, instance: Instance, mut store: impl AsContextMut<Data: 'static>) -> Self {
        let mut view = View::new(facts, instance, store.as_context_mut());
        let memories = (0..facts.memories.len()).map(|index| {
            let memory = view.memory(index)?;
            Some(Image::of(memory.data(view.store())))
        });
        Self { memories: memories.collect(), rest: Rest::read(&mut view) }
    }

    /// The first place where `found` differs from this fresh state, in what both could read.
    pub fn first_difference(&self, found: &Self) -> Option<Difference> {
        let mut memories = pairs(&self.memories, &found.memories);
        let bytes = memories.find_map(|(index, fresh, found)| {
            size_difference(index, fresh, found.size())
                .or_else(|| byte_difference(index, fresh, found.pieces(0..found.size())))
        });
        bytes.or_else(|| self.rest.first_difference(&found.rest))
    }

    /// The first place where an instance differs from this fresh state, in what could be read of both.
    ///
    /// The instance's memories are compared where they are, which costs about as much as `memcmp`.
    pub fn first_difference_in(
        &self,
        facts: &Facts,
        instance: Instance,
        mut store: impl AsContextMut<Data: 'static>,
    ) -> Option<Difference> {
        let mut view = View::new(facts, instance, store.as_context_mut());
        for (index, fresh) in self.memories.iter().enumerate() {
            let (Some(fresh), Some(memory)) = (fresh, view.memory(index)) else { continue };
            let size = memory.data_size(view.store());
            let difference = size_difference(index, fresh, size).or_else(|| {
                let all = Piece::Filled(0..size, memory.data(view.store()));
                byte_difference(index, fresh, std::iter::once(all))
            });
            if difference.is_some() {
                return difference;
            }
        }
        self.rest.first_difference(&Rest::read(&mut view))
    }

    /// Bytes in all memories.
    pub fn memory_bytes(&self) -> usize {
        self.memories.iter().flatten().map(Image::size).sum()
    }
}

impl Rest {
    fn read<T: 'static>(view: &mut View<'_, T>) -> Self {
        let facts = view.facts();
        let mut globals = vec![None; facts.globals.len()];
        for index in facts.mutable_globals() {
            globals[index] = view.global(index);
        }
        let mut tables = vec![None; facts.tables.len()];
        for index in facts.mutable_tables() {
            tables[index] = view.table(index);
        }
        let drops = facts.tracked_drops();
        let drops = drops.map(|drop| (drop.kind, drop.segment, view.global(drop.flag as usize))).collect();
        Self { globals, tables, drops, functions_known: view.functions_known() }
    }

    fn first_difference(&self, found: &Self) -> Option<Difference> {
        let certain = self.functions_known && found.functions_known;
        for (index, fresh, found) in pairs(&self.globals, &found.globals) {
            if fresh.differs(found, certain) {
                return Some(Difference::Global { index, fresh: *fresh, found: *found });
            }
        }
        for (index, fresh, found) in pairs(&self.tables, &found.tables) {
            if fresh.len() != found.len() {
                return Some(Difference::TableSize { index, fresh: fresh.len(), found: found.len() });
            }
            let mut slots = fresh.iter().zip(found).enumerate();
            if let Some((slot, (fresh, found))) =
                slots.find(|(_, (fresh, found))| fresh.differs(found, certain))
            {
                return Some(Difference::Element { index, slot, fresh: *fresh, found: *found });
            }
        }
        let mut drops = self.drops.iter().zip(&found.drops);
        drops.find_map(|((kind, index, fresh), (_, _, found))| match (fresh, found) {
            (Some(fresh), Some(found)) if fresh != found => {
                Some(Difference::Segment { kind: *kind, index: *index, dropped: *found != Value::Bits(0) })
            }
            _ => None,
        })
    }
}

/// What both sides know, by index.
fn pairs<'a, V>(
    fresh: &'a [Option<V>],
    found: &'a [Option<V>],
) -> impl Iterator<Item = (usize, &'a V, &'a V)> {
    let pairs = fresh.iter().zip(found).enumerate();
    pairs.filter_map(|(index, (fresh, found))| Some((index, fresh.as_ref()?, found.as_ref()?)))
}

/// To be asked before any byte is read: what lies between the two sizes may be out of reach.
fn size_difference(index: usize, fresh: &Image, found: usize) -> Option<Difference> {
    let fresh = fresh.size();
    (fresh != found).then_some(Difference::Size { index, fresh, found })
}

fn byte_difference<'a>(
    index: usize,
    fresh: &Image,
    found: impl Iterator<Item = Piece<'a>>,
) -> Option<Difference> {
    for found in found {
        let (range, found) = match found {
            Piece::Blank(range) => (range, None),
            Piece::Filled(range, bytes) => (range, Some(bytes)),
        };
        for fresh in fresh.pieces(range.clone()) {
            let (here, fresh) = match fresh {
                Piece::Blank(range) => (range, None),
                Piece::Filled(range, bytes) => (range, Some(bytes)),
            };
            let found = found.map(|bytes| &bytes[here.start - range.start..here.end - range.start]);
            if let Some(at) = mismatch(fresh, found) {
                let byte = |bytes: Option<&[u8]>| bytes.map_or(0, |bytes| bytes[at]);
                let (fresh, found) = (byte(fresh), byte(found));
                return Some(Difference::Byte { index, offset: here.start + at, fresh, found });
            }
        }
    }
    None
}

/// Where two runs of the same length first differ; `None` stands for zeros.
fn mismatch(fresh: Option<&[u8]>, found: Option<&[u8]>) -> Option<usize> {
    match (fresh, found) {
        (None, None) => None,
        (None, Some(bytes)) | (Some(bytes), None) => {
            if is_blank(bytes) {
                None
            } else {
                bytes.iter().position(|&byte| byte != 0)
            }
        }
        (Some(fresh), Some(found)) => {
            if fresh == found {
                None
            } else {
                fresh.iter().zip(found).position(|(a, b)| a != b)
            }
        }
    }
}
