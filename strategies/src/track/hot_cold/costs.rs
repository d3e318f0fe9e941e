//! What a look and a fault cost on this machine.

use std::io;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::in_place::image::is_blank;
use crate::in_place::region::Region;
use crate::sys::page;
use crate::sys::pagemap_scan::Scanner;
use crate::sys::userfaultfd::Userfaultfd;

/// Unit costs, in nanoseconds per page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// Comparing a page with its image.
    pub look_ns: f64,
    /// Write-protecting a page, and the fault of the next write.
    pub fault_ns: f64,
}

/// Pages to try on: few enough to take less than a millisecond.
const PAGES: usize = 128;

/// Repetitions; the fastest counts, since noise only ever adds.
const ROUNDS: usize = 5;

impl Costs {
    /// The costs of this machine, measured on first use.
    pub fn here() -> &'static Self {
        static HERE: OnceLock<Costs> = OnceLock::new();
        // Where the mechanism is missing, the strategy is unavailable; typical figures do no harm.
        HERE.get_or_init(|| Self::measure().unwrap_or(Self { look_ns: 60.0, fault_ns: 700.0 }))
    }

    /// Clean looks that together cost as much as a fault.
    pub(super) fn patience(&self) -> u16 {
        (self.fault_ns / self.look_ns).clamp(1.0, 1_000.0) as u16
    }

    fn measure() -> io::Result<Self> {
        let bytes = PAGES * page::size();
        let region = Region::reserve(bytes, bytes, 0)?;
        // SAFETY: no instance owns this region, and the view is used here only.
        let mut pages = unsafe { region.pages() };
        let uffd = Userfaultfd::open()?;
        uffd.write_protect(pages.addresses(0..bytes))?;
        let mut scanner = Scanner::open()?;
        let (mut look, mut fault) = (Duration::MAX, Duration::MAX);
        for _ in 0..ROUNDS {
            pages.bytes_mut().iter_mut().step_by(page::size()).for_each(|byte| *byte = 0);
            let started = Instant::now();
            let blank = pages.bytes().chunks(page::size()).filter(|page| is_blank(page)).count();
            look = look.min(started.elapsed());
            assert_eq!(blank, PAGES, "only zeros were written");
            let started = Instant::now();
            scanner.protect_written(pages.addresses(0..bytes))?;
            pages.bytes_mut().iter_mut().step_by(page::size()).for_each(|byte| *byte = 0);
            fault = fault.min(started.elapsed());
        }
        let per_page = |duration: Duration| (duration.as_nanos() as f64 / PAGES as f64).max(1.0);
        Ok(Self { look_ns: per_page(look), fault_ns: per_page(fault) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_how_many_looks_a_fault_is_worth() {
        assert_eq!(Costs { look_ns: 50.0, fault_ns: 700.0 }.patience(), 14);
        assert_eq!(Costs { look_ns: 900.0, fault_ns: 700.0 }.patience(), 1);
        assert_eq!(Costs { look_ns: 0.1, fault_ns: 700.0 }.patience(), 1_000);
    }
}
