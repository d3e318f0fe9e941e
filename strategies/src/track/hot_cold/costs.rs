//! What restoring a page and a fault cost on this machine.

use std::hint::black_box;
use std::io;
use std::sync::OnceLock;
use std::time::Instant;

use memmap2::Advice;

use crate::in_place::region::Region;
use crate::learned::Costs;
use crate::sys::page;
use crate::sys::pagemap_scan::{Scanner, Select};
use crate::sys::zero::Place;

/// Bytes that faults are tried on.
const TRIED: usize = 256 << 10;

/// Repetitions; the fastest counts, since noise only ever adds.
const ROUNDS: usize = 3;

static HERE: OnceLock<Costs> = OnceLock::new();

impl Costs {
    /// Where a mechanism is missing, the strategy is unavailable, and typical figures do no harm.
    const TYPICAL: Self =
        Self { restore_ns: [50.0, 100.0, 150.0, 100.0], fault_ns: 700.0, alone_ns: 1_200.0, walk_ns: 2.5 };

    /// The costs of this machine, measured on first use, in about two milliseconds.
    pub fn here() -> &'static Self {
        HERE.get_or_init(|| Self::measure().unwrap_or(Self::TYPICAL))
    }

    /// Takes costs that were measured before on a machine like this, so that a process which starts often need not measure
    /// them, and decides as the last one did. Says whether that was in time: before the first use.
    pub fn assume(self) -> bool {
        HERE.set(self).is_ok()
    }

    /// Resets between two writes of a page, among so many pages, in which restoring it costs no more than protecting it,
    /// the fault of its next write, with `shared_ns` for its share of what is done once for all pages that have faulted,
    /// and the one restore that it needs in any case.
    pub(super) fn patience(&self, shared_ns: f64, pages: usize) -> u32 {
        let fault = (self.fault_ns + shared_ns) / self.restoring(pages * page::size());
        (fault + 1.0).min(1_000.0) as u32
    }

    /// Restoring a page where so many bytes are in each reset.
    pub(super) fn restoring(&self, bytes: usize) -> f64 {
        let [near, far, between, beyond] = self.restore_ns;
        match Place::of(bytes) {
            Place::Near => near,
            Place::Far => far,
            // It was tried where none of them is in a cache.
            Place::Between => far + Place::outside(bytes) * (between - far),
            Place::Beyond => beyond,
        }
    }

    fn measure() -> io::Result<Self> {
        // One memory for everything, since populating it takes a good part of the time.
        let size = TRIED.max(Place::trial_bytes());
        let region = Region::reserve(size, size, 0)?;
        // SAFETY: no instance owns this region, and the view is used here only.
        let mut pages = unsafe { region.pages() };
        pages.make_protectable()?;
        let mut scanner = Scanner::open()?;
        let mut least = [f64::MAX; 4];
        // It is faster than a fault for each page. A kernel that does not know it leaves them to these.
        let _ = pages.map().advise_range(Advice::PopulateWrite, 0, size);
        touch(pages.bytes_mut());
        for _ in 0..ROUNDS {
            let fault = timed(TRIED, || {
                scanner.protect(pages.addresses(0..TRIED))?;
                touch(&mut pages.bytes_mut()[..TRIED]);
                Ok(())
            })?;
            let mut scan = |bytes| {
                let addresses = pages.addresses(0..bytes);
                let found = |run| {
                    black_box(run);
                };
                timed(page::size(), || scanner.scan(addresses, Select::Unprotected, found).map(drop))
            };
            let (one, all) = (scan(page::size())?, scan(TRIED)?);
            let mut alone = f64::MAX;
            for index in [0, 2, 4] {
                let one = index * page::size()..(index + 1) * page::size();
                let protected = timed(page::size(), || scanner.protect(pages.addresses(one)).map(drop))?;
                alone = alone.min(protected);
            }
            least = std::array::from_fn(|i| least[i].min([fault, alone, one, all][i]));
        }
        let [fault_ns, alone_ns, one, all] = least;
        // Less what a call takes however little it passes over.
        let walk_ns = ((all - one) / (TRIED / page::size() - 1) as f64).max(0.1);
        let restore_ns = Place::all_fastest(pages.bytes_mut()).map(|tried| tried.page_ns);
        Ok(Self { restore_ns, fault_ns, alone_ns, walk_ns })
    }
}

/// Writes a byte into each page.
fn touch(bytes: &mut [u8]) {
    bytes.iter_mut().step_by(page::size()).for_each(|byte| *byte = black_box(1));
}

/// Nanoseconds that something done to so many bytes takes per page.
fn timed(bytes: usize, act: impl FnOnce() -> io::Result<()>) -> io::Result<f64> {
    let started = Instant::now();
    act()?;
    Ok((started.elapsed().as_nanos() as f64 * page::size() as f64 / bytes as f64).max(0.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSTS: Costs =
        Costs { restore_ns: [50.0, 100.0, 200.0, 70.0], fault_ns: 700.0, alone_ns: 1_400.0, walk_ns: 2.0 };

    #[test]
    fn patience_is_how_many_restores_a_fault_is_worth() {
        assert_eq!(COSTS.patience(0.0, 1), 15);
        assert_eq!(COSTS.patience(700.0, 1), 29);
        assert_eq!(Costs { restore_ns: [900.0; 4], ..COSTS }.patience(0.0, 1), 1);
        assert_eq!(Costs { restore_ns: [0.1; 4], ..COSTS }.patience(0.0, 1), 1_000);
    }

    #[test]
    fn restoring_costs_what_it_does_where_the_pages_are() {
        assert_eq!(COSTS.restoring(1), 50.0);
        for bytes in (0..30).map(|power| 1 << power) {
            let ns = COSTS.restoring(bytes);
            let expected = match Place::of(bytes) {
                Place::Near => 50.0..=50.0,
                Place::Far => 100.0..=100.0,
                Place::Between => 100.0..=200.0,
                Place::Beyond => 70.0..=70.0,
            };
            assert!(expected.contains(&ns), "{bytes}: {ns}");
        }
    }

    #[test]
    fn costs_are_measured_where_the_mechanism_is() {
        if crate::sys::pagemap_scan::WRITE_PROTECT.available().is_err() {
            eprintln!("not run: no asynchronous write-protection here");
            return;
        }
        let costs = Costs::measure().expect("the probe has just performed it");
        let Costs { restore_ns: [near, far, between, beyond], fault_ns, alone_ns, walk_ns } = costs;
        for ns in [near, far, between, beyond, fault_ns, alone_ns, walk_ns] {
            assert!((0.1..1e7).contains(&ns), "{costs:?}");
        }
    }
}
