//! How far from the best policy in hindsight the decisions are, on traces that were made up: blocks that write the same
//! pages, pages in turn, pages at random, in phases, and whatever hurts most; and on what indexers write.
//!
//! The best in hindsight knows all blocks beforehand, and which pages to keep hot from the first to the last: those that are
//! written most often, as many of them as is cheapest. Both pay what a machine was measured to cost, the faults, what the
//! first of them brings about, looks and restores; the decisions are made by costs that noise has made wrong.

use std::ops::Range;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::decisions::Decisions;
use crate::learned::Costs;
use crate::sys::page;

/// Blocks of a trace.
const BLOCKS: usize = 600;

/// What two machines cost, an Intel Xeon with 480 MiB of last-level cache and an AMD EPYC with 32 MiB: where all pages are in
/// a core's caches, in the last level, and in none. The same for all places, so that this machine's caches do not matter.
const MACHINES: [Costs; 6] = [intel(60.0), intel(137.0), intel(441.0), amd(60.0), amd(72.0), amd(82.0)];

const fn intel(restore_ns: f64) -> Costs {
    Costs { restore_ns: [restore_ns; 4], fault_ns: 718.0, alone_ns: 1_200.0, walk_ns: 2.5 }
}

const fn amd(restore_ns: f64) -> Costs {
    Costs { restore_ns: [restore_ns; 4], fault_ns: 1_010.0, alone_ns: 1_150.0, walk_ns: 2.5 }
}

/// What noise does to each cost that the decisions know: factors that it lies between.
const NOISE: Range<f64> = 0.8..1.25;

/// What a block writes, from its number and the pages that are hot.
type Blocks = Box<dyn FnMut(usize, &[bool]) -> Vec<usize>>;

/// So many pages of the first of a larger number, in such an order.
fn traces(seed: u64) -> Vec<(String, usize, Blocks)> {
    let rng = move |salt: u64| ChaCha8Rng::seed_from_u64(seed * 1_000 + salt);
    let mut traces: Vec<(String, usize, Blocks)> = Vec::new();
    for dirty in [1_usize, 16, 128] {
        for sets in [1_usize, 2, 4, 8, 16] {
            let rotating =
                move |block: usize, _: &[bool]| (0..dirty).map(|n| block % sets * dirty + n).collect();
            traces.push((format!("{dirty} pages, {sets} sets in turn"), dirty * sets, Box::new(rotating)));
        }
        for percent in [3_usize, 10, 30, 70] {
            let (pages, mut rng) = (dirty * 100 / percent, rng(dirty as u64 * 100 + percent as u64));
            let random = move |_: usize, _: &[bool]| {
                (0..pages).filter(|_| rng.random_range(0..100) < percent).collect::<Vec<_>>()
            };
            traces.push((format!("each of {pages} pages in {percent} % of blocks"), pages, Box::new(random)));
        }
        for phase in [10_usize, 50, 200] {
            let phases =
                move |block: usize, _: &[bool]| (0..dirty).map(|n| block / phase % 4 * dirty + n).collect();
            traces.push((format!("{dirty} pages, others after {phase} blocks"), 4 * dirty, Box::new(phases)));
        }
        let adversary = move |_: usize, hot: &[bool]| (0..dirty).filter(|page| !hot[*page]).collect();
        traces.push((format!("{dirty} pages, each when it is cold"), dirty, Box::new(adversary)));
    }
    traces
}

/// What the bundled indexers write in blocks of which no two are alike; after the last one comes the first again.
fn recorded() -> Vec<(String, usize, Blocks)> {
    let mut traces: Vec<(String, Vec<Vec<usize>>)> = Vec::new();
    for line in include_str!("recorded.txt").lines().filter(|line| !line.starts_with('#')) {
        if line.starts_with(char::is_alphabetic) {
            traces.push((line.to_owned(), Vec::new()));
            continue;
        }
        let number = |text: &str| text.parse::<usize>().expect("the number of a page");
        let pages = line.split(' ').flat_map(|run| match run.split_once('-') {
            Some((first, last)) => number(first)..=number(last),
            None => number(run)..=number(run),
        });
        traces.last_mut().expect("a name comes first").1.push(pages.collect());
    }
    let replayed = |(name, trace): (String, Vec<Vec<usize>>)| {
        let pages = trace.iter().flatten().max().expect("a block that writes") + 1;
        let blocks = move |block: usize, _: &[bool]| trace[block % trace.len()].clone();
        (name, pages, Box::new(blocks) as Blocks)
    };
    traces.into_iter().map(replayed).collect()
}

/// What a policy pays, in nanoseconds.
struct Bill {
    costs: Costs,
    /// Restoring a page, with as many as there are.
    restore: f64,
    pages: usize,
    ns: f64,
}

impl Bill {
    fn new(costs: Costs, pages: usize) -> Self {
        Self { costs, restore: costs.restoring(pages * page::size()), pages, ns: 0.0 }
    }

    /// A block in which so many cold pages were written, and its reset, with so many hot ones, looks and calls to protect.
    fn block(&mut self, faults: usize, hot: usize, looks: usize, calls: usize) {
        let Costs { fault_ns, alone_ns, walk_ns, .. } = self.costs;
        let scan = if faults > 0 { alone_ns + self.pages as f64 * walk_ns } else { 0.0 };
        self.ns += faults as f64 * fault_ns + scan + calls as f64 * alone_ns;
        self.ns += (faults + hot + looks) as f64 * self.restore;
    }
}

/// What the decisions cost, and what each block wrote.
fn online(known: Costs, costs: Costs, pages: usize, blocks: &mut Blocks) -> (f64, Vec<Vec<usize>>) {
    let (mut decisions, mut bill) = (Decisions::new(known), Bill::new(costs, pages));
    let bytes = pages * page::size();
    let mut trace = Vec::new();
    let [mut hot, mut written] = [vec![false; pages], vec![false; pages]];
    for block in 0..BLOCKS {
        let runs: Vec<_> =
            decisions.hot().iter().map(|run| run.start / page::size()..run.end / page::size()).collect();
        runs.iter().for_each(|run| hot[run.clone()].fill(true));
        let dirty = blocks(block, &hot);
        dirty.iter().for_each(|page| written[*page] = true);
        let faults: Vec<_> = dirty.iter().copied().filter(|page| !hot[*page]).collect();
        runs.into_iter().for_each(|run| hot[run].fill(false));

        decisions.begin();
        if !faults.is_empty() {
            decisions.scanned(1, bytes);
            faults.iter().for_each(|page| assert!(decisions.unprotected(*page)));
        }
        let mut looks = 0;
        let mut look = |page: usize| {
            looks += 1;
            written[page]
        };
        decisions.question(bytes, &mut look);
        let mut restored = decisions.hot().to_vec();
        decisions.leave_clean(&mut restored);
        decisions.sample(bytes, &mut look);
        let mut calls = 0;
        let protected: Result<(), ()> = decisions.cool_down(|_| {
            calls += 1;
            Ok(())
        });
        protected.unwrap();
        let restored = restored.iter().map(ExactSizeIterator::len).sum::<usize>() / page::size();
        bill.block(faults.len(), restored, looks, calls);
        dirty.iter().for_each(|page| written[*page] = false);
        trace.push(dirty);
    }
    (bill.ns, trace)
}

/// What the best costs that keeps the same pages hot from the first block to the last.
fn in_hindsight(costs: Costs, pages: usize, trace: &[Vec<usize>]) -> f64 {
    let mut often = vec![0; pages];
    trace.iter().flatten().for_each(|page| often[*page] += 1);
    let mut order: Vec<_> = (0..pages).filter(|page| often[*page] > 0).collect();
    order.sort_by_key(|page| std::cmp::Reverse(often[*page]));
    let mut rank = vec![0; pages];
    order.iter().enumerate().for_each(|(place, page)| rank[*page] = place);
    // Pages that are written as often are all hot, or none is.
    let all = order.len();
    let sizes = (0..=all).filter(|&hot| hot == 0 || hot == all || often[order[hot - 1]] != often[order[hot]]);
    let bills = sizes.map(|hot| {
        let mut bill = Bill::new(costs, pages);
        for dirty in trace {
            let faults = dirty.iter().filter(|page| rank[**page] >= hot).count();
            bill.block(faults, hot, 0, usize::from(faults > 0));
        }
        bill.ns
    });
    bills.fold(f64::MAX, f64::min)
}

#[test]
fn the_decisions_cost_little_more_than_the_best_in_hindsight() {
    let mut ratios: Vec<(f64, String)> = Vec::new();
    for (machine, costs) in MACHINES.into_iter().enumerate() {
        for seed in 0..5 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut wrong = |ns: f64| ns * rng.random_range(NOISE);
            let known = Costs {
                restore_ns: [wrong(costs.restore_ns[0]); 4],
                fault_ns: wrong(costs.fault_ns),
                alone_ns: wrong(costs.alone_ns),
                walk_ns: wrong(costs.walk_ns),
            };
            for (name, pages, mut blocks) in traces(seed).into_iter().chain(recorded()) {
                let (paid, trace) = online(known, costs, pages, &mut blocks);
                let best = in_hindsight(costs, pages, &trace);
                ratios.push((paid / best, format!("{name}, machine {machine}, seed {seed}")));
            }
        }
    }
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mean = (ratios.iter().map(|(ratio, _)| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp();
    let recorded = ratios.iter().rev().filter(|(_, name)| name.starts_with("indexer/"));
    for (ratio, name) in ratios.iter().rev().take(5).chain(recorded.take(5)) {
        println!("{ratio:.2}: {name}");
    }
    println!("{} traces, geometric mean {mean:.3}, median {:.3}", ratios.len(), ratios[ratios.len() / 2].0);
    let worst = ratios.last().map_or(0.0, |(ratio, _)| *ratio);
    assert!(worst < 3.0 && mean < 1.2, "at worst {worst:.2}, in the mean {mean:.2}");
}
