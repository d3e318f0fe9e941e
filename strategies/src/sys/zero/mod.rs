//! Zeroing pages, in the way that this machine was measured to be fastest in.
//!
//! Which [stores](Stores) are fastest, whether asking for the next page beforehand pays, and whether going back and forth
//! does, differs between processors by a factor of two, and on one of them by where the bytes are ([`Place`]). So it is
//! [tried](Place::fastest) once per process.

mod caches;
mod stores;
mod trial;

pub use stores::Stores;

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use memmap2::MmapOptions;

use crate::sys::page;
use caches::Caches;

/// A way of zeroing parts of a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// What is stored with.
    pub stores: Stores,
    /// Whether each page is asked for while the one before is zeroed.
    pub fetching: bool,
    /// Whether every other time goes from the last page to the first, so that it begins with those that the time before
    /// has ended with: as much of them as a cache holds is still there.
    pub turning: bool,
}

/// Where the bytes are that are zeroed again and again, by how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the caches of a core.
    Near,
    /// In the last level of caches.
    Far,
    /// Partly there, since others use it, too.
    Between,
    /// In memory: it is more than all caches hold.
    Beyond,
}

/// The way that was fastest where it was tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tried {
    /// The way.
    pub way: Way,
    /// What a page took in it, in nanoseconds.
    pub page_ns: f64,
}

impl Place {
    /// All, the nearest first.
    pub const ALL: [Self; 4] = [Self::Near, Self::Far, Self::Between, Self::Beyond];

    /// Where so many bytes are on this machine.
    pub(crate) fn of(bytes: usize) -> Self {
        Self::among(bytes, Caches::here())
    }

    /// From five eighths of the last level on zeroing past the caches pays, whatever the guest does: with 32 MiB (AMD EPYC), a
    /// block that fills its pages and their zeroing took 1.9 times as long with streaming stores as with ordinary ones where
    /// there are 8 MiB of pages, as long with 16, and 0.9 times with 32 (`docs/ZEROING.md`). Where no size is told, nothing is
    /// beyond.
    fn among(bytes: usize, caches: Caches) -> Self {
        match (caches.last, caches.share()) {
            _ if bytes <= caches.own => Self::Near,
            (Some(last), _) if bytes >= last / 8 * 5 => Self::Beyond,
            (_, Some(share)) if bytes > share => Self::Between,
            _ => Self::Far,
        }
    }

    /// The share of so many bytes that is in no cache: none up to what can be counted on, and all from four times that on.
    pub(crate) fn outside(bytes: usize) -> f64 {
        Self::outside_of(bytes, Caches::here())
    }

    fn outside_of(bytes: usize, caches: Caches) -> f64 {
        let times = |share: usize| bytes as f64 / share as f64;
        caches.share().map_or(0.0, |share| ((times(share) - 1.0) / 3.0).clamp(0.0, 1.0))
    }

    /// The way that is fastest there on this machine: tried on first use, in a fraction of a millisecond.
    pub fn fastest(self) -> Tried {
        *self.tried().get_or_init(|| {
            // Populated at once, which takes less than a fault for each page.
            let map = MmapOptions::new().len(trial::bytes(self, Caches::here())).populate().map_anon();
            map.map_or(trial::UNTRIED, |mut map| trial::fastest(self, &mut map))
        })
    }

    /// The same of each place, tried on these bytes, of which there are [enough](Self::trial_bytes): one memory for all.
    pub(crate) fn all_fastest(bytes: &mut [u8]) -> [Tried; Self::ALL.len()] {
        Self::ALL.map(|place| {
            let size = trial::bytes(place, Caches::here());
            *place.tried().get_or_init(|| trial::fastest(place, &mut bytes[..size]))
        })
    }

    /// How many bytes it takes to try all of them.
    pub(crate) fn trial_bytes() -> usize {
        Self::ALL
            .into_iter()
            .map(|place| trial::bytes(place, Caches::here()))
            .max()
            .expect("there are places")
    }

    /// Takes what was tried before on a machine like this, so that it is not tried again. Says whether that was in time: before
    /// the first use.
    pub fn assume(self, tried: Tried) -> bool {
        self.tried().set(tried).is_ok()
    }

    fn tried(self) -> &'static OnceLock<Tried> {
        static TRIED: [OnceLock<Tried>; Place::ALL.len()] = [const { OnceLock::new() }; Place::ALL.len()];
        &TRIED[self as usize]
    }
}

impl Way {
    /// Zeroes these runs of pages, from the last to the first where `backwards`, and orders that before everything that follows.
    /// Whoever wants to go [there and back](Self::turning) says each time where it goes.
    ///
    /// # Panics
    /// When the bytes do not begin with a page, or a run consists of other than whole pages of them.
    pub fn zero(self, bytes: &mut [u8], runs: &[Range<usize>], backwards: bool) {
        if self.fetching || backwards {
            // Pages by number, since going through bytes by a step that only the kernel knows would divide.
            let shift = page::size().trailing_zeros();
            let pages = runs.iter().flat_map(|run| {
                assert!((run.start | run.end).trailing_zeros() >= shift, "{run:?} are not whole pages");
                run.start >> shift..run.end >> shift
            });
            if backwards { self.by_page(bytes, pages.rev()) } else { self.by_page(bytes, pages) }
        } else {
            runs.iter().for_each(|run| self.stores.zero(&mut bytes[run.clone()]));
        }
        if self.stores.pass_caches() {
            stores::fence();
        }
    }

    fn by_page(self, bytes: &mut [u8], mut pages: impl Iterator<Item = usize>) {
        let size = page::size();
        let Some(mut page) = pages.next() else { return };
        pages.for_each(|next| {
            if self.fetching {
                stores::fetch(&bytes[next * size..][..size]);
            }
            self.stores.zero(&mut bytes[page * size..][..size]);
            page = next;
        });
        self.stores.zero(&mut bytes[page * size..][..size]);
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.stores)?;
        if self.fetching {
            f.write_str(", the next page fetched meanwhile")?;
        }
        if self.turning {
            f.write_str(", there and back")?;
        }
        Ok(())
    }
}

/// Zeroes parts of one memory again and again.
#[derive(Debug, Default)]
pub(crate) struct Zeroer {
    /// Whether the last time went from the last page to the first.
    backwards: bool,
}

impl Zeroer {
    /// Zeroes these runs of whole pages, where so many bytes are restored in all, and orders that before everything that
    /// follows.
    pub(crate) fn zero(&mut self, bytes: &mut [u8], runs: &[Range<usize>], total: usize) {
        let Tried { way, .. } = Place::of(total).fastest();
        self.backwards = way.turning && !self.backwards;
        way.zero(bytes, runs, self.backwards);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::page::reserve;

    #[test]
    fn every_way_zeroes_the_runs_and_nothing_beside_them() {
        let (page, map) = (page::size(), reserve(8 * page::size()).unwrap());
        // SAFETY: the mapping is this test's own, and readable and writable as a whole.
        let bytes = unsafe { std::slice::from_raw_parts_mut(map.as_mut_ptr(), map.len()) };
        let runs = [page..2 * page, 3 * page..6 * page];
        for stores in Stores::available() {
            for [fetching, turning] in [[false, false], [false, true], [true, false], [true, true]] {
                let way = Way { stores, fetching, turning };
                bytes.fill(7);
                way.zero(bytes, &runs, turning);
                for (index, &byte) in bytes.iter().enumerate() {
                    let within = runs.iter().any(|run| run.contains(&index));
                    assert_eq!(byte == 0, within, "{way}: {index}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_whole_page_is_not_zeroed_by_any_way() {
        let (page, map) = (page::size(), reserve(4 * page::size()).unwrap());
        // SAFETY: the mapping is this test's own, and readable and writable as a whole.
        let bytes = unsafe { std::slice::from_raw_parts_mut(map.as_mut_ptr(), map.len()) };
        for (fetching, run) in [false, true]
            .into_iter()
            .flat_map(|fetching| [1..page, page..page + 8, 8..2 * page].map(|run| (fetching, run)))
        {
            let way = Way { stores: Stores::Libc, fetching, turning: false };
            let zeroing = std::panic::AssertUnwindSafe(|| way.zero(bytes, std::slice::from_ref(&run), false));
            std::panic::catch_unwind(zeroing).expect_err("not whole pages");
        }
    }

    #[test]
    fn the_place_follows_from_the_caches() {
        let epyc = Caches { own: 512 << 10, last: Some(32 << 20) };
        let places = [256 << 10, 512 << 10, 1 << 20, 8 << 20, 16 << 20, 20 << 20, 64 << 20];
        use Place::{Between, Beyond, Far, Near};
        assert_eq!(
            places.map(|bytes| Place::among(bytes, epyc)),
            [Near, Near, Far, Far, Between, Beyond, Beyond]
        );
        let unknown = Caches { last: None, ..epyc };
        assert_eq!(Place::among(1 << 40, unknown), Far);
        let outside = |bytes| Place::outside_of(bytes, epyc);
        assert_eq!([1, 8 << 20, 20 << 20, 32 << 20, 64 << 20].map(outside), [0.0, 0.0, 0.5, 1.0, 1.0]);
        assert_eq!(Place::outside_of(1 << 40, unknown), 0.0);
        let xeon = Caches { own: 2 << 20, last: Some(480 << 20) };
        assert_eq!([8 << 20, 64 << 20, 300 << 20].map(|b| Place::among(b, xeon)), [Far, Between, Beyond]);
        assert_eq!(Place::outside_of(64 << 20, xeon), 1.0);
    }

    #[test]
    fn a_way_that_turns_goes_back_every_other_time() {
        let mut zeroer = Zeroer::default();
        let turns = Place::Near.fastest().way.turning;
        let went: Vec<_> = (0..4)
            .map(|_| {
                zeroer.zero(&mut [], &[], 0);
                zeroer.backwards
            })
            .collect();
        assert_eq!(went, [turns, false, turns, false]);
    }
}
