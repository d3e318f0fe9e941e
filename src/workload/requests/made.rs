//! Requests for the bundled views, made of the blocks that fill their store: the same for the same blocks and seed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::{Context, Result};
use bitcoin::consensus::{deserialize, serialize};
use bitcoin::{OutPoint, Transaction};
use rand::rngs::ChaCha8Rng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::workload::blocks::Block;
use crate::workload::host::View;

/// A view of the bundled module; `guests/views` says what each is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Viewed {
    Balance,
    Outputs,
    Simulate,
}

impl Viewed {
    /// The export.
    pub fn export(self) -> &'static str {
        match self {
            Self::Balance => "balance",
            Self::Outputs => "outputs",
            Self::Simulate => "simulate",
        }
    }

    /// How often it is asked, where several are: what a wallet does all the time, and what it does now and then.
    fn weight(self) -> u32 {
        match self {
            Self::Balance => 12,
            Self::Outputs => 1,
            Self::Simulate => 3,
        }
    }
}

/// One of so many transactions is tried as it is in its block, where it has spent its inputs already: it fails.
const FAILS: u32 = 8;

/// Large ones are rare: the largest is halved up to so many times, as often one way as the other.
const HALVES: u32 = 5;

/// What requests are made of.
#[derive(Debug)]
pub struct Made {
    height: u32,
    /// All that outputs have paid to, those first that most have.
    scripts: Vec<Vec<u8>>,
    /// Of the last block, without its coinbase.
    transactions: Vec<Transaction>,
    /// What nobody has spent.
    unspent: Vec<OutPoint>,
    /// The most working memory of a simulation, in KiB.
    most_kib: u32,
    random: ChaCha8Rng,
}

impl Made {
    /// Reads the blocks.
    ///
    /// # Errors
    /// When one cannot be decoded, or there is none.
    pub fn of(blocks: &[Block], seed: u64, most_kib: u32) -> Result<Self> {
        let last = blocks.last().context("requests are made of blocks, and there are none")?;
        let mut counts: HashMap<Vec<u8>, (usize, usize)> = HashMap::new();
        let (mut created, mut spent) = (Vec::new(), HashSet::new());
        let mut transactions = Vec::new();
        for block in blocks {
            let block: bitcoin::Block = deserialize(&block.bytes).context("a block cannot be decoded")?;
            for transaction in &block.txdata {
                let txid = transaction.compute_txid();
                spent.extend(transaction.input.iter().map(|input| input.previous_output));
                for (vout, output) in (0..).zip(&transaction.output) {
                    created.push(OutPoint::new(txid, vout));
                    let first = counts.len();
                    counts.entry(output.script_pubkey.to_bytes()).or_insert((0, first)).0 += 1;
                }
            }
            transactions = block.txdata;
        }
        let mut scripts: Vec<_> = counts.into_iter().collect();
        scripts.sort_unstable_by_key(|(_, (count, first))| (usize::MAX - count, *first));
        if transactions.len() > 1 {
            transactions.remove(0);
        }
        Ok(Self {
            height: last.height,
            scripts: scripts.into_iter().map(|(script, _)| script).collect(),
            transactions,
            unspent: created.into_iter().filter(|outpoint| !spent.contains(outpoint)).collect(),
            most_kib,
            random: ChaCha8Rng::seed_from_u64(seed),
        })
    }

    /// So many requests to these views.
    ///
    /// # Errors
    /// When the blocks have nothing to ask about.
    pub fn requests(mut self, views: &[Viewed], count: u32) -> Result<Vec<Arc<[u8]>>> {
        let numbered: Vec<_> = (0..).zip(views.iter().copied()).collect();
        let mut requests = Vec::new();
        for _ in 0..count {
            let (number, view) = *numbered.choose_weighted(&mut self.random, |(_, view)| view.weight())?;
            let request = match view {
                Viewed::Balance => self.balance()?,
                Viewed::Outputs => self.outputs(),
                Viewed::Simulate => self.simulate()?,
            };
            requests.push(View::request(number, self.height, &request).into());
        }
        Ok(requests)
    }

    /// A script, the n-th of those with most outputs n times as rarely as the first (Zipf's law).
    fn balance(&mut self) -> Result<Vec<u8>> {
        let ranked: Vec<_> = (1..).zip(&self.scripts).collect();
        let (_, script) = ranked.choose_weighted(&mut self.random, |(rank, _)| 1.0 / f64::from(*rank))?;
        Ok(script.to_vec())
    }

    /// All scripts, or a part of them that lies anywhere.
    fn outputs(&mut self) -> Vec<u8> {
        let all = self.scripts.len();
        let count = all >> self.halves();
        let from = self.random.random_range(0..all.max(1));
        let mut request = Vec::new();
        for script in self.scripts.iter().cycle().skip(from).take(count) {
            // Scripts that are longer than that cannot be spent.
            if let Ok(length) = u16::try_from(script.len()) {
                request.extend(length.to_le_bytes());
                request.extend_from_slice(script);
            }
        }
        request
    }

    /// A transaction of the last block that spends what is still there, and now and then as it is.
    fn simulate(&mut self) -> Result<Vec<u8>> {
        let mut transaction = self.transactions.choose(&mut self.random).context("an empty block")?.clone();
        let fails = self.random.random_ratio(1, FAILS);
        if !fails && !self.unspent.is_empty() {
            let from = self.random.random_range(0..self.unspent.len());
            let outpoints = self.unspent.iter().cycle().skip(from);
            for (input, outpoint) in transaction.input.iter_mut().zip(outpoints) {
                input.previous_output = *outpoint;
            }
        }
        let kib = self.most_kib >> self.halves();
        Ok([&kib.to_le_bytes()[..], &serialize(&transaction)].concat())
    }

    fn halves(&mut self) -> u32 {
        self.random.random_range(0..=HALVES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::blocks;

    fn requests(views: &[Viewed], seed: u64) -> Vec<Arc<[u8]>> {
        Made::of(&blocks::mainnet(), seed, 1024).unwrap().requests(views, 64).unwrap()
    }

    #[test]
    fn the_seed_decides_the_requests() {
        use Viewed::{Balance, Outputs, Simulate};
        let mixed = requests(&[Balance, Outputs, Simulate], 1);
        assert_eq!(mixed, requests(&[Balance, Outputs, Simulate], 1));
        assert_ne!(mixed, requests(&[Balance, Outputs, Simulate], 2));
        let of = |number| mixed.iter().filter(|input| input[0] == number).count();
        assert!(of(0) > of(2) && of(2) > of(1) && of(1) > 0, "{} {} {}", of(0), of(1), of(2));
    }

    #[test]
    fn frequent_scripts_are_asked_for_more_often() {
        let mut counts = HashMap::<_, usize>::new();
        for input in requests(&[Viewed::Balance], 1) {
            *counts.entry(input).or_default() += 1;
        }
        assert!(counts.len() > 8 && counts.values().any(|count| *count > 2), "{:?}", counts.values());
    }

    #[test]
    fn most_simulations_spend_what_the_block_has_left_and_some_do_not() {
        let made = Made::of(&blocks::mainnet(), 1, 1024).unwrap();
        let unspent: HashSet<_> = made.unspent.iter().copied().collect();
        let inputs = made.requests(&[Viewed::Simulate], 64).unwrap();
        let right = inputs.iter().filter(|input| {
            let transaction: Transaction = deserialize(&input[9..]).unwrap();
            transaction.input.iter().all(|input| unspent.contains(&input.previous_output))
        });
        let right = right.count();
        assert!((48..64).contains(&right), "{right}");
    }
}
