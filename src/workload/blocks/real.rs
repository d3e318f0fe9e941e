//! Real blocks that need no download.

use std::sync::Arc;

use super::Block;

/// The real mainnet blocks of crate `bitcoin-test-data`, in ascending height. Version 0.2 of the crate ships
/// one:
///
/// | height | mined | bytes | weight | transactions | inputs | outputs |
/// |---|---|---|---|---|---|---|
/// | 702,861 | 2021-09-30 | 1,381,836 | 3,993,054 | 2,500 | 6,517 | 6,013 |
///
/// It is a full block of ordinary payments from before Taproot; 22 of its outputs are `OP_RETURN`. Inputs and
/// outputs are counted without those of the coinbase.
///
/// A trace of several blocks repeats it or comes from [`read`](super::read).
#[must_use]
pub fn mainnet() -> Vec<Block> {
    vec![Block { height: 702_861, bytes: Arc::from(bitcoin_test_data::blocks::mainnet_702861()) }]
}

#[cfg(test)]
mod tests {
    use bitcoin::consensus::deserialize;
    use bitcoin::hashes::{Hash, sha256};

    use super::*;

    #[test]
    fn block_702861_is_the_one_in_the_chain() {
        let blocks = mainnet();
        assert_eq!(blocks.len(), 1);
        assert_eq!(
            sha256::Hash::hash(&blocks[0].bytes).to_string(),
            "0fae3a62075a705aabac9cf063250fae07a461065157500828c1c4721a92fb5a"
        );
        let block: bitcoin::Block = deserialize(&blocks[0].bytes).expect("a block");
        assert_eq!(
            block.block_hash().to_string(),
            "000000000000000000000c835b2adcaedc20fdf6ee440009c249452c726dafae"
        );
        block.header.validate_pow(block.header.target()).expect("proof of work");
        assert!(block.check_merkle_root());
        assert!(block.check_witness_commitment());
    }

    #[test]
    fn block_702861_is_as_the_table_says() {
        let [block] = &mainnet()[..] else { panic!("one block") };
        let decoded: bitcoin::Block = deserialize(&block.bytes).expect("a block");
        assert_eq!(decoded.bip34_block_height(), Ok(u64::from(block.height)));
        assert_eq!(block.bytes.len(), 1_381_836);
        assert_eq!(decoded.weight().to_wu(), 3_993_054);
        assert_eq!(decoded.txdata.len(), 2_500);
        assert_eq!(decoded.header.time, 1_633_002_641);
        let payments = &decoded.txdata[1..];
        assert_eq!(payments.iter().map(|tx| tx.input.len()).sum::<usize>(), 6_517);
        assert_eq!(payments.iter().map(|tx| tx.output.len()).sum::<usize>(), 6_013);
        let op_returns =
            payments.iter().flat_map(|tx| &tx.output).filter(|out| out.script_pubkey.is_op_return());
        assert_eq!(op_returns.count(), 22);
    }

    #[test]
    fn heights_ascend() {
        assert!(mainnet().is_sorted_by_key(|block| block.height));
    }
}
