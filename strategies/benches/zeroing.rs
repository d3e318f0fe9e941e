//! What zeroing pages takes: with each kind of stores, by how many pages there are, and through the gaps between them.
//!
//!     cargo bench -p reset-strategies --bench zeroing > docs/ZEROING.md
//!
//! It takes about a minute, in which nothing else may run. Each round runs all that a table compares, in an order shuffled
//! anew; the figures are medians. Run as a test, it does a round of few pages and checks that they are zeroed.

use std::fs;
use std::hint::black_box;
use std::ops::Range;
use std::time::{Duration, Instant};

use memmap2::MmapMut;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::{IteratorRandom, SliceRandom};
use reset_strategies::sys::page;
use reset_strategies::sys::zero::{Stores, Way};

/// Sizes in KiB of what is zeroed.
const KIB: [usize; 7] = [128, 1 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10];

/// How many of a hundred pages are to be zeroed, where the others lie between them.
const PERCENT: [usize; 4] = [50, 75, 90, 95];

/// Times that each is run before its figure counts: it finds the caches as it has left them itself.
const AGAIN: usize = 2;

/// Time for each size of each table.
const TIME: Duration = Duration::from_secs(3);

/// What a block does to the pages before they are zeroed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    /// Writes a word into each.
    Word,
    /// Writes all bytes. Its own time counts, since what is zeroed past the caches is missing there.
    Whole,
}

/// Something whose time is wanted.
struct Candidate {
    way: Way,
    /// The bytes that it zeroes: whole pages, in ascending order.
    runs: Vec<Range<usize>>,
}

impl Candidate {
    /// Nanoseconds that it takes after such a block has written these bytes.
    fn ns(&self, bytes: &mut [u8], written: &[Range<usize>], block: Block) -> f64 {
        let mut ns = 0.0;
        for time in 0..AGAIN {
            let began = Instant::now();
            for run in written {
                let run = &mut bytes[run.clone()];
                match block {
                    Block::Word => run.iter_mut().step_by(page::size()).for_each(|byte| *byte = black_box(1)),
                    Block::Whole => run.fill(black_box(1)),
                }
            }
            let wrote = began.elapsed();
            self.way.zero(bytes, &self.runs, self.way.turning && time % 2 == 1);
            let took = began.elapsed();
            ns = (if block == Block::Whole { took } else { took - wrote }).as_nanos() as f64;
        }
        ns
    }
}

/// What each candidate takes after a block that has written these bytes: the median, per page that was written.
fn medians(
    bytes: &mut [u8],
    written: &[Range<usize>],
    block: Block,
    candidates: &[Candidate],
    time: Duration,
) -> Vec<f64> {
    for candidate in candidates {
        candidate.ns(bytes, written, block);
        let zeroed = written.iter().all(|run| bytes[run.clone()].iter().all(|byte| *byte == 0));
        assert!(zeroed, "{} did not zero what was written", candidate.way);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut order: Vec<_> = (0..candidates.len()).collect();
    let mut seen = vec![Vec::new(); candidates.len()];
    let began = Instant::now();
    while seen[0].is_empty() || began.elapsed() < time {
        order.shuffle(&mut rng);
        order.iter().for_each(|&index| seen[index].push(candidates[index].ns(bytes, written, block)));
    }
    let pages = written.iter().map(ExactSizeIterator::len).sum::<usize>() / page::size();
    let median = |mut times: Vec<f64>| {
        times.sort_unstable_by(f64::total_cmp);
        times[times.len() / 2] / pages as f64
    };
    seen.into_iter().map(median).collect()
}

/// Every kind of stores from the first page to the last.
fn plain() -> Vec<Way> {
    Stores::available().map(|stores| Way { stores, fetching: false, turning: false }).collect()
}

/// All ways that there are; past the caches, neither order nor fetching can matter.
fn ways() -> Vec<Way> {
    let orders = [[false, false], [false, true], [true, false], [true, true]];
    let orders = |way: Way| orders.map(|[turning, fetching]| Way { turning, fetching, ..way });
    let (past, others): (Vec<_>, Vec<_>) = plain().into_iter().partition(|way| way.stores.pass_caches());
    others.into_iter().flat_map(orders).chain(past).collect()
}

/// So many of a hundred pages, chosen at random.
fn scattered(pages: usize, percent: usize) -> Vec<Range<usize>> {
    let mut chosen = (0..pages).sample(&mut ChaCha8Rng::seed_from_u64(2), pages * percent / 100);
    chosen.sort_unstable();
    let runs = chosen.chunk_by(|page, next| page + 1 == *next);
    runs.map(|run| run[0] * page::size()..(run[run.len() - 1] + 1) * page::size()).collect()
}

/// Prints a table with a column for each size, and for each way a row of what a page takes, in nanoseconds.
fn table(title: &str, sizes: &[usize], rows: &[(String, Vec<f64>)]) {
    let name = |kib: &usize| if *kib < 1024 { format!("{kib} KiB") } else { format!("{} MiB", kib >> 10) };
    let heads: Vec<_> = sizes.iter().map(name).collect();
    println!("\n## {title}\n\n| ns per page | {} |\n|:--|{}", heads.join(" | "), "--:|".repeat(sizes.len()));
    for (name, columns) in rows {
        let cells: Vec<_> = columns.iter().map(|ns| format!("{ns:.0}")).collect();
        println!("| {name} | {} |", cells.join(" | "));
    }
}

/// A row for each of these ways: what it takes to zero adjacent pages that such a block has written.
fn by_way(
    bytes: &mut [u8],
    sizes: &[usize],
    time: Duration,
    ways: &[Way],
    block: Block,
) -> Vec<(String, Vec<f64>)> {
    let mut rows: Vec<_> = ways.iter().map(|way| (way.to_string(), Vec::new())).collect();
    for kib in sizes {
        let all = scattered((kib << 10) / page::size(), 100);
        let candidates: Vec<_> = ways.iter().map(|&way| Candidate { way, runs: all.clone() }).collect();
        let figures = medians(bytes, &all, block, &candidates, time);
        rows.iter_mut().zip(figures).for_each(|((_, row), ns)| row.push(ns));
    }
    rows
}

/// Two rows for each density: the best of all stores where gaps are skipped, and where they are zeroed, too.
fn through_gaps(bytes: &mut [u8], sizes: &[usize], time: Duration) -> Vec<(String, Vec<f64>)> {
    let ways = plain();
    let mut rows = Vec::new();
    for percent in PERCENT {
        let [mut skipping, mut through] = [Vec::new(), Vec::new()];
        for kib in sizes {
            let written = scattered((kib << 10) / page::size(), percent);
            let ends = written[0].start..written[written.len() - 1].end;
            let runs = [written.clone(), vec![ends]];
            let candidates =
                runs.iter().flat_map(|runs| ways.iter().map(|&way| Candidate { way, runs: runs.clone() }));
            let figures = medians(bytes, &written, Block::Word, &candidates.collect::<Vec<_>>(), time);
            let best = |figures: &[f64]| figures.iter().copied().fold(f64::MAX, f64::min);
            skipping.push(best(&figures[..ways.len()]));
            through.push(best(&figures[ways.len()..]));
        }
        rows.push((format!("{percent} % of pages: gaps skipped"), skipping));
        rows.push((format!("{percent} % of pages: gaps zeroed, too"), through));
    }
    rows
}

/// The first value of that name in `/proc/cpuinfo`.
fn cpu(name: &str) -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value =
        |line: &str| Some(line.split_once(':').filter(|(key, _)| key.trim() == name)?.1.trim().to_owned());
    text.lines().find_map(value).unwrap_or_else(|| "?".into())
}

fn main() {
    let measuring = std::env::args().any(|argument| argument == "--bench");
    let (sizes, time) = if measuring { (&KIB[..], TIME) } else { (&KIB[..1], Duration::ZERO) };
    let most = sizes[sizes.len() - 1] << 10;
    let mut map = MmapMut::map_anon(most).expect("memory");
    map.fill(1);

    println!("# Zeroing\n");
    println!(
        "What zeroing pages takes. What follows from it is said in [STRATEGIES](STRATEGIES.md#what-was-tried).\n"
    );
    println!(
        "Printed by [`strategies/benches/zeroing.rs`](../strategies/benches/zeroing.rs) on {} (family {}, model {}), pages of {} \
         bytes: medians over rounds of all ways, in a shuffled order.",
        cpu("model name"),
        cpu("cpu family"),
        cpu("model"),
        page::size()
    );
    table(
        "After a block that writes a word into each page",
        sizes,
        &by_way(&mut map, sizes, time, &ways(), Block::Word),
    );
    table(
        "A block that fills the pages, and zeroing them",
        sizes,
        &by_way(&mut map, sizes, time, &plain(), Block::Whole),
    );
    table("Pages chosen at random, by the size of all", sizes, &through_gaps(&mut map, sizes, time / 2));
}
