//! `view/*`: an indexer with views, as modules of metashrew are. It indexes as `indexer/utxo` does, and answers from that.
//!
//! A view is given a height, four bytes little-endian, and its request.
//!
//! | view | request | answer |
//! |---|---|---|
//! | `balance` | a script | the sum of its unspent outputs, and their number |
//! | `outputs` | scripts, each behind its length | their unspent outputs, each behind its length: outpoint, height, amount, script |
//! | `simulate` | KiB of working memory, and a transaction | its txid, what its inputs have over its outputs, and a number that follows from every word of the working memory |
//!
//! Numbers are little-endian: `u64` amounts and sums, `u16` lengths of scripts, and `u32` all others. `simulate` fails where an
//! output that the transaction spends is unknown or spent.

#[path = "../../utxo/src/lib.rs"]
mod index;
mod simulate;
mod unspent;

use unspent::unspent;

#[unsafe(no_mangle)]
pub extern "C" fn balance() -> i32 {
    let input = indexer::input();
    let (mut sum, mut count) = (0_u64, 0_u32);
    for output in unspent(input.payload()) {
        sum += output.amount();
        count += 1;
    }
    indexer::answer(&[&sum.to_le_bytes()[..], &count.to_le_bytes()].concat())
}

#[unsafe(no_mangle)]
pub extern "C" fn outputs() -> i32 {
    let input = indexer::input();
    let mut rest = input.payload();
    let mut answer = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk() {
        let Some((script, tail)) = tail.split_at_checked(u16::from_le_bytes(*length).into()) else {
            indexer::fail("a script is cut short");
        };
        for output in unspent(script) {
            let length = (output.place.len() + output.value.len()) as u32;
            answer.extend(length.to_le_bytes());
            answer.extend_from_slice(&output.place);
            answer.extend_from_slice(&output.value);
        }
        rest = tail;
    }
    if !rest.is_empty() {
        indexer::fail("the length of a script is cut short");
    }
    indexer::answer(&answer)
}

#[unsafe(no_mangle)]
pub extern "C" fn simulate() -> i32 {
    let input = indexer::input();
    let Some((kib, transaction)) = input.payload().split_first_chunk() else {
        indexer::fail("the request is too short to say how much memory it takes");
    };
    indexer::answer(&simulate::run(transaction, u32::from_le_bytes(*kib)))
}
