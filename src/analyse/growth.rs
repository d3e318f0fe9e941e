//! Whether memory grows in a long run, in bytes per block.
//!
//! # Readings
//! The run is divided into [`WINDOWS`] windows of equally many blocks. The resident set is read before the first and
//! after each, while the process waits, from `smaps_rollup`: exact to the page, and always at the end of a trace.
//!
//! # Estimate and interval
//! The growth of a window is its last reading minus its first, over its blocks. The estimate is the mean of the
//! windows' growths, which is the last reading of all minus the first over all blocks: what the run really gained. The
//! interval is Student's t over the windows at [`super::LEVEL`] (Ibragimov and Müller 2010: groups of neighbouring
//! observations, one estimate from each; at this level conservative for windows of unequal spread).
//!
//! # Why not a line through all readings
//! Memory is not noise around a line: what one block took, later ones still hold, so that the error of a reading
//! carries over to all that follow. The usual interval of least squares (and of Theil and Sen's slope) takes errors as
//! independent, and calls a walk without direction a trend more often than not. Differences of such a walk are
//! independent, which is all that the interval asks for. Where memory does swing about a level (a sawtooth),
//! neighbouring differences cancel, and the interval is too wide rather than too narrow: it then misses small leaks,
//! which its width shows.
//!
//! - A single jump, anywhere, is no growth: it makes `t` exactly 1.
//! - Readings that never move know only that less than a page was gained. The interval therefore never reaches less far
//!   than a page over all blocks, on either side.
//! - What swings more slowly than the whole run looks like growth while it rises; so does a cache that is still filling.
//!   A longer run tells.

use super::LEVEL;
use super::evidence::{Evidence, LongRun};
use super::student::mean_and_half;
use super::summary::Growth;

/// Windows of a long run: enough that Student's quantile (2.86) is near the normal one, and few enough that reading
/// does not matter.
pub const WINDOWS: u32 = 20;

/// Windows without which nothing is said, when a run was interrupted.
const FEWEST: usize = 8;

/// The smallest page of any machine that this runs on, in bytes.
const PAGE: f64 = 4096.0;

/// The growth of a cell, [`over`] all its long runs.
pub fn growth(cell: &Evidence) -> Option<Growth> {
    over(cell.long_runs.values())
}

/// The growth over the windows of some long runs; `None` where there are too few.
pub fn over<'a>(runs: impl Iterator<Item = &'a LongRun>) -> Option<Growth> {
    let (mut growths, mut blocks) = (Vec::new(), 0);
    for run in runs.filter(|run| run.window > 0) {
        growths.extend(run.rss.windows(2).map(|pair| (pair[1] as f64 - pair[0] as f64) / run.window as f64));
        blocks += run.blocks();
    }
    if growths.len() < FEWEST {
        return None;
    }
    let windows = u32::try_from(growths.len()).ok()?;
    let (mean, half) = mean_and_half(&[growths], LEVEL);
    let half = half.max(PAGE / blocks as f64);
    Some(Growth { bytes_per_block: mean, low: mean - half, high: mean + half, blocks, windows })
}

impl Growth {
    /// Whether the interval excludes that memory stays as it is: more than 0 it grows, less than 0 it shrinks.
    pub fn direction(&self) -> i32 {
        i32::from(self.low > 0.0) - i32::from(self.high < 0.0)
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    const MIB: u64 = 1 << 20;

    /// Of windows of 500 blocks.
    fn of(rss: Vec<u64>) -> Growth {
        over([LongRun { rss, window: 500 }].iter()).unwrap()
    }

    /// In tenths of a byte.
    fn tenths(growth: Growth) -> [i64; 3] {
        [growth.bytes_per_block, growth.low, growth.high].map(|bytes| (bytes * 10.0).round() as i64)
    }

    #[test]
    fn readings_that_never_move_bound_the_growth_by_a_page() {
        let flat = of(vec![16 * MIB; 21]);
        assert_eq!((flat.blocks, flat.windows), (10_000, 20));
        assert_eq!((flat.bytes_per_block, flat.low, flat.high), (0.0, -0.4096, 0.4096));
        assert_eq!(flat.direction(), 0);
    }

    #[test]
    fn a_steady_leak_is_growth() {
        // Five pages per window, and a page more or less.
        let drifting = of((0..21).map(|i| 16 * MIB + 20_480 * i + 4096 * (i % 2)).collect());
        assert_eq!(drifting.direction(), 1);
        assert_eq!(tenths(drifting), [410, 356, 463]);
        let shrinking = of((0..21).map(|i| 16 * MIB - 20_480 * i).collect());
        assert_eq!(tenths(shrinking), [-410, -414, -406]);
        assert_eq!(shrinking.direction(), -1);
    }

    #[test]
    fn a_sawtooth_is_not_growth() {
        let sawtooth = of((0..21).map(|i| 16 * MIB + MIB * (i % 4)).collect());
        assert_eq!((tenths(sawtooth)[0], sawtooth.direction()), (0, 0));
        assert!(sawtooth.high > 1_000.0, "and it says how little it knows: {sawtooth:?}");
    }

    #[test]
    fn one_jump_is_not_growth() {
        for place in [1, 10, 20] {
            let jump = of((0..21).map(|i| 16 * MIB + if i < place { 0 } else { MIB }).collect());
            assert_eq!((tenths(jump)[0], jump.direction()), (1_049, 0), "{jump:?}");
        }
    }

    #[test]
    fn a_run_cut_short_says_nothing() {
        let run = |readings| LongRun { rss: vec![MIB; readings], window: 500 };
        assert_eq!(over([run(8)].iter()), None);
        assert_eq!(over([run(9)].iter()).map(|growth| growth.blocks), Some(4_000));
        assert_eq!(over([LongRun { rss: vec![MIB; 21], window: 0 }].iter()), None);
        assert_eq!(over([LongRun::default()].iter()), None);
    }

    /// The pages that memory grows by in the next window; the second argument is the walk's own memory.
    type Walk = fn(&mut ChaCha8Rng, &mut f64) -> f64;

    /// Readings of 4,000 simulated runs per kind of walk without direction: the share that is called growth or
    /// shrinking is at most one in a hundred.
    #[test]
    fn memory_without_direction_is_called_so() {
        let kinds: [(&str, Walk); 4] = [
            ("a walk", |random, _| 40.0 * (random.random::<f64>() - 0.5)),
            ("rare steps", |random, _| {
                let step = if random.random::<f64>() < 0.2 { 256.0 } else { 0.0 };
                if random.random() { step } else { -step }
            }),
            ("noise about a level", |random, last| {
                let level = 40.0 * random.random::<f64>();
                let step = level - *last;
                *last = level;
                step
            }),
            ("windows of unequal spread", |random, last| {
                *last += 1.0;
                *last * (random.random::<f64>() - 0.5)
            }),
        ];
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for (name, walk) in kinds {
            let wrong = (0..4_000)
                .filter(|_| {
                    let (mut level, mut last) = (1e6, 0.0);
                    let rss = (0..21).map(|_| {
                        level += walk(&mut random, &mut last);
                        level.round() as u64 * 4096
                    });
                    of(rss.collect()).direction() != 0
                })
                .count();
            assert!(wrong <= 55, "{name}: {wrong} of 4,000");
        }
    }
}
