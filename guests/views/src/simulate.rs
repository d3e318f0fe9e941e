//! A transaction, tried against the index.

use bitcoin::Transaction;
use bitcoin::consensus::deserialize;
use bitcoin::hashes::Hash;

use crate::unspent::Unspent;

/// More working memory than this is a mistake of the request's.
const MOST_KIB: u32 = 64 << 10;

/// Words between two that are written: every cache line is.
const STRIDE: usize = 8;

/// Looks the inputs up, and works over so much memory with what they are.
pub fn run(transaction: &[u8], kib: u32) -> Vec<u8> {
    let transaction: Transaction = match deserialize(transaction) {
        Ok(transaction) => transaction,
        Err(error) => indexer::fail(&format!("the transaction cannot be decoded: {error}")),
    };
    if kib > MOST_KIB {
        indexer::fail("more working memory than a request may ask for");
    }
    let mut left = 0_u64;
    let mut seed = 0;
    for input in &transaction.input {
        let outpoint = &input.previous_output;
        let place = [&outpoint.txid.as_byte_array()[..], &outpoint.vout.to_le_bytes()].concat();
        let Some(output) = Unspent::at(place.into()) else {
            indexer::fail(&format!("{outpoint} is unknown or spent"));
        };
        left = left.wrapping_add(output.amount());
        seed = output.place.iter().chain(&output.value[..]).fold(seed, |seed, byte| mixed(seed ^ u64::from(*byte)));
    }
    for output in &transaction.output {
        left = left.wrapping_sub(output.value.to_sat());
    }
    let worked = work(kib, seed);
    let txid = transaction.compute_txid();
    [&txid.as_byte_array()[..], &left.to_le_bytes(), &worked.to_le_bytes()].concat()
}

/// Fills working memory with words that follow from each other, and takes them all together.
fn work(kib: u32, mut word: u64) -> u64 {
    let mut memory = vec![0_u64; kib as usize * 1024 / size_of::<u64>()];
    for place in memory.iter_mut().step_by(STRIDE) {
        word = mixed(word);
        *place = word;
    }
    memory.iter().fold(0, |sum, word| sum ^ word)
}

/// A word that has each bit of another in many of its own: splitmix64, by S. Vigna, in the public domain.
fn mixed(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}
