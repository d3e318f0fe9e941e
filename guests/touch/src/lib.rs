//! `stress/touch`: writes to exactly as many pages as it is told to, in the pattern it is told to.
//!
//! It allocates nothing, and besides the pages it is asked to touch it dirties one page of stack.
//!
//! The payload is seven little-endian `u32` words:
//!
//! | word | meaning |
//! |---|---|
//! | `page_bytes` | the size of an OS page of the host, a power of two |
//! | `dirty` | how many distinct pages of the arena to touch |
//! | `shape` | 0: contiguous, 1: every second page, 2: random |
//! | `motion` | 0: the same pages in each block, 1: others with each height |
//! | `span` | how many pages the arena has; it begins at the first page boundary after the module's own data |
//! | `grow` | by how many wasm pages to grow the memory first; one word of each new OS page is touched, too |
//! | `seed` | which permutation, when random |
//!
//! A footprint that moves does so by its own size, wrapping around in the arena; a random one is drawn anew.
//!
//! To touch a page is to read a word, add one, and write it back. It flushes `/touch/<height>` (ASCII
//! decimal) -> the wrapping sum of the words as they were *before*, and the memory's size in wasm pages in
//! the end, two little-endian `u32`. In a fresh instance the sum is 0 and the size is what it was plus
//! `grow`; a word left over from another block shows in the sum.
//!
//! The host decides how large the memory is, by rewriting the module's minimum. What doesn't fit traps.

#![no_std]

mod pages;

use abi::{ArrayBuffer, Fixed};
use core::arch::wasm32::{memory_grow, memory_size};
use pages::{Pages, Params};

const WASM_PAGE: usize = 65536;
const CACHE_LINE: usize = 64;

unsafe extern "C" {
    /// Where the module's own data ends. Only its address means something; the linker puts it there.
    static __heap_base: u8;
}

#[unsafe(no_mangle)]
pub extern "C" fn _start() {
    let mut input = Fixed::<32>::of([0; 32]);
    if abi::host_len() != input.bytes().len() {
        fail(&Fixed::of(*b"touch: the payload is not seven words"));
    }
    abi::load_input(&mut input);
    let word = |i: usize| u32::from_le_bytes(core::array::from_fn(|byte| input.bytes()[4 * i + byte]));
    let height = word(0);
    let page_bytes = word(1) as usize;
    let params = Params { dirty: word(2), shape: word(3), motion: word(4), span: word(5), seed: word(7) };
    let grow = word(6) as usize;

    if !page_bytes.is_power_of_two() || page_bytes < CACHE_LINE {
        fail(&Fixed::of(*b"touch: that is no page size"));
    }
    let Some(pages) = Pages::new(&params, height) else {
        fail(&Fixed::of(*b"touch: the arena has not so many pages"));
    };
    let base = (&raw const __heap_base).addr().next_multiple_of(page_bytes);
    let end = base as u64 + u64::from(params.span) * page_bytes as u64;
    if end > memory_bytes() {
        fail(&Fixed::of(*b"touch: the arena does not fit in the memory"));
    }

    let mut sum = grown(grow, page_bytes);
    for page in pages {
        sum = sum.wrapping_add(touch(base, page as usize, page_bytes));
    }

    let mut key = Fixed::<32>::new();
    key.push(b"/touch/");
    key.push_decimal(height);
    let mut value = Fixed::<8>::new();
    value.push(&sum.to_le_bytes());
    value.push(&(memory_size(0) as u32).to_le_bytes());
    let mut list = Fixed::<64>::new();
    list.push_element(key.bytes());
    list.push_element(value.bytes());
    abi::flush(&list);
}

/// Grows the memory by `wasm_pages` and touches what is new.
fn grown(wasm_pages: usize, page_bytes: usize) -> u32 {
    let before = memory_grow(0, wasm_pages);
    if before == usize::MAX {
        fail(&Fixed::of(*b"touch: the memory cannot grow"));
    }
    // Pages of the host may be larger than those of wasm, and growth may begin in the middle of one.
    let start = before * WASM_PAGE;
    let step = page_bytes.min(WASM_PAGE);
    let steps = wasm_pages * (WASM_PAGE / step);
    (0..steps).fold(0u32, |sum, page| sum.wrapping_add(touch(start, page, step)))
}

/// Adds one to a word of the page and returns what it was. The word's place within the page differs from page
/// to page: the first words of all pages share a few sets of the processor's caches, and fighting for them
/// isn't what is measured.
fn touch(base: usize, page: usize, page_bytes: usize) -> u32 {
    let line = page % (page_bytes / CACHE_LINE);
    let word = (base + page * page_bytes + line * CACHE_LINE) as *mut u32;
    // SAFETY: aligned, within the memory, and beyond everything that the compiler and the linker have put
    // there.
    unsafe {
        let before = word.read_volatile();
        word.write_volatile(before.wrapping_add(1));
        before
    }
}

fn memory_bytes() -> u64 {
    memory_size(0) as u64 * WASM_PAGE as u64
}

fn fail<const N: usize>(why: &Fixed<N>) -> ! {
    abi::log(why);
    abi::trap()
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    abi::trap()
}
