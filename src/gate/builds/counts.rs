//! What a block causes, counted: the new build against the old one, whatever the machine did meanwhile.
//!
//! # What is compared
//! What a reset says that it did, and the page faults of execute and reset, block by block from the counter pass.
//! Interrupts and switches are of the whole machine, and events of the CPU vary: neither is compared.
//!
//! # Exactly, where it may be
//! A guest is deterministic, and so is a strategy that does not decide by times. Where each launch of a build counted the
//! same, block by block, any difference between the builds is one. Where there is one launch of each, that cannot be seen:
//! a difference then has to be there in most blocks. Elsewhere, and in whatever the A/A pair of the workload differs, all
//! launches of the new build have to be beyond all of the old one by [`BAND`], and by one event or page a block; with fewer
//! than [`FEWEST`] launches of each, nothing is said: a strategy that decides by times may have decided otherwise once.

use std::collections::BTreeMap;

use super::cells::{Both, Cells};
use super::finding::{Ground, Told};
use crate::analyse::counterpart::repeated;
use crate::analyse::evidence::MINOR_FAULTS;
use crate::analyse::learned::Learned;
use crate::analyse::quantile::median;
use crate::analyse::summary::Equivalence;
use crate::measure::row::{Phase, Row, Status, canonical};
use crate::units;

/// What counts that vary have to differ by, as a share.
pub const BAND: f64 = 0.1;

/// Launches of each build without which counts that vary are not compared: of 12 that differ by chance, the six of one build
/// lie above or below all others once in 462 times.
pub const FEWEST: usize = 6;

/// A count of which more is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Metric {
    phase: Phase,
    name: &'static str,
    /// In front of the number, and behind it in singular and plural.
    words: [&'static str; 3],
    /// Told as pages.
    bytes: bool,
}

const fn metric(phase: Phase, name: &'static str, words: [&'static str; 3], bytes: bool) -> Metric {
    Metric { phase, name, words, bytes }
}

const METRICS: [Metric; 8] = [
    metric(Phase::Reset, "bytes_restored", ["restores", "page", "pages"], true),
    metric(Phase::Reset, "bytes_returned", ["gives back", "page", "pages"], true),
    metric(Phase::Reset, "regions", ["treats", "region", "regions"], false),
    metric(Phase::Reset, "syscalls", ["makes", "system call", "system calls"], false),
    metric(Phase::Reset, "huge_pages", ["makes", "huge page", "huge pages"], false),
    metric(Phase::Reset, "instances", ["makes", "instance", "instances"], false),
    metric(Phase::Reset, MINOR_FAULTS, ["has", "page fault in the reset", "page faults in the reset"], false),
    metric(Phase::Execute, MINOR_FAULTS, ["has", "page fault in execute", "page faults in execute"], false),
];

/// A count that differs, per block.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    words: [&'static str; 3],
    pub metric: &'static str,
    pub before: f64,
    pub after: f64,
    /// Whether the counts of each build are the same in all of its launches.
    pub exact: bool,
}

/// What differs in one cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    pub more: Vec<Difference>,
    pub less: Vec<Difference>,
}

/// The blocks of each launch.
type Launches = BTreeMap<u32, Vec<u64>>;

/// Counts by workload, parameters and contender, then by metric.
struct Table<'a> {
    counts: BTreeMap<(&'a str, String, &'a str), BTreeMap<usize, Launches>>,
    /// Contenders that decide by times.
    learning: Vec<(&'a str, String, &'a str)>,
}

impl<'a> Table<'a> {
    fn of(rows: &'a [Row]) -> Self {
        let mut table = Self { counts: BTreeMap::new(), learning: Vec::new() };
        for row in rows.iter().filter(|row| row.status == Status::Ok && row.round.is_none()) {
            let known = METRICS.iter().position(|m| m.phase == row.phase && m.name == row.metric);
            let learns = row.phase == Phase::Reset && Learned::has(&row.metric);
            if known.is_none() && !learns {
                continue;
            }
            let cell = (row.workload.as_str(), canonical(&row.params), row.strategy.as_str());
            if learns && !table.learning.contains(&cell) {
                table.learning.push(cell);
            } else if let Some(metric) = known {
                let launches = table.counts.entry(cell).or_default().entry(metric).or_default();
                launches.entry(row.launch).or_default().extend(&row.samples);
            }
        }
        table
    }

    fn launches(
        &self,
        workload: &'a str,
        params: &str,
        strategy: &'a str,
        metric: usize,
    ) -> Option<&Launches> {
        self.counts.get(&(workload, params.to_owned(), strategy))?.get(&metric)
    }
}

/// What differs, for each of [`Cells::both`], and what could not be compared.
pub fn compare(cells: &Cells, rows: &[Row], page: u64) -> (Vec<Counted>, Vec<String>) {
    let table = Table::of(rows);
    let mut counted = Vec::new();
    for both in &cells.both {
        counted.push(cell(cells, both, &table, page));
    }
    let nothing = table.counts.is_empty();
    let note =
        "there are no rows of counts beside it, so that nothing is said of faults, system calls and bytes";
    (counted, nothing.then(|| note.to_owned()).into_iter().collect())
}

fn cell(cells: &Cells, both: &Both, table: &Table, page: u64) -> Counted {
    let mut counted = Counted::default();
    if [both.new, both.old].iter().any(|cell| cell.equivalence != Equivalence::Equivalent) {
        return counted;
    }
    let (workload, params) = (both.new.workload.as_str(), canonical(&both.new.params));
    let learns =
        |strategy: &str| table.learning.iter().any(|known| *known == (workload, params.clone(), strategy));
    let learns = learns(&both.new.strategy) || learns(&both.old.strategy);
    for (index, metric) in METRICS.iter().enumerate() {
        let of = |strategy| table.launches(workload, &params, strategy, index);
        let (Some(new), Some(old)) = (of(&both.new.strategy), of(&both.old.strategy)) else { continue };
        let mut pairs = cells.pairs(both.new);
        let moved = pairs.any(|pair| {
            repeated(&pair.strategy).is_some_and(|(strategy, _)| {
                matches!((of(&pair.strategy), of(strategy)), (Some(a), Some(b)) if blocks(a) != blocks(b))
            })
        });
        let unit = if metric.bytes { page.max(1) as f64 } else { 1.0 };
        let Some((before, after, exact)) = differ(old, new, learns || moved, unit) else { continue };
        let (before, after) = (before / unit, after / unit);
        let side = if after > before { &mut counted.more } else { &mut counted.less };
        side.push(Difference { words: metric.words, metric: metric.name, before, after, exact });
    }
    counted
}

/// The blocks of all launches, if they are the same in each.
fn blocks(launches: &Launches) -> Option<&Vec<u64>> {
    let first = launches.values().next()?;
    launches.values().all(|blocks| blocks == first).then_some(first)
}

fn mean(blocks: &[u64]) -> f64 {
    blocks.iter().map(|&n| n as f64).sum::<f64>() / blocks.len().max(1) as f64
}

/// The means of both builds, and whether they are exact; `None` where they do not differ. `unit` is what matters at least
/// where they are not exact.
fn differ(old: &Launches, new: &Launches, varies: bool, unit: f64) -> Option<(f64, f64, bool)> {
    if let (Some(before), Some(after), false) = (blocks(old), blocks(new), varies)
        && before.len() == after.len()
    {
        let (old_mean, new_mean) = (mean(before), mean(after));
        let mut differences: Vec<f64> =
            before.iter().zip(after).map(|(before, after)| *after as f64 - *before as f64).collect();
        let in_most = median(&mut differences).is_some_and(|middle| middle * (new_mean - old_mean) > 0.0);
        let told = old_mean != new_mean && (in_most || (old.len() > 1 && new.len() > 1));
        return told.then_some((old_mean, new_mean, true));
    }
    if old.len().min(new.len()) < FEWEST {
        return None;
    }
    let means = |launches: &Launches| -> Vec<f64> { launches.values().map(|blocks| mean(blocks)).collect() };
    let (before, after) = (means(old), means(new));
    let least = |means: &[f64]| means.iter().copied().fold(f64::INFINITY, f64::min);
    let most = |means: &[f64]| means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let apart = |below: &[f64], above: &[f64]| least(above) - most(below) > (most(below) * BAND).max(unit);
    let middle = |means: &[f64]| median(&mut means.to_vec()).unwrap_or_default();
    let told = apart(&before, &after) || apart(&after, &before);
    told.then(|| (middle(&before), middle(&after), false))
}

/// Differences that are told of one cell.
const TOLD: usize = 3;

/// What is more, or less, than in the old build, as a predicate.
pub fn told(differences: &[Difference], more: bool, build: &str) -> Option<Told> {
    let first = differences.first()?;
    let mut words: Vec<String> =
        differences.iter().take(TOLD).map(|difference| difference.told(more)).collect();
    words[0] = first.told(more).replacen(" (", &format!(" than in `{build}` ("), 1);
    let others = differences.len().saturating_sub(TOLD);
    words.extend((others > 0).then(|| format!("and differs in {}", units::several(others, "other count"))));
    let ratio = |difference: &Difference| difference.after / difference.before.max(1e-9);
    let size = differences.iter().map(ratio).fold(ratio(first), f64::max);
    Some(Told { ground: Ground::Counts, words: words.join(", "), size })
}

impl Difference {
    /// Such as `restores 12 pages a block more (268, after 256)`.
    fn told(&self, more: bool) -> String {
        let [verb, one, many] = self.words;
        let by = plain((self.after - self.before).abs());
        format!(
            "{verb} {}{by} {} a block {} ({}, after {})",
            if self.exact { "" } else { "about " },
            if by == "1" { one } else { many },
            if more { "more" } else { "less" },
            plain(self.after),
            plain(self.before),
        )
    }
}

/// A mean of counts: whole where it is.
fn plain(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { units::count(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launches(blocks: &[&[u64]]) -> Launches {
        (0..).zip(blocks).map(|(launch, blocks)| (launch, blocks.to_vec())).collect()
    }

    fn of(old: &[&[u64]], new: &[&[u64]], varies: bool) -> Option<(f64, f64, bool)> {
        differ(&launches(old), &launches(new), varies, 1.0)
    }

    #[test]
    fn what_is_the_same_in_every_launch_is_compared_exactly() {
        let old: &[&[u64]] = &[&[3, 5, 9, 9], &[3, 5, 9, 9]];
        assert_eq!(of(old, old, false), None);
        assert_eq!(of(old, &[&[3, 5, 9, 10], &[3, 5, 9, 10]], false), Some((6.5, 6.75, true)));
        assert_eq!(of(old, &[&[3, 5, 9, 8], &[3, 5, 9, 8]], false), Some((6.5, 6.25, true)));
        assert_eq!(of(old, &[&[5, 3, 9, 9], &[5, 3, 9, 9]], false), None, "as many in all");
    }

    #[test]
    fn one_launch_has_to_differ_in_most_blocks() {
        assert_eq!(of(&[&[3, 5, 9]], &[&[3, 5, 10]], false), None);
        assert_eq!(of(&[&[3, 5, 9]], &[&[4, 6, 10]], false), Some((17.0 / 3.0, 20.0 / 3.0, true)));
    }

    #[test]
    fn what_varies_has_to_be_clear_of_the_band() {
        let twice = |launches: [&'static [u64]; 3]| [launches, launches].concat();
        let old = &twice([&[20, 20], &[22, 22], &[20, 22]])[..];
        assert_eq!(of(old, &twice([&[23, 23], &[25, 25], &[24, 24]]), false), None);
        assert_eq!(of(old, &twice([&[25, 25], &[27, 27], &[26, 26]]), false), Some((21.0, 26.0, false)));
        assert_eq!(
            of(&[&[1][..]; 6], &[&[2][..]; 6], true),
            None,
            "one is no more than the least that counts"
        );
        assert_eq!(of(&[&[10][..]; 6], &[&[12][..]; 6], true), Some((10.0, 12.0, false)));
        assert_eq!(
            of(&[&[10][..]; 5], &[&[99][..]; 5], true),
            None,
            "it may have decided otherwise by chance"
        );
    }

    #[test]
    fn a_count_is_told_as_one_does() {
        let [pages, .., faults] = METRICS.map(|metric| metric.words);
        let difference = |words, before, after, exact| Difference { words, metric: "", before, after, exact };
        let both = [difference(pages, 256.0, 268.0, true), difference(faults, 2.5, 3.5, false)];
        assert_eq!(
            told(&both, true, "old").unwrap().words,
            "restores 12 pages a block more than in `old` (268, after 256), has about 1 page fault in execute a block more \
             (3.50, after 2.50)"
        );
        let many = vec![both[0].clone(); 5];
        assert!(told(&many, true, "old").unwrap().words.ends_with("and differs in 2 other counts"));
        assert!(told(&[], true, "old").is_none());
    }
}
