//! The cache: one header per page, so that its size is felt and its bookkeeping isn't.

use crate::HEADER;

/// The smallest page of any machine that runs this; where pages are larger, each is written several times.
const PAGE: usize = 4096;
const MEBIBYTE: usize = 1 << 20;
const SMALLEST_LIMIT: u32 = 4;

// The layout of a page: its number plus one, the height of the header it holds plus one, and the header.
const TAG: usize = 4;
const BODY: usize = 8;

pub struct Cache {
    memory: Vec<u8>,
    pub hits: u32,
    pub misses: u32,
}

impl Cache {
    /// The largest of `limit`, half of it, a quarter ... down to 4 MiB that can be had. If even that is
    /// refused, the indexer goes on without a cache.
    pub fn preallocate(limit: u32) -> Self {
        let halves = std::iter::successors(Some(limit), |limit| Some(limit / 2));
        let memory =
            halves.take_while(|&limit| limit >= SMALLEST_LIMIT).find_map(reserve).unwrap_or_default();
        Cache { memory, hits: 0, misses: 0 }
    }

    pub fn mebibytes(&self) -> u32 {
        (self.memory.len() / MEBIBYTE) as u32
    }

    /// The header at `height`, from the cache or else from `fetch`.
    pub fn get_or(
        &mut self,
        height: u32,
        fetch: impl FnOnce() -> Option<[u8; HEADER]>,
    ) -> Option<[u8; HEADER]> {
        if let Some(page) = self.page(height)
            && page[TAG..BODY] == (height + 1).to_le_bytes()
        {
            let header = page[BODY..].first_chunk().copied();
            self.hits += 1;
            return header;
        }
        self.misses += 1;
        let header = fetch()?;
        self.put(height, &header);
        Some(header)
    }

    pub fn put(&mut self, height: u32, header: &[u8; HEADER]) {
        if let Some(page) = self.page(height) {
            page[TAG..BODY].copy_from_slice(&(height + 1).to_le_bytes());
            page[BODY..BODY + HEADER].copy_from_slice(header);
        }
    }

    /// Reads from every page, so that one that has been lost or left over changes the result (FNV-1a, by
    /// words).
    pub fn checksum(&self) -> u64 {
        let words = self.memory.chunks_exact(PAGE).flat_map(|page| page[..BODY + HEADER].chunks_exact(8));
        words.fold(0xcbf2_9ce4_8422_2325, |hash, word| {
            let word = u64::from_le_bytes(word.try_into().expect("chunks of eight"));
            (hash ^ word).wrapping_mul(0x0100_0000_01b3)
        })
    }

    /// Neighbouring heights land far apart.
    fn page(&mut self, height: u32) -> Option<&mut [u8]> {
        let pages = self.memory.len() / PAGE;
        let page = height.wrapping_mul(0x9e37_79b1) as usize % pages.max(1);
        self.memory.chunks_exact_mut(PAGE).nth(page)
    }
}

fn reserve(mebibytes: u32) -> Option<Vec<u8>> {
    let size = (mebibytes as usize).checked_mul(MEBIBYTE)?;
    let mut memory = Vec::new();
    memory.try_reserve_exact(size).ok()?;
    memory.resize(size, 0);
    for (number, page) in (1u32..).zip(memory.chunks_exact_mut(PAGE)) {
        page[..TAG].copy_from_slice(&number.to_le_bytes());
    }
    Some(memory)
}
