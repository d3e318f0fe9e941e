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

use std::fmt;

use wasmtime::{Instance, Store, Val};

use crate::module::{Facts, Item, export_name};

/// The state of an instance, as far as it can be reached from outside.
#[derive(Clone, Debug, Default)]
pub struct State {
    memories: Vec<Option<Vec<u8>>>,
    globals: Vec<Option<Bits>>,
    tables: Vec<Option<Vec<bool>>>,
}

/// A number of any type as its bits, so that NaNs compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bits(u128);

impl State {
    /// Reads the state of an instance. What is neither exported by the module nor by instrumentation stays unknown.
    pub fn read<T>(facts: &Facts, instance: Instance, store: &mut Store<T>) -> Self {
        let names = |item: Item, index: usize| {
            let own = facts.exports.iter().find(|e| e.item == item && e.index as usize == index);
            own.map_or_else(|| export_name(item, index), |export| export.name.clone())
        };
        let memories = (0..facts.memories.len())
            .map(|index| {
                let memory = instance.get_memory(&mut *store, &names(Item::Memory, index))?;
                Some(memory.data(&*store).to_vec())
            })
            .collect();
        let globals = (0..facts.globals.len())
            .map(|index| {
                let global = instance.get_global(&mut *store, &names(Item::Global, index))?;
                bits(&global.get(&mut *store))
            })
            .collect();
        let tables = (0..facts.tables.len())
            .map(|index| {
                let table = instance.get_table(&mut *store, &names(Item::Table, index))?;
                let size = table.size(&*store);
                Some((0..size).map(|at| table.get(&mut *store, at).is_some_and(|e| !e.is_null())).collect())
            })
            .collect();
        Self { memories, globals, tables }
    }

    /// The first place where `found` differs from this fresh state, in what both could read.
    pub fn first_difference(&self, found: &Self) -> Option<Difference> {
        for (index, (fresh, found)) in pairs(&self.memories, &found.memories) {
            if fresh.len() != found.len() {
                return Some(Difference::Size { index, fresh: fresh.len(), found: found.len() });
            }
            if fresh != found {
                let offset = fresh.iter().zip(found).position(|(a, b)| a != b)?;
                let (fresh, found) = (fresh[offset], found[offset]);
                return Some(Difference::Byte { index, offset, fresh, found });
            }
        }
        for (index, (fresh, found)) in pairs(&self.globals, &found.globals) {
            if fresh != found {
                return Some(Difference::Global { index, fresh: fresh.0, found: found.0 });
            }
        }
        for (index, (fresh, found)) in pairs(&self.tables, &found.tables) {
            if fresh.len() != found.len() {
                return Some(Difference::TableSize { index, fresh: fresh.len(), found: found.len() });
            }
            if let Some(slot) = fresh.iter().zip(found).position(|(a, b)| a != b) {
                return Some(Difference::Element { index, slot });
            }
        }
        None
    }

    /// Bytes in all memories.
    pub fn memory_bytes(&self) -> usize {
        self.memories.iter().flatten().map(Vec::len).sum()
    }
}

/// What both sides know, by index.
fn pairs<'a, V>(
    fresh: &'a [Option<V>],
    found: &'a [Option<V>],
) -> impl Iterator<Item = (usize, (&'a V, &'a V))> {
    fresh.iter().zip(found).enumerate().filter_map(|(index, pair)| match pair {
        (Some(fresh), Some(found)) => Some((index, (fresh, found))),
        _ => None,
    })
}

fn bits(value: &Val) -> Option<Bits> {
    match value {
        Val::I32(value) => Some(Bits(u128::from(value.cast_unsigned()))),
        Val::I64(value) => Some(Bits(u128::from(value.cast_unsigned()))),
        Val::F32(bits) => Some(Bits(u128::from(*bits))),
        Val::F64(bits) => Some(Bits(u128::from(*bits))),
        Val::V128(value) => Some(Bits(value.as_u128())),
        reference => reference.ref_().map(|r| Bits(u128::from(!r.is_null()))),
    }
}

/// Where an instance first differs from a fresh one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A memory has another size, in bytes.
    Size {
        /// The memory.
        index: usize,
        /// Bytes in a fresh instance.
        fresh: usize,
        /// Bytes found.
        found: usize,
    },
    /// A byte of a memory.
    Byte {
        /// The memory.
        index: usize,
        /// Where in it.
        offset: usize,
        /// The byte of a fresh instance.
        fresh: u8,
        /// The byte found.
        found: u8,
    },
    /// A global, as bits.
    Global {
        /// Its index.
        index: usize,
        /// Its value in a fresh instance.
        fresh: u128,
        /// The value found.
        found: u128,
    },
    /// A table has another number of elements.
    TableSize {
        /// The table.
        index: usize,
        /// Elements in a fresh instance.
        fresh: usize,
        /// Elements found.
        found: usize,
    },
    /// An element of a table is null where it should not be, or the other way round.
    Element {
        /// The table.
        index: usize,
        /// The slot.
        slot: usize,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { index, fresh, found } => {
                write!(f, "memory {index} has {found} bytes where a fresh instance has {fresh}")
            }
            Self::Byte { index, offset, fresh, found } => {
                write!(f, "memory {index} at {offset:#x} holds {found:#04x} instead of {fresh:#04x}")
            }
            Self::Global { index, fresh, found } => {
                write!(f, "global {index} is {found} instead of {fresh}")
            }
            Self::TableSize { index, fresh, found } => {
                write!(f, "table {index} has {found} elements where a fresh instance has {fresh}")
            }
            Self::Element { index, slot } => write!(f, "table {index} differs in slot {slot}"),
        }
    }
}
