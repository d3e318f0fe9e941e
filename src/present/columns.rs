//! The columns that every table of results has, wherever it is written.
//!
//! The terminal, Markdown and HTML differ in how a table looks, never in what stands in it: both are decided here.

use super::growth;
use super::view::{Group, Shown};
use crate::analyse::ending;
use crate::analyse::summary::Ratio;
use crate::units::{Column, Quantity, ratio};

/// A column behind the strategy's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Median time in the guest.
    Execute,
    /// Median time in the reset.
    Reset,
    /// Median of both together.
    Cycle,
    /// Cycle over the baseline's, with its interval.
    Baseline,
    /// Cycle over that of the best sound strategy.
    Best,
    /// Minor faults per block.
    Faults,
    /// Peak of the resident set.
    Rss,
}

impl Kind {
    /// In the order of the table.
    pub const ALL: [Kind; 7] =
        [Kind::Execute, Kind::Reset, Kind::Cycle, Kind::Baseline, Kind::Best, Kind::Faults, Kind::Rss];

    /// The figure of a cell in base units; of a ratio, the value alone.
    pub fn value(self, cell: Shown) -> Option<f64> {
        match self {
            Kind::Execute => cell.execute().map(|q| q.p50 as f64),
            Kind::Reset => cell.reset().map(|q| q.p50 as f64),
            Kind::Cycle => cell.cycle().map(|q| q.p50 as f64),
            Kind::Baseline => cell.ratio().map(|r| r.value),
            Kind::Best => cell.regret().map(|r| r.value),
            Kind::Faults => cell.faults(),
            Kind::Rss => cell.rss().map(|r| r.peak as f64),
        }
    }

    /// What the column is called.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Execute => "execute",
            Kind::Reset => "reset",
            Kind::Cycle => "cycle",
            Kind::Baseline => "vs baseline",
            Kind::Best => "vs best",
            Kind::Faults => "faults per block",
            Kind::Rss => "RSS peak",
        }
    }

    fn is_time(self) -> bool {
        matches!(self, Kind::Execute | Kind::Reset | Kind::Cycle)
    }
}

/// What stands in one field of the table.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A figure in the column's unit.
    Figure(String),
    /// The ratio to the baseline, which has an interval.
    Ratio(Ratio),
    /// This is the baseline.
    Baseline,
    /// This is the best sound strategy.
    Best,
    /// Nothing was measured.
    Missing,
    /// The whole row has no figures; the note of this number says why.
    Note(usize),
}

/// One strategy of the table.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// The cell that the row shows.
    pub cell: Shown<'a>,
    /// Whether it is the best sound strategy.
    pub best: bool,
    /// Number of the note that says why there are no figures, from 1.
    pub note: Option<usize>,
}

/// A table before it is laid out: contenders by cycle, then controls, each with what has no figures last.
#[derive(Clone, Debug)]
pub struct Sheet<'a> {
    /// The rows in their order.
    pub lines: Vec<Line<'a>>,
    /// The columns for which anything was measured.
    pub columns: Vec<(Kind, Column)>,
    /// The columns for which nothing was.
    pub absent: Vec<Kind>,
    /// Reasons for rows without figures; the first is note 1.
    pub reasons: Vec<String>,
    /// Strategies with figures and something to be said about them.
    pub caveats: Vec<(&'a str, &'a str)>,
    /// Whether memory grew in the long run: sentences, names in backticks.
    pub growth: Vec<String>,
    /// How long the cells were measured, and why no longer: a sentence, names in backticks.
    pub length: Vec<String>,
    baseline: &'a str,
}

impl<'a> Sheet<'a> {
    /// The table of one workload.
    pub fn new(group: &Group<'a>) -> Sheet<'a> {
        let best = group.best().map(Shown::name);
        let mut reasons: Vec<String> = Vec::new();
        let lines: Vec<Line> = [false, true]
            .into_iter()
            .flat_map(|control| group.by_cycle(control))
            .map(|cell| {
                let note = cell.why_missing().map(|reason| {
                    let known = reasons.iter().position(|other| *other == reason);
                    let index = known.unwrap_or_else(|| {
                        reasons.push(reason);
                        reasons.len() - 1
                    });
                    index + 1
                });
                Line { cell, best: best == Some(cell.name()), note }
            })
            .collect();
        let measured = |kind: &Kind| lines.iter().any(|line| kind.value(line.cell).is_some());
        let (present, absent): (Vec<Kind>, Vec<Kind>) = Kind::ALL.into_iter().partition(measured);
        let columns = present.iter().map(|kind| (*kind, fit(*kind, &present, &lines))).collect();
        let caveats = lines.iter().filter_map(|line| Some((line.cell.name(), line.cell.caveat()?))).collect();
        let growth = growth::sentences(lines.iter().map(|line| line.cell));
        let ended = |line: &Line<'a>| {
            let (ending, launches) = line.cell.ended()?;
            Some((line.cell.name(), ending, launches))
        };
        let length = ending::told(&lines.iter().filter_map(ended).collect::<Vec<_>>());
        let length = length.map(|words| format!("How long: {words}."));
        let resolution = group.resolution().map(|words| format!("Resolution: {words}."));
        let length = length.into_iter().chain(resolution).collect();
        Sheet { lines, columns, absent, reasons, caveats, growth, length, baseline: group.baseline }
    }

    /// What stands in a field.
    pub fn entry(&self, line: &Line, kind: Kind, column: Column) -> Entry {
        match (kind, kind.value(line.cell)) {
            (Kind::Baseline, _) if line.note.is_some() => Entry::Note(line.note.unwrap_or_default()),
            (Kind::Baseline, Some(_)) if line.cell.name() == self.baseline => Entry::Baseline,
            (Kind::Baseline, _) => line.cell.ratio().map_or(Entry::Missing, Entry::Ratio),
            (Kind::Best, _) if line.best => Entry::Best,
            (Kind::Best, Some(value)) => Entry::Figure(ratio(value)),
            (_, Some(value)) => Entry::Figure(column.write(value)),
            (_, None) => Entry::Missing,
        }
    }
}

/// Seven characters hold five digits, a point and a decimal.
const WIDTH: usize = 7;

fn fit(kind: Kind, present: &[Kind], lines: &[Line]) -> Column {
    let values = |kind: Kind| lines.iter().filter_map(move |line| kind.value(line.cell));
    match kind {
        Kind::Rss => Column::fit(Quantity::Bytes, values(kind), 3, WIDTH),
        Kind::Faults => Column::counts(values(kind)),
        Kind::Baseline | Kind::Best => Column::fit(Quantity::Count, values(kind), 3, WIDTH),
        Kind::Execute | Kind::Reset | Kind::Cycle => {
            // Readers add execute and reset; in one unit they can, unless the smaller would lose its digits.
            let times: Vec<f64> = present.iter().filter(|k| k.is_time()).flat_map(|k| values(*k)).collect();
            let shared = Column::fit(Quantity::Time, times.iter().copied(), 3, WIDTH);
            let least = values(kind).filter(|v| *v > 0.0).fold(f64::INFINITY, f64::min);
            if shared.digits(least) >= 2 {
                shared
            } else {
                Column::fit(Quantity::Time, values(kind), 3, WIDTH)
            }
        }
    }
}
