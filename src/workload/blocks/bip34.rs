//! The height that a coinbase states (BIP 34): the first push of its script, in blocks of version 2 and
//! above.

use bitcoin::Block;

/// The height that `block` states, if its version says that it states one.
///
/// A version of 2 or more is a promise and not a proof: some version-2 blocks from before enforcement (height
/// 227,931) and hand-made blocks break it, so callers compare the answer with what else they know.
pub(super) fn height(block: &Block) -> Option<u32> {
    let script = &block.txdata.first()?.input.first()?.script_sig;
    height_in(block.header.version.to_consensus(), script.as_bytes())
}

/// [`height`] from the header's version and the beginning of the coinbase's script.
pub(super) fn height_in(version: i32, script: &[u8]) -> Option<u32> {
    if version < 2 {
        return None;
    }
    let (&opcode, rest) = script.split_first()?;
    match opcode {
        0x00 => Some(0),
        // Bitcoin Core pushes 1 to 16 as OP_1 to OP_16, which crate `bitcoin` does not take for a height.
        0x51..=0x60 => Some(u32::from(opcode - 0x50)),
        1..=5 => {
            let digits = rest.get(..usize::from(opcode))?;
            // Script numbers are little-endian; the top bit of the last byte is the sign.
            if digits.last()? & 0x80 != 0 {
                return None;
            }
            let number = digits.iter().rev().fold(0_u64, |number, &digit| number << 8 | u64::from(digit));
            u32::try_from(number).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_of_every_length() {
        assert_eq!(height_in(2, &[0x00]), Some(0));
        assert_eq!(height_in(2, &[0x51, 0xff]), Some(1));
        assert_eq!(height_in(2, &[0x60]), Some(16));
        assert_eq!(height_in(2, &[0x01, 0x11]), Some(17));
        assert_eq!(height_in(2, &[0x02, 0x80, 0x00]), Some(128));
        assert_eq!(height_in(4, &[0x03, 0x8d, 0xb9, 0x0a, 0x99]), Some(702_861));
        assert_eq!(height_in(2, &[0x05, 0xff, 0xff, 0xff, 0xff, 0x00]), Some(u32::MAX));
    }

    #[test]
    fn what_states_no_height() {
        let genesis = bitcoin::constants::genesis_block(bitcoin::Network::Bitcoin);
        assert_eq!(height(&genesis), None, "version 1");
        assert_eq!(height_in(1, &[0x03, 0x8d, 0xb9, 0x0a]), None, "version 1");
        assert_eq!(height_in(2, &[]), None, "an empty script");
        assert_eq!(height_in(2, &[0x03, 0x8d, 0xb9]), None, "cut off");
        assert_eq!(height_in(2, &[0x01, 0x81]), None, "negative");
        assert_eq!(height_in(2, &[0x05, 0xff, 0xff, 0xff, 0xff, 0x01]), None, "above u32::MAX");
        assert_eq!(height_in(2, &[0x6a]), None, "not a push");
    }

    #[test]
    fn a_block_without_transactions_states_none() {
        let mut block = bitcoin::constants::genesis_block(bitcoin::Network::Regtest);
        block.header.version = bitcoin::block::Version::TWO;
        block.txdata.clear();
        assert_eq!(height(&block), None);
    }
}
