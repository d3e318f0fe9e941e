//! Which pages are hot, decided by nothing but what was written in each block.

use std::ops::Range;

use crate::learned::{Costs, Learned};
use crate::sys::page::{self, extend};

/// A hot page is looked at once in so many resets, another part of them in each. A prime, so that blocks that come
/// round again do not meet the same pages each time.
const CALM: usize = 1_021;

/// The same for as many resets after a hot page has become cold: it seldom is the only one.
const ALERT: usize = 61;

/// Resets after which a page that stayed cold is given back.
const QUIET: u32 = 1_024;

/// Resets that no page waits for.
const LONG_AGO: u32 = 1 << 31;

/// Resets in which all pages are searched once for quiet ones, another part of them in each: no block waits for all.
const EPOCH: usize = 128;

/// How many faults the restores of a page may have cost before it is cold, once a look has found it written. A page that is
/// written about as seldom as is just worth its restores would be hot and cold in turn otherwise, and cost both.
const SETTLED: u32 = 2;

/// Pages between two that are to be protected for which one system call is cheaper than two.
const BRIDGE: usize = 2_048;

/// Resets with faults that weigh in what faults are taken to cost.
const LATELY: f64 = 8.0;

/// What is known of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Tier {
    /// Never written, or given back.
    #[default]
    Unseen,
    /// Write-protected: its next write is told by a fault.
    Cold,
    /// Writable, and restored in every reset.
    Hot,
    /// Hot, but lately so, or a look has found it clean: it is looked at in every reset until it is one or the other.
    Suspect,
}

/// A page that may be hot no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Suspect {
    index: usize,
    /// Looks on end that have found it clean.
    clean: u32,
    /// Whether it was found written since it became hot.
    settled: bool,
}

/// The tier of each page of a memory, and why.
#[derive(Debug)]
pub(super) struct Decisions {
    costs: Costs,
    /// Up to the last page that was ever written: what a reset takes must not depend on how much memory there is.
    tiers: Vec<Tier>,
    /// The last two resets that are known to have found the page written, the later one first, by its index.
    written: Vec<[u32; 2]>,
    resets: u32,
    /// Runs of hot pages, in ascending order.
    hot: Vec<Range<usize>>,
    /// Whether `hot` is out of date.
    moved: bool,
    suspects: Vec<Suspect>,
    /// Those of them that were suspects before this reset.
    earlier: usize,
    /// Suspects that this reset has found clean.
    clean: Vec<usize>,
    /// Kept between resets, so that leaving them out allocates nothing.
    rest: Vec<Range<usize>>,
    /// Resets to come in which hot pages are looked at more often.
    alert: usize,
    /// Pages to be protected after the restore, since they have faulted.
    cooling: Vec<Range<usize>>,
    /// The same, since they are hot no longer.
    demoted: Vec<Range<usize>>,
    /// Pages that are hot or cold.
    seen: usize,
    /// Nanoseconds that this reset spends once for all pages which have faulted.
    shared: f64,
    /// The same of late, and the pages that share it.
    of_late: (f64, f64),
    patience: u32,
    /// Where the search for quiet pages goes on.
    searched: usize,
}

impl Decisions {
    pub(super) fn new(costs: Costs) -> Self {
        Self {
            costs,
            tiers: Vec::new(),
            written: Vec::new(),
            resets: 0,
            hot: Vec::new(),
            moved: false,
            suspects: Vec::new(),
            earlier: 0,
            clean: Vec::new(),
            rest: Vec::new(),
            alert: 0,
            cooling: Vec::new(),
            demoted: Vec::new(),
            seen: 0,
            shared: 0.0,
            of_late: (0.0, 0.0),
            patience: costs.patience(0.0, 0),
            searched: 0,
        }
    }

    /// Begins a reset.
    pub(super) fn begin(&mut self) {
        self.resets = self.resets.wrapping_add(1);
        self.cooling.clear();
        self.demoted.clear();
        self.clean.clear();
        self.shared = 0.0;
        self.earlier = self.suspects.len();
        self.alert = self.alert.saturating_sub(1);
    }

    /// Runs of pages that can be written without a fault, as byte ranges in ascending order.
    pub(super) fn hot(&self) -> &[Range<usize>] {
        &self.hot
    }

    /// Takes note of what it took to find the pages that have faulted: so many system calls, which passed over so many
    /// bytes.
    pub(super) fn scanned(&mut self, calls: u64, bytes: usize) {
        let walked = (bytes / page::size()) as f64;
        self.shared += calls as f64 * self.costs.alone_ns + walked * self.costs.walk_ns;
    }

    /// Takes note of a page that is not protected. Unless it is hot, it was written, and took a fault: it becomes hot if
    /// restoring it in every reset would have cost less than its last fault, or than its last two. They may be chance, so
    /// that it is looked at from the next reset on, until a look finds it written. Says whether it took a fault.
    pub(super) fn unprotected(&mut self, index: usize) -> bool {
        if index >= self.tiers.len() {
            self.tiers.resize(index + 1, Tier::Unseen);
            self.written.resize(index + 1, [0; 2]);
        }
        match self.tiers[index] {
            Tier::Hot | Tier::Suspect => return false,
            Tier::Cold => {}
            Tier::Unseen => {
                self.seen += 1;
                self.written[index] = [self.resets.wrapping_sub(LONG_AGO); 2];
            }
        }
        let [last, before] = self.written[index].map(|reset| self.resets.wrapping_sub(reset));
        self.note(index);
        if last <= self.patience || before <= 2 * self.patience {
            self.tiers[index] = Tier::Suspect;
            self.suspects.push(Suspect { index, clean: 0, settled: false });
            self.moved = true;
        } else {
            self.tiers[index] = Tier::Cold;
            extend(&mut self.cooling, bytes_of(index));
        }
        true
    }

    /// The pages of a memory of this size of which anything is known.
    fn pages(&self, bytes: usize) -> usize {
        self.tiers.len().min(bytes / page::size())
    }

    fn note(&mut self, index: usize) {
        let [last, _] = self.written[index];
        self.written[index] = [self.resets, last];
    }

    /// Has the suspects of earlier resets looked at that are within a memory of this size. One is cold when it has been
    /// clean for so long that its restores have cost as much as a fault, or a few faults where it once was settled.
    pub(super) fn question(&mut self, bytes: usize, mut differs: impl FnMut(usize) -> bool) {
        let (pages, patience) = (bytes / page::size(), self.patience);
        let mut suspects = std::mem::take(&mut self.suspects);
        let mut earlier = 0..self.earlier;
        suspects.retain_mut(|Suspect { index, clean, settled }| {
            // A memory that has not grown so far this time has no such page: nothing is known of it, and nothing due.
            if earlier.next().is_none() || *index >= pages {
                return true;
            }
            if differs(*index) {
                self.note(*index);
                self.tiers[*index] = Tier::Hot;
                return false;
            }
            self.clean.push(*index);
            *clean += 1;
            if *clean < if *settled { SETTLED * patience } else { patience } {
                return true;
            }
            self.tiers[*index] = Tier::Cold;
            extend(&mut self.demoted, bytes_of(*index));
            self.moved = true;
            self.alert = ALERT;
            false
        });
        self.suspects = suspects;
    }

    /// Takes the suspects that were found clean out of the runs of pages to restore.
    pub(super) fn leave_clean(&mut self, runs: &mut Vec<Range<usize>>) {
        if self.clean.is_empty() {
            return;
        }
        self.clean.sort_unstable();
        let mut clean = self.clean.iter().map(|index| bytes_of(*index)).peekable();
        let rest = &mut self.rest;
        for mut run in runs.drain(..) {
            while let Some(page) = clean.next_if(|page| page.start < run.end) {
                if page.start > run.start {
                    rest.push(run.start..page.start);
                }
                run.start = run.start.max(page.end);
            }
            if !run.is_empty() {
                rest.push(run);
            }
        }
        std::mem::swap(runs, rest);
    }

    /// Has a sample of the hot pages looked at that are within a memory of this size.
    pub(super) fn sample(&mut self, bytes: usize, mut differs: impl FnMut(usize) -> bool) {
        let period = if self.alert > 0 { ALERT } else { CALM };
        let all = period - 1 - self.resets as usize % period..self.pages(bytes);
        for index in all.step_by(period) {
            if self.tiers[index] == Tier::Hot && !differs(index) {
                self.tiers[index] = Tier::Suspect;
                self.suspects.push(Suspect { index, clean: 1, settled: true });
            }
        }
    }

    /// Ends a reset: calls `protect` with ranges that hold every page that has become cold, and none that is hot.
    pub(super) fn cool_down<E>(
        &mut self,
        mut protect: impl FnMut(Range<usize>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.settle();
        stretches(&mut self.demoted, &self.hot, &mut protect)?;
        let pages = self.cooling.iter().map(ExactSizeIterator::len).sum::<usize>() / page::size();
        if pages == 0 {
            return Ok(());
        }
        stretches(&mut self.cooling, &self.hot, &mut protect)?;
        // One call for all of them, though hot pages between them make it several: pages that are written too seldom to be hot
        // would become so all the same, each since its neighbours are.
        self.shared += self.costs.alone_ns;
        // Of so many resets, so that a few pages which go their own way do not decide for all.
        let kept = 1.0 - 1.0 / LATELY;
        self.of_late = (self.of_late.0 * kept + self.shared, self.of_late.1 * kept + pages as f64);
        // Of all pages that may become hot, since each makes restoring the others dearer.
        self.patience = self.costs.patience(self.shared_ns(), self.seen);
        Ok(())
    }

    /// What a page that faults takes of what is done once for all of them.
    fn shared_ns(&self) -> f64 {
        self.of_late.0 / self.of_late.1.max(1.0)
    }

    fn settle(&mut self) {
        if !std::mem::take(&mut self.moved) {
            return;
        }
        self.hot.clear();
        for (index, tier) in self.tiers.iter().enumerate() {
            if matches!(tier, Tier::Hot | Tier::Suspect) {
                extend(&mut self.hot, bytes_of(index));
            }
        }
    }

    /// The runs of pages that have been cold for long, of the part of the memory whose turn it is; they count as unseen from
    /// here on.
    pub(super) fn quiet(&mut self, bytes: usize) -> Vec<Range<usize>> {
        let mut runs = Vec::new();
        let pages = self.pages(bytes);
        let start = if self.searched < pages { self.searched } else { 0 };
        self.searched = (start + pages.div_ceil(EPOCH)).min(pages);
        let part = start..self.searched;
        for (index, tier) in part.clone().zip(&mut self.tiers[part]) {
            if *tier == Tier::Cold && self.resets.wrapping_sub(self.written[index][0]) >= QUIET {
                *tier = Tier::Unseen;
                self.seen -= 1;
                extend(&mut runs, bytes_of(index));
            }
        }
        runs
    }

    pub(super) fn learned(&self) -> Learned {
        Learned {
            costs: self.costs,
            patience: self.patience,
            hot: self.hot.iter().map(ExactSizeIterator::len).sum::<usize>() / page::size(),
            cold: self.tiers.iter().filter(|tier| **tier == Tier::Cold).count(),
        }
    }
}

fn bytes_of(page: usize) -> Range<usize> {
    page * page::size()..(page + 1) * page::size()
}

/// Calls `protect` with as few ranges as pay that hold all of these runs, and no hot page.
fn stretches<E>(
    runs: &mut Vec<Range<usize>>,
    hot: &[Range<usize>],
    mut protect: impl FnMut(Range<usize>) -> Result<(), E>,
) -> Result<(), E> {
    runs.sort_unstable_by_key(|run| run.start);
    let mut hot = hot.iter().peekable();
    let mut runs = runs.drain(..);
    let Some(mut stretch) = runs.next() else { return Ok(()) };
    for next in runs {
        while hot.next_if(|run| run.start < stretch.end).is_some() {}
        let apart = hot.peek().is_some_and(|run| run.start < next.start);
        if apart || next.start - stretch.end > BRIDGE * page::size() {
            protect(std::mem::replace(&mut stretch, next))?;
        } else {
            stretch.end = next.end;
        }
    }
    protect(stretch)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGES: usize = 8_192;

    fn pages(indexes: Range<usize>) -> Range<usize> {
        indexes.start * page::size()..indexes.end * page::size()
    }

    const COSTS: Costs = Costs { restore_ns: [100.0; 4], fault_ns: 200.0, alone_ns: 0.0, walk_ns: 0.0 };

    /// Decisions with a patience of three resets.
    fn decisions() -> Decisions {
        Decisions::new(COSTS)
    }

    /// Resets after a block that wrote these pages; returns what was protected, and how many pages were looked at.
    fn reset(decisions: &mut Decisions, dirty: &[usize]) -> (Vec<Range<usize>>, usize) {
        reset_of(decisions, PAGES, dirty)
    }

    /// The same, of a memory that has only grown to so many pages.
    fn reset_of(decisions: &mut Decisions, size: usize, dirty: &[usize]) -> (Vec<Range<usize>>, usize) {
        decisions.begin();
        for index in dirty {
            decisions.unprotected(*index);
        }
        let mut looks = 0;
        decisions.question(size * page::size(), |index| {
            looks += 1;
            dirty.contains(&index)
        });
        decisions.sample(size * page::size(), |index| {
            looks += 1;
            dirty.contains(&index)
        });
        let mut protected = Vec::new();
        let kept = decisions.cool_down(|range| {
            protected.push(range);
            Ok::<_, ()>(())
        });
        kept.unwrap();
        (protected, looks)
    }

    /// Resets after blocks that write nothing, until something is protected: how many, and what.
    fn idle(decisions: &mut Decisions) -> (usize, Vec<Range<usize>>) {
        let resets = (1..).map(|resets| (resets, reset(decisions, &[]).0));
        resets
            .take(10 * CALM)
            .find(|(_, protected)| !protected.is_empty())
            .expect("a clean page becomes cold")
    }

    #[test]
    fn a_page_that_is_written_in_every_block_becomes_hot_and_is_seldom_looked_at() {
        let mut decisions = decisions();
        assert_eq!(reset(&mut decisions, &[3]).0, [pages(3..4)]);
        assert_eq!(decisions.tiers[3], Tier::Cold);
        assert_eq!(reset(&mut decisions, &[3]).0, []);
        assert_eq!(decisions.hot(), [pages(3..4)]);
        assert_eq!(reset(&mut decisions, &[3]), (vec![], 1));
        let looks: usize = (0..10 * CALM).map(|_| reset(&mut decisions, &[3]).1).sum();
        assert_eq!(looks, 10);
        assert_eq!(decisions.tiers[3], Tier::Hot);
    }

    #[test]
    fn a_page_that_became_hot_by_chance_is_protected_as_soon_as_a_fault_would_have_cost_less() {
        let mut decisions = decisions();
        (0..2).for_each(|_| drop(reset(&mut decisions, &[3])));
        assert_eq!(idle(&mut decisions), (3, vec![pages(3..4)]));
    }

    #[test]
    fn a_hot_page_that_is_no_longer_written_is_protected_after_as_many_looks_as_two_faults_are_worth() {
        let mut decisions = decisions();
        (0..3).for_each(|_| drop(reset(&mut decisions, &[3])));
        let (resets, protected) = idle(&mut decisions);
        assert!((1..=CALM + 2 * decisions.patience as usize).contains(&resets), "{resets}");
        assert_eq!(protected, [pages(3..4)]);
        assert_eq!(decisions.tiers[3], Tier::Cold);
        assert_eq!(decisions.hot(), []);
    }

    #[test]
    fn a_page_that_is_hot_stays_so_until_it_is_clean_for_twice_the_patience() {
        let mut decisions = decisions();
        (0..3).for_each(|_| drop(reset(&mut decisions, &[3])));
        for block in 0..10 * CALM {
            let dirty: &[usize] = if block % 6 == 0 { &[3] } else { &[] };
            assert_eq!(reset(&mut decisions, dirty).0, [], "block {block}");
        }
        assert_eq!(decisions.hot(), [pages(3..4)]);
    }

    #[test]
    fn once_a_page_has_become_cold_the_others_are_looked_at_soon() {
        let mut decisions = decisions();
        (0..3).for_each(|_| drop(reset(&mut decisions, &[3, 40, 700])));
        idle(&mut decisions);
        let rest = 2 * (ALERT + 2 * decisions.patience as usize);
        let protected: usize = (0..rest).map(|_| reset(&mut decisions, &[]).0.len()).sum();
        assert_eq!(protected, 2);
        assert_eq!(decisions.hot(), []);
    }

    #[test]
    fn a_suspect_beyond_a_memory_that_has_grown_less_stays_what_it_is() {
        let mut decisions = decisions();
        (0..3).for_each(|_| drop(reset(&mut decisions, &[700])));
        while decisions.suspects.is_empty() {
            reset(&mut decisions, &[]);
        }
        for _ in 0..10 * CALM {
            assert_eq!(reset_of(&mut decisions, 100, &[]), (vec![], 0));
        }
        assert_eq!(decisions.suspects, [Suspect { index: 700, clean: 1, settled: true }]);
        assert_eq!(decisions.hot(), [pages(700..701)]);
    }

    #[test]
    fn a_page_that_is_seldom_written_stays_cold() {
        let mut decisions = decisions();
        for block in 0..100 {
            let (dirty, protected): (&[usize], _) =
                if block % 4 == 0 { (&[3], vec![pages(3..4)]) } else { (&[], vec![]) };
            assert_eq!(reset(&mut decisions, dirty), (protected, 0), "block {block}");
        }
    }

    #[test]
    fn a_long_gap_is_made_up_for_by_a_short_one_before_it() {
        let mut decisions = decisions();
        let hot: Vec<_> = (0..8)
            .map(|block| {
                reset(&mut decisions, if matches!(block, 0 | 1 | 6) { &[3] } else { &[] });
                decisions.hot().len()
            })
            .collect();
        // Hot by the gap of one, cold after three clean looks, hot by two gaps of six in all.
        assert_eq!(hot, [0, 1, 1, 1, 0, 0, 1, 1]);
    }

    #[test]
    fn one_call_protects_what_lies_together_and_never_a_hot_page() {
        let mut decisions = decisions();
        (0..2).for_each(|_| drop(reset(&mut decisions, &[10])));
        assert_eq!(decisions.hot(), [pages(10..11)]);
        let far = 102 + 2 * BRIDGE;
        let (protected, _) = reset(&mut decisions, &[2, 8, 10, 12, 13, 100, 100 + BRIDGE, far]);
        assert_eq!(protected, [pages(2..9), pages(12..101 + BRIDGE), pages(far..far + 1)]);
    }

    #[test]
    fn hot_neighbours_are_no_reason_to_become_hot() {
        let mut decisions = Decisions::new(Costs { alone_ns: 600.0, ..COSTS });
        let even: Vec<_> = (0..200).step_by(2).collect();
        (0..2).for_each(|_| drop(reset(&mut decisions, &even)));
        assert_eq!(decisions.hot().len(), 100);
        let odd: Vec<_> = (1..200).step_by(2).collect();
        let (protected, _) = reset(&mut decisions, &odd);
        assert_eq!((protected.len(), decisions.shared_ns().round(), decisions.patience), (100, 6.0, 3));
    }

    #[test]
    fn what_all_faults_share_weighs_the_more_the_fewer_they_are() {
        let patience = |pages: usize| {
            let mut decisions = Decisions::new(Costs { alone_ns: 1_600.0, walk_ns: 1.0, ..COSTS });
            decisions.begin();
            decisions.scanned(1, 3_200 * page::size());
            assert!((0..pages).all(|index| decisions.unprotected(index)));
            decisions.cool_down(|_| Ok::<_, ()>(())).unwrap();
            decisions.patience
        };
        // Two calls and a walk, 6,400 ns in all: 400 ns for each of 16 pages.
        assert_eq!([1, 16, 64, 3_200].map(patience), [67, 7, 4, 3]);
    }

    #[test]
    fn what_was_looked_at_and_found_clean_is_not_restored() {
        let mut decisions = decisions();
        (0..2).for_each(|_| drop(reset(&mut decisions, &[3, 4, 5, 6, 9])));
        assert_eq!(decisions.hot(), [pages(3..7), pages(9..10)]);
        reset(&mut decisions, &[4]);
        let mut runs = vec![pages(3..7), pages(9..10), pages(20..21)];
        decisions.leave_clean(&mut runs);
        assert_eq!(runs, [pages(4..5), pages(20..21)]);
    }

    #[test]
    fn a_page_that_stays_cold_is_given_back_once() {
        let mut decisions = decisions();
        reset(&mut decisions, &[5]);
        let mut returned = Vec::new();
        for _ in 0..2 * (QUIET as usize + EPOCH) {
            reset(&mut decisions, &[]);
            returned.extend(decisions.quiet(PAGES * page::size()));
        }
        assert_eq!(returned, [pages(5..6)]);
        assert_eq!(decisions.tiers[5], Tier::Unseen);
    }

    #[test]
    fn no_reset_gives_all_quiet_pages_back() {
        let mut decisions = decisions();
        reset(&mut decisions, &(0..PAGES).collect::<Vec<_>>());
        let returned: Vec<usize> = (0..2 * (QUIET as usize + EPOCH))
            .map(|_| {
                reset(&mut decisions, &[]);
                decisions.quiet(PAGES * page::size()).iter().map(ExactSizeIterator::len).sum::<usize>()
            })
            .collect();
        assert_eq!(returned.iter().sum::<usize>(), PAGES * page::size());
        assert_eq!(returned.iter().max(), Some(&(PAGES / EPOCH * page::size())));
    }

    #[test]
    fn what_is_kept_and_gone_through_is_bounded_by_what_was_written() {
        let mut decisions = decisions();
        for _ in 0..2 * CALM {
            reset_of(&mut decisions, 1 << 20, &[5]);
            decisions.quiet((1 << 20) * page::size());
            assert!(decisions.searched <= 6, "{}", decisions.searched);
        }
        assert_eq!((decisions.tiers.len(), decisions.written.len()), (6, 6));
    }

    #[test]
    fn the_same_blocks_give_the_same_decisions() {
        let (mut one, mut other) = (decisions(), decisions());
        for block in 0..500_usize {
            let mut dirty: Vec<_> = (0..20).map(|n| (block * n * 7 + n) % PAGES).collect();
            dirty.sort_unstable();
            dirty.dedup();
            assert_eq!(reset(&mut one, &dirty), reset(&mut other, &dirty));
        }
        assert_eq!((one.tiers, one.written), (other.tiers, other.written));
    }
}
