//! Digests, in hex.

use sha2::{Digest, Sha256};

/// SHA-256 of nothing, in hex: what a block has flushed that flushed nothing.
pub fn digest_of_nothing() -> String {
    hex(&Sha256::digest([]))
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
