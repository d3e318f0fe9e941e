//! Huge pages for what blocks grow a memory by.
//!
//! A reset closes what the block has grown the memory by, and the next block opens it again, often 64 KiB at a time. For
//! each page that it closes or opens the kernel looks at what it knows of the page, which after a block of some
//! milliseconds is in no cache. Of the pages of a huge page it knows the same, once. The first growth by less than a huge
//! page splits the mapping, and that alone does not undo it: Linux treats the split parts in batches (`mprotect` since
//! 6.17). Figures are in `docs/STRATEGIES.md`.
//!
//! A huge page is made of what has nearly all been restored, and so is resident; the few pages that are not become so,
//! a sixteenth of the tail at most. It is made once; whoever protects or gives back a part later splits it. A reset makes
//! an eighth of them at most, so that no block waits for all.

use std::hint::black_box;
use std::ops::Range;

use super::region::Pages;
use crate::block::Reset;
use crate::sys::page;

/// How often nearly all of what would be a huge page is restored before it becomes one. Making it takes as long as it saves
/// in about ten blocks; what blocks have grown to three times, they will again.
const OFTEN: u8 = 3;

/// The part of a huge page that has to be restored, so that making it whole can pay: three quarters.
const NEARLY: (usize, usize) = (3, 4);

/// How much more memory than blocks have written to huge pages may hold: a sixteenth.
const SPARE: usize = 16;

/// The part of the tail's huge pages, one in so many, that a reset makes at most, and one at least. Making one takes about as
/// long as closing, opening and restoring it in small pages twice, so that the block takes a quarter as long again at most.
/// docs/METHODOLOGY.md has what larger parts come to.
const TURNS: usize = 8;

/// Resets after which a kernel that has refused a huge page is asked again; twice as many after each further refusal. It may
/// lack memory in one piece, for which it searches long, or have been busy with a page for a moment.
const PAUSE: u32 = 64;

/// In the place of how often it was restored: it has become a huge page.
const MADE: u8 = u8::MAX;

/// The part of a memory beyond its initial size.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// How often nearly all of each was restored, by its place among the huge pages behind the initial size.
    restored: Vec<u8>,
    /// Bytes that are resident for no other reason than that a huge page is.
    spare: usize,
    /// Resets to come in which the kernel is not asked, since it has refused.
    pause: u32,
    /// The same after the next refusal.
    next_pause: u32,
}

impl Tail {
    /// Begins a reset: takes note of what the last one restored beyond the first `initial` bytes, and makes huge pages where
    /// that has come to pay, as many as a reset may. It writes to pages, as they are, which may be protected: a tracker has to
    /// look after it.
    pub(super) fn make_huge(
        &mut self,
        pages: &mut Pages<'_>,
        initial: usize,
        runs: &[Range<usize>],
        done: &mut Reset,
    ) {
        self.pause = self.pause.saturating_sub(1);
        let (base, size, huge) = (pages.base(), pages.size(), page::huge());
        // Huge pages begin at addresses that are multiples of their size.
        let begin = (base + initial).next_multiple_of(huge) - base;
        let whole = (begin..size).step_by(huge).take_while(|start| start + huge <= size);
        let most = (size.saturating_sub(begin) / huge).div_ceil(TURNS) as u64;
        let mut runs = &runs[runs.partition_point(|run| run.end <= begin)..];
        let tail: usize = runs.iter().map(ExactSizeIterator::len).sum();
        for (index, start) in whole.enumerate() {
            runs = &runs[runs.partition_point(|run| run.end <= start)..];
            let here = &runs[..runs.partition_point(|run| run.start < start + huge)];
            let restored: usize =
                here.iter().map(|run| run.end.min(start + huge) - run.start.max(start)).sum();
            let spare = huge - restored;
            if restored * NEARLY.1 < huge * NEARLY.0 {
                continue;
            }
            if index >= self.restored.len() {
                self.restored.resize(index + 1, 0);
            }
            let often = &mut self.restored[index];
            if *often == MADE {
                continue;
            }
            *often = (*often + 1).min(OFTEN);
            let fits = (self.spare + spare) * SPARE <= tail;
            if *often == OFTEN && fits && self.pause == 0 && done.huge_pages < most {
                self.make(index, spare, pages, start..start + huge, done);
            }
        }
    }

    fn make(
        &mut self,
        index: usize,
        spare: usize,
        pages: &mut Pages<'_>,
        range: Range<usize>,
        done: &mut Reset,
    ) {
        if page::COLLAPSE.available().is_ok() {
            // The kernel makes none of pages that it has marked as protected, whether they are there or not: each is
            // written as it is. A tracker that finds the few which were clean has them restored once.
            for byte in pages.bytes_mut()[range.clone()].iter_mut().step_by(page::size()) {
                *byte = black_box(*byte);
            }
            done.syscalls += 1;
            if pages.collapse(range).is_ok() {
                done.huge_pages += 1;
                self.spare += spare;
                self.restored[index] = MADE;
                self.next_pause = 0;
                return;
            }
        }
        // Whatever the reason, the small pages are still there, and right.
        self.next_pause = self.next_pause.saturating_mul(2).max(PAUSE);
        self.pause = self.next_pause;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_place::region::Region;

    /// A memory of eight huge pages with a tail of six, of each of which so many pages are restored.
    struct Case {
        region: Region,
        initial: usize,
        runs: Vec<Range<usize>>,
        tail: Tail,
    }

    impl Case {
        fn new(restored: [usize; 6]) -> Self {
            let (huge, page) = (page::huge(), page::size());
            let region = Region::reserve(8 * huge, 8 * huge, page).unwrap();
            let initial = huge - region.base() % huge;
            let runs: Vec<_> = (restored.iter().enumerate())
                .map(|(index, restored)| initial + index * huge..initial + index * huge + restored * page)
                .collect();
            let case = Self { region, initial, runs, tail: Tail::default() };
            case.runs.iter().for_each(|run| case.pages().bytes_mut()[run.clone()].fill(7));
            case
        }

        fn pages(&self) -> Pages<'_> {
            // SAFETY: no instance owns this region.
            unsafe { self.region.pages() }
        }

        /// Huge pages that a reset makes.
        fn reset(&mut self) -> u64 {
            let mut done = Reset::default();
            // SAFETY: as above.
            let mut pages = unsafe { self.region.pages() };
            let paused = self.tail.pause > 1;
            self.tail.make_huge(&mut pages, self.initial, &self.runs, &mut done);
            let refused = !paused && self.tail.pause > 0;
            assert_eq!(done.syscalls, done.huge_pages + u64::from(refused));
            done.huge_pages
        }
    }

    /// Huge pages that are made in each of eight resets; none if the kernel, which may be short of them for a moment, refuses
    /// one.
    fn made(restored: [usize; 6]) -> Option<[u64; 8]> {
        let mut case = Case::new(restored);
        let content = case.pages().bytes().to_vec();
        let made = std::array::from_fn(|_| case.reset());
        assert!(case.pages().bytes() == content, "a page lost what it held");
        (case.tail.next_pause == 0).then_some(made)
    }

    fn can_make() -> bool {
        page::COLLAPSE.available().inspect_err(|why| eprintln!("NOT TESTED HERE: {why}")).is_ok()
    }

    #[test]
    fn what_nearly_all_is_restored_of_three_times_becomes_a_huge_page_an_eighth_in_a_reset() {
        if !can_make() {
            return;
        }
        let all = page::huge() / page::size();
        // One lacks too many; of the two that lack a little less, one takes all that may be spare.
        let crowded = [all, all, all * 2 / 3, all * 4 / 5, all, all * 4 / 5];
        let two = [0, 0, 1, 1, 0, 0, 0, 0];
        let four = [0, 0, 1, 1, 1, 1, 0, 0];
        for (restored, expected) in [([all, 0, all, 0, 0, 0], two), (crowded, four)] {
            match (0..20).find_map(|_| made(restored)) {
                Some(made) => assert_eq!(made, expected, "{restored:?}"),
                None => eprintln!("NOT TESTED HERE: the kernel has no huge page to spare"),
            }
        }
    }

    #[test]
    fn a_kernel_that_refused_is_asked_again_after_a_while() {
        if !can_make() {
            return;
        }
        let mut case = Case::new([page::huge() / page::size(), 0, 0, 0, 0, 0]);
        case.pages().keep_small().unwrap();
        let made: u64 = (0..3 * PAUSE).map(|_| case.reset()).sum();
        assert_eq!((made, case.tail.next_pause), (0, 2 * PAUSE), "refused twice");
        case.region.map().advise(memmap2::Advice::HugePage).unwrap();
        let made: u64 = (0..3 * PAUSE).map(|_| case.reset()).sum();
        match case.tail.next_pause {
            0 => assert_eq!(made, 1),
            _ => eprintln!("NOT TESTED HERE: the kernel has no huge page to spare"),
        }
    }
}
