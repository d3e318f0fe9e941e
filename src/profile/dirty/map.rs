//! The map itself, and its figures.

use anyhow::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::regions::{Layout, Region};
use super::seen::Seen;
use super::sets;
use crate::analyse::quantile::{quantile, sort};
use crate::measure::row::Params;
use crate::protocol::pages::{Run, Touched};
use crate::workload::Workload;

/// The lags at which blocks are compared: with the next one, the one after that, and so on.
const LAGS: [usize; 4] = [1, 2, 4, 8];

/// Why written pages are not known of an instance that was not kept.
const ANEW: &str = "a block has used the garbage-collected heap, and its instance was made anew";

/// Which pages each block of a trace leaves dirty.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Map {
    pub workload: String,
    #[serde(default)]
    pub params: Params,
    /// Bytes of an OS page.
    pub page_bytes: u64,
    /// By what a page counts as dirty.
    pub basis: Basis,
    /// Why written pages are not known, if they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// Whether two traces in a row came to the same. A guest that does something else each time never does.
    pub is_settled: bool,
    /// Bytes of the pages that are not all zeros right after instantiation.
    pub image_bytes: u64,
    /// Bytes of all memories right after instantiation.
    pub memory_bytes: u64,
    /// Parts of the memories, as far as the module tells.
    pub regions: Vec<Region>,
    /// In trace order.
    pub blocks: Vec<Block>,
    pub figures: Figures,
}

/// By what a page counts as dirty.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// The block has written it, as the kernel saw.
    Written,
    /// It holds something else than before: the kernel cannot say what was written.
    Differing,
}

/// What one block leaves.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct Block {
    /// Its dirty pages, with the memories laid one behind the other, each as large as it ever becomes.
    pub dirty: Vec<Run>,
    /// Pages that hold something else than right after instantiation.
    pub differing_pages: u64,
    /// Bytes that do.
    pub differing_bytes: u64,
    /// Bytes of all memories before the block.
    pub before: u64,
    /// Bytes of all memories after it.
    pub after: u64,
    /// Its dirty pages in what it has grown the memories by.
    #[serde(default)]
    pub grown_pages: u64,
}

/// What the blocks come to.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Figures {
    /// Dirty pages of a block.
    pub dirty_pages: Spread,
    /// Pages of a block that hold something else than right after instantiation.
    pub differing_pages: Spread,
    /// Bytes of a block that do.
    pub differing_bytes: Spread,
    /// Runs in which the dirty pages of a block lie.
    pub runs: Spread,
    /// Bytes by which a block grows the memories.
    pub growth_bytes: Spread,
    /// Pages that any block dirties.
    pub footprint: u64,
    /// How often these are dirty.
    pub often: Often,
    /// How much of a block's set comes again.
    pub again: Vec<Again>,
    /// The share of a block's dirty pages that the block before did not dirty, over the trace and around its end: traces are run
    /// one after the other.
    pub motion: f64,
}

/// Quantiles over blocks by nearest rank.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct Spread {
    pub p50: u64,
    pub p95: u64,
    pub max: u64,
}

/// Shares of the footprint, by how often a page is dirty.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Often {
    /// In every block.
    pub always: f64,
    /// In half of them or more.
    pub often: f64,
    /// In fewer, and more than one.
    pub seldom: f64,
    /// In a single one of several.
    pub once: f64,
}

/// How much of a block's set comes again so many blocks later.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Again {
    /// The lag, in blocks.
    pub lag: u32,
    /// Mean similarity of the two sets: what they have in common over what they have together.
    pub similarity: f64,
}

impl Map {
    /// The map of a workload whose blocks were seen.
    ///
    /// # Errors
    /// When its module cannot be read.
    pub fn of(workload: &Workload, seen: &Seen) -> Result<Self> {
        let pages = &seen.pages;
        let memories = memories(&pages.blocks);
        let layout = Layout::of(&workload.module)?;
        let is_told = pages.blocks.iter().flatten().all(|memory| memory.written.is_some());
        let missing = seen.missing.clone().or_else(|| (!is_told).then(|| ANEW.to_owned()));
        let basis = if missing.is_none() { Basis::Written } else { Basis::Differing };
        let bases: Vec<u64> = memories
            .iter()
            .scan(0, |next, (_, most)| {
                let base = *next;
                *next += most.div_ceil(pages.page_bytes.max(1));
                Some(base)
            })
            .collect();
        let block = |touched: &Vec<Touched>| Block::of(touched, &bases, basis, pages.page_bytes.max(1));
        let blocks: Vec<Block> = pages.blocks.iter().map(block).collect();
        Ok(Self {
            workload: workload.name.clone(),
            params: workload.params.clone(),
            page_bytes: pages.page_bytes,
            basis,
            missing,
            is_settled: pages.is_settled,
            image_bytes: pages.image_pages * pages.page_bytes,
            memory_bytes: memories.iter().map(|(size, _)| size).sum(),
            regions: layout.regions(&memories, pages.page_bytes.max(1)),
            figures: Figures::of(&blocks),
            blocks,
        })
    }

    /// The region that a page is in, if the module tells of one.
    pub fn region(&self, page: u64) -> Option<&Region> {
        self.regions.iter().find(|region| (region.first..region.end).contains(&page))
    }

    /// The page behind the last one that any block dirties.
    pub fn end(&self) -> u64 {
        let ends = self.blocks.iter().filter_map(|block| block.dirty.last());
        ends.map(Run::end).max().unwrap_or(0)
    }

    /// How many pages of the footprint are in each region.
    pub fn by_region(&self) -> Vec<(&Region, u64)> {
        let footprint: Vec<Run> = sets::counts(self.blocks.iter().map(|block| &block.dirty[..]))
            .into_iter()
            .map(|(run, _)| run)
            .collect();
        let within = |region: &Region| {
            sets::common(&footprint, &[Run { first: region.first, pages: region.end - region.first }])
        };
        self.regions.iter().map(|region| (region, within(region))).collect()
    }
}

/// Of each memory, the bytes that it begins with and the most that it comes to.
fn memories(blocks: &[Vec<Touched>]) -> Vec<(u64, u64)> {
    let mut memories: Vec<(u64, u64)> = Vec::new();
    for touched in blocks {
        memories.resize(memories.len().max(touched.len()), (0, 0));
        for ((size, most), memory) in memories.iter_mut().zip(touched) {
            *size = memory.before;
            *most = (*most).max(memory.after);
        }
    }
    memories
}

impl Block {
    fn of(touched: &[Touched], bases: &[u64], basis: Basis, page_bytes: u64) -> Self {
        let (mut dirty, mut grown_pages) = (Vec::new(), 0);
        for (memory, base) in touched.iter().zip(bases) {
            let runs = match basis {
                Basis::Written => memory.written.as_deref().unwrap_or_default(),
                Basis::Differing => &memory.differing,
            };
            let first = memory.before / page_bytes;
            let grown = Run { first, pages: (memory.after.div_ceil(page_bytes)).saturating_sub(first) };
            grown_pages += sets::common(runs, &[grown]);
            dirty.extend(runs.iter().map(|run| Run { first: base + run.first, ..*run }));
        }
        let all = |of: fn(&Touched) -> u64| touched.iter().map(of).sum();
        Self {
            dirty,
            differing_pages: all(|memory| sets::pages(&memory.differing)),
            differing_bytes: all(|memory| memory.differing_bytes),
            before: all(|memory| memory.before),
            after: all(|memory| memory.after),
            grown_pages,
        }
    }
}

impl Figures {
    fn of(blocks: &[Block]) -> Self {
        let sets = || blocks.iter().map(|block| &block.dirty[..]);
        let counts = sets::counts(sets());
        let spread = |of: fn(&Block) -> u64| Spread::of(blocks.iter().map(of).collect());
        let again = LAGS.into_iter().filter_map(|lag| {
            let pairs = blocks.iter().zip(blocks.get(lag..)?);
            let similar: Vec<f64> = pairs.map(|(a, b)| sets::similarity(&a.dirty, &b.dirty)).collect();
            let similarity = similar.iter().sum::<f64>() / similar.len() as f64;
            (!similar.is_empty()).then_some(Again { lag: lag as u32, similarity })
        });
        Self {
            dirty_pages: spread(|block| sets::pages(&block.dirty)),
            differing_pages: spread(|block| block.differing_pages),
            differing_bytes: spread(|block| block.differing_bytes),
            runs: spread(|block| block.dirty.len() as u64),
            growth_bytes: spread(|block| block.after.saturating_sub(block.before)),
            footprint: counts.iter().map(|(run, _)| run.pages).sum(),
            often: Often::of(&counts, blocks.len() as u64),
            again: again.collect(),
            motion: motion(&sets().collect::<Vec<_>>()),
        }
    }
}

/// The share of pages that are not in the set before, around the end.
fn motion(sets: &[&[Run]]) -> f64 {
    let before = sets.iter().skip(sets.len().saturating_sub(1)).chain(sets);
    let (mut all, mut new) = (0, 0);
    for (set, before) in sets.iter().zip(before) {
        all += sets::pages(set);
        new += sets::pages(set) - sets::common(set, before);
    }
    if all == 0 { 0.0 } else { new as f64 / all as f64 }
}

impl Spread {
    fn of(mut values: Vec<u64>) -> Self {
        sort(&mut values);
        let at = |percent| quantile(&values, percent).unwrap_or_default();
        Self { p50: at(50), p95: at(95), max: at(100) }
    }
}

impl Often {
    fn of(counts: &[(Run, u64)], blocks: u64) -> Self {
        let mut often = Self::default();
        let all: u64 = counts.iter().map(|(run, _)| run.pages).sum();
        for (run, count) in counts {
            let class = match *count {
                count if count == blocks => &mut often.always,
                1 => &mut often.once,
                count if 2 * count >= blocks => &mut often.often,
                _ => &mut often.seldom,
            };
            *class += run.pages as f64 / all as f64;
        }
        often
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::protocol::pages::Pages;

    /// A map of blocks that dirty these runs of pages of 4 KiB, in one memory of so many.
    pub fn map(name: &str, pages: u64, blocks: &[&[(u64, u64)]]) -> Map {
        let block = |runs: &&[(u64, u64)]| Block {
            dirty: runs.iter().map(|&(first, pages)| Run { first, pages }).collect(),
            differing_pages: 1,
            differing_bytes: 10,
            before: pages * 4096,
            after: pages * 4096,
            grown_pages: 0,
        };
        let blocks: Vec<Block> = blocks.iter().map(block).collect();
        let region = |name: &str, first, end| Region { name: name.into(), first, end };
        Map {
            workload: name.into(),
            params: Params::new(),
            page_bytes: 4096,
            basis: Basis::Written,
            missing: None,
            is_settled: true,
            image_bytes: 8192,
            memory_bytes: pages * 4096,
            regions: vec![region("stack", 0, 4), region("data", 4, 6), region("heap", 6, pages)],
            figures: Figures::of(&blocks),
            blocks,
        }
    }

    #[test]
    fn figures_of_literal_blocks() {
        // Page 0 always, page 1 in two of four, page 2 in one; pages 8 and 9 in three.
        let figures =
            map("m", 16, &[&[(0, 2), (8, 2)], &[(0, 2), (8, 2)], &[(0, 1), (8, 2)], &[(0, 1), (2, 1)]])
                .figures;
        assert_eq!(figures.dirty_pages, Spread { p50: 3, p95: 4, max: 4 });
        assert_eq!(figures.runs, Spread { p50: 2, p95: 2, max: 2 });
        assert_eq!(figures.footprint, 5);
        assert_eq!(figures.often, Often { always: 0.2, often: 0.2 + 0.4, seldom: 0.0, once: 0.2 });
        // Lag 1: 4 of 4, 3 of 4, 1 of 4; lag 2: 3 of 4, 1 of 5. There is no block at lag 4.
        let again = |lag, similarity| Again { lag, similarity };
        assert_eq!(figures.again, [again(1, (1.0 + 0.75 + 0.25) / 3.0), again(2, (0.75 + 0.2) / 2.0)]);
        // New are: pages 1, 8 and 9 after the last block, none, none, page 2.
        assert_eq!(figures.motion, 4.0 / 13.0);
    }

    #[test]
    fn one_block_comes_again_as_it_is() {
        let figures = map("m", 16, &[&[(3, 2)]]).figures;
        assert_eq!((figures.motion, figures.often.always, figures.again.len()), (0.0, 1.0, 0));
    }

    #[test]
    fn blocks_that_write_nothing_and_no_blocks_have_figures_of_zero() {
        for blocks in [&[][..], &[&[][..], &[]]] {
            let map = map("m", 16, blocks);
            assert_eq!(
                (map.figures.dirty_pages, map.figures.footprint, map.end()),
                (Spread::default(), 0, 0)
            );
            assert_eq!((map.figures.motion, map.figures.often), (0.0, Often::default()));
        }
    }

    #[test]
    fn memories_lie_one_behind_the_other_as_large_as_they_become() {
        let run = |first, pages| Run { first, pages };
        let touched = |after, runs: &[Run]| Touched {
            before: 4096,
            after,
            written: Some(runs.into()),
            differing: vec![run(0, 1)],
            differing_bytes: 3,
        };
        let blocks = [
            vec![touched(4096, &[run(0, 1)]), touched(4096, &[run(0, 1)])],
            vec![touched(12_288, &[run(1, 2)]), touched(4096, &[])],
        ];
        let memories = memories(&blocks);
        assert_eq!(memories, [(4096, 12_288), (4096, 4096)]);
        let [first, second] = &blocks;
        let block = |touched, basis| Block::of(touched, &[0, 3], basis, 4096);
        let still = block(first, Basis::Written);
        assert_eq!((&still.dirty[..], still.grown_pages), (&[run(0, 1), run(3, 1)][..], 0));
        assert_eq!(
            (still.differing_pages, still.differing_bytes, still.before, still.after),
            (2, 6, 8192, 8192)
        );
        // It grows from page 1 to 3, and dirties both there.
        let grown = block(second, Basis::Written);
        assert_eq!((&grown.dirty[..], grown.grown_pages), (&[run(1, 2)][..], 2));
        let differing = block(second, Basis::Differing);
        assert_eq!((&differing.dirty[..], differing.grown_pages), (&[run(0, 1), run(3, 1)][..], 0));
    }

    #[test]
    fn a_block_whose_written_pages_are_not_known_has_those_that_differ() {
        let differing = vec![Run { first: 1, pages: 2 }];
        let touched = |written: Option<Vec<Run>>| {
            vec![Touched { after: 16_384, written, differing: differing.clone(), ..Touched::default() }]
        };
        let run = Run { first: 0, pages: 4 };
        let workload = crate::workload::bundled::named("stress/noop", &Params::new()).unwrap();
        let map = |second, missing: Option<&str>| {
            let blocks = vec![touched(Some(vec![run])), touched(second)];
            let pages = Pages { page_bytes: 4096, blocks, ..Pages::default() };
            let missing = missing.map(str::to_owned);
            Map::of(&workload, &Seen { pages, missing, execute_ns: Vec::new(), faults: Vec::new() }).unwrap()
        };
        let known = map(Some(vec![run]), None);
        assert_eq!((known.basis, &known.missing, known.figures.footprint), (Basis::Written, &None, 4));
        let anew = map(None, None);
        assert_eq!(
            (anew.basis, anew.missing.as_deref(), anew.figures.footprint),
            (Basis::Differing, Some(ANEW), 2)
        );
        let lacking = map(None, Some("it came with Linux 6.7"));
        assert_eq!(
            (lacking.basis, lacking.missing.as_deref()),
            (Basis::Differing, Some("it came with Linux 6.7"))
        );
    }

    #[test]
    fn the_footprint_is_told_by_region() {
        let map = map("m", 16, &[&[(3, 4)], &[(5, 4)]]);
        let by: Vec<_> = map.by_region().into_iter().map(|(region, pages)| (&*region.name, pages)).collect();
        assert_eq!(by, [("stack", 1), ("data", 2), ("heap", 3)]);
        assert_eq!((map.region(4).map(|region| &*region.name), map.region(99)), (Some("data"), None));
    }
}
