//! The ABI of Substreams' handlers, as seen from inside a guest.

use std::alloc::{Layout, alloc as allocate, dealloc as deallocate};

mod env {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub fn register_panic(
            message: *const u8,
            message_length: u32,
            file: *const u8,
            file_length: u32,
            line: u32,
            column: u32,
        );
    }
}

mod logger {
    #[link(wasm_import_module = "logger")]
    unsafe extern "C" {
        pub fn println(text: *const u8, length: u32);
    }
}

mod state {
    use super::Found;

    #[link(wasm_import_module = "state")]
    unsafe extern "C" {
        pub fn set(ordinal: i64, key: *const u8, key_length: u32, value: *const u8, value_length: u32);
        pub fn set_if_not_exists(
            ordinal: i64,
            key: *const u8,
            key_length: u32,
            value: *const u8,
            value_length: u32,
        );
        pub fn delete_prefix(ordinal: i64, prefix: *const u8, prefix_length: u32);
        pub fn add_int64(ordinal: i64, key: *const u8, key_length: u32, value: i64);
        pub fn get_last(store: u32, key: *const u8, key_length: u32, to: *mut Found) -> u32;
    }
}

/// Where the host has put a value.
#[repr(C)]
struct Found {
    at: *mut u8,
    length: u32,
}

fn layout(length: usize) -> Layout {
    Layout::array::<u8>(length).expect("a length of this address space")
}

/// Room for so many bytes.
#[unsafe(no_mangle)]
extern "C" fn alloc(length: usize) -> *mut u8 {
    match length {
        0 => std::ptr::dangling_mut(),
        // SAFETY: the layout is not of size zero.
        _ => unsafe { allocate(layout(length)) },
    }
}

/// Takes room back.
///
/// # Safety
/// It comes from [`alloc`] and has that length.
#[unsafe(no_mangle)]
unsafe extern "C" fn dealloc(at: *mut u8, length: usize) {
    if length > 0 {
        // SAFETY: the caller's promise.
        unsafe { deallocate(at, layout(length)) }
    }
}

/// Has panics told to the host, before the guest traps.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        let message = info.payload_as_str().unwrap_or("for an unknown reason");
        let (file, line, column) =
            info.location().map_or(("", 0, 0), |at| (at.file(), at.line(), at.column()));
        // SAFETY: the host reads as many bytes as it is told.
        unsafe {
            env::register_panic(
                message.as_ptr(),
                message.len() as u32,
                file.as_ptr(),
                file.len() as u32,
                line,
                column,
            );
        }
    }));
}

/// Writes a line to the host's log.
pub fn println(text: &str) {
    // SAFETY: the host reads as many bytes as it is told.
    unsafe { logger::println(text.as_ptr(), text.len() as u32) }
}

/// Stores a value.
pub fn set(ordinal: i64, key: &str, value: &str) {
    // SAFETY: the host reads as many bytes as it is told.
    unsafe {
        state::set(ordinal, key.as_ptr(), key.len() as u32, value.as_ptr(), value.len() as u32);
    }
}

/// Stores a value where the key has none.
pub fn set_if_not_exists(ordinal: i64, key: &str, value: &str) {
    // SAFETY: the host reads as many bytes as it is told.
    unsafe {
        state::set_if_not_exists(
            ordinal,
            key.as_ptr(),
            key.len() as u32,
            value.as_ptr(),
            value.len() as u32,
        );
    }
}

/// Forgets all keys that begin so.
pub fn delete_prefix(ordinal: i64, prefix: &str) {
    // SAFETY: the host reads as many bytes as it is told.
    unsafe { state::delete_prefix(ordinal, prefix.as_ptr(), prefix.len() as u32) }
}

/// Adds to the number of a key.
pub fn add(ordinal: i64, key: &str, value: i64) {
    // SAFETY: the host reads as many bytes as it is told.
    unsafe { state::add_int64(ordinal, key.as_ptr(), key.len() as u32, value) }
}

/// The value of a key.
pub fn get(key: &str) -> Option<String> {
    let mut found = Found { at: std::ptr::null_mut(), length: 0 };
    // SAFETY: the host reads as many bytes as it is told, and writes a pointer and a length.
    let is_there = unsafe { state::get_last(0, key.as_ptr(), key.len() as u32, &raw mut found) };
    (is_there == 1).then(|| {
        let length = found.length as usize;
        // SAFETY: the host has asked `alloc` for so many bytes and filled them all; an empty vector frees nothing.
        let bytes = unsafe { Vec::from_raw_parts(found.at, length, length) };
        String::from_utf8(bytes).expect("what was stored is text")
    })
}
