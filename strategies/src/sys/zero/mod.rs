//! Zeroing pages.
//!
//! An ordinary store first reads the line that it is about to overwrite. As long as the line is in the cache next to the
//! core, that costs little. Farther away it takes most of the time, unless the line was asked for before.
//! Where more is zeroed than all caches hold, reading doubles what memory has to move, and evicts everything else:
//! streaming stores (`MOVNTDQ`) write whole lines without reading them.

use std::fs;
use std::sync::OnceLock;

use crate::sys::page;

/// Bytes zeroed at once from which streaming pays: five eighths of the last-level cache.
///
/// With 32 MiB of it (AMD EPYC), a page of zeros took 47 ns with ordinary stores and 43 ns with streaming ones where
/// 16 MiB were zeroed (of which the guest then lost 13 ns per page that it touched again, since it found it in no cache),
/// and 117 against 43 ns where 32 MiB were. With 480 MiB (Intel Xeon) streaming takes 1.5 times as long as ordinary
/// stores where the same 64 MiB are zeroed again and again, and the guest loses as much again; where they have left the
/// cache meanwhile it takes as long (`docs/FLOORS.md`), before what the guest loses. A cache whose size is not
/// told may be that one.
fn from() -> usize {
    static FROM: OnceLock<usize> = OnceLock::new();
    *FROM.get_or_init(|| last_level_cache().map_or(usize::MAX, |bytes| bytes / 8 * 5))
}

/// The size in bytes of the last level of the first CPU's caches, as sysfs has it.
fn last_level_cache() -> Option<usize> {
    let sizes = (0..8).map_while(|index| {
        fs::read_to_string(format!("/sys/devices/system/cpu/cpu0/cache/index{index}/size")).ok()
    });
    sizes.filter_map(|size| kibibytes(&size)).max().map(|kibibytes| kibibytes << 10)
}

/// Reads a size such as `32768K`.
fn kibibytes(size: &str) -> Option<usize> {
    size.trim_end().strip_suffix('K')?.parse().ok()
}

/// Bytes zeroed at once from which asking for lines beforehand pays: it takes 10 ns a page where they are near already.
const BEYOND_NEAR: usize = 128 << 10;

/// Bytes that a cache moves at once, or fewer.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;

/// Zeroes pages, and orders what it stored before everything that follows its end.
pub(crate) struct Zeroer {
    streaming: bool,
    fetching: bool,
}

impl Zeroer {
    /// For so many bytes in all.
    pub(crate) fn new(bytes: usize) -> Self {
        let streaming = cfg!(target_arch = "x86_64") && bytes >= from();
        Self { streaming, fetching: !streaming && bytes > BEYOND_NEAR }
    }

    /// Says which pages come next, so that they can be on their way while others are written. It changes nothing else.
    pub(crate) fn fetch(&self, pages: &[u8]) {
        if self.fetching {
            fetch(pages);
        }
    }

    /// Zeroes whole pages.
    ///
    /// # Panics
    /// When the bytes are not whole pages.
    pub(crate) fn zero(&self, pages: &mut [u8]) {
        let whole = |value: usize| value.is_multiple_of(page::size());
        assert!(whole(pages.as_ptr().addr()) && whole(pages.len()));
        if self.streaming { stream(pages) } else { pages.fill(0) }
    }
}

impl Drop for Zeroer {
    fn drop(&mut self) {
        #[cfg(target_arch = "x86_64")]
        if self.streaming {
            // SAFETY: the fence is part of SSE, which every x86-64 CPU has.
            unsafe { std::arch::x86_64::_mm_sfence() };
        }
    }
}

/// Asks for pages without waiting for them.
#[cfg(target_arch = "x86_64")]
fn fetch(pages: &[u8]) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // By pages whose size the compiler knows, so that it unrolls the loop.
    for page in pages.as_chunks::<4096>().0 {
        for line in page.as_chunks::<LINE>().0 {
            // SAFETY: a prefetch is a hint: it reads nothing that could be seen, and never faults.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
        }
    }
}

/// There is no prefetch that Rust knows.
#[cfg(not(target_arch = "x86_64"))]
fn fetch(_: &[u8]) {}

/// Zeroes whole pages with streaming stores, which a fence has to follow.
#[cfg(target_arch = "x86_64")]
fn stream(pages: &mut [u8]) {
    use std::arch::x86_64::{__m128i, _mm_setzero_si128, _mm_stream_si128};
    for line in pages.as_chunks_mut::<LINE>().0 {
        let to = line.as_mut_ptr().cast::<__m128i>();
        // SAFETY: the four stores are within the line, which is exclusively borrowed, and aligned, since it is a part
        // of whole pages (asserted by the caller) that begins at a multiple of its size. `Zeroer` fences them.
        unsafe {
            for part in 0..4 {
                _mm_stream_si128(to.add(part), _mm_setzero_si128());
            }
        }
    }
}

/// The C library has what there is: `DC ZVA` on aarch64 zeroes a line without reading it.
#[cfg(not(target_arch = "x86_64"))]
fn stream(pages: &mut [u8]) {
    pages.fill(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::page::reserve;

    #[test]
    fn sizes_of_caches_are_read_as_the_kernel_writes_them() {
        assert_eq!(kibibytes("32768K\n"), Some(32_768));
        assert_eq!(kibibytes("48K"), Some(48));
        assert_eq!(kibibytes(""), None);
        assert_eq!(kibibytes("32M"), None);
    }

    #[test]
    fn whole_pages_are_zeroed_and_nothing_beside_them() {
        let (page, map) = (page::size(), reserve(4 * page::size()).unwrap());
        // SAFETY: the mapping is this test's own, and readable and writable as a whole.
        let bytes = unsafe { std::slice::from_raw_parts_mut(map.as_mut_ptr(), map.len()) };
        for zeroer in
            [Zeroer { streaming: true, fetching: false }, Zeroer { streaming: false, fetching: true }]
        {
            bytes.fill(7);
            zeroer.fetch(&bytes[page..]);
            assert!(bytes.iter().all(|byte| *byte == 7));
            zeroer.zero(&mut bytes[page..3 * page]);
            for (index, &byte) in bytes.iter().enumerate() {
                assert_eq!(byte == 0, (page..3 * page).contains(&index), "{index}");
            }
        }
    }
}
