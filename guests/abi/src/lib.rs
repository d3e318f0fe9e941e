//! The metashrew ABI, as seen from inside a guest.
//!
//! A guest exports `memory` and `_start` and imports the functions of [`host`] from `env`. Keys, values, logs
//! and flushes cross the border as *arraybuffers*: a pointer to the first byte, with the length as a
//! little-endian `u32` in the four bytes before it. The input is the block's height, four bytes
//! little-endian, followed by the block. A flush is the protobuf message `{ repeated bytes list = 1 }`, keys
//! and values in turn.
//!
//! Nothing here allocates, so that a guest can do without an allocator. What has one uses the crate
//! `indexer`.

#![no_std]

mod buffer;

pub use buffer::{ArrayBuffer, Fixed, HEADER};

mod host {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub safe fn __host_len() -> i32;
        pub fn __load_input(buffer: *mut u8);
        pub fn __get_len(key: *const u8) -> i32;
        pub fn __get(key: *const u8, value: *mut u8);
        pub fn __flush(list: *const u8);
        pub fn __log(text: *const u8);
    }
}

/// The length of the input, height included.
pub fn host_len() -> usize {
    host::__host_len() as u32 as usize
}

/// Fills `buffer`, which is [`host_len`] bytes long, with the input.
pub fn load_input(buffer: &mut impl ArrayBuffer) {
    assert!(buffer.bytes().len() == host_len());
    // SAFETY: the host writes `host_len` bytes, and the buffer has exactly as many.
    unsafe { host::__load_input(buffer.as_mut_ptr()) }
}

/// The length of the value of `key`; 0 if there is none.
pub fn get_len(key: &impl ArrayBuffer) -> usize {
    // SAFETY: the host reads the length header and that many bytes.
    unsafe { host::__get_len(key.as_ptr()) }.max(0) as usize
}

/// Fills `value` with the value of `key`.
///
/// # Safety
///
/// `value` is as long as [`get_len`] has said. Asking again to check would double what a read costs.
pub unsafe fn get(key: &impl ArrayBuffer, value: &mut impl ArrayBuffer) {
    // SAFETY: the host reads the key as above, and writes as many bytes as it has announced.
    unsafe { host::__get(key.as_ptr(), value.as_mut_ptr()) }
}

/// Hands the host an encoded list of keys and values.
pub fn flush(list: &impl ArrayBuffer) {
    // SAFETY: the host reads the length header and that many bytes.
    unsafe { host::__flush(list.as_ptr()) }
}

/// Writes a line to the host's log.
pub fn log(text: &impl ArrayBuffer) {
    // SAFETY: the host reads the length header and that many bytes.
    unsafe { host::__log(text.as_ptr()) }
}

/// Stops the guest with a trap.
pub fn trap() -> ! {
    core::arch::wasm32::unreachable()
}
