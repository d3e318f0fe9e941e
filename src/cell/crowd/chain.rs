//! A chain that forks, and the stores along it that views may be asked of.

use std::sync::{Arc, PoisonError, RwLock};

use bitcoin::consensus::{deserialize, serialize};
use bitcoin::{Block, Transaction};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::workload::host::Base;

/// Where on which branch a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tip {
    pub branch: usize,
    /// Blocks that have run.
    pub height: usize,
}

impl Tip {
    /// A number for what is asked here, other than all others: a request, the next block, or half of it.
    pub fn id(self, what: What) -> u64 {
        let what = match what {
            What::Request(request) => request as u64,
            What::Block => 1 << 20,
            What::Cut => 1 << 21,
        };
        (self.branch as u64) << 48 | (self.height as u64) << 24 | what
    }
}

/// What is asked at a place of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Request(usize),
    Block,
    Cut,
}

/// Blocks of the shortest chain whose two halves differ.
const FEWEST: usize = 4;

/// Blocks that a single one is cut into.
const PARTS: usize = 8;

/// A block in parts, at heights that follow each other; as it is, where it is none of Bitcoin's.
fn parts(input: &Arc<[u8]>) -> Vec<Arc<[u8]>> {
    let whole = input
        .split_first_chunk()
        .and_then(|(height, bytes)| Some((u32::from_le_bytes(*height), deserialize::<Block>(bytes).ok()?)));
    let Some((height, block)) = whole.filter(|(_, block)| block.txdata.len() >= PARTS) else {
        return vec![input.clone()];
    };
    let each = block.txdata.len().div_ceil(PARTS);
    let part = |(at, transactions): (u32, &[Transaction])| {
        let part = Block { header: block.header, txdata: transactions.to_vec() };
        [&(height + at).to_le_bytes()[..], &serialize(&part)].concat().into()
    };
    (0..).zip(block.txdata.chunks(each)).map(part).collect()
}

/// The same blocks in two orders: after the fork, the second branch has the rest from the last one on.
pub(super) struct Branches {
    orders: [Vec<Arc<[u8]>>; 2],
    /// Blocks that both have.
    fork: usize,
}

impl Branches {
    /// Those of a chain, which fork in its middle. Where it is shorter than a fork needs, its blocks are cut into parts, each a
    /// block with some of the transactions.
    pub fn of(blocks: Vec<Arc<[u8]>>) -> Self {
        let blocks = if blocks.len() < FEWEST { blocks.iter().flat_map(parts).collect() } else { blocks };
        let fork = blocks.len() / 2;
        let mut other = blocks.clone();
        other[fork..].reverse();
        Self { orders: [blocks, other], fork }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.orders.len()
    }

    /// Blocks of each.
    pub fn length(&self) -> usize {
        self.orders[0].len()
    }

    /// Blocks that all have.
    pub fn fork(&self) -> usize {
        self.fork
    }

    /// The block that comes next, if any does.
    pub fn next(&self, tip: Tip) -> Option<&Arc<[u8]>> {
        self.orders[tip.branch].get(tip.height)
    }
}

/// What views can be asked of: one store per height, that of the present branch.
pub(super) struct Published(RwLock<Vec<(Tip, Arc<Base>)>>);

impl Published {
    /// These, by their heights.
    pub fn new(stores: Vec<(Tip, Arc<Base>)>) -> Self {
        Self(RwLock::new(stores))
    }

    /// Any of them.
    pub fn any(&self, random: &mut ChaCha8Rng) -> (Tip, Arc<Base>) {
        let stores = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (tip, store) = &stores[random.random_range(0..stores.len())];
        (*tip, store.clone())
    }

    /// The last one.
    pub fn last(&self) -> (Tip, Arc<Base>) {
        let stores = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (tip, store) = &stores[stores.len() - 1];
        (*tip, store.clone())
    }

    /// Adds one at the end.
    pub fn push(&self, tip: Tip, store: Arc<Base>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push((tip, store));
    }

    /// Has another store in a place, as a host has whose previews write to it.
    pub fn replace(&self, tip: Tip, other: &Arc<Base>) {
        let mut stores = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (_, store) in stores.iter_mut().filter(|(known, _)| *known == tip) {
            store.clone_from(other);
        }
    }

    /// Takes all away that lie above a height.
    pub fn reorganise(&self, height: usize) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).truncate(height + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::blocks::Trace;
    use crate::workload::host::{Abi, Metashrew};

    fn blocks() -> Vec<Arc<[u8]>> {
        (0..4).map(|block| Arc::from([block])).collect()
    }

    #[test]
    fn branches_have_the_same_blocks_and_part_in_the_middle() {
        let branches = Branches::of(blocks());
        let order = |branch| {
            let block = |height| branches.next(Tip { branch, height }).map(|block| block[0]);
            (0..5).map_while(block).collect::<Vec<_>>()
        };
        assert_eq!((order(0), order(1)), (vec![0, 1, 2, 3], vec![0, 1, 3, 2]));
        assert_eq!((branches.fork(), branches.length(), branches.count()), (2, 4, 2));
    }

    #[test]
    fn a_single_block_is_cut_into_a_chain_of_all_its_transactions() {
        let trace = Trace::mainnet();
        let block = &trace.blocks[0];
        let branches = Branches::of(vec![Metashrew.input(block).into()]);
        assert_eq!((branches.length(), branches.fork()), (PARTS, PARTS / 2));
        let part = |height| -> (u32, Block) {
            let input = branches.next(Tip { branch: 0, height }).unwrap();
            let (at, bytes) = input.split_first_chunk().unwrap();
            (u32::from_le_bytes(*at), deserialize(bytes).unwrap())
        };
        let found: Vec<_> = (0..PARTS).map(part).collect();
        assert!(found.iter().map(|(height, _)| *height).eq((block.height..).take(PARTS)));
        let transactions: Vec<_> = found.into_iter().flat_map(|(_, part)| part.txdata).collect();
        assert_eq!(transactions, deserialize::<Block>(&block.bytes).unwrap().txdata);
    }

    #[test]
    fn a_reorganisation_leaves_what_both_branches_have() {
        let store = || Arc::new(Base::default());
        let tip = |branch, height| Tip { branch, height };
        let published = Published::new((0..4).map(|height| (tip(0, height), store())).collect());
        published.reorganise(1);
        assert_eq!(published.last().0, tip(0, 1));
        published.push(tip(1, 2), store());
        assert_eq!(published.last().0, tip(1, 2));
    }
}
