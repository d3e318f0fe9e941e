//! When a host resets, as tables and sentences: no figure of a policy without its verdict beside it, and under each table
//! what the time that a policy saves is paid with.

use unicode_width::UnicodeWidthStr;

use super::growth::{grouped, sentence};
use super::prose::printable;
use super::table::{Options, middle, pad_left, pad_right, wrap};
use super::units::{Column, Quantity, bytes, plus_minus, ratio};
use super::view::plain;
use crate::analyse::summary::Equivalence;
use crate::determinism::word;
use crate::policies::report::{Cell, Cost};

/// The policies of one strategy on one workload.
pub struct Group<'a> {
    cells: Vec<&'a Cell>,
}

/// Names of the columns behind that of the policy, with their units.
pub type Heads = [(&'static str, &'static str); 8];

/// Longer names of policies are cut in their middle.
const NAME: usize = 14;

impl<'a> Group<'a> {
    /// Cells that differ in their policy only, which stand together.
    pub fn all(cells: &'a [Cell]) -> Vec<Self> {
        let alike = |a: &Cell, b: &Cell| {
            (&a.workload, &a.params, &a.strategy) == (&b.workload, &b.params, &b.strategy)
        };
        cells.chunk_by(alike).map(|cells| Self { cells: cells.iter().collect() }).collect()
    }

    /// The strategy and the workload.
    pub fn title(&self) -> String {
        self.cells.first().map_or_else(String::new, |cell| format!("{} on {}", cell.strategy, cell.workload))
    }

    /// What was run.
    pub fn about(&self) -> String {
        let Some(first) = self.cells.first() else { return String::new() };
        let mut about: Vec<String> = self
            .costs()
            .map(|cost| format!("{} blocks in each of {} launches", grouped(cost.blocks), cost.launches))
            .take(1)
            .collect();
        about.push(format!("the guest's memory ends at {}", bytes(first.memory_max_bytes)));
        about.extend(first.params.iter().map(|(name, value)| format!("{name}={}", plain(value))));
        about.join(", ")
    }

    /// The names of the columns, and under each policy's name its fields.
    pub fn table(&self) -> (Heads, Vec<(&'a str, [String; 8])>) {
        let blocks = self.costs().flat_map(|cost| [cost.block_ns.p50, cost.block_ns.p99]);
        let block = column(Quantity::Time, blocks, 6);
        let total = column(Quantity::Time, self.costs().map(|cost| cost.total_ns), 6);
        let memories = self.cells.iter().filter_map(|cell| cell.memory.map(|memory| memory.end));
        let memory = column(Quantity::Bytes, memories, 6);
        let heads = [
            ("verifier", ""),
            ("p50", block.unit),
            ("p99", block.unit),
            ("total", total.unit),
            ("vs every", "ratio"),
            ("resets", ""),
            ("failed", "blocks"),
            ("RSS end", memory.unit),
        ];
        let line = |cell: &&'a Cell| {
            let figure = |write: &dyn Fn(&Cost) -> String| cell.cost.as_ref().map_or("-".into(), write);
            let fields = [
                word(cell.judged.equivalence),
                figure(&|cost| block.write(cost.block_ns.p50 as f64)),
                figure(&|cost| block.write(cost.block_ns.p99 as f64)),
                figure(&|cost| total.write(cost.total_ns as f64)),
                figure(&|cost| match cost.ratio_to_every {
                    Some(r) => format!("{} {}", ratio(r.value), plus_minus(r.value, r.low, r.high)),
                    None if cell.is_yardstick() => "1".into(),
                    None => "-".into(),
                }),
                figure(&|cost| cost.resets.to_string()),
                figure(&|cost| cost.failed.to_string()),
                cell.memory.map_or("-".into(), |read| memory.write(read.end as f64)),
            ];
            (cell.policy.as_str(), fields)
        };
        (heads, self.cells.iter().map(line).collect())
    }

    /// What each policy's time is paid with, then how its memory went.
    pub fn sentences(&self) -> Vec<String> {
        let verdicts = self.cells.iter().filter_map(|cell| verdict(cell));
        verdicts.chain(self.cells.iter().filter_map(|cell| memory(cell))).collect()
    }

    fn costs(&self) -> impl Iterator<Item = &'a Cost> {
        self.cells.iter().filter_map(|cell| cell.cost.as_ref())
    }
}

fn column(quantity: Quantity, values: impl Iterator<Item = u64>, width: usize) -> Column {
    Column::fit(quantity, values.map(|value| value as f64), 3, width)
}

/// What the verifier says in full, and next to it what the policy takes.
fn verdict(cell: &Cell) -> Option<String> {
    let judged = &cell.judged;
    let name = format!("`{}`", cell.policy);
    let time = cell.cost.and_then(|cost| cost.ratio_to_every).map(|r| {
        format!("takes {} times as long as `every` ({} to {})", ratio(r.value), ratio(r.low), ratio(r.high))
    });
    let mut words = match judged.equivalence {
        Equivalence::Equivalent => {
            let compared = grouped(judged.verified_blocks);
            let equal = format!("was equal to fresh instances in the {compared} blocks compared");
            time.map_or_else(|| format!("{name} {equal}."), |time| format!("{name} {equal}, and {time}."))
        }
        Equivalence::Diverged => {
            let mut words = format!("{name} is no reset of every block");
            if cell.is_yardstick() {
                words = format!("{name} diverged");
            }
            if let Some(difference) = &judged.first_difference {
                words += &format!(": {difference}");
            }
            if let Some(consequence) = &judged.consequence {
                words += &format!("; what is stored differs, too: {consequence}");
            }
            let paid =
                |time| format!(". It {time}, and that is what the difference is paid with: no saving.");
            words + &time.map_or_else(|| ".".into(), paid)
        }
        Equivalence::Refused | Equivalence::Unavailable | Equivalence::NotRun => {
            format!("{name} was not verified.")
        }
    };
    if let Some(reason) = &judged.reason {
        words += &format!(" {name}: {reason}.");
    }
    Some(words)
}

/// How the resident set went.
fn memory(cell: &Cell) -> Option<String> {
    let memory = cell.memory?;
    let most = memory.peak.map_or_else(String::new, |peak| format!(", {} at most", bytes(peak)));
    let growth = cell.growth.map_or_else(String::new, |growth| format!("; {}", sentence(&growth)));
    Some(format!(
        "`{}`: RSS {} at the start, {} at the end{most}{growth}.",
        cell.policy,
        bytes(memory.start),
        bytes(memory.end)
    ))
}

/// All groups for a terminal, an empty line between them.
pub fn text(cells: &[Cell], options: Options) -> String {
    let groups: Vec<String> =
        Group::all(cells).iter().map(|group| group_text(group, options.width)).collect();
    groups.join("\n")
}

fn group_text(group: &Group, width: usize) -> String {
    let (heads, lines) = group.table();
    let lines: Vec<Vec<String>> = lines
        .into_iter()
        .map(|(policy, fields)| [middle(policy, NAME)].into_iter().chain(fields).collect())
        .collect();
    let names = ["policy"].into_iter().chain(heads.map(|(name, _)| name)).map(str::to_owned).collect();
    let units = [""].into_iter().chain(heads.map(|(_, unit)| unit)).map(str::to_owned).collect();
    let all: Vec<&Vec<String>> = [&names, &units].into_iter().chain(&lines).collect();
    let widths: Vec<usize> =
        (0..names.len()).map(|i| all.iter().map(|line| line[i].width()).max().unwrap_or(0)).collect();
    let room = width.saturating_sub(widths.iter().sum());
    let gap = " ".repeat(if room >= 2 * (widths.len() - 1) { 2 } else { 1 });
    let line = |fields: &Vec<String>| {
        let padded = fields.iter().zip(&widths).enumerate().map(|(i, (field, &width))| match i {
            // Words, not figures.
            0 | 1 => pad_right(field, width),
            _ => pad_left(field, width),
        });
        let text = padded.collect::<Vec<_>>().join(&gap);
        format!("{}\n", text.trim_end())
    };
    let mut out = wrap(&printable(&group.title()), width, "");
    out += &wrap(&printable(&group.about()), width, "");
    out += &format!("\n{}{}", line(&names), line(&units));
    out += &format!("{}\n", "-".repeat(widths.iter().sum::<usize>() + gap.len() * (widths.len() - 1)));
    out += &lines.iter().map(line).collect::<String>();
    for words in group.sentences() {
        // The backticks are for pages.
        out += &wrap(&printable(&words.replace('`', "")), width, "  ");
    }
    out
}

#[cfg(test)]
mod tests {
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
