//! Wrong about what is around an instance: commit policies, other sessions, other processes, the kernel's own doings.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::block::Reset;
use crate::in_place::region::Pages;
use crate::in_place::{Image, InPlace, Piece, Scope};
use crate::restore::{Copy, Restoration, Restorer};
use crate::strategy::Strategy;
use crate::sys::page::{self, Access, extend};
use crate::sys::pagemap::{self, Pagemap};
use crate::sys::pagemap_scan::{self, Scanner, Select};
use crate::sys::soft_dirty::{self, ClearRefs};
use crate::sys::{faults, mincore};
use crate::track::full::Full;
use crate::track::pagemap::{Populated, flagged};
use crate::track::uffd_wp::Protection;
use crate::track::{Search, Tracker};

/// Without a fault nothing was written, where pages are either protected or known. A commit policy makes pages that are
/// neither: `adaptive/hot-cold` of this crate found nothing in a memory that grew over them.
pub(super) static UNSCANNED_GROWTH: Strategy = Strategy::in_place(
    "mutant/unscanned-growth",
    "scans only where a fault was taken, and takes what a memory grew by for protected",
    &[&pagemap_scan::PAGEMAP_SCAN, &pagemap_scan::WRITE_PROTECT, &faults::COUNT],
    InPlace::BASE.tracking::<Faultless>(),
);

/// A tracker is sized by the memory that it meets first: what lies beyond belongs to nobody once blocks differ. No
/// public report known; the tests of this crate's commit policies had a guest that always grew by as much.
pub(super) static FIRST_SIZE: Strategy = Strategy::in_place(
    "mutant/first-size",
    "looks as far as the first block grew the memory",
    &[],
    InPlace::BASE.tracking::<FirstSize>(),
);

/// Pages have to be accessible to be populated, and must not be so afterwards: wasmtime's own guard against reading
/// beyond a memory is the access that they lack. No public report known.
pub(super) static OPEN_EXTENT: Strategy = Strategy::in_place(
    "mutant/open-extent",
    "leaves a page accessible that was committed behind the memory",
    &[&mincore::MINCORE],
    InPlace::BASE.tracking::<Opened>(),
);

/// madvise(2): `MADV_DONTNEED` fails with EINVAL on locked pages. It is called advice, and so hosts pass its answer over;
/// under mlock or mlockall(2) every page keeps its bytes.
pub(super) static IGNORED_ADVICE: Strategy = Strategy::in_place(
    "mutant/ignored-advice",
    "gives pages back and does not ask whether the kernel took them",
    &[&page::DISCARD],
    InPlace::BASE.restoring::<Unasked>(),
);

/// proc(5): writing 4 to `clear_refs` clears the soft-dirty bits "for all the pages associated with the process".
/// `dirty/soft-dirty` of this crate did so for each memory by itself, and so erased what the next had to find.
pub(super) static PROCESS_WIDE_CLEAR: Strategy = Strategy::in_place(
    "mutant/process-wide-clear",
    "declares all memories of the process clean with each that it has restored",
    &[&pagemap_scan::PAGEMAP_SCAN, &pagemap_scan::WRITE_PROTECT],
    InPlace::BASE.tracking::<ProcessWide>(),
);

/// The same mistake with the bits themselves, on kernels that have them.
pub(super) static BITS_OF_ALL: Strategy = Strategy::in_place(
    "mutant/bits-of-all",
    "reads the soft-dirty bits of a memory and clears those of the process at once",
    &[&soft_dirty::SOFT_DIRTY, &pagemap::PAGEMAP],
    InPlace::BASE.tracking::<BitsOfAll>(),
);

/// CRIU clears the bits, dumps, and reads them at the next dump. A reset that takes over its order has nothing to read. No
/// public report known.
pub(super) static BITS_TOO_LATE: Strategy = Strategy::in_place(
    "mutant/bits-too-late",
    "clears the soft-dirty bits first and reads them afterwards",
    &[&soft_dirty::SOFT_DIRTY, &pagemap::PAGEMAP],
    InPlace { tracker: || Box::new(BitsOfAll { first: true, ..BitsOfAll::default() }), ..InPlace::BASE },
);

/// What is static exists once: the first to come has it, and the others believe that they do. No public report known.
pub(super) static FIRST_SESSION: Strategy = Strategy::in_place(
    "mutant/first-session",
    "restores the memory that was made first in the process",
    &[],
    InPlace::BASE.tracking::<FirstSession>(),
);

/// `mutant/parents-pagemap` with the roles exchanged: here the host forks after it has started a session. proc(5) and
/// userfaultfd(2) alike stay with the process that opened them; this crate's trackers did not ask which one they are in.
pub(super) static UNCHECKED_FORK: Strategy = Strategy::in_place(
    "mutant/unchecked-fork",
    "reads the pagemap that was opened when the session was started, whichever process it is in",
    &[&pagemap::PAGEMAP],
    InPlace { scope: Scope { process: false, ..Scope::ALL }, ..InPlace::BASE.tracking::<Populated>() },
);

/// The page of zeros is mapped by reads, and by the kernel where it splits a huge page, merges pages, or shrinks them
/// (`try_to_map_unused_to_zeropage` in `mm/migrate.c`). wasmtime's pool passes over it, and so did
/// `dirty/pagemap-scan`, whatever the image holds there.
pub(super) static ZERO_PAGE: Strategy = Strategy::in_place(
    "mutant/zero-page",
    "takes a page of the image that is mapped to the page of zeros for one that was read",
    &[&pagemap_scan::PAGEMAP_SCAN],
    InPlace::BASE.tracking::<ZeroPage>(),
);

/// A huge page is one entry of a table and 512 pages: who counts entries restores the first of them. No public report
/// known; it is why `PAGEMAP_SCAN` reports addresses.
pub(super) static HUGE_HEAD: Strategy = Strategy::in_place(
    "mutant/huge-head",
    "takes a huge page for its first small one",
    &[&pagemap::PAGEMAP, &pagemap_scan::PAGEMAP_SCAN],
    InPlace::BASE.tracking::<HugeHead>(),
);

fn not_started() -> io::Error {
    io::Error::other("not started")
}

/// Leaves all pages writable that were ever written, and scans where there was a fault.
#[derive(Default)]
struct Faultless {
    protection: Protection,
    known: Vec<Range<usize>>,
    stood: Option<u64>,
}

impl Tracker for Faultless {
    fn start(&mut self, pages: &mut Pages<'_>) -> io::Result<()> {
        self.protection.start(pages)
    }

    fn dirty(&mut self, Search { pages, runs, done, .. }: Search<'_>) -> io::Result<()> {
        let size = pages.size();
        if self.stood == Some(faults::count()?) {
            let within = self.known.iter().filter(|run| run.start < size);
            runs.extend(within.map(|run| run.start..run.end.min(size)));
            return Ok(());
        }
        self.stood = None;
        self.protection.written(pages, done, |run| runs.push(run))?;
        let beyond = self.known.iter().filter(|run| run.end > size);
        let beyond: Vec<_> = beyond.map(|run| run.start.max(size)..run.end).collect();
        self.known.clear();
        runs.iter().cloned().chain(beyond).for_each(|run| extend(&mut self.known, run));
        Ok(())
    }

    fn clean(&mut self, pages: &mut Pages<'_>, _: &Image, done: &mut Reset) -> io::Result<()> {
        self.protection.cover(pages, done)?;
        if self.stood.is_none() {
            self.stood = Some(faults::count()?);
        }
        Ok(())
    }
}

#[derive(Default)]
struct FirstSize(Option<usize>);

impl Tracker for FirstSize {
    fn dirty(&mut self, Search { pages, runs, .. }: Search<'_>) -> io::Result<()> {
        let size = *self.0.get_or_insert(pages.size());
        runs.push(0..size.min(pages.size()));
        Ok(())
    }
}

/// Reports everything, and opens a page where one is resident behind the memory.
#[derive(Default)]
struct Opened;

impl Tracker for Opened {
    fn dirty(&mut self, search: Search<'_>) -> io::Result<()> {
        Full.dirty(search)
    }

    fn start(&mut self, pages: &mut Pages<'_>) -> io::Result<()> {
        let behind = pages.size()..pages.size() + page::size();
        let mut resident = Vec::new();
        if behind.end <= pages.map().len() {
            mincore::resident(pages.map(), behind.clone(), &mut resident)?;
        }
        if resident.first().is_some_and(|page| page & 1 == 1) {
            // SAFETY: access is given, not taken.
            unsafe { page::protect(pages.map(), behind, Access::ReadWrite)? };
        }
        Ok(())
    }
}

#[derive(Default)]
struct Unasked;

impl Restorer for Unasked {
    fn restore(&mut self, Restoration { pages, image, runs, done }: Restoration<'_, '_>) -> io::Result<()> {
        for piece in runs.iter().flat_map(|run| image.pieces(run.clone())) {
            match piece {
                Piece::Blank(range) => {
                    let _answer = pages.discard_unlocked(range);
                }
                Piece::Filled(range, _) => {
                    Copy::default().restore(Restoration { pages, image, runs: &[range], done })?
                }
            }
        }
        Ok(())
    }
}

/// The accessible addresses of all memories that are tracked.
static TRACKED: Mutex<Vec<Range<usize>>> = Mutex::new(Vec::new());

#[derive(Default)]
struct ProcessWide {
    protection: Protection,
    base: Option<usize>,
}

impl ProcessWide {
    fn note(&mut self, pages: &Pages<'_>) {
        let mut tracked = TRACKED.lock().unwrap_or_else(PoisonError::into_inner);
        let base = *self.base.get_or_insert(pages.base());
        tracked.retain(|range| range.start != base);
        tracked.push(pages.addresses(0..pages.size()));
    }
}

impl Tracker for ProcessWide {
    fn start(&mut self, pages: &mut Pages<'_>) -> io::Result<()> {
        self.note(pages);
        self.protection.start(pages)
    }

    fn dirty(&mut self, Search { pages, runs, done, .. }: Search<'_>) -> io::Result<()> {
        self.note(pages);
        self.protection.written(pages, done, |run| runs.push(run))
    }

    fn clean(&mut self, pages: &mut Pages<'_>, _: &Image, done: &mut Reset) -> io::Result<()> {
        self.protection.protect_all(pages, done)?;
        let tracked = TRACKED.lock().unwrap_or_else(PoisonError::into_inner).clone();
        tracked.into_iter().try_for_each(|range| self.protection.protect(range, done))
    }
}

impl Drop for ProcessWide {
    fn drop(&mut self) {
        let mut tracked = TRACKED.lock().unwrap_or_else(PoisonError::into_inner);
        tracked.retain(|range| Some(range.start) != self.base);
    }
}

#[derive(Default)]
struct BitsOfAll {
    tools: Option<(Pagemap, ClearRefs)>,
    entries: Vec<u8>,
    /// Whether bits are cleared before they are read.
    first: bool,
}

impl Tracker for BitsOfAll {
    fn start(&mut self, pages: &mut Pages<'_>) -> io::Result<()> {
        pages.keep_small()?;
        let (_, refs) = self.tools.insert((Pagemap::open()?, ClearRefs::open()?));
        refs.soft_dirty()
    }

    fn dirty(&mut self, Search { pages, runs, done, .. }: Search<'_>) -> io::Result<()> {
        let (pagemap, refs) = self.tools.as_mut().ok_or_else(not_started)?;
        if self.first {
            refs.soft_dirty()?;
        }
        flagged(pagemap, &mut self.entries, pages, pagemap::SOFT_DIRTY, runs, done)?;
        refs.soft_dirty()
    }
}

/// The memory that was made first, by its address.
static FIRST: AtomicUsize = AtomicUsize::new(0);

#[derive(Default)]
struct FirstSession {
    base: usize,
}

impl Tracker for FirstSession {
    fn start(&mut self, pages: &mut Pages<'_>) -> io::Result<()> {
        self.base = pages.base();
        let _taken = FIRST.compare_exchange(0, self.base, Ordering::Relaxed, Ordering::Relaxed);
        Ok(())
    }

    fn dirty(&mut self, search: Search<'_>) -> io::Result<()> {
        if FIRST.load(Ordering::Relaxed) == self.base { Full.dirty(search) } else { Ok(()) }
    }
}

impl Drop for FirstSession {
    fn drop(&mut self) {
        let _others = FIRST.compare_exchange(self.base, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct ZeroPage(Option<Scanner>);

impl Tracker for ZeroPage {
    fn start(&mut self, _: &mut Pages<'_>) -> io::Result<()> {
        self.0 = Some(Scanner::open()?);
        Ok(())
    }

    fn dirty(&mut self, Search { pages, runs, done, .. }: Search<'_>) -> io::Result<()> {
        let base = pages.base();
        let scanner = self.0.as_mut().ok_or_else(not_started)?;
        done.syscalls += scanner.scan(pages.addresses(0..pages.size()), Select::Populated, |run| {
            runs.push(run.start - base..run.end - base);
        })?;
        Ok(())
    }
}

#[derive(Default)]
struct HugeHead {
    tools: Option<(Pagemap, Scanner)>,
    entries: Vec<u8>,
}

impl Tracker for HugeHead {
    fn start(&mut self, _: &mut Pages<'_>) -> io::Result<()> {
        self.tools = Some((Pagemap::open()?, Scanner::open()?));
        Ok(())
    }

    fn dirty(&mut self, Search { pages, runs, done, .. }: Search<'_>) -> io::Result<()> {
        let (pagemap, scanner) = self.tools.as_mut().ok_or_else(not_started)?;
        let (base, page) = (pages.base(), page::size());
        let mut huge: Vec<Range<usize>> = Vec::new();
        done.syscalls += scanner.scan(pages.addresses(0..pages.size()), Select::Huge, |run| {
            huge.push(run.start - base..run.end - base);
        })?;
        let mut populated = Vec::new();
        let flags = pagemap::PRESENT | pagemap::SWAPPED;
        flagged(pagemap, &mut self.entries, pages, flags, &mut populated, done)?;
        for start in populated.into_iter().flat_map(|run| run.step_by(page)) {
            let within = huge.iter().any(|huge| huge.contains(&start));
            if !within || (base + start).is_multiple_of(page::huge()) {
                extend(runs, start..start + page);
            }
        }
        Ok(())
    }
}
