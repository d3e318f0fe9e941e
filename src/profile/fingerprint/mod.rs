//! The fingerprint of a module: how many pages its blocks dirty, how these lie, and how they move. By it a module has a place
//! in the landscape, which says what strategies cost there.
//!
//! | step | file |
//! |---|---|
//! | the fingerprint, of a map or of a place of the landscape | this one |
//! | how far two of them are from each other | [`distance`] |
//! | what a run has measured, place by place | [`measured`] |
//! | what the nearest places predict | [`predict`] |
//! | what growth adds to it | [`growth`] |
//! | that, held against what was measured | [`held`] |
//! | all of it together, as `profile.json` has it | [`report`] |
//! | the same in words | [`words`] |

pub mod distance;
pub mod growth;
pub mod held;
pub mod measured;
pub mod predict;
pub mod report;
pub mod words;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::dirty::{Map, sets};
use crate::analyse::quantile::median;
use crate::measure::row::Params;

const MIB: f64 = 1_048_576.0;

/// What the guest of the landscape dirties besides the pages that it is told to: one of its stack.
pub const STACK: f64 = 1.0;

/// Where a module stands.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Fingerprint {
    /// Dirty pages of a block: the median.
    pub dirty: f64,
    /// Pages that any block of the trace dirties.
    pub footprint: f64,
    /// Runs for each dirty page: near 0 where they lie in one piece, 1 where none has a neighbour.
    pub fragmentation: f64,
    /// Gaps of a single page for each dirty page: 1 where every second page is dirty, and near 0 where pages are scattered.
    pub single_gaps: f64,
    /// The share of a block's dirty pages that the block before did not dirty.
    pub motion: f64,
    /// MiB by which a block grows the memory: the median.
    pub growth_mib: f64,
    /// The share of blocks that grow it.
    #[serde(default)]
    pub grows: f64,
    /// Of the dirty pages of a block, those that it has grown the memory by: the median.
    #[serde(default)]
    pub grown: f64,
    /// MiB of pages that are not all zeros right after instantiation.
    pub image_mib: f64,
    /// MiB of memory when a block has ended: the median.
    pub memory_mib: f64,
    /// Faults for each dirty page where none is there to begin with: 1 where a page is written first, and 2 where it is read
    /// first, which maps the shared page of zeros.
    pub faults: f64,
}

/// The shapes of the landscape.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    Contiguous,
    EverySecond,
    Random,
}

impl Fingerprint {
    /// The fingerprint of a workload, whose blocks take so many faults in fresh instances.
    pub fn of(map: &Map, faults: &[u64]) -> Self {
        let over = |of: &dyn Fn(&super::dirty::map::Block) -> f64| {
            median(&mut map.blocks.iter().map(of).collect::<Vec<_>>()).unwrap_or_default()
        };
        let pages: u64 = map.blocks.iter().map(|block| sets::pages(&block.dirty)).sum();
        let runs: usize = map.blocks.iter().map(|block| block.dirty.len()).sum();
        let gaps = map.blocks.iter().map(|block| sets::single_gaps(&block.dirty));
        let grow = map.blocks.iter().filter(|block| block.after > block.before).count();
        let blocks = map.blocks.len().max(1) as f64;
        Self {
            dirty: over(&|block| sets::pages(&block.dirty) as f64),
            footprint: map.figures.footprint as f64,
            fragmentation: if pages == 0 { 0.0 } else { runs as f64 / pages as f64 },
            single_gaps: gaps.fold(0.0, |sum, gap| sum + gap) / blocks,
            motion: map.figures.motion,
            growth_mib: over(&|block| block.after.saturating_sub(block.before) as f64 / MIB),
            grows: grow as f64 / blocks,
            grown: over(&|block| block.grown_pages as f64),
            image_mib: map.image_bytes as f64 / MIB,
            memory_mib: over(&|block| block.after as f64 / MIB),
            faults: if pages == 0 { 0.0 } else { faults.iter().sum::<u64>() as f64 / pages as f64 },
        }
    }

    /// That of a place of the landscape, by its parameters and the number of blocks in its trace: `guests/touch` says which pages
    /// it dirties. Absent where the place has several instances, or a first block unlike the others, or lacks a parameter.
    pub fn of_place(params: &Params, blocks: u64) -> Option<Self> {
        let value = |name: &str| params.get(name).and_then(Value::as_u64).map(|value| value as f64);
        let (dirty, span, page) = (value("dirty")?, value("span")?.max(1.0), value("page_bytes")?);
        let (shape, rotates) = (Shape::of_param(value("shape")?)?, value("motion")? > 0.0);
        if value("threads")? > 1.0 || value("spike")? > 0.0 {
            return None;
        }
        let part = (dirty / span).min(1.0);
        let (footprint, motion) = match shape {
            _ if !rotates => (dirty, 0.0),
            // A step as wide as the arena leads back to the same pages.
            Shape::Contiguous => ((blocks as f64 * dirty).min(span), f64::from(dirty % span > 0.0)),
            Shape::EverySecond if 2.0 * dirty % span == 0.0 => (dirty, 0.0),
            Shape::EverySecond => ((blocks as f64 * dirty).min(span / 2.0), 1.0),
            Shape::Random => (span * (1.0 - (1.0 - part).powf(blocks as f64)), 1.0 - part),
        };
        let (runs, single_gaps) = match shape {
            _ if dirty < 2.0 => (dirty, 0.0),
            Shape::Contiguous => (1.0, 0.0),
            Shape::EverySecond => (dirty, 1.0),
            Shape::Random => (dirty * (1.0 - part), part * (1.0 - part)),
        };
        // What grows is touched whole and lies in one piece.
        let grown = value("grow")? * 65_536.0;
        let all = dirty + grown / page + STACK;
        Some(Self {
            dirty: all,
            footprint: footprint + grown / page + STACK,
            fragmentation: (runs + f64::from(grown > 0.0) + STACK) / all,
            single_gaps,
            motion: motion * dirty / all,
            growth_mib: grown / MIB,
            grows: f64::from(grown > 0.0),
            grown: grown / page,
            image_mib: value("image_kib")? / 1024.0,
            memory_mib: (value("memory_pages")? * 65_536.0 + grown) / MIB,
            // It adds to a word of each page.
            faults: 2.0,
        })
    }

    /// That of the same module if it did not grow, and dirtied what it has anyway.
    pub fn without_growth(&self) -> Self {
        Self {
            dirty: (self.dirty - self.grown).max(0.0),
            footprint: (self.footprint - self.grown).max(0.0),
            memory_mib: self.memory_mib - self.growth_mib,
            growth_mib: 0.0,
            grows: 0.0,
            grown: 0.0,
            ..*self
        }
    }

    /// The shape of the landscape that is nearest: contiguous where most pages have a neighbour, else by the gaps.
    pub fn shape(&self) -> Shape {
        match self {
            whole if whole.fragmentation < 0.5 => Shape::Contiguous,
            even if even.single_gaps >= 0.75 => Shape::EverySecond,
            _ => Shape::Random,
        }
    }
}

impl Shape {
    fn of_param(value: f64) -> Option<Self> {
        [Self::Contiguous, Self::EverySecond, Self::Random].get(value as usize).copied()
    }

    /// As the landscape calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Contiguous => "contiguous",
            Self::EverySecond => "every second page",
            Self::Random => "random",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(values: [u64; 4]) -> Fingerprint {
        let [dirty, shape, motion, span] = values;
        let values = [
            ("dirty", dirty),
            ("shape", shape),
            ("motion", motion),
            ("span", span),
            ("page_bytes", 4096),
            ("grow", 0),
            ("spike", 0),
            ("image_kib", 1024),
            ("threads", 1),
            ("memory_pages", 1056),
        ];
        let params: Params =
            values.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        Fingerprint::of_place(&params, 8).unwrap()
    }

    #[test]
    fn places_are_where_their_guest_writes() {
        let fixed = place([256, 0, 0, 16_384]);
        assert_eq!((fixed.dirty, fixed.footprint, fixed.motion), (257.0, 257.0, 0.0));
        assert_eq!((fixed.fragmentation, fixed.image_mib, fixed.memory_mib), (2.0 / 257.0, 1.0, 66.0));
        let rotating = place([256, 0, 1, 16_384]);
        assert_eq!((rotating.footprint, rotating.motion), (2049.0, 256.0 / 257.0));
        // Half of the arena, every second page: the next step is the arena's width, and back at the same pages.
        let back = place([8192, 1, 1, 16_384]);
        assert_eq!(
            (back.footprint, back.motion, back.single_gaps, back.fragmentation),
            (8193.0, 0.0, 1.0, 1.0)
        );
        let random = place([8192, 2, 1, 16_384]);
        assert_eq!(random.motion, 0.5 * 8192.0 / 8193.0);
        assert!((16_320.0..16_386.0).contains(&random.footprint), "{random:?}");
        let shapes = [place([256, 0, 0, 16_384]), place([256, 1, 0, 16_384]), place([256, 2, 1, 16_384])];
        assert_eq!(shapes.map(|place| place.shape()), [Shape::Contiguous, Shape::EverySecond, Shape::Random]);
    }

    #[test]
    fn what_grows_can_be_left_out() {
        let mut map = crate::profile::dirty::map::tests::map("a/b", 512, &[&[(0, 4)], &[(0, 2)], &[(0, 4)]]);
        for block in map.blocks.iter_mut().step_by(2) {
            (block.after, block.grown_pages) = (block.before + 65_536, 3);
        }
        let found = Fingerprint::of(&map, &[]);
        assert_eq!((found.growth_mib, found.grows, found.grown), (0.0625, 2.0 / 3.0, 3.0));
        let still = found.without_growth();
        assert_eq!((still.dirty, still.footprint, still.memory_mib), (1.0, 1.0, 2.0));
        assert_eq!((still.growth_mib, still.grows, still.grown, still.motion), (0.0, 0.0, 0.0, found.motion));
    }

    #[test]
    fn a_map_has_the_fingerprint_of_its_blocks() {
        let map = crate::profile::dirty::map::tests::map(
            "a/b",
            512,
            &[&[(0, 1), (2, 1), (4, 1)], &[(0, 1), (2, 2)]],
        );
        let found = Fingerprint::of(&map, &[4, 5]);
        assert_eq!((found.dirty, found.footprint, found.fragmentation), (3.0, 4.0, 5.0 / 6.0));
        assert_eq!((found.single_gaps, found.motion, found.faults), (0.75, 2.0 / 6.0, 1.5));
        assert_eq!((found.memory_mib, found.growth_mib, found.image_mib), (2.0, 0.0, 8192.0 / MIB));
    }
}
