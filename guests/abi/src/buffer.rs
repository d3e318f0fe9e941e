//! Arraybuffers: bytes with their length right before them.

/// The size of the length before the bytes.
pub const HEADER: usize = size_of::<u32>();

/// Bytes that the host finds by a pointer, with their length in the four bytes before it.
pub trait ArrayBuffer {
    fn bytes(&self) -> &[u8];
    fn push(&mut self, bytes: &[u8]);
    fn as_ptr(&self) -> *const u8;
    fn as_mut_ptr(&mut self) -> *mut u8;

    /// Appends one element of the flushed list: the tag of field 1, the length as a varint, the bytes.
    fn push_element(&mut self, bytes: &[u8]) {
        self.push(&[0x0a]);
        let mut rest = bytes.len();
        while rest >= 0x80 {
            self.push(&[rest as u8 | 0x80]);
            rest >>= 7;
        }
        self.push(&[rest as u8]);
        self.push(bytes);
    }
}

/// An arraybuffer of at most `N` bytes, wherever the guest puts it.
#[repr(C)]
pub struct Fixed<const N: usize> {
    len: u32,
    bytes: [u8; N],
}

impl<const N: usize> Fixed<N> {
    /// Empty, with room for `N` bytes.
    pub const fn new() -> Self {
        Fixed { len: 0, bytes: [0; N] }
    }

    /// Full: exactly these bytes.
    pub const fn of(bytes: [u8; N]) -> Self {
        Fixed { len: N as u32, bytes }
    }

    /// Appends `number` in decimal; `core::fmt` would be larger than the guests that need this.
    pub fn push_decimal(&mut self, number: u32) {
        if number >= 10 {
            self.push_decimal(number / 10);
        }
        self.push(&[b'0' + (number % 10) as u8]);
    }
}

impl<const N: usize> Default for Fixed<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> ArrayBuffer for Fixed<N> {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len as usize]
    }

    fn push(&mut self, bytes: &[u8]) {
        let start = self.len as usize;
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len() as u32;
    }

    fn as_ptr(&self) -> *const u8 {
        (&raw const *self).cast::<u8>().wrapping_add(HEADER)
    }

    fn as_mut_ptr(&mut self) -> *mut u8 {
        (&raw mut *self).cast::<u8>().wrapping_add(HEADER)
    }
}
