//! What restoring a page and a fault cost on this machine.

use std::hint::black_box;
use std::io;
use std::ops::Range;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::in_place::region::{Pages, Region};
use crate::sys::page;
use crate::sys::pagemap_scan::Scanner;
use crate::sys::userfaultfd::Userfaultfd;

/// Unit costs, in nanoseconds per page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// Zeroing a page, where all that are zeroed fit into a core's own cache.
    pub near_ns: f64,
    /// The same where they do not.
    pub far_ns: f64,
    /// Write-protecting a page along with many, and the fault of the next write.
    pub fault_ns: f64,
    /// What write-protecting a page costs besides where none of its neighbours is to be protected: the system call.
    pub alone_ns: f64,
}

/// Bytes that a core's own cache holds besides what the guest needs; the smallest in use have 256 KiB.
const NEAR: usize = 512 << 10;

/// Bytes that it does not hold, and that are faulted in within two milliseconds.
const FAR: usize = 8 << 20;

/// Repetitions; the fastest counts, since noise only ever adds.
const ROUNDS: usize = 5;

impl Costs {
    /// Where a mechanism is missing, the strategy is unavailable, and typical figures do no harm.
    const TYPICAL: Self = Self { near_ns: 60.0, far_ns: 200.0, fault_ns: 700.0, alone_ns: 1_500.0 };

    /// The costs of this machine, measured on first use.
    pub fn here() -> &'static Self {
        static HERE: OnceLock<Costs> = OnceLock::new();
        HERE.get_or_init(|| Self::measure().unwrap_or(Self::TYPICAL))
    }

    /// Resets in which restoring a page together costs as much as protecting it and the fault of its next write, where
    /// so many bytes are restored and so many pages of thousand lie alone.
    pub(super) fn patience(&self, bytes: usize, alone: u32) -> u32 {
        let restore = if bytes <= NEAR { self.near_ns } else { self.far_ns };
        let fault = self.fault_ns + self.alone_ns * f64::from(alone) / 1_000.0;
        (fault / restore).clamp(1.0, 1_000.0) as u32
    }

    fn measure() -> io::Result<Self> {
        let region = Region::reserve(FAR, FAR, 0)?;
        // SAFETY: no instance owns this region, and the view is used here only.
        let mut pages = unsafe { region.pages() };
        let uffd = Userfaultfd::open()?;
        uffd.write_protect(pages.addresses(0..FAR))?;
        let mut scanner = Scanner::open()?;
        let mut costs = Self { near_ns: f64::MAX, far_ns: f64::MAX, fault_ns: f64::MAX, alone_ns: f64::MAX };
        touch(&mut pages, 0..FAR);
        for _ in 0..2 {
            costs.far_ns = costs.far_ns.min(zero(&mut pages, 0..FAR));
        }
        for _ in 0..ROUNDS {
            let protected = Instant::now();
            scanner.protect(pages.addresses(0..NEAR))?;
            touch(&mut pages, 0..NEAR);
            costs.fault_ns = costs.fault_ns.min(per_page(protected.elapsed(), NEAR));
            costs.near_ns = costs.near_ns.min(zero(&mut pages, 0..NEAR));
            let alone = Instant::now();
            scanner.protect(pages.addresses(0..page::size()))?;
            costs.alone_ns = costs.alone_ns.min(per_page(alone.elapsed(), page::size()));
        }
        Ok(costs)
    }
}

/// Writes a byte into each page.
fn touch(pages: &mut Pages<'_>, range: Range<usize>) {
    pages.bytes_mut()[range].iter_mut().step_by(page::size()).for_each(|byte| *byte = black_box(1));
}

/// Nanoseconds that zeroing a page takes.
fn zero(pages: &mut Pages<'_>, range: Range<usize>) -> f64 {
    let (started, bytes) = (Instant::now(), range.len());
    // Page by page, as scattered ones are.
    pages.bytes_mut()[range].chunks_mut(page::size()).for_each(|page| black_box(page).fill(0));
    per_page(started.elapsed(), bytes)
}

fn per_page(duration: Duration, bytes: usize) -> f64 {
    (duration.as_nanos() as f64 * page::size() as f64 / bytes as f64).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_how_many_restores_a_fault_is_worth() {
        let costs = |near_ns, fault_ns| Costs { near_ns, far_ns: 2.0 * near_ns, fault_ns, alone_ns: 1_400.0 };
        assert_eq!(costs(50.0, 700.0).patience(NEAR, 0), 14);
        assert_eq!(costs(50.0, 700.0).patience(NEAR, 500), 28);
        assert_eq!(costs(50.0, 700.0).patience(NEAR + 1, 0), 7);
        assert_eq!(costs(900.0, 700.0).patience(0, 0), 1);
        assert_eq!(costs(0.1, 700.0).patience(0, 0), 1_000);
    }

    #[test]
    fn costs_are_measured_where_the_mechanism_is() {
        if crate::sys::pagemap_scan::WRITE_PROTECT.available().is_err() {
            eprintln!("not run: no asynchronous write-protection here");
            return;
        }
        let costs = Costs::measure().expect("the probe has just performed it");
        for ns in [costs.near_ns, costs.far_ns, costs.fault_ns, costs.alone_ns] {
            assert!((1.0..1e7).contains(&ns), "{costs:?}");
        }
    }
}
