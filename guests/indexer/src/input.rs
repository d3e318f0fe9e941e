//! The block to index.

use abi::ArrayBuffer;

use crate::{Growing, fail};

/// One block as the host hands it over: a height and what follows it.
pub struct Input(Growing);

/// Fetches the block to index; without at least a height there is none, and the guest traps.
pub fn input() -> Input {
    let mut buffer = Growing::zeroed(abi::host_len());
    abi::load_input(&mut buffer);
    if buffer.bytes().len() < size_of::<u32>() {
        fail("the input is too short to hold a height");
    }
    Input(buffer)
}

impl Input {
    pub fn height(&self) -> u32 {
        word(self.0.bytes())
    }

    /// The bytes after the height: a serialised block, or a stress guest's parameters.
    pub fn payload(&self) -> &[u8] {
        &self.0.bytes()[size_of::<u32>()..]
    }

    /// The payload as `N` little-endian words; any other length is a mistake of the host's, and traps.
    pub fn words<const N: usize>(&self) -> [u32; N] {
        let payload = self.payload();
        if payload.len() != N * size_of::<u32>() {
            fail("the payload has not the expected number of words");
        }
        std::array::from_fn(|i| word(&payload[i * size_of::<u32>()..]))
    }
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
