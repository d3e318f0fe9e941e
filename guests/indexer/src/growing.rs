//! Arraybuffers that grow.

use abi::{ArrayBuffer, HEADER};

/// An arraybuffer on the heap. The header is rewritten with every push, so it is right at any time.
pub struct Growing(Vec<u8>);

impl Growing {
    /// `len` zero bytes, for the host to write to.
    pub fn zeroed(len: usize) -> Self {
        let mut buffer = Growing(vec![0; HEADER + len]);
        buffer.write_header();
        buffer
    }

    fn write_header(&mut self) {
        let len = (self.0.len() - HEADER) as u32;
        self.0[..HEADER].copy_from_slice(&len.to_le_bytes());
    }
}

impl Default for Growing {
    fn default() -> Self {
        Growing::zeroed(0)
    }
}

impl From<&[u8]> for Growing {
    fn from(bytes: &[u8]) -> Self {
        let mut buffer = Growing(Vec::with_capacity(HEADER + bytes.len()));
        buffer.0.extend([0; HEADER]);
        buffer.push(bytes);
        buffer
    }
}

impl ArrayBuffer for Growing {
    fn bytes(&self) -> &[u8] {
        &self.0[HEADER..]
    }

    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        self.write_header();
    }

    fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr().wrapping_add(HEADER)
    }

    fn as_mut_ptr(&mut self) -> *mut u8 {
        self.0.as_mut_ptr().wrapping_add(HEADER)
    }
}
