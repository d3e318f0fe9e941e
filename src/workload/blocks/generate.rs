//! Synthetic blocks: the trace of a [`Mix`] from a seed.

use std::ops::RangeInclusive;

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::consensus::serialize;
use bitcoin::hashes::Hash;
use bitcoin::script::{Builder, PushBytesBuf};
use bitcoin::{
    Amount, BlockHash, CompactTarget, OutPoint, ScriptBuf, Sequence, Target, Transaction, TxIn, TxMerkleNode,
    TxOut, Weight, Witness, transaction,
};

use super::Block;
use super::mix::Mix;
use super::wallet::{Coin, Dice, Wallet};

/// Regtest's difficulty: half of all hashes satisfy it, so that a nonce is found at once.
const REGTEST_BITS: u32 = 0x207f_ffff;
/// Seconds between blocks, and the time of height 0: mainnet's, so that a height comes with about its true
/// date.
const SPACING: u32 = 600;
const GENESIS_TIME: u32 = 1_231_006_505;
/// Header, and a count of transactions of 3 bytes, which suffices to 65,535.
const FRAME_BYTES: usize = 80 + 3;
/// Outputs below this many satoshis would cost more to spend than they hold, so money is not split further.
const DUST: u64 = 1_000;
/// Outputs of a batch payout: what exchanges send.
const BATCH: RangeInclusive<usize> = 100..=500;
/// The widest output (P2WSH, P2TR) has 43 bytes, 172 weight units: this many fit in the first block, with a
/// third to spare.
const STOCK_MAX: usize = 16_000;
const OUTPUT_MAX: usize = 43;
/// The narrowest: 8 bytes of amount and 1 of length; outpoint, length and sequence.
const OUTPUT_MIN: usize = 9;
const INPUT_MIN: usize = 41;
/// Version bits with nothing signalled (BIP 9).
const VERSION_BITS: i32 = 0x2000_0000;
/// The value that goes into the witness commitment beside the root, reserved for later rules (BIP 141).
const WITNESS_RESERVED: [u8; 32] = [0; 32];

/// `count` blocks of `mix` from `start_height` on, in ascending height; fewer only if heights run out at
/// `u32::MAX`.
///
/// The same arguments give the same bytes on every machine, and a longer trace begins with the shorter one.
/// The first block funds the others: its coinbase pays out to `mix.stock` keys, and it holds nothing else. (A
/// block cannot spend its own coinbase, which commits to the block's witnesses.)
///
/// What holds, and is tested: blocks are chained, carry proof of work for regtest's target (bits `207fffff`),
/// a correct merkle root, BIP 34 height and witness commitment, and weigh no more than 4,000,000. Inputs
/// spend outputs that exist and are unspent, from earlier blocks of the trace or earlier transactions of the
/// block. No transaction pays out more than it takes in, and a coinbase pays out the subsidy (mainnet's
/// halvings) and the fees.
///
/// What does not hold: signatures and keys are random bytes of the right shape, so no script would verify.
/// Coinbases are spent from the next block on, not after 100, or else every trace would open with 100 empty
/// blocks. The first block's parent does not exist, unless its height is 0.
#[must_use]
pub fn generate(mix: &Mix, seed: u64, start_height: u32, count: usize) -> Vec<Block> {
    let mut miner = Miner::new(mix, seed, start_height);
    (start_height..=u32::MAX).take(count).map(|height| miner.mine(height)).collect()
}

/// What is left of a block.
#[derive(Clone, Copy)]
struct Room {
    bytes: usize,
    weight: u64,
}

impl Room {
    fn fits(self, tx: &Transaction) -> bool {
        tx.total_size() <= self.bytes && tx.weight().to_wu() <= self.weight
    }

    fn without(self, tx: &Transaction) -> Self {
        Room {
            bytes: self.bytes.saturating_sub(tx.total_size()),
            weight: self.weight.saturating_sub(tx.weight().to_wu()),
        }
    }
}

/// What a transaction shall be, before it is known whether that fits.
#[derive(Clone, Copy)]
struct Plan {
    batch: bool,
    inputs: usize,
    outputs: usize,
    op_return: Option<usize>,
    content: Option<usize>,
}

impl Plan {
    fn halved(self) -> Self {
        Plan {
            inputs: (self.inputs / 2).max(1),
            outputs: (self.outputs / 2).max(1),
            content: self.content.map(|bytes| bytes / 2),
            ..self
        }
    }

    fn is_smallest(self) -> bool {
        self.inputs == 1 && self.outputs == 1 && self.content.unwrap_or(0) == 0
    }
}

struct Miner<'a> {
    mix: &'a Mix,
    dice: Dice,
    wallet: Wallet,
    tip: BlockHash,
    funded: bool,
}

impl<'a> Miner<'a> {
    fn new(mix: &'a Mix, seed: u64, start_height: u32) -> Self {
        let mut dice = Dice::new(seed);
        let tip =
            if start_height == 0 { BlockHash::all_zeros() } else { BlockHash::from_byte_array(dice.bytes()) };
        Miner { mix, dice, wallet: Wallet::new(seed), tip, funded: false }
    }

    fn mine(&mut self, height: u32) -> Block {
        let (mut coinbase, owners) = self.coinbase(height);
        let mut transactions = Vec::new();
        let mut fees = 0;
        if self.funded {
            // The payout's amount and the commitment are still to come; they do not change the coinbase's
            // size.
            let frame = Weight::from_non_witness_data_size(FRAME_BYTES as u64).to_wu();
            let block = Room {
                bytes: self.mix.bytes.saturating_sub(FRAME_BYTES),
                weight: Weight::MAX_BLOCK.to_wu() - frame,
            };
            fees = self.fill(block.without(&coinbase), &mut transactions);
        }
        self.funded = true;
        self.distribute(subsidy(height) + fees, &mut coinbase.output[..owners.len()]);
        let block = assemble(self.tip, height, coinbase, transactions);
        self.receive(&block.txdata[0], &owners);
        self.wallet.next_block();
        self.tip = block.block_hash();
        Block { height, bytes: serialize(&block).into() }
    }

    /// A coinbase whose outputs have no money yet, and whom they pay; the last output awaits the witness
    /// commitment.
    fn coinbase(&mut self, height: u32) -> (Transaction, Vec<usize>) {
        let payouts = if self.funded { 1 } else { self.stock().min(self.mix.bytes / OUTPUT_MAX).max(1) };
        let (owners, mut output): (Vec<usize>, Vec<TxOut>) = (0..payouts).map(|_| self.payment()).unzip();
        output.push(TxOut { value: Amount::ZERO, script_pubkey: commitment([0; 32]) });
        // BIP 34, then the bytes that a miner is free to choose.
        let script_sig =
            Builder::new().push_int(i64::from(height)).push_slice(self.dice.bytes::<8>()).into_script();
        let input = TxIn {
            previous_output: OutPoint::null(),
            script_sig,
            sequence: Sequence::MAX,
            witness: Witness::from_slice(&[WITNESS_RESERVED]),
        };
        let version = transaction::Version::TWO;
        (Transaction { version, lock_time: LockTime::ZERO, input: vec![input], output }, owners)
    }

    fn stock(&self) -> usize {
        self.mix.stock.min(STOCK_MAX)
    }

    /// Adds transactions until none fits; returns the fees in satoshis.
    fn fill(&mut self, mut room: Room, transactions: &mut Vec<Transaction>) -> u64 {
        let mut fees = 0;
        while let Some((tx, fee)) = self.transaction(room) {
            room = room.without(&tx);
            fees += fee;
            transactions.push(tx);
        }
        fees
    }

    /// The next transaction, as large as planned or, at the end of the block, as fits; `None` if none does.
    fn transaction(&mut self, room: Room) -> Option<(Transaction, u64)> {
        let mut plan = self.plan();
        loop {
            let coins = self.choose(plan);
            if let Some(built) = self.build(plan, &coins, room) {
                return Some(built);
            }
            for coin in coins {
                self.wallet.put(coin);
            }
            if plan.is_smallest() {
                return None;
            }
            plan = plan.halved();
        }
    }

    fn plan(&mut self) -> Plan {
        if self.wallet.len() < self.stock() {
            let outputs = BATCH.start() + self.dice.index(BATCH.end() - BATCH.start() + 1);
            return Plan { batch: true, inputs: 1, outputs, op_return: None, content: None };
        }
        let op_return = self.dice.chance(self.mix.op_return);
        let inscription = self.dice.chance(self.mix.inscription);
        Plan {
            batch: false,
            inputs: self.dice.draw(&self.mix.inputs).max(1),
            outputs: self.dice.draw(&self.mix.outputs).max(1),
            op_return: op_return.then(|| 4 + self.dice.index(77)),
            content: inscription.then(|| self.dice.draw(&self.mix.content)),
        }
    }

    /// Takes out the coins that a transaction spends; the first is the one by which an inscription is
    /// revealed.
    fn choose(&mut self, plan: Plan) -> Vec<Coin> {
        let (dice, chained) = (&mut self.dice, self.mix.chained);
        let mut coins = Vec::new();
        if plan.batch {
            coins.extend(self.wallet.take_richest());
        } else if plan.content.is_some() {
            coins.extend(self.wallet.take_taproot(dice, chained));
        }
        while coins.len() < plan.inputs {
            let Some(coin) = self.wallet.take(dice, chained) else {
                break;
            };
            coins.push(coin);
        }
        coins
    }

    /// Spends `coins` as planned and takes in what comes out; returns the transaction and its fee. `None` if
    /// it does not fit: then no coin has moved.
    fn build(&mut self, plan: Plan, coins: &[Coin], room: Room) -> Option<(Transaction, u64)> {
        let total: u64 = coins.iter().map(|coin| coin.value).sum();
        let affordable = usize::try_from(total / DUST).unwrap_or(usize::MAX);
        let outputs = plan.outputs.min(affordable).max(1);
        // Before any of it is made: a mix may ask for content of gigabytes.
        let (base, content) = (coins.len() * INPUT_MIN + outputs * OUTPUT_MIN, plan.content.unwrap_or(0));
        if coins.is_empty() || base + content > room.bytes || (4 * base + content) as u64 > room.weight {
            return None;
        }
        let content = |i| plan.content.filter(|_| i == 0);
        let input = coins.iter().enumerate().map(|(i, coin)| self.spend(coin, content(i))).collect();
        let (owners, mut output): (Vec<usize>, Vec<TxOut>) = (0..outputs).map(|_| self.payment()).unzip();
        if let Some(bytes) = plan.op_return {
            let mut data = vec![0; bytes];
            self.dice.fill(&mut data);
            let data = PushBytesBuf::try_from(data).expect("80 bytes are a push");
            output.push(TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::new_op_return(data) });
        }
        let mut tx =
            Transaction { version: transaction::Version::TWO, lock_time: LockTime::ZERO, input, output };
        if !room.fits(&tx) {
            return None;
        }
        // 1 to 30 satoshis per virtual byte, and never more than a tenth of the money, or the trace would run
        // dry.
        let fee = (tx.vsize() as u64 * (1 + self.dice.below(30))).min(total / 10);
        self.distribute(total - fee, &mut tx.output[..outputs]);
        self.receive(&tx, &owners);
        Some((tx, fee))
    }

    fn spend(&mut self, coin: &Coin, content: Option<usize>) -> TxIn {
        let (script_sig, witness) = match content {
            Some(bytes) if self.wallet.is_taproot(coin) => {
                (ScriptBuf::new(), self.wallet.reveal(coin.owner, bytes, &mut self.dice))
            }
            _ => self.wallet.unlock(coin.owner, &mut self.dice),
        };
        TxIn {
            previous_output: coin.outpoint,
            script_sig,
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            witness,
        }
    }

    /// An output without money yet, and whom it pays.
    fn payment(&mut self) -> (usize, TxOut) {
        let owner = self.wallet.payee(&mut self.dice, &self.mix.locks, self.mix.reuse);
        (owner, TxOut { value: Amount::ZERO, script_pubkey: self.wallet.script_pubkey(owner) })
    }

    /// Splits `total` satoshis among `outputs` at random, all of it.
    fn distribute(&mut self, total: u64, outputs: &mut [TxOut]) {
        let mut left = total;
        let mut heirs = outputs.len() as u64;
        for output in outputs {
            // Up to twice the fair part, which at least two heirs can afford.
            let value = if heirs == 1 { left } else { self.dice.below(2 * (left / heirs) + 1) };
            output.value = Amount::from_sat(value);
            left -= value;
            heirs -= 1;
        }
    }

    /// Makes the first outputs of `tx` spendable by their owners.
    fn receive(&mut self, tx: &Transaction, owners: &[usize]) {
        let txid = tx.compute_txid();
        for ((vout, output), &owner) in (0..).zip(&tx.output).zip(owners) {
            let outpoint = OutPoint { txid, vout };
            self.wallet.put(Coin { outpoint, value: output.value.to_sat(), owner, fresh: true });
        }
    }
}

/// Mainnet's subsidy in satoshis: 50 bitcoin, halved every 210,000 blocks.
fn subsidy(height: u32) -> u64 {
    5_000_000_000_u64.checked_shr(height / 210_000).unwrap_or(0)
}

/// The output script that commits to a block's witnesses (BIP 141).
fn commitment(hash: [u8; 32]) -> ScriptBuf {
    let mut data = [0; 36];
    data[..4].copy_from_slice(&[0xaa, 0x21, 0xa9, 0xed]);
    data[4..].copy_from_slice(&hash);
    ScriptBuf::new_op_return(data)
}

/// Puts the block together: commitment, merkle root, proof of work.
fn assemble(
    parent: BlockHash,
    height: u32,
    coinbase: Transaction,
    transactions: Vec<Transaction>,
) -> bitcoin::Block {
    let header = Header {
        version: Version::from_consensus(VERSION_BITS),
        prev_blockhash: parent,
        merkle_root: TxMerkleNode::all_zeros(),
        time: GENESIS_TIME.saturating_add(height.saturating_mul(SPACING)),
        bits: CompactTarget::from_consensus(REGTEST_BITS),
        nonce: 0,
    };
    let mut block = bitcoin::Block { header, txdata: vec![coinbase] };
    block.txdata.extend(transactions);
    // The coinbase counts as zeros in the witness root, so the commitment can go into it afterwards.
    if let (Some(root), Some(last)) = (block.witness_root(), block.txdata[0].output.last_mut()) {
        let hash = bitcoin::Block::compute_witness_commitment(&root, &WITNESS_RESERVED);
        last.script_pubkey = commitment(hash.to_byte_array());
    }
    if let Some(root) = block.compute_merkle_root() {
        block.header.merkle_root = root;
    }
    while block.header.validate_pow(Target::MAX_ATTAINABLE_REGTEST).is_err() {
        block.header.nonce += 1;
    }
    block
}

#[cfg(test)]
mod tests;
