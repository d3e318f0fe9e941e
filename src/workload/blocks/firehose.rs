//! Bitcoin blocks as Firehose's protobuf messages: what a handler of Substreams is given.

use std::sync::Arc;

use anyhow::{Context, Result};
use bitcoin::consensus::deserialize;
use bitcoin::hex::DisplayHex;
use bitcoin::{Address, Network, Script, Transaction, TxIn, TxOut};
use prost::Message;

use super::Block;

/// The messages, as the guest declares them.
#[path = "../../../guests/substreams/src/block.rs"]
mod message;

use message::{ScriptPubKey, ScriptSig, Vin, Vout};

/// The block as a message, with its first `most` transactions. What says the same twice is left out (each transaction as a whole in
/// hex, scripts in words), and so is what only the chain before it tells (the median time and the work).
///
/// # Errors
/// When it is no Bitcoin block.
pub fn message(block: &Block, most: usize) -> Result<Block> {
    let whole: bitcoin::Block =
        deserialize(&block.bytes).with_context(|| format!("block {} cannot be decoded", block.height))?;
    let header = &whole.header;
    let hash = header.block_hash().to_string();
    let (size, weight) = (whole.total_size() as u64, whole.weight().to_wu());
    let transactions = whole.txdata.iter().take(most).map(|tx| transaction(tx, &hash, header.time));
    let message = message::Block {
        size: i32::try_from(size)?,
        // A byte without witnesses weighs four, and one of a witness one.
        stripped_size: i32::try_from((weight - size) / 3)?,
        weight: i32::try_from(weight)?,
        height: block.height.into(),
        version: header.version.to_consensus(),
        version_hex: format!("{:08x}", header.version.to_consensus()),
        merkle_root: header.merkle_root.to_string(),
        tx: transactions.collect(),
        time: header.time.into(),
        nonce: header.nonce,
        bits: format!("{:08x}", header.bits.to_consensus()),
        difficulty: header.difficulty_float(),
        n_tx: u32::try_from(whole.txdata.len())?,
        previous_hash: header.prev_blockhash.to_string(),
        hash,
        ..message::Block::default()
    };
    Ok(Block { height: block.height, bytes: Arc::from(message.encode_to_vec()) })
}

fn transaction(tx: &Transaction, blockhash: &str, time: u32) -> message::Transaction {
    message::Transaction {
        txid: tx.compute_txid().to_string(),
        hash: tx.compute_wtxid().to_string(),
        size: tx.total_size() as i32,
        vsize: tx.vsize() as i32,
        weight: tx.weight().to_wu() as i32,
        version: tx.version.0 as u32,
        locktime: tx.lock_time.to_consensus_u32(),
        vin: tx.input.iter().map(|input| vin(input, tx.is_coinbase())).collect(),
        vout: (0..).zip(&tx.output).map(|(n, output)| vout(n, output)).collect(),
        blockhash: blockhash.into(),
        blocktime: time.into(),
        ..message::Transaction::default()
    }
}

fn vin(input: &TxIn, creates: bool) -> Vin {
    let script = input.script_sig.to_hex_string();
    let common = Vin {
        sequence: input.sequence.to_consensus_u32(),
        txinwitness: input.witness.iter().map(|item| item.to_lower_hex_string()).collect(),
        ..Vin::default()
    };
    if creates {
        return Vin { coinbase: script, ..common };
    }
    let place = input.previous_output;
    let script_sig = Some(ScriptSig { hex: script, ..ScriptSig::default() });
    Vin { txid: place.txid.to_string(), vout: place.vout, script_sig, ..common }
}

fn vout(n: u32, output: &TxOut) -> Vout {
    let script = &output.script_pubkey;
    let address = Address::from_script(script, Network::Bitcoin);
    Vout {
        value: output.value.to_btc(),
        n,
        script_pub_key: Some(ScriptPubKey {
            hex: script.to_hex_string(),
            r#type: kind(script).into(),
            address: address.map_or_else(|_| String::new(), |address| address.to_string()),
            ..ScriptPubKey::default()
        }),
    }
}

/// What Bitcoin Core calls a script of that form.
fn kind(script: &Script) -> &'static str {
    match () {
        () if script.is_p2pkh() => "pubkeyhash",
        () if script.is_p2sh() => "scripthash",
        () if script.is_p2wpkh() => "witness_v0_keyhash",
        () if script.is_p2wsh() => "witness_v0_scripthash",
        () if script.is_p2tr() => "witness_v1_taproot",
        () if script.is_p2pk() => "pubkey",
        () if script.is_op_return() => "nulldata",
        () => "nonstandard",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::blocks::mainnet;

    fn decoded(most: usize) -> message::Block {
        let message = message(&mainnet()[0], most).unwrap();
        message::Block::decode(&*message.bytes).unwrap()
    }

    #[test]
    fn a_message_says_what_the_block_says() {
        let block = decoded(usize::MAX);
        assert_eq!(block.hash, "000000000000000000000c835b2adcaedc20fdf6ee440009c249452c726dafae");
        assert_eq!((block.height, block.size, block.weight), (702_861, 1_381_836, 3_993_054));
        assert_eq!(block.stripped_size, 870_406);
        assert_eq!((block.n_tx, block.tx.len(), block.time), (2_500, 2_500, 1_633_002_641));
        assert_eq!(block.bits, "170ed0eb");
        let outputs = block.tx.iter().flat_map(|tx| &tx.vout);
        let kinds = outputs.map(|output| output.script_pub_key.as_ref().unwrap().r#type.as_str());
        assert_eq!(kinds.filter(|kind| *kind == "nulldata").count(), 23);
    }

    #[test]
    fn a_coinbase_has_no_output_that_it_spends() {
        let block = decoded(2);
        assert_eq!((block.n_tx, block.tx.len()), (2_500, 2));
        let [coinbase, payment] = &block.tx[..] else { panic!("two transactions") };
        assert!(coinbase.vin[0].txid.is_empty() && !coinbase.vin[0].coinbase.is_empty());
        assert!(!payment.vin[0].txid.is_empty() && payment.vin[0].coinbase.is_empty());
    }
}
