//! `indexer/utxo`: decodes every transaction of a block and keeps track of the outputs that can be spent.
//!
//! | key | value |
//! |---|---|
//! | `/outpoint/<txid><vout>` | height, amount and script of the output; empty once it is spent |
//! | `/script/<script>/length`, `/script/<script>/<index>` | the outpoints that have paid to a script |
//! | `/txid/<txid>` | height and position in the block |
//! | `/missing/<txid><vout>` | the transaction that spends an output that this index has never seen |
//! | `/block/<height>` | numbers of transactions, outputs, inputs spent, inputs missing, keys cached in the end |
//!
//! Numbers are little-endian, `u32` but for the `u64` amounts; hashes are in their internal byte order.

mod secp;

use bitcoin::consensus::deserialize;
use bitcoin::hashes::Hash;
use bitcoin::{Block, OutPoint, TxOut, Txid};

#[unsafe(no_mangle)]
pub extern "C" fn _start() {
    let input = indexer::input();
    let height = input.height();
    let block: Block = match deserialize(input.payload()) {
        Ok(block) => block,
        Err(error) => indexer::fail(&format!("block {height} cannot be decoded: {error}")),
    };

    let mut tally = Tally::default();
    for (position, transaction) in block.txdata.iter().enumerate() {
        let txid = transaction.compute_txid();
        let place = [height.to_le_bytes(), (position as u32).to_le_bytes()].concat();
        indexer::set(&key("/txid/", txid.as_byte_array()), &place);
        tally.transactions += 1;

        // A coinbase creates its money: its one input refers to nothing.
        if !transaction.is_coinbase() {
            for input in &transaction.input {
                tally.spend(&input.previous_output, &txid);
            }
        }
        for (vout, output) in transaction.output.iter().enumerate() {
            tally.create(&OutPoint::new(txid, vout as u32), output, height);
        }
    }

    let cached = 1 + indexer::cached();
    let Tally { transactions, outputs, spent, missing } = tally;
    let record = [transactions, outputs, spent, missing, cached].map(u32::to_le_bytes).concat();
    indexer::set(&key("/block/", &height.to_le_bytes()), &record);
    indexer::flush();
}

/// What one block has done.
#[derive(Default)]
struct Tally {
    transactions: u32,
    outputs: u32,
    spent: u32,
    missing: u32,
}

impl Tally {
    /// An index that starts in the middle of the chain doesn't know the older outputs, so one that is missing
    /// is written down and is no reason to stop.
    fn spend(&mut self, outpoint: &OutPoint, by: &Txid) {
        let place = place(outpoint);
        let output = key("/outpoint/", &place);
        if indexer::get(&output).is_empty() {
            indexer::set(&key("/missing/", &place), by.as_byte_array());
            self.missing += 1;
        } else {
            indexer::set(&output, &[]);
            self.spent += 1;
        }
    }

    fn create(&mut self, outpoint: &OutPoint, output: &TxOut, height: u32) {
        let place = place(outpoint);
        let script = output.script_pubkey.as_bytes();
        let value = [&height.to_le_bytes()[..], &output.value.to_sat().to_le_bytes(), script].concat();
        indexer::set(&key("/outpoint/", &place), &value);
        indexer::append(&key("/script/", script), &place);
        self.outputs += 1;
    }
}

fn key(prefix: &str, rest: &[u8]) -> Vec<u8> {
    [prefix.as_bytes(), rest].concat()
}

fn place(outpoint: &OutPoint) -> Vec<u8> {
    [&outpoint.txid.as_byte_array()[..], &outpoint.vout.to_le_bytes()].concat()
}
