//! What is known of a block before it is decoded: its place, its parent and the height it states.

use bitcoin::block::Header;
use bitcoin::consensus::{Decodable, ReadExt};
use bitcoin::{BlockHash, OutPoint, VarInt};

use super::bip34;
use super::error::{BlocksError, Place};

/// A header and a count of transactions.
pub(super) const LEAST_BLOCK: u32 = 81;

/// As much of a block as is looked at: the header, and the coinbase beyond the height it states, which ends
/// within the first 150 bytes.
pub(super) const HEAD: usize = 160;

/// A block in a file.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// Which file, as an index into the sources.
    pub(super) source: usize,
    /// Where it is: bytes from the beginning of a file of Bitcoin Core's, blocks from that of any other.
    pub(super) offset: u64,
    pub(super) bytes: u32,
    pub(super) hash: BlockHash,
    pub(super) parent: BlockHash,
    /// Expected hashes to find the block.
    pub(super) work: f64,
    /// The height that its coinbase states.
    pub(super) stated: Option<u32>,
}

impl Record {
    /// The block of which `head` are the first [`HEAD`] bytes, or all.
    pub(super) fn new(
        head: &[u8],
        source: usize,
        offset: u64,
        bytes: u32,
        at: &Place,
    ) -> Result<Self, BlocksError> {
        let header = match Header::consensus_decode(&mut &head[..]) {
            Ok(header) if head.len() >= LEAST_BLOCK as usize => header,
            _ => return Err(BlocksError::Truncated { at: at.clone(), bytes: bytes as usize }),
        };
        Ok(Self {
            source,
            offset,
            bytes,
            hash: header.block_hash(),
            parent: header.prev_blockhash,
            work: work(header.bits.to_consensus()),
            stated: stated_height(header.version.to_consensus(), head.get(80..).unwrap_or_default()),
        })
    }
}

/// Expected hashes to find a block with these target bits: 2^256 / target. In floating point, because files
/// may hold any bits whatever and sums must not overflow; more than 53 bits are never needed to tell two
/// chains apart.
fn work(bits: u32) -> f64 {
    let mantissa = bits & 0x00ff_ffff;
    // Negative and zero targets cannot be met, so they count for nothing.
    if mantissa == 0 || mantissa > 0x007f_ffff {
        return 0.0;
    }
    let exponent = 256 - 8 * ((bits >> 24) as i32 - 3);
    2_f64.powi(exponent) / f64::from(mantissa)
}

/// The height that the coinbase states, from the bytes after the header; `None` if they are no coinbase.
fn stated_height(version: i32, mut rest: &[u8]) -> Option<u32> {
    let rest = &mut rest;
    VarInt::consensus_decode(rest).ok()?;
    i32::consensus_decode(rest).ok()?;
    if VarInt::consensus_decode(rest).ok()?.0 == 0 {
        // No inputs is the segwit marker: a flag follows, then the true count.
        rest.read_u8().ok()?;
        VarInt::consensus_decode(rest).ok()?;
    }
    OutPoint::consensus_decode(rest).ok()?;
    let length = usize::try_from(VarInt::consensus_decode(rest).ok()?.0).ok()?;
    bip34::height_in(version, &rest[..length.min(rest.len())])
}

#[cfg(test)]
mod tests {
    use super::super::real::mainnet;
    use super::*;

    #[test]
    fn work_is_two_to_the_256_by_the_target() {
        // Difficulty 1 is 2^32 hashes, very nearly; regtest's is 2.
        assert!((work(0x1d00_ffff) / 4_295_032_833.0 - 1.0).abs() < 1e-9);
        assert!((work(0x207f_ffff) - 2.0).abs() < 1e-6);
        assert!(work(0x170e_d0eb) > work(0x1d00_ffff));
        for impossible in [0, 0x1d00_0000, 0x1d80_0000, u32::MAX] {
            assert_eq!(work(impossible).to_bits(), 0, "{impossible:x}");
        }
        for odd in [1, 0x00ff_ffff, 0xff00_0001, 0xff7f_ffff] {
            assert!(work(odd).is_finite(), "{odd:x}");
        }
    }

    #[test]
    fn the_height_is_read_from_the_beginning_of_a_block() {
        let head = &mainnet()[0].bytes[80..HEAD];
        assert_eq!(stated_height(4, head), Some(702_861));
        assert_eq!(stated_height(1, head), None);
        for cut in 0..head.len() {
            let stated = stated_height(4, &head[..cut]);
            assert!(stated.is_none() || stated == Some(702_861), "{cut}: {stated:?}");
        }
    }
}
