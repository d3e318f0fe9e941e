use std::collections::HashMap;

use bitcoin::consensus::deserialize;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::{PubkeyHash, ScriptHash, TxOut, WPubkeyHash, WScriptHash};
use proptest::prelude::*;

use super::super::bip34;
use super::super::mix::{Locks, Spread};
use super::*;

/// What [`audit`] counts, over all blocks but the first.
#[derive(Debug, Default)]
struct Facts {
    transactions: usize,
    inputs: usize,
    outputs: usize,
    chained: usize,
    op_returns: usize,
    reveals: usize,
    /// Outputs by script: how many, and how often the same.
    scripts: HashMap<ScriptBuf, usize>,
}

impl Facts {
    fn share_of(&self, kind: impl Fn(&ScriptBuf) -> bool) -> f64 {
        let count: usize = self.scripts.iter().filter(|(script, _)| kind(script)).map(|(_, n)| n).sum();
        count as f64 / self.scripts.values().sum::<usize>() as f64
    }
}

/// Checks everything that the module promises of a trace.
fn audit(blocks: &[Block]) -> Facts {
    let mut facts = Facts::default();
    let mut unspent: HashMap<OutPoint, (TxOut, u32)> = HashMap::new();
    let mut parent = None;
    for (i, block) in blocks.iter().enumerate() {
        let height = block.height;
        let decoded: bitcoin::Block = deserialize(&block.bytes).expect("one block and nothing after it");
        assert_eq!(height, blocks[0].height + i as u32);
        assert!(decoded.check_merkle_root());
        assert!(decoded.check_witness_commitment());
        assert_eq!(bip34::height(&decoded), Some(height));
        decoded.header.validate_pow(Target::MAX_ATTAINABLE_REGTEST).expect("proof of work");
        assert_eq!(decoded.header.target(), Target::MAX_ATTAINABLE_REGTEST);
        assert!(decoded.weight() <= Weight::MAX_BLOCK);
        if let Some(parent) = parent.replace(decoded.block_hash()) {
            assert_eq!(decoded.header.prev_blockhash, parent);
        }
        let (coinbase, transactions) = decoded.txdata.split_first().expect("a coinbase");
        assert!(coinbase.is_coinbase());
        assert!((2..=100).contains(&coinbase.input[0].script_sig.len()));
        let mut fees = 0;
        for tx in transactions {
            let taken: u64 =
                tx.input.iter().map(|input| spend(input, height, &mut unspent, &mut facts)).sum();
            let given: u64 = tx.output.iter().map(|output| output.value.to_sat()).sum();
            fees += taken.checked_sub(given).expect("no more out than in");
            facts.transactions += 1;
            facts.op_returns +=
                usize::from(tx.output.iter().any(|output| output.script_pubkey.is_op_return()));
            receive(tx, height, &mut unspent);
            for output in tx.output.iter().filter(|output| !output.script_pubkey.is_op_return()) {
                facts.outputs += 1;
                *facts.scripts.entry(output.script_pubkey.clone()).or_default() += 1;
            }
        }
        let claimed: u64 = coinbase.output.iter().map(|output| output.value.to_sat()).sum();
        assert_eq!(claimed, subsidy(height) + fees);
        receive(coinbase, height, &mut unspent);
    }
    facts
}

fn receive(tx: &Transaction, height: u32, unspent: &mut HashMap<OutPoint, (TxOut, u32)>) {
    let txid = tx.compute_txid();
    for (vout, output) in (0..).zip(&tx.output) {
        let twice = unspent.insert(OutPoint { txid, vout }, (output.clone(), height));
        assert_eq!(twice, None, "two transactions with one txid");
    }
}

/// Checks that what `input` spends exists and that its unlocking fits; returns the satoshis.
fn spend(input: &TxIn, height: u32, unspent: &mut HashMap<OutPoint, (TxOut, u32)>, facts: &mut Facts) -> u64 {
    let (output, born) = unspent.remove(&input.previous_output).expect("spends an unspent output");
    facts.inputs += 1;
    facts.chained += usize::from(born == height);
    let (script, witness) = (&output.script_pubkey, &input.witness);
    let pushes: Vec<Vec<u8>> = input
        .script_sig
        .instructions()
        .map(|i| i.unwrap().push_bytes().unwrap().as_bytes().to_vec())
        .collect();
    let last = witness.last().unwrap_or_default();
    if script.is_p2pkh() {
        assert_eq!((pushes.len(), pushes[0].len(), witness.len()), (2, 71, 0));
        assert_eq!(*script, ScriptBuf::new_p2pkh(&PubkeyHash::hash(&pushes[1])));
        assert_eq!(
            bitcoin::ecdsa::Signature::from_slice(&pushes[0]).unwrap().to_vec(),
            pushes[0],
            "strict DER"
        );
    } else if script.is_p2sh() {
        assert_eq!((pushes.len(), witness.len()), (1, 2));
        assert_eq!(*script, ScriptBuf::new_p2sh(&ScriptHash::hash(&pushes[0])));
        assert_eq!(pushes[0], ScriptBuf::new_p2wpkh(&WPubkeyHash::hash(last)).into_bytes());
    } else if script.is_p2wpkh() {
        assert_eq!((pushes.len(), witness.len()), (0, 2));
        assert_eq!(*script, ScriptBuf::new_p2wpkh(&WPubkeyHash::hash(last)));
    } else if script.is_p2wsh() {
        assert_eq!((pushes.len(), witness.len()), (0, 4));
        assert_eq!(*script, ScriptBuf::new_p2wsh(&WScriptHash::hash(last)));
        assert!(ScriptBuf::from_bytes(last.to_vec()).is_multisig());
    } else {
        assert!(script.is_p2tr());
        assert_eq!(witness.iter().next().map(<[u8]>::len), Some(64));
        let leaf = witness.taproot_leaf_script();
        assert_eq!(witness.len(), if leaf.is_some() { 3 } else { 1 });
        facts.reveals += usize::from(leaf.is_some());
        assert!(
            leaf.is_none_or(|leaf| leaf.script.instructions().all(|i| i.is_ok())),
            "whole pushes, of 520 bytes at most"
        );
    }
    output.value.to_sat()
}

fn small(name: &str, bytes: usize) -> Mix {
    let mix = Mix::named(name).expect("a preset");
    Mix { bytes: mix.bytes.min(bytes), stock: mix.stock.min(200), ..mix }
}

#[test]
fn every_preset_is_valid_and_as_named_at_its_full_size() {
    for name in Mix::NAMES {
        let mix = Mix::named(name).unwrap();
        let blocks = generate(&mix, 1, 840_000, 2);
        assert_eq!(blocks.len(), 2);
        let facts = audit(&blocks);
        for block in &blocks[1..] {
            let decoded: bitcoin::Block = deserialize(&block.bytes).unwrap();
            let full = block.bytes.len() > mix.bytes.saturating_sub(400)
                || decoded.weight() > Weight::MAX_BLOCK - Weight::from_vb_unchecked(400);
            assert!(full || name == "empty", "{name}: {} bytes, {}", block.bytes.len(), decoded.weight());
            assert!(block.bytes.len() <= mix.bytes.max(300), "{name}: {} bytes", block.bytes.len());
        }
        assert_eq!(facts.transactions == 0, name == "empty", "{name}: {}", facts.transactions);
    }
}

#[test]
fn the_first_block_funds_and_the_rest_spends() {
    let blocks = generate(&small("payments", 20_000), 3, 5, 2);
    let [first, second] = [0, 1].map(|i| deserialize::<bitcoin::Block>(&blocks[i].bytes).unwrap());
    assert_eq!(first.txdata.len(), 1);
    assert_eq!(first.txdata[0].output.len(), 200 + 1, "the stock, and the commitment");
    assert!(second.txdata.len() > 20, "{}", second.txdata.len());
}

#[test]
fn the_bytes_are_pinned() {
    // A change here makes a new trace: raise the version of whatever workload uses it.
    let pinned = [
        ("empty", "37a86b8b141ea819d4d359ef9d05bd0b721b7f708e9e34674a175417ca0f7cdf"),
        ("payments", "2dc2c40f16411316991f339b8ce2ac9a68573d3ba9a2d64abe9150fd1a254ce7"),
        ("consolidation", "b31f24ab2bdde116f390666d02d9e39307d34f41421796c3651e998ea2d113d7"),
        ("inscriptions", "c88945d28155cf18164cb51472d71526312df7da47a152cf170036e44afbd005"),
        ("tokens", "0cd575b991dfeed614b3c9a757358945092dbe9b61f0345d894319744753107a"),
    ];
    let mut found = Vec::new();
    for (name, _) in pinned {
        let blocks = generate(&small(name, 30_000), 42, 100_000, 4);
        let inputs: Vec<u8> = blocks.iter().flat_map(Block::input).collect();
        found.push((name, sha256::Hash::hash(&inputs).to_string()));
    }
    assert_eq!(found, pinned.map(|(name, digest)| (name, digest.to_owned())));
}

#[test]
fn a_longer_trace_begins_with_the_shorter_one() {
    let mix = small("payments", 10_000);
    assert_eq!(generate(&mix, 9, 50, 6)[..2], generate(&mix, 9, 50, 2));
    assert!(generate(&mix, 9, 50, 0).is_empty());
}

#[test]
fn another_seed_is_another_trace() {
    let mix = small("payments", 10_000);
    let (one, two) = (generate(&mix, 1, 50, 2), generate(&mix, 2, 50, 2));
    let hash = |block: &Block| deserialize::<bitcoin::Block>(&block.bytes).unwrap().block_hash();
    assert_ne!(hash(&one[0]), hash(&two[0]));
    assert_ne!(hash(&one[1]), hash(&two[1]));
}

#[test]
fn heights_have_their_edges() {
    let mix = small("payments", 3_000);
    let blocks = generate(&mix, 1, 0, 20);
    audit(&blocks);
    let genesis: bitcoin::Block = deserialize(&blocks[0].bytes).unwrap();
    assert_eq!(genesis.header.prev_blockhash, BlockHash::all_zeros());
    // As Bitcoin Core does, 1 to 16 are pushed as opcodes, which the crate's own check does not know.
    let seventeen: bitcoin::Block = deserialize(&blocks[17].bytes).unwrap();
    assert_eq!(seventeen.bip34_block_height(), Ok(17));
    let last = generate(&mix, 1, u32::MAX - 1, 5);
    assert_eq!(last.iter().map(|block| block.height).collect::<Vec<_>>(), [u32::MAX - 1, u32::MAX]);
}

#[test]
fn a_trace_lives_without_subsidy() {
    let blocks = generate(&small("payments", 10_000), 1, 7_000_000, 3);
    assert_eq!(subsidy(7_000_000), 0);
    assert!(audit(&blocks).transactions > 20);
}

#[test]
fn subsidies_are_mainnets() {
    let expected =
        [(0, 5_000_000_000), (209_999, 5_000_000_000), (210_000, 2_500_000_000), (840_000, 312_500_000)];
    for (height, satoshis) in expected {
        assert_eq!(subsidy(height), satoshis);
    }
    assert_eq!(subsidy(u32::MAX), 0);
}

#[test]
fn payments_look_like_the_block_they_are_modelled_on() {
    let facts = audit(&generate(&Mix::payments(), 7, 800_000, 3));
    let about = |what: &str, value: f64, low: f64, high: f64| {
        assert!((low..high).contains(&value), "{what}: {value}, not within {low}..{high}");
    };
    let transactions = facts.transactions as f64;
    // Of the block: 2.61 and 2.41; its one transaction of 1,012 inputs is left out of the brackets.
    about("inputs each", facts.inputs as f64 / transactions, 2.1, 2.7);
    about("outputs each", facts.outputs as f64 / transactions, 2.2, 2.7);
    about("transactions", transactions / 2.0, 2_700.0, 3_700.0);
    about("chained", facts.chained as f64 / facts.inputs as f64, 0.04, 0.06);
    about("OP_RETURN", facts.op_returns as f64 / facts.transactions as f64, 0.004, 0.014);
    about("P2WPKH", facts.share_of(|s| s.is_p2wpkh()), 0.39, 0.45);
    about("P2TR", facts.share_of(|s| s.is_p2tr()), 0.22, 0.28);
    about("P2WSH", facts.share_of(|s| s.is_p2wsh()), 0.02, 0.04);
    about("fresh scripts", facts.scripts.len() as f64 / facts.outputs as f64, 0.75, 0.95);
}

#[test]
fn no_share_is_none_and_full_share_is_all() {
    let mix = Mix { chained: 0, reuse: 0, op_return: 0, ..small("payments", 20_000) };
    let none = audit(&generate(&mix, 1, 100, 3));
    assert_eq!((none.op_returns, none.reveals), (0, 0));
    assert_eq!(none.scripts.len(), none.outputs, "no script twice");
    let all = audit(&generate(&Mix { op_return: u16::MAX, reuse: 1000, ..mix }, 1, 100, 3));
    assert_eq!(all.op_returns, all.transactions);
    assert!(all.scripts.len() < 10, "{}", all.scripts.len());
}

fn any_spread(max: u32) -> impl Strategy<Value = Spread> {
    // Brackets the wrong way round among them.
    let bracket = (0..=max, 0..=max, 0..=3_u32).prop_map(|(low, high, weight)| (low..=high, weight));
    prop::collection::vec(bracket, 0..3).prop_map(Spread)
}

fn any_mix() -> impl Strategy<Value = Mix> {
    let locks = (0..=2_u32, 0..=2_u32, 0..=2_u32, 0..=2_u32, 0..=2_u32)
        .prop_map(|(p2pkh, p2sh, p2wpkh, p2wsh, p2tr)| Locks { p2pkh, p2sh, p2wpkh, p2wsh, p2tr });
    let shares = (any::<u16>(), 0..=1000_u16, 0..=1000_u16, 0..=1000_u16);
    let spreads = (any_spread(300), any_spread(300), any_spread(9_000));
    (0..12_000_usize, 0..300_usize, spreads, locks, shares).prop_map(
        |(bytes, stock, spreads, locks, shares)| {
            let ((inputs, outputs, content), (chained, reuse, op_return, inscription)) = (spreads, shares);
            Mix { bytes, stock, inputs, outputs, locks, chained, reuse, op_return, inscription, content }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_mix_gives_valid_blocks(mix in any_mix(), seed: u64, start in 0..8_000_000_u32) {
        let blocks = generate(&mix, seed, start, 3);
        audit(&blocks);
        for block in &blocks[1..] {
            prop_assert!(block.bytes.len() <= mix.bytes.max(300));
        }
    }
}

#[test]
fn the_largest_counts_are_drawn_smaller() {
    let largest = || Spread::fixed(u32::MAX);
    let mix =
        Mix { inputs: largest(), outputs: largest(), content: largest(), ..small("inscriptions", 50_000) };
    for bytes in [50_000, usize::MAX] {
        assert!(audit(&generate(&Mix { bytes, ..mix.clone() }, 1, 800_000, 2)).transactions > 0);
    }
}

#[test]
fn more_than_a_block_can_hold_fills_it_to_its_weight() {
    let mix = Mix { bytes: usize::MAX, stock: usize::MAX, ..Mix::consolidation() };
    let blocks = generate(&mix, 1, 800_000, 2);
    audit(&blocks);
    let decoded: bitcoin::Block = deserialize(&blocks[1].bytes).unwrap();
    assert!(decoded.weight() > Weight::MAX_BLOCK - Weight::from_vb_unchecked(400), "{}", decoded.weight());
}
