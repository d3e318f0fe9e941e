//! What restoring a page and a fault cost on this machine.

use std::hint::black_box;
use std::io;
use std::sync::OnceLock;
use std::time::Instant;

use crate::block::Reset;
use crate::in_place::Image;
use crate::in_place::region::{Pages, Region};
use crate::learned::Costs;
use crate::restore::{Copy, Restoration, Restorer};
use crate::sys::page;
use crate::sys::pagemap_scan::{Scanner, Select};

/// Bytes that are in a core's own caches when a reset comes back to them.
const NEAR: usize = 512 << 10;

/// Bytes that are not, on any CPU that we know; little enough to be tried on in some milliseconds.
const FAR: usize = 8 << 20;

/// Repetitions; the fastest counts, since noise only ever adds.
const ROUNDS: usize = 3;

impl Costs {
    /// Where a mechanism is missing, the strategy is unavailable, and typical figures do no harm.
    const TYPICAL: Self =
        Self { restore_ns: 50.0, restore_far_ns: 100.0, fault_ns: 700.0, alone_ns: 1_200.0, walk_ns: 2.5 };

    /// The costs of this machine, measured on first use.
    pub fn here() -> &'static Self {
        static HERE: OnceLock<Costs> = OnceLock::new();
        HERE.get_or_init(|| Self::measure().unwrap_or(Self::TYPICAL))
    }

    /// Resets between two writes of a page, among so many pages, in which restoring it costs no more than protecting it,
    /// the fault of its next write, with `shared_ns` for its share of what is done once for all pages that have faulted,
    /// and the one restore that it needs in any case.
    pub(super) fn patience(&self, shared_ns: f64, pages: usize) -> u32 {
        let fault = (self.fault_ns + shared_ns) / self.restoring(pages * page::size());
        (fault + 1.0).min(1_000.0) as u32
    }

    /// Restoring a page where so many bytes are in each reset. Between the two sizes that were tried it rises with each
    /// doubling, as larger parts of the memory are in a slower cache.
    fn restoring(&self, bytes: usize) -> f64 {
        let doublings = |bytes: usize| (bytes.max(NEAR) as f64 / NEAR as f64).log2();
        let far = (doublings(bytes) / doublings(FAR)).min(1.0);
        self.restore_ns + far * (self.restore_far_ns - self.restore_ns)
    }

    fn measure() -> io::Result<Self> {
        let region = Region::reserve(FAR, FAR, 0)?;
        // SAFETY: no instance owns this region, and the view is used here only.
        let mut pages = unsafe { region.pages() };
        pages.make_protectable()?;
        let mut scanner = Scanner::open()?;
        let (mut copy, blank) = (Copy::default(), Image::of(&[]));
        let mut least = [f64::MAX; 5];
        touch(&mut pages);
        for _ in 0..ROUNDS {
            let fault = timed(FAR, || {
                scanner.protect(pages.addresses(0..FAR))?;
                touch(&mut pages);
                Ok(())
            })?;
            let walk = timed(FAR, || {
                scanner
                    .scan(pages.addresses(0..FAR), Select::Unprotected, |run| {
                        black_box(run);
                    })
                    .map(drop)
            })?;
            let mut restoring = |bytes| restoring(&mut pages, &mut copy, &blank, bytes);
            let far = restoring(FAR)?;
            // The first time brings them near.
            restoring(NEAR)?;
            let near = restoring(NEAR)?;
            let mut alone = f64::MAX;
            for index in [0, 2, 4] {
                let one = index * page::size()..(index + 1) * page::size();
                let protected = timed(page::size(), || scanner.protect(pages.addresses(one)).map(drop))?;
                alone = alone.min(protected);
            }
            least = std::array::from_fn(|i| least[i].min([near, far, fault, alone, walk][i]));
        }
        let [restore_ns, restore_far_ns, fault_ns, alone_ns, walk_ns] = least;
        Ok(Self { restore_ns, restore_far_ns: restore_far_ns.max(restore_ns), fault_ns, alone_ns, walk_ns })
    }
}

/// Writes a byte into each page.
fn touch(pages: &mut Pages<'_>) {
    pages.bytes_mut().iter_mut().step_by(page::size()).for_each(|byte| *byte = black_box(1));
}

/// Nanoseconds that restoring a page takes, of the first `bytes`.
fn restoring(pages: &mut Pages<'_>, copy: &mut Copy, blank: &Image, bytes: usize) -> io::Result<f64> {
    // Page by page, as scattered ones are.
    let runs: Vec<_> = (0..bytes).step_by(page::size()).map(|start| start..start + page::size()).collect();
    timed(bytes, || {
        copy.restore(Restoration { pages, image: blank, runs: &runs, done: &mut Reset::default() })
    })
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
        Costs { restore_ns: 50.0, restore_far_ns: 130.0, fault_ns: 700.0, alone_ns: 1_400.0, walk_ns: 2.0 };

    #[test]
    fn patience_is_how_many_restores_a_fault_is_worth() {
        let near = NEAR / page::size();
        assert_eq!(COSTS.patience(0.0, near), 15);
        assert_eq!(COSTS.patience(700.0, near), 29);
        assert_eq!(Costs { restore_ns: 900.0, ..COSTS }.patience(0.0, near), 1);
        assert_eq!(Costs { restore_ns: 0.1, ..COSTS }.patience(0.0, near), 1_000);
    }

    #[test]
    fn restoring_costs_more_the_more_pages_there_are() {
        let costs = [NEAR / 2, NEAR, NEAR * 2, NEAR * 4, FAR, FAR * 8].map(|bytes| COSTS.restoring(bytes));
        assert_eq!(costs, [50.0, 50.0, 70.0, 90.0, 130.0, 130.0]);
    }

    #[test]
    fn costs_are_measured_where_the_mechanism_is() {
        if crate::sys::pagemap_scan::WRITE_PROTECT.available().is_err() {
            eprintln!("not run: no asynchronous write-protection here");
            return;
        }
        let costs = Costs::measure().expect("the probe has just performed it");
        let Costs { restore_ns, restore_far_ns, fault_ns, alone_ns, walk_ns } = costs;
        for ns in [restore_ns, restore_far_ns, fault_ns, alone_ns, walk_ns] {
            assert!((0.1..1e7).contains(&ns), "{costs:?}");
        }
    }
}
