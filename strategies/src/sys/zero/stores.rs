//! Ways of storing zeros.
//!
//! An ordinary store first reads the line that it is about to overwrite. Where all that is zeroed is in a cache, that
//! costs little; where it is more than all caches hold, it doubles what memory has to move and evicts everything else.
//! Stores past the caches write whole lines without reading them, and whoever touches those lines next finds them in no
//! cache. Which of a kind is fastest differs from processor to processor, as do the instructions that there are.

use std::fmt;

use crate::sys::page;

/// Bytes of a cache line, and what the stores below go by.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;

/// A way of storing zeros into whole pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stores {
    /// What the C library does: `memset`.
    Libc,
    /// `REP STOSB`, which the processor makes of what it likes.
    Repeated,
    /// Vector stores of 32 bytes (AVX).
    Vectors32,
    /// Vector stores of 64 bytes (AVX-512).
    Vectors64,
    /// Stores of 16 bytes past the caches (SSE2's `MOVNTDQ`).
    Streaming16,
    /// Stores of 32 bytes past the caches (AVX's `VMOVNTDQ`).
    Streaming32,
    /// Stores of 64 bytes past the caches (AVX-512's `VMOVNTDQ`).
    Streaming64,
    /// `CLZERO` of AMD, which zeroes a line past the caches.
    LineZero,
}

impl Stores {
    /// All of them; of two that are equally fast, the first is taken.
    const ALL: [Self; 8] = [
        Self::Libc,
        Self::Vectors32,
        Self::Repeated,
        Self::Vectors64,
        Self::LineZero,
        Self::Streaming32,
        Self::Streaming64,
        Self::Streaming16,
    ];

    /// Those that this processor has, the plainest first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|stores| stores.is_available())
    }

    /// Whether what they write ends up in no cache.
    pub fn pass_caches(self) -> bool {
        matches!(self, Self::Streaming16 | Self::Streaming32 | Self::Streaming64 | Self::LineZero)
    }

    /// What it is called where people read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Libc => "memset",
            Self::Repeated => "REP STOSB",
            Self::Vectors32 => "AVX stores",
            Self::Vectors64 => "AVX-512 stores",
            Self::Streaming16 => "streaming SSE2 stores",
            Self::Streaming32 => "streaming AVX stores",
            Self::Streaming64 => "streaming AVX-512 stores",
            Self::LineZero => "CLZERO",
        }
    }

    fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return match self {
            Self::Libc | Self::Repeated | Self::Streaming16 => true,
            Self::Vectors32 | Self::Streaming32 => is_x86_feature_detected!("avx"),
            Self::Vectors64 | Self::Streaming64 => is_x86_feature_detected!("avx512f"),
            Self::LineZero => x86::zeroes_lines(),
        };
        // `DC ZVA`, which zeroes a line without reading it, is what the C library uses on aarch64.
        #[cfg(not(target_arch = "x86_64"))]
        return self == Self::Libc;
    }

    /// Zeroes whole pages; what this processor lacks is done by the C library. Stores past the caches are in no order with
    /// what follows until [`fence`] was called.
    ///
    /// # Panics
    /// When the bytes are not whole pages.
    pub(super) fn zero(self, pages: &mut [u8]) {
        let whole = |value: usize| value.is_multiple_of(page::size());
        assert!(whole(pages.as_ptr().addr()) && whole(pages.len()));
        #[cfg(target_arch = "x86_64")]
        if self != Self::Libc && self.is_available() {
            // SAFETY: the processor has the instructions, as has just been asked, and the bytes begin and end with a line,
            // since pages do.
            return unsafe {
                match self {
                    Self::Libc => {}
                    Self::Repeated => x86::repeated(pages),
                    Self::Vectors32 => x86::vectors_32(pages),
                    Self::Vectors64 => x86::vectors_64(pages),
                    Self::Streaming16 => x86::streaming_16(pages),
                    Self::Streaming32 => x86::streaming_32(pages),
                    Self::Streaming64 => x86::streaming_64(pages),
                    Self::LineZero => x86::line_zero(pages),
                }
            };
        }
        pages.fill(0);
    }
}

impl fmt::Display for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Orders stores past the caches before everything that follows.
pub(super) fn fence() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the fence is part of SSE, which every x86-64 CPU has.
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

/// Whether lines can be asked for without waiting for them.
pub(super) const CAN_FETCH: bool = cfg!(target_arch = "x86_64");

/// Asks for the lines of pages, where that can be done. It changes nothing else.
pub(super) fn fetch(pages: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    // By pages whose size the compiler knows, so that it unrolls the loop.
    for line in pages.as_chunks::<4096>().0.iter().flat_map(|page| page.as_chunks::<LINE>().0) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint: it reads nothing that could be seen, and never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = pages;
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;
    use std::arch::x86_64::*;
    use std::sync::OnceLock;

    use super::LINE;

    /// Whether there is `CLZERO`, and zeroes as many bytes as we take a line to have (AMD64 Architecture Programmer's
    /// Manual, volume 3: functions 8000_0008 and 8000_0005 of `CPUID`).
    pub(super) fn zeroes_lines() -> bool {
        static ZEROES: OnceLock<bool> = OnceLock::new();
        *ZEROES.get_or_init(|| {
            __cpuid(0x8000_0000).eax >= 0x8000_0008
                && __cpuid(0x8000_0008).ebx & 1 == 1
                && __cpuid(0x8000_0005).ecx & 0xff == LINE as u32
        })
    }

    pub(super) fn repeated(pages: &mut [u8]) {
        // SAFETY: it writes as many bytes as the slice has, upwards from where it begins, since the direction flag is clear
        // wherever Rust code runs.
        unsafe {
            asm!(
                "rep stosb",
                inout("rcx") pages.len() => _,
                inout("rdi") pages.as_mut_ptr() => _,
                in("al") 0_u8,
                options(nostack, preserves_flags)
            );
        }
    }

    /// # Safety
    /// The processor has the instruction, and the bytes begin and end with a line.
    pub(super) unsafe fn line_zero(pages: &mut [u8]) {
        for line in pages.as_chunks_mut::<LINE>().0 {
            // SAFETY: it writes zeros to the line that holds the address, which is this one.
            unsafe { asm!("clzero", in("rax") line.as_mut_ptr(), options(nostack, preserves_flags)) };
        }
    }

    /// A function that zeroes with the stores of a vector.
    macro_rules! by_vectors {
        ($name:ident, $feature:literal, $vector:ty, $zero:expr, $store:expr) => {
            /// # Safety
            /// The processor has the feature, and the bytes begin and end with a line.
            #[target_feature(enable = $feature)]
            pub(super) unsafe fn $name(pages: &mut [u8]) {
                let (zero, store) = ($zero, $store);
                for lines in pages.as_chunks_mut::<{ 4 * LINE }>().0 {
                    let to = lines.as_mut_ptr().cast::<$vector>();
                    for part in 0..4 * LINE / size_of::<$vector>() {
                        // SAFETY: the store is within these lines, which are exclusively borrowed, and aligned, since a
                        // vector is a part of a line.
                        unsafe { store(to.add(part), zero) };
                    }
                }
            }
        };
    }

    // Volatile, or the compiler calls `memset`.
    by_vectors!(vectors_32, "avx", __m256i, _mm256_setzero_si256(), std::ptr::write_volatile::<__m256i>);
    by_vectors!(vectors_64, "avx512f", __m512i, _mm512_setzero_si512(), std::ptr::write_volatile::<__m512i>);
    by_vectors!(streaming_16, "sse2", __m128i, _mm_setzero_si128(), _mm_stream_si128);
    by_vectors!(streaming_32, "avx", __m256i, _mm256_setzero_si256(), _mm256_stream_si256);
    by_vectors!(streaming_64, "avx512f", __m512i, _mm512_setzero_si512(), _mm512_stream_si512);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::page::reserve;

    #[test]
    fn whole_pages_are_zeroed_and_nothing_beside_them() {
        let (page, map) = (page::size(), reserve(4 * page::size()).unwrap());
        // SAFETY: the mapping is this test's own, and readable and writable as a whole.
        let bytes = unsafe { std::slice::from_raw_parts_mut(map.as_mut_ptr(), map.len()) };
        // What this processor lacks must do it as well.
        for stores in Stores::ALL {
            bytes.fill(7);
            fetch(&bytes[page..]);
            assert!(bytes.iter().all(|byte| *byte == 7));
            stores.zero(&mut bytes[page..3 * page]);
            fence();
            for (index, &byte) in bytes.iter().enumerate() {
                assert_eq!(byte == 0, (page..3 * page).contains(&index), "{stores}: {index}");
            }
        }
    }

    #[test]
    fn there_is_one_that_leaves_lines_in_the_caches() {
        assert_eq!(Stores::available().find(|stores| !stores.pass_caches()), Some(Stores::Libc));
    }
}
