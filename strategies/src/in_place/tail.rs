//! Huge pages for what blocks grow a memory by.
//!
//! A reset closes what the block has grown the memory by, and the next block opens it again, often 64 KiB at a time. For
//! each page that it closes or opens the kernel looks at what it knows of the page, which after a block of some
//! milliseconds is in no cache. Of the pages of a huge page it knows the same, once. The first growth by less than a huge
//! page splits the mapping, and that alone does not undo it: Linux treats the split parts in batches (`mprotect` since
//! 6.17). Figures are in `docs/STRATEGIES.md`.
//!
//! A huge page is made of what has nearly all been restored, and so is resident; the few pages that are not become so,
//! a sixteenth of the tail at most. It is made once; whoever protects or gives back a part later splits it.

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

/// The part of a memory beyond its initial size.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// How often nearly all of each was restored, by its place among the huge pages behind the initial size.
    restored: Vec<u8>,
    /// Bytes that are resident for no other reason than that a huge page is.
    spare: usize,
    /// The kernel has none, or none left: it is not asked again.
    given_up: bool,
}

impl Tail {
    /// Begins a reset: takes note of what the last one restored beyond the first `initial` bytes, and makes huge pages where
    /// that has come to pay. It writes to pages, as they are, which may be protected: a tracker has to look after it.
    pub(super) fn make_huge(
        &mut self,
        pages: &mut Pages<'_>,
        initial: usize,
        runs: &[Range<usize>],
        done: &mut Reset,
    ) {
        let (base, size, huge) = (pages.base(), pages.size(), page::huge());
        // Huge pages begin at addresses that are multiples of their size.
        let begin = (base + initial).next_multiple_of(huge) - base;
        let whole = (begin..size).step_by(huge).take_while(|start| start + huge <= size);
        let mut runs = &runs[runs.partition_point(|run| run.end <= begin)..];
        let tail: usize = runs.iter().map(ExactSizeIterator::len).sum();
        for (index, start) in whole.enumerate() {
            if self.given_up {
                return;
            }
            runs = &runs[runs.partition_point(|run| run.end <= start)..];
            let here = &runs[..runs.partition_point(|run| run.start < start + huge)];
            let restored: usize =
                here.iter().map(|run| run.end.min(start + huge) - run.start.max(start)).sum();
            let spare = huge - restored;
            if restored * NEARLY.1 < huge * NEARLY.0 || (self.spare + spare) * SPARE > tail {
                continue;
            }
            if index >= self.restored.len() {
                self.restored.resize(index + 1, 0);
            }
            self.restored[index] = self.restored[index].saturating_add(1);
            if self.restored[index] == OFTEN {
                self.spare += spare;
                self.make(pages, start..start + huge, done);
            }
        }
    }

    fn make(&mut self, pages: &mut Pages<'_>, range: Range<usize>, done: &mut Reset) {
        if page::COLLAPSE.available().is_ok() {
            // The kernel makes none of pages that it has marked as protected, whether they are there or not: each is
            // written as it is. A tracker that finds the few which were clean has them restored once.
            for byte in pages.bytes_mut()[range.clone()].iter_mut().step_by(page::size()) {
                *byte = black_box(*byte);
            }
            done.syscalls += 1;
            if pages.collapse(range).is_ok() {
                done.huge_pages += 1;
                return;
            }
        }
        // Whatever the reason, the small pages are still there, and right.
        self.given_up = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_place::region::Region;

    /// Huge pages that are made in five resets of a memory of six after the first, of which so many pages are restored;
    /// none if the kernel, which may be short of them for a moment, refuses one.
    fn made(restored: [usize; 6]) -> Option<[u64; 5]> {
        let (huge, page) = (page::huge(), page::size());
        let region = Region::reserve(8 * huge, 8 * huge, page).unwrap();
        // SAFETY: no instance owns this region.
        let mut pages = unsafe { region.pages() };
        let initial = huge - pages.base() % huge;
        let runs: Vec<_> = (restored.iter().enumerate())
            .map(|(index, restored)| initial + index * huge..initial + index * huge + restored * page)
            .collect();
        runs.iter().for_each(|run| pages.bytes_mut()[run.clone()].fill(7));
        let content = pages.bytes().to_vec();
        let mut tail = Tail::default();
        let made = std::array::from_fn(|_| {
            let mut done = Reset::default();
            tail.make_huge(&mut pages, initial, &runs, &mut done);
            assert_eq!(done.syscalls, done.huge_pages + u64::from(tail.given_up && done.syscalls > 0));
            done.huge_pages
        });
        assert!(pages.bytes() == content, "a page lost what it held");
        (!tail.given_up).then_some(made)
    }

    #[test]
    fn what_nearly_all_is_restored_of_three_times_becomes_a_huge_page_once() {
        if let Err(why) = page::COLLAPSE.available() {
            eprintln!("not run: {why}");
            return;
        }
        let all = page::huge() / page::size();
        // One lacks too many; of the two that lack a little less, one takes all that may be spare.
        let crowded = [all, all, all * 2 / 3, all * 4 / 5, all, all * 4 / 5];
        for (restored, expected) in [([all, 0, all, 0, 0, 0], 2), (crowded, 4)] {
            match (0..20).find_map(|_| made(restored)) {
                Some(made) => assert_eq!(made, [0, 0, expected, 0, 0], "{restored:?}"),
                None => eprintln!("NOT TESTED HERE: the kernel has no huge page to spare"),
            }
        }
    }
}
