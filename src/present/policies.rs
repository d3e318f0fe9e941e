//! When a host resets, as tables and sentences: no figure of a policy without its verdict beside it, and under the tables
//! what the time that a policy takes is paid with.

use super::fields::{self, ABSENT, Table, Words};
use super::growth::{grouped, interval};
use super::table::Options;
use super::view::plain;
use crate::analyse::summary::{Equivalence, Growth};
use crate::determinism::word;
use crate::policies::report::{Cell, Cost, Memory};
use crate::prose::enumerated;
use crate::units::{Column, Quantity, bytes, plus_minus, ratio};

/// The policies of one strategy on one workload.
pub struct Group<'a> {
    cells: &'a [Cell],
}

/// Columns that hold words.
const WORDS: usize = 2;

impl<'a> Group<'a> {
    /// Cells that differ in their policy only, which stand together.
    pub fn all(cells: &'a [Cell]) -> Vec<Self> {
        let alike = |a: &Cell, b: &Cell| {
            (&a.workload, &a.params, &a.strategy) == (&b.workload, &b.params, &b.strategy)
        };
        cells.chunk_by(alike).map(|cells| Self { cells }).collect()
    }

    /// The strategy and the workload.
    pub fn title(&self) -> String {
        self.cells.first().map_or_else(String::new, |cell| format!("{} on {}", cell.strategy, cell.workload))
    }

    /// What was run.
    pub fn about(&self) -> String {
        let ran = self.costs().next().map(|cost| {
            format!("{} blocks in each of {} launches", grouped(cost.blocks), grouped(cost.launches.into()))
        });
        let mut about: Vec<String> = ran.into_iter().collect();
        if let Some(cell) = self.cells.first() {
            about.push(format!("the guest's memory ends at {}", bytes(cell.memory_max_bytes)));
            about.extend(cell.params.iter().map(|(name, value)| format!("{name}={}", plain(value))));
        }
        about.join(", ")
    }

    /// What each policy takes and does, and how its memory goes.
    pub fn tables(&self) -> [Table; 2] {
        [self.times(), self.memories()]
    }

    fn times(&self) -> Table {
        let block =
            column(Quantity::Time, self.costs().flat_map(|cost| [cost.block_ns.p50, cost.block_ns.p99]));
        let total = column(Quantity::Time, self.costs().map(|cost| cost.total_ns));
        let heads = [
            ("p50", block.unit),
            ("p99", block.unit),
            ("total", total.unit),
            ("vs every", "ratio"),
            ("resets", ""),
            ("retries", ""),
            ("failed", "blocks"),
        ];
        self.table(&heads, |cell| {
            let figure = |write: &dyn Fn(&Cost) -> String| cell.cost.as_ref().map_or(ABSENT.into(), write);
            vec![
                figure(&|cost| block.write(cost.block_ns.p50 as f64)),
                figure(&|cost| block.write(cost.block_ns.p99 as f64)),
                figure(&|cost| total.write(cost.total_ns as f64)),
                figure(&|cost| match cost.ratio_to_every {
                    Some(r) => format!("{} {:>5}", ratio(r.value), plus_minus(r.value, r.low, r.high)),
                    None if cell.is_yardstick() => "1".into(),
                    None => ABSENT.into(),
                }),
                figure(&|cost| cost.resets.to_string()),
                figure(&|cost| cost.retries.to_string()),
                figure(&|cost| cost.failed.to_string()),
            ]
        })
    }

    fn memories(&self) -> Table {
        let read = self.cells.iter().filter_map(|cell| cell.memory);
        let rss = column(Quantity::Bytes, read.flat_map(|memory| [memory.start, memory.end]));
        let heads = [
            ("RSS start", rss.unit),
            ("end", rss.unit),
            ("peak", rss.unit),
            ("growth per block", "bytes (interval)"),
        ];
        self.table(&heads, |cell| {
            let figure = |of: fn(Memory) -> Option<u64>| {
                cell.memory.and_then(of).map_or(ABSENT.into(), |bytes| rss.write(bytes as f64))
            };
            vec![
                figure(|memory| Some(memory.start)),
                figure(|memory| Some(memory.end)),
                figure(|memory| memory.peak),
                cell.growth.as_ref().map_or(ABSENT.into(), growth),
            ]
        })
    }

    fn table(&self, heads: &[(&'static str, &'static str)], fields: impl Fn(&Cell) -> Vec<String>) -> Table {
        let words = |cell: &Cell| vec![cell.policy.clone(), word(cell.judged.equivalence)];
        let heads = [&[("policy", ""), ("verifier", "")], heads].concat();
        Table {
            heads: heads.into_iter().map(|(name, unit)| (name.into(), unit.into())).collect(),
            words: WORDS,
            lines: self.cells.iter().map(|cell| [words(cell), fields(cell)].concat()).collect(),
        }
    }

    /// What the verifier found, and what the time that each policy takes is paid with.
    pub fn sentences(&self) -> Vec<String> {
        let diverged = self.cells.iter().filter(|cell| cell.judged.equivalence == Equivalence::Diverged);
        let mut alike: Vec<Vec<&Cell>> = Vec::new();
        for cell in diverged {
            let same = |known: &&mut Vec<&Cell>| {
                (&known[0].judged.first_difference, &known[0].judged.consequence)
                    == (&cell.judged.first_difference, &cell.judged.consequence)
            };
            match alike.iter_mut().find(same) {
                Some(known) => known.push(cell),
                None => alike.push(vec![cell]),
            }
        }
        let equal = self.cells.iter().filter_map(equal);
        let leaks = alike.iter().flat_map(|cells| leaks(cells));
        let failures = self.cells.iter().filter_map(|cell| self.failures(cell));
        let reasons = self.cells.iter().filter_map(|cell| {
            cell.judged.reason.as_ref().map(|reason| format!("`{}`: {reason}.", cell.policy))
        });
        equal.chain(leaks).chain(failures).chain(reasons).collect()
    }

    /// Blocks that fail because of what others left.
    fn failures(&self, cell: &Cell) -> Option<String> {
        let every = self.cells.iter().find(|cell| cell.is_yardstick())?.cost?.failed;
        let Cost { failed, blocks, .. } = cell.cost?;
        (failed > every).then(|| {
            let [failed, blocks, every] = [failed, blocks, every].map(grouped);
            format!("Under `{}` {failed} of {blocks} blocks fail, and {every} under `every`.", cell.policy)
        })
    }

    fn costs(&self) -> impl Iterator<Item = &'a Cost> {
        self.cells.iter().filter_map(|cell| cell.cost.as_ref())
    }
}

fn column(quantity: Quantity, values: impl Iterator<Item = u64>) -> Column {
    Column::fit(quantity, values.map(|value| value as f64), 3, 6)
}

/// `41 (36 to 46), grows`.
fn growth(growth: &Growth) -> String {
    let direction = match growth.direction() {
        1 => ", grows",
        -1 => ", shrinks",
        _ => "",
    };
    interval(growth) + direction
}

/// `0.115 (0.110 to 0.120)`: of the time of `every`.
fn share(cell: &Cell) -> Option<String> {
    let r = cell.cost?.ratio_to_every?;
    Some(format!("{} ({} to {})", ratio(r.value), ratio(r.low), ratio(r.high)))
}

/// What is said of a policy under which nothing was left behind.
fn equal(cell: &Cell) -> Option<String> {
    if cell.judged.equivalence != Equivalence::Equivalent {
        return None;
    }
    let compared = grouped(cell.judged.verified_blocks);
    let time =
        share(cell).map_or_else(String::new, |share| format!(", and takes {share} of the time of `every`"));
    Some(format!("`{}` was equal to fresh instances in the {compared} blocks compared{time}.", cell.policy))
}

/// What is left behind, the same under all of these policies, and that it is no bargain.
fn leaks(cells: &[&Cell]) -> Vec<String> {
    let names: Vec<String> = cells.iter().map(|cell| format!("`{}`", cell.policy)).collect();
    let judged = &cells[0].judged;
    let leave = if cells.len() == 1 { "leaves" } else { "leave" };
    let mut found = format!("{} {leave} something behind", enumerated(&names));
    if let Some(difference) = &judged.first_difference {
        found += &format!(": {difference}");
    }
    if let Some(consequence) = &judged.consequence {
        found += &format!("; and it shows in what is stored: {consequence}");
    }
    let shares: Vec<String> =
        cells.iter().filter_map(|cell| Some(format!("`{}` takes {}", cell.policy, share(cell)?))).collect();
    let paid =
        format!("Of the time of `every`, {}, paid for with another result: no saving.", enumerated(&shares));
    [format!("{found}.")].into_iter().chain((!shares.is_empty()).then_some(paid)).collect()
}

/// All groups for a terminal, an empty line between them.
pub fn text(cells: &[Cell], options: Options) -> String {
    let text = |group: &Group| {
        let (title, about, sentences) = (group.title(), group.about(), group.sentences());
        fields::text(&Words { title, about, sentences }, &group.tables(), options.width, NAME)
    };
    let groups: Vec<String> = Group::all(cells).iter().map(text).collect();
    groups.join("\n")
}

/// Longer names of policies are cut in their middle.
const NAME: usize = 14;

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::present::fixture;

    #[test]
    fn policies_on_a_terminal() {
        let text = text(&fixture::policies(), Options::default());
        assert!(text.lines().all(|line| line.width() <= 80));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn policies_of_other_cells_have_tables_of_their_own() {
        let mut cells = fixture::policies();
        cells[2].strategy = "copy/full".into();
        let sizes: Vec<_> = Group::all(&cells).iter().map(|group| group.cells.len()).collect();
        assert_eq!(sizes, [2, 1]);
    }
}
