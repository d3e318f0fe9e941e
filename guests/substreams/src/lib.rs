//! `foreign/substreams`: a handler of Substreams that keeps track of outputs and of what each script has.
//!
//! | key | value |
//! |---|---|
//! | `output:<txid>:<index>` | amount and script of the output, `spent` once it is |
//! | `balance:<script>` | what its outputs come to, spent ones deducted |
//! | `block:<height>` | numbers of transactions, outputs, inputs spent, inputs missing, outputs cached in the end |
//! | `first` | the first height |
//!
//! Amounts are in satoshis. Ordinals are positions in the block.

mod block;
mod host;

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

use block::{Block, Transaction, Vin};
use prost::Message;

/// Without a seed of the host's, the same on all of them.
type Outputs = HashMap<String, Output, BuildHasherDefault<DefaultHasher>>;

thread_local! {
    /// The outputs that this instance has seen. It outlives the block, so that what was not reset shows in what is stored.
    static CACHE: RefCell<Outputs> = RefCell::default();
}

/// What can be spent.
struct Output {
    amount: i64,
    script: String,
}

/// What one block has done.
#[derive(Default)]
struct Tally {
    outputs: u32,
    spent: u32,
    missing: u32,
}

/// Runs a block.
///
/// # Safety
/// The host has filled so many bytes there, which `alloc` has given it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn store_outputs(at: *const u8, length: usize) {
    host::report_panics();
    // SAFETY: the caller's promise.
    let bytes = unsafe { std::slice::from_raw_parts(at, length) };
    let block = Block::decode(bytes).expect("a block");
    let last = block.tx.len() as i64;
    let mut tally = Tally::default();
    for (ordinal, transaction) in (0..).zip(&block.tx) {
        tally.take(ordinal, transaction);
    }
    let Tally { outputs, spent, missing } = tally;
    let cached = CACHE.with_borrow(Outputs::len);
    host::delete_prefix(last, "block:");
    host::set_if_not_exists(last, "first", &block.height.to_string());
    let record = format!("{last} {outputs} {spent} {missing} {cached}");
    host::set(last, &format!("block:{}", block.height), &record);
    host::println(&record);
}

impl Tally {
    fn take(&mut self, ordinal: i64, transaction: &Transaction) {
        for input in transaction.vin.iter().filter(|input| input.coinbase.is_empty()) {
            self.spend(ordinal, input);
        }
        for output in &transaction.vout {
            let script = output.script_pub_key.as_ref().map_or("", |script| &script.hex);
            let amount = (output.value * 1e8).round() as i64;
            let key = format!("output:{}:{}", transaction.txid, output.n);
            host::set(ordinal, &key, &format!("{amount} {script}"));
            host::add(ordinal, &format!("balance:{script}"), amount);
            CACHE.with_borrow_mut(|cache| cache.insert(key, Output { amount, script: script.into() }));
            self.outputs += 1;
        }
    }

    fn spend(&mut self, ordinal: i64, input: &Vin) {
        let key = format!("output:{}:{}", input.txid, input.vout);
        let cached = CACHE.with_borrow_mut(|cache| cache.remove(&key));
        let Some(output) = cached.or_else(|| stored(&key)) else {
            // An index that starts in the middle of the chain does not know the older outputs.
            self.missing += 1;
            return;
        };
        host::set(ordinal, &key, "spent");
        host::add(ordinal, &format!("balance:{}", output.script), -output.amount);
        self.spent += 1;
    }
}

/// An output of an earlier block, or of this one where the cache has lost it.
fn stored(key: &str) -> Option<Output> {
    let value = host::get(key)?;
    let (amount, script) = value.split_once(' ')?;
    Some(Output { amount: amount.parse().expect("an amount"), script: script.into() })
}
