//! `indexer/lru`: sets up a large cache before it looks at the block, the way a conservative indexer does.
//!
//! It asks for a limit (the ASCII decimal number of MiB at `/config/lru-limit-mebibytes`, or 256), halves it
//! down to 4 MiB for as long as the memory is refused, and writes to every page of what it was given. So what
//! it finds depends on how much memory the host is willing to give, and every block dirties all of the cache.
//! Then it indexes the header, and reads the eleven headers before it through the cache to find their median
//! time.
//!
//! | key | value |
//! |---|---|
//! | `/lru/header/<height>` | the 80 bytes of the header |
//! | `/lru/<height>` | MiB of cache, hits, misses, keys used, transactions, median time, checksum of the cache |
//!
//! Heights in keys are ASCII decimal; the values are little-endian `u32`, but for the checksum's `u64`.

mod cache;

use std::cell::RefCell;

use cache::Cache;

pub const HEADER: usize = 80;
const MEDIAN_OF: u32 = 11;
const LIMIT_KEY: &[u8] = b"/config/lru-limit-mebibytes";
const DEFAULT_LIMIT: u32 = 256;

thread_local! {
    /// Set up by whoever comes first; an instance that isn't reset still has the cache of the block before.
    static CACHE: RefCell<Cache> = RefCell::new(Cache::preallocate(limit()));
}

#[unsafe(no_mangle)]
pub extern "C" fn _start() {
    CACHE.with_borrow_mut(|cache| {
        indexer::log(&format!("{} MiB of cache", cache.mebibytes()));
        let input = indexer::input();
        let height = input.height();
        let Some((header, rest)) = input.payload().split_first_chunk::<HEADER>() else {
            indexer::fail("the block is too short to hold a header");
        };
        let Some(transactions) = compact_size(rest) else {
            indexer::fail("the block is too short to hold transactions");
        };

        let median = median_time_past(cache, height);
        cache.put(height, header);
        indexer::set(header_key(height).as_bytes(), header);

        let Cache { hits, misses, .. } = *cache;
        let numbers = [cache.mebibytes(), hits, misses, indexer::cached(), transactions, median];
        let mut record = numbers.map(u32::to_le_bytes).concat();
        record.extend(cache.checksum().to_le_bytes());
        indexer::set(format!("/lru/{height}").as_bytes(), &record);
        indexer::flush();
    })
}

fn limit() -> u32 {
    let limit = indexer::get(LIMIT_KEY);
    if limit.is_empty() {
        return DEFAULT_LIMIT;
    }
    match str::from_utf8(&limit).map(str::parse) {
        Ok(Ok(limit)) => limit,
        _ => indexer::fail("the limit of the cache is not a number"),
    }
}

/// The median time of the headers before this one, as far as there are any.
fn median_time_past(cache: &mut Cache, height: u32) -> u32 {
    let mut times: Vec<u32> = (height.saturating_sub(MEDIAN_OF)..height)
        .filter_map(|height| {
            cache.get_or(height, || indexer::get(header_key(height).as_bytes()).first_chunk().copied())
        })
        .map(|header| u32::from_le_bytes([header[68], header[69], header[70], header[71]]))
        .collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or(0)
}

fn header_key(height: u32) -> String {
    format!("/lru/header/{height}")
}

/// The number of transactions: one byte, or a marker and a little-endian number of two or four bytes.
fn compact_size(bytes: &[u8]) -> Option<u32> {
    let (&first, rest) = bytes.split_first()?;
    match first {
        0xfd => rest.first_chunk().map(|n| u16::from_le_bytes(*n).into()),
        0xfe => rest.first_chunk().map(|n| u32::from_le_bytes(*n)),
        0xff => None,
        small => Some(small.into()),
    }
}
