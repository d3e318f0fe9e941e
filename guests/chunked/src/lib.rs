//! `stress/allocate-chunked`: takes in as many bytes as `stress/allocate`, but never holds more than one chunk of them.
//!
//! The payload is the same: two little-endian `u32` words, `count` and `mebibytes`. So is what is flushed when the memory
//! is to be had, which on this guest takes a hundredth of it.

use std::hint::black_box;

/// The smallest page of any machine that runs this.
const PAGE: usize = 4096;
const MEBIBYTE: usize = 1 << 20;
const CHUNK: u64 = 10;
const FILL: u8 = 0x42;

#[unsafe(no_mangle)]
pub extern "C" fn _start() {
    let input = indexer::input();
    let height = input.height();
    let [count, mebibytes] = input.words();

    let total = u64::from(count) * u64::from(mebibytes);
    let mut left = total;
    while left > 0 && process(left.min(CHUNK) as usize) {
        left -= left.min(CHUNK);
    }

    let outcome = match left {
        0 => format!("SUCCESS:{total}MB"),
        left => format!("ERROR:failed with {left}MB of {total}MB left: no room for a chunk"),
    };
    indexer::set(format!("/allocate/{height}").as_bytes(), outcome.as_bytes());
    indexer::flush();
}

/// Takes one chunk in and lets it go again.
fn process(mebibytes: usize) -> bool {
    let size = mebibytes * MEBIBYTE;
    let mut memory = Vec::new();
    if memory.try_reserve_exact(size).is_err() {
        return false;
    }
    while memory.len() < size {
        memory.resize(memory.len() + PAGE, FILL);
    }
    // Without this the compiler may see that nobody reads the memory, and do without it.
    black_box(&memory);
    true
}
