//! `stress/allocate`: makes a number of large allocations and holds them all until the block is done.
//!
//! The payload is two little-endian `u32` words: `count`, how many allocations, and `mebibytes`, the size of
//! each.
//!
//! It flushes `/allocate/<height>` (ASCII decimal) -> `SUCCESS:<total>MB`, or, when the memory is refused,
//! `ERROR:failed at allocation <i> of <count>: no room for <mebibytes>MB`. Either way the block succeeds.
//! That is the point: where the answer depends on the machine, so does what is stored, and nobody sees a
//! trap.

use std::hint::black_box;

/// The smallest page of any machine that runs this.
const PAGE: usize = 4096;
const MEBIBYTE: usize = 1 << 20;
const FILL: u8 = 0x42;

#[unsafe(no_mangle)]
pub extern "C" fn _start() {
    let input = indexer::input();
    let height = input.height();
    let [count, mebibytes] = input.words();

    // Not even 4096 allocations of one MiB fit, so this list never grows while memory is short.
    let mut held = Vec::with_capacity(count.min(4096) as usize);
    let refused = (1..=count).find(|_| match allocate(mebibytes) {
        Some(memory) => {
            held.push(memory);
            false
        }
        None => true,
    });
    // Without this the compiler may see that nobody reads the memory, and do without it.
    black_box(&held);
    drop(held);

    let outcome = match refused {
        None => format!("SUCCESS:{}MB", u64::from(count) * u64::from(mebibytes)),
        Some(i) => format!("ERROR:failed at allocation {i} of {count}: no room for {mebibytes}MB"),
    };
    indexer::set(format!("/allocate/{height}").as_bytes(), outcome.as_bytes());
    indexer::flush();
}

/// Reserves first, which can fail, then writes page by page, which makes the host find the memory.
fn allocate(mebibytes: u32) -> Option<Vec<u8>> {
    let size = (mebibytes as usize).checked_mul(MEBIBYTE)?;
    let mut memory = Vec::new();
    memory.try_reserve_exact(size).ok()?;
    while memory.len() < size {
        memory.resize(memory.len() + PAGE, FILL);
    }
    Some(memory)
}
