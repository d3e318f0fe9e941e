//! Trying out which way is fastest.

use std::time::Instant;

use super::caches::Caches;
use super::stores::{self, CAN_FETCH, Stores};
use super::{Place, Tried, Way};
use crate::sys::page;

/// Times that each way is tried. The fastest counts, since noise only ever adds.
const ROUNDS: usize = 3;

/// A way that took so many times as long as the best in the first round is not tried again.
const HOPELESS: f64 = 1.25;

/// How much faster a way has to be than one that is named before it, so that noise does not choose between equals.
const CLEARLY: f64 = 0.95;

/// Bytes whose zeroing past the caches and back is tried: any number will do, since they are in no cache.
const UNCACHED: usize = 128 << 10;

/// What the C library does from the first page to the last.
const PLAIN: Way = Way { stores: Stores::Libc, fetching: false, turning: false };

/// What is taken where there is no memory to try anything on.
pub(super) const UNTRIED: Tried = Tried { way: PLAIN, page_ns: 100.0 };

/// How many bytes it takes to try ways for such a place: whole pages.
pub(super) fn bytes(place: Place, caches: Caches) -> usize {
    let bytes = match place {
        Place::Near => caches.own / 2,
        // Twice what a core has to itself: the part that is still there must not decide.
        Place::Far => (2 * caches.own).min(4 << 20),
        Place::Between | Place::Beyond => UNCACHED,
    };
    bytes.next_multiple_of(page::size()).max(16 * page::size())
}

/// Tries the ways that there are for bytes at such a place, on as many bytes as [`bytes`] says, which are populated.
pub(super) fn fastest(place: Place, bytes: &mut [u8]) -> Tried {
    let mut best = |ways: &[Way]| best(place, bytes, ways);

    // Where nothing passes the caches, what the C library does has to do.
    let stores = Stores::available().filter(|stores| stores.pass_caches() == (place == Place::Beyond));
    let mut plain: Vec<_> = stores.map(|stores| Way { stores, ..PLAIN }).collect();
    if plain.is_empty() {
        plain.push(PLAIN);
    }
    let fetching = |way| [way, Way { fetching: CAN_FETCH, ..way }];
    match place {
        // One after the other: all at once would take twice as long.
        Place::Near | Place::Far => {
            let Tried { way, .. } = best(&plain);
            let Tried { way, .. } = best(&[way, Way { turning: true, ..way }]);
            best(&fetching(way))
        }
        // The stores that are best where the lines are in a cache, and the order in which most of them still are.
        Place::Between => best(&fetching(Way { fetching: false, ..Place::Far.fastest().way })),
        Place::Beyond => best(&plain),
    }
}

/// The best of several ways, of which there is one at least.
fn best(place: Place, bytes: &mut [u8], ways: &[Way]) -> Tried {
    let mut least = vec![f64::MAX; ways.len()];
    // The first would find the bytes elsewhere than the others.
    page_ns(place, bytes, ways[0]);
    for round in 0..ROUNDS {
        let fastest = least.iter().copied().fold(f64::MAX, f64::min);
        for (way, least) in ways.iter().zip(&mut least) {
            if round == 0 || *least < HOPELESS * fastest {
                *least = least.min(page_ns(place, bytes, *way));
            }
        }
    }
    let tried = ways.iter().zip(least).map(|(&way, page_ns)| Tried { way, page_ns });
    tried
        .reduce(|best, next| if next.page_ns < CLEARLY * best.page_ns { next } else { best })
        .expect("there is one")
}

/// Nanoseconds that a page takes, page by page, as scattered ones are; there and back where the way turns.
fn page_ns(place: Place, bytes: &mut [u8], way: Way) -> f64 {
    let pages = 0..bytes.len() / page::size();
    let ways: &[bool] = if way.turning { &[false, true] } else { &[false] };
    let mut ns = 0;
    for &backwards in ways {
        if place == Place::Between {
            // Past the caches, so that they hold none of it.
            Way { stores: Stores::Streaming16, ..PLAIN }.by_page(bytes, pages.clone());
            stores::fence();
        }
        let started = Instant::now();
        if backwards {
            way.by_page(bytes, pages.clone().rev())
        } else {
            way.by_page(bytes, pages.clone())
        }
        if place == Place::Beyond {
            stores::fence();
        }
        ns += started.elapsed().as_nanos();
    }
    (ns as f64 / (ways.len() * pages.len()) as f64).max(0.1)
}
