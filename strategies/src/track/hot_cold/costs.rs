//! What restoring a page and a fault cost on this machine.

use std::hint::black_box;
use std::io;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::in_place::region::{Pages, Region};
use crate::sys::page;
use crate::sys::pagemap_scan::Scanner;
use crate::sys::userfaultfd::Userfaultfd;

/// Unit costs, in nanoseconds per page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// Zeroing a page. With the right stores it takes hardly more beyond the caches than within them.
    pub restore_ns: f64,
    /// Write-protecting a page along with many, and the fault of the next write.
    pub fault_ns: f64,
    /// What write-protecting a page costs besides where none of its neighbours is to be protected: the system call.
    pub alone_ns: f64,
}

/// Bytes to try on: more than a core's first cache holds, and little enough to be done in two milliseconds.
const BYTES: usize = 1 << 20;

/// Repetitions; the fastest counts, since noise only ever adds.
const ROUNDS: usize = 5;

impl Costs {
    /// Where a mechanism is missing, the strategy is unavailable, and typical figures do no harm.
    const TYPICAL: Self = Self { restore_ns: 50.0, fault_ns: 700.0, alone_ns: 1_200.0 };

    /// The costs of this machine, measured on first use.
    pub fn here() -> &'static Self {
        static HERE: OnceLock<Costs> = OnceLock::new();
        HERE.get_or_init(|| Self::measure().unwrap_or(Self::TYPICAL))
    }

    /// Resets in which restoring a page together costs as much as protecting it and the fault of its next write, where
    /// so many pages of thousand are protected alone.
    pub(super) fn patience(&self, alone: u32) -> u32 {
        let fault = self.fault_ns + self.alone_ns * f64::from(alone) / 1_000.0;
        (fault / self.restore_ns).clamp(1.0, 1_000.0) as u32
    }

    fn measure() -> io::Result<Self> {
        let region = Region::reserve(BYTES, BYTES, 0)?;
        // SAFETY: no instance owns this region, and the view is used here only.
        let mut pages = unsafe { region.pages() };
        let uffd = Userfaultfd::open()?;
        uffd.write_protect(pages.addresses(0..BYTES))?;
        let mut scanner = Scanner::open()?;
        let mut costs = Self { restore_ns: f64::MAX, fault_ns: f64::MAX, alone_ns: f64::MAX };
        touch(&mut pages);
        for _ in 0..ROUNDS {
            let protected = Instant::now();
            scanner.protect(pages.addresses(0..BYTES))?;
            touch(&mut pages);
            costs.fault_ns = costs.fault_ns.min(per_page(protected.elapsed(), BYTES));
            costs.restore_ns = costs.restore_ns.min(zero(&mut pages));
            let alone = Instant::now();
            scanner.protect(pages.addresses(0..page::size()))?;
            costs.alone_ns = costs.alone_ns.min(per_page(alone.elapsed(), page::size()));
        }
        Ok(costs)
    }
}

/// Writes a byte into each page.
fn touch(pages: &mut Pages<'_>) {
    pages.bytes_mut().iter_mut().step_by(page::size()).for_each(|byte| *byte = black_box(1));
}

/// Nanoseconds that zeroing a page takes.
fn zero(pages: &mut Pages<'_>) -> f64 {
    let started = Instant::now();
    // Page by page, as scattered ones are.
    pages.bytes_mut().chunks_mut(page::size()).for_each(|page| black_box(page).fill(0));
    per_page(started.elapsed(), pages.size())
}

fn per_page(duration: Duration, bytes: usize) -> f64 {
    (duration.as_nanos() as f64 * page::size() as f64 / bytes as f64).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_how_many_restores_a_fault_is_worth() {
        let costs = |restore_ns, fault_ns| Costs { restore_ns, fault_ns, alone_ns: 1_400.0 };
        assert_eq!(costs(50.0, 700.0).patience(0), 14);
        assert_eq!(costs(50.0, 700.0).patience(500), 28);
        assert_eq!(costs(900.0, 700.0).patience(0), 1);
        assert_eq!(costs(0.1, 700.0).patience(0), 1_000);
    }

    #[test]
    fn costs_are_measured_where_the_mechanism_is() {
        if crate::sys::pagemap_scan::WRITE_PROTECT.available().is_err() {
            eprintln!("not run: no asynchronous write-protection here");
            return;
        }
        let costs = Costs::measure().expect("the probe has just performed it");
        for ns in [costs.restore_ns, costs.fault_ns, costs.alone_ns] {
            assert!((1.0..1e7).contains(&ns), "{costs:?}");
        }
    }
}
