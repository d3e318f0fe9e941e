//! Huge pages for what blocks grow a memory by.
//!
//! A reset closes what the block has grown the memory by, and the next block opens it again, often 64 KiB at a time. For
//! each page that it closes or opens the kernel looks at what it knows of the page, which after a block of some
//! milliseconds is in no cache. Of the pages of a huge page it knows the same, once. The first growth by less than a huge
//! page splits the mapping, and that alone does not undo it: Linux treats the split parts in batches (`mprotect` since
//! 6.17). Figures are in `docs/STRATEGIES.md`.
//!
//! Nothing becomes resident by it: a huge page is made only of pages that were all restored, which makes them all
//! resident, so that no more is held than before. It is made once; whoever protects or gives back a part later splits it.

use std::ops::Range;

use super::region::Pages;
use crate::session::Reset;
use crate::sys::page;

/// How often what would be a huge page is restored as a whole before it becomes one. Making it takes as long as it saves
/// in about ten blocks; what blocks have grown to three times, they will again.
const OFTEN: u8 = 3;

/// The part of a memory beyond its initial size.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// How often each was restored as a whole, by its place among the huge pages that the memory spans.
    restored: Vec<u8>,
    /// The kernel has none, or none left: it is not asked again.
    given_up: bool,
}

impl Tail {
    /// Takes note of what was restored beyond the first `initial` bytes, before any of it is protected again, and makes
    /// huge pages where that has come to pay.
    pub(super) fn restored(
        &mut self,
        pages: &mut Pages<'_>,
        initial: usize,
        runs: &[Range<usize>],
        done: &mut Reset,
    ) {
        let (base, huge) = (pages.base(), page::huge());
        // Huge pages begin at addresses that are multiples of their size.
        let begins = |byte: usize| (base + byte).next_multiple_of(huge) - base;
        for run in runs {
            for start in
                (begins(run.start.max(initial))..).step_by(huge).take_while(|at| at + huge <= run.end)
            {
                if self.given_up {
                    return;
                }
                let index = (base + start) / huge - base / huge;
                if index >= self.restored.len() {
                    self.restored.resize(index + 1, 0);
                }
                self.restored[index] = self.restored[index].saturating_add(1);
                if self.restored[index] == OFTEN {
                    self.make(pages, start..start + huge, done);
                }
            }
        }
    }

    fn make(&mut self, pages: &mut Pages<'_>, range: Range<usize>, done: &mut Reset) {
        if page::COLLAPSE.available().is_ok() {
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

    #[test]
    fn what_is_restored_as_a_whole_three_times_becomes_a_huge_page_once() {
        if let Err(why) = page::COLLAPSE.available() {
            eprintln!("not run: {why}");
            return;
        }
        let (huge, page) = (page::huge(), page::size());
        let region = Region::reserve(5 * huge, 8 * huge, page).unwrap();
        // SAFETY: no instance owns this region.
        let mut pages = unsafe { region.pages() };
        pages.bytes_mut().fill(7);
        let mut tail = Tail::default();
        let initial = huge - pages.base() % huge;
        let runs = [0..initial + huge - page, initial + huge..initial + 2 * huge + page];
        let made: Vec<u64> = (0..5)
            .map(|_| {
                let mut done = Reset::default();
                tail.restored(&mut pages, initial, &runs, &mut done);
                assert_eq!(done.syscalls, done.huge_pages);
                done.huge_pages
            })
            .collect();
        assert_eq!(made, [0, 0, 1, 0, 0]);
        // The first run is a page short of a huge page.
        assert_eq!(tail.restored.iter().filter(|&&times| times == 5).count(), 1);
        assert!(pages.bytes().iter().all(|byte| *byte == 7));
    }
}
