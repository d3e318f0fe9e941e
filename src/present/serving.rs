//! Serving, as tables and sentences: how many calls each strategy serves, what callers wait, and what a call costs.

use std::cmp::Reverse;

use super::fields::{self, ABSENT, Table, Words};
use super::growth::grouped;
use super::table::Options;
use super::view::plain;
use crate::analyse::summary::Ratio;
use crate::measure::latencies::Percentiles;
use crate::serving::report::{Cell, Closed, Open, Report};
use crate::units::{Column, Quantity, bytes, count, ns, plus_minus, ratio};

/// The strategies that served one workload.
pub struct Group<'a> {
    cells: Vec<&'a Cell>,
    baseline: &'a str,
    cpus: usize,
}

/// Longer names of strategies are cut in their middle.
const NAME: usize = 22;

/// Calls below which nothing is said of one in a hundred.
const TAIL: u64 = 100;

/// Load at which latencies are compared: busy, and not yet at the end.
pub const BUSY: f64 = 0.8;

impl<'a> Group<'a> {
    /// Cells that differ in their strategy only, those that serve most first, controls last.
    pub fn all(report: &'a Report) -> Vec<Self> {
        let alike = |a: &Cell, b: &Cell| (&a.workload, &a.params) == (&b.workload, &b.params);
        let group = |cells: &'a [Cell]| {
            let mut cells: Vec<&Cell> = cells.iter().collect();
            let most = |cell: &Cell| cell.closed.last().map_or(0, |closed| closed.calls_per_second as u64);
            cells.sort_by_key(|cell| (cell.control, Reverse(most(cell)), &cell.strategy));
            Self { cells, baseline: &report.baseline, cpus: report.cpus }
        };
        let groups = report.cells.chunk_by(alike).map(group);
        groups.filter(|group: &Self| group.cells.iter().any(|cell| !cell.closed.is_empty())).collect()
    }

    /// The strategies.
    pub fn cells(&self) -> &[&'a Cell] {
        &self.cells
    }

    /// CPUs that callers share.
    pub fn cpus(&self) -> usize {
        self.cpus
    }

    /// What others are held against.
    pub fn baseline(&self) -> &str {
        self.baseline
    }

    /// The workload.
    pub fn title(&self) -> String {
        self.cells.first().map_or_else(String::new, |cell| format!("serving {}", cell.workload))
    }

    /// Its part of the names of files.
    pub fn slug(&self) -> String {
        self.title().trim_start_matches("serving ").replace('/', "-")
    }

    /// Its parameters, and who shares what.
    pub fn about(&self) -> String {
        let params = self.cells.first().into_iter().flat_map(|cell| &cell.params);
        let params = params.map(|(name, value)| format!("{name}={}", plain(value)));
        let cpus = format!("callers share {} CPU{}", self.cpus, if self.cpus == 1 { "" } else { "s" });
        params.chain([cpus]).collect::<Vec<_>>().join(", ")
    }

    /// Numbers of callers that any cell has, rising.
    fn callers(&self) -> Vec<u32> {
        let mut callers: Vec<u32> =
            self.cells.iter().flat_map(|cell| &cell.closed).map(|closed| closed.callers).collect();
        callers.sort_unstable();
        callers.dedup();
        callers
    }

    /// How many calls, what callers wait, what a call costs, and what blocks do meanwhile where that was asked for.
    pub fn tables(&self) -> Vec<Table> {
        let tables = [self.rates(), self.waits(), self.costs()];
        tables.into_iter().chain(self.indexing()).collect()
    }

    fn rates(&self) -> Table {
        let callers = self.callers();
        let mut heads: Vec<(String, String)> =
            callers.iter().map(|callers| (format!("{callers}"), "calls/s".into())).collect();
        if let (Some((first, _)), 2..) = (heads.first_mut(), callers.len()) {
            *first = format!("{first} caller");
        }
        heads.push(("vs base".into(), "times".into()));
        heads.push(("gain".into(), "1 to most".into()));
        self.table(heads, |cell| {
            let rate =
                |callers: &u32| at(cell, *callers).map_or(ABSENT.into(), |it| calls(it.calls_per_second));
            let mut fields: Vec<String> = callers.iter().map(rate).collect();
            fields.push(match most(cell).and_then(|closed| closed.ratio_to_baseline) {
                Some(Ratio { value, low, high }) => {
                    format!("{} {:>5}", ratio(value), plus_minus(value, low, high))
                }
                None if cell.strategy == self.baseline => "1".into(),
                None => ABSENT.into(),
            });
            fields.push(gain(cell).map_or(ABSENT.into(), ratio));
            fields
        })
    }

    fn waits(&self) -> Table {
        let callers = self.callers().last().copied().unwrap_or(0);
        let shown = |cell: &&Cell| {
            let most = most(cell).map(|closed| closed.times.latency_ns.p99);
            let busy = busy(cell).map(|open| open.p99_ns);
            [most, busy].into_iter().flatten().collect::<Vec<_>>()
        };
        let unit = column(Quantity::Time, self.cells.iter().flat_map(shown));
        let load = share(BUSY);
        let heads = [
            (format!("{callers} callers"), format!("p50 {}", unit.unit)),
            ("".into(), "p99".into()),
            ("".into(), "p99.9".into()),
            (format!("{load} load"), format!("p50 {}", unit.unit)),
            ("".into(), "p99".into()),
            ("".into(), "p99.9".into()),
            ("waiting".into(), "p99".into()),
        ];
        self.table(heads.into(), |cell| {
            let write = |ns: u64| unit.write(ns as f64);
            let three = |latency: Option<Percentiles>| match latency {
                Some(Percentiles { p50, p99, p999, n, .. }) => {
                    let of = |ns: u64, least: u64| if n >= least { write(ns) } else { ABSENT.into() };
                    vec![of(p50, 1), of(p99, TAIL), of(p999, 10 * TAIL)]
                }
                None => vec![ABSENT.to_owned(); 3],
            };
            let busy = busy(cell);
            let waiting = busy.map_or(ABSENT.into(), |open| write(open.times.waiting_ns.p99));
            let most = most(cell).map(|closed| closed.times.latency_ns);
            let busy = busy.map(|open| Percentiles { p99: open.p99_ns, ..open.times.latency_ns });
            [three(most), three(busy), vec![waiting]].concat()
        })
    }

    fn costs(&self) -> Table {
        let per_place = |cell: &Cell| Some(most(cell)?.memory?.per_place());
        let cpu = column(
            Quantity::Time,
            self.cells.iter().filter_map(|cell| Some(most(cell)?.per_call.cpu_ns as u64)),
        );
        let rss = column(Quantity::Bytes, self.cells.iter().filter_map(|cell| per_place(cell)));
        let heads = [
            ("CPU".into(), format!("{}/call", cpu.unit)),
            ("kernel".into(), "of CPU".into()),
            ("reset".into(), "of call".into()),
            ("faults".into(), "per call".into()),
            ("switches".into(), "per call".into()),
            ("TLB".into(), "per call".into()),
            ("RSS".into(), format!("{}/place", rss.unit)),
        ];
        self.table(heads.into(), |cell| {
            let Some(closed) = most(cell) else { return vec![ABSENT.into(); 7] };
            let per_call = closed.per_call;
            vec![
                cpu.write(per_call.cpu_ns),
                share(per_call.system_share),
                share(per_call.reset_share),
                count(per_call.minor_faults),
                count(per_call.switches),
                per_call.tlb_shootdowns.map_or(ABSENT.into(), count),
                per_place(cell).map_or(ABSENT.into(), |bytes| rss.write(bytes as f64)),
            ]
        })
    }

    fn indexing(&self) -> Option<Table> {
        let with_most = |cell: &Cell| cell.indexing.last().cloned();
        let callers = self.cells.iter().find_map(|cell| with_most(cell))?.callers;
        let shown = |cell: &&Cell| cell.indexing.iter().map(|it| it.block_ns.p50).collect::<Vec<_>>();
        let block = column(Quantity::Time, self.cells.iter().flat_map(shown));
        let heads = [
            ("block".into(), format!("p50 {}", block.unit)),
            (format!("with {callers}"), format!("p50 {}", block.unit)),
            ("slower".into(), "times".into()),
            ("calls".into(), "calls/s".into()),
            ("kept".into(), "of calls".into()),
        ];
        let times = |found: Option<Ratio>| match found {
            Some(Ratio { value, low, high }) => {
                format!("{} {:>5}", ratio(value), plus_minus(value, low, high))
            }
            None => ABSENT.into(),
        };
        Some(self.table(heads.into(), |cell| {
            let alone = cell.indexing.first().filter(|it| it.callers == 0);
            let busy = with_most(cell);
            let write = |ns: u64| block.write(ns as f64);
            vec![
                alone.map_or(ABSENT.into(), |it| write(it.block_ns.p50)),
                busy.as_ref().map_or(ABSENT.into(), |it| write(it.block_ns.p50)),
                times(busy.as_ref().and_then(|it| it.blocks_slowed)),
                busy.as_ref().map_or(ABSENT.into(), |it| calls(it.calls_per_second)),
                times(busy.as_ref().and_then(|it| it.calls_kept)),
            ]
        }))
    }

    fn table(&self, heads: Vec<(String, String)>, fields: impl Fn(&Cell) -> Vec<String>) -> Table {
        let heads = [vec![("strategy".to_owned(), String::new())], heads].concat();
        let line = |cell: &&Cell| [vec![cell.strategy.clone()], fields(cell)].concat();
        Table { heads, lines: self.cells.iter().map(line).collect(), words: 1 }
    }

    /// The strategy that serves most calls, controls aside.
    fn best(&self) -> Option<(&'a Cell, &'a Closed)> {
        let contenders = self.cells.iter().filter(|cell| !cell.control);
        contenders
            .filter_map(|cell| Some((*cell, most(cell)?)))
            .max_by(|(_, a), (_, b)| a.calls_per_second.total_cmp(&b.calls_per_second))
    }

    /// What the tables come to.
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if let Some((cell, closed)) = self.best() {
            let held = closed.ratio_to_baseline.map(|Ratio { value, low, high }| {
                format!(
                    ", {} times those of `{}` ({} to {})",
                    ratio(value),
                    self.baseline,
                    ratio(low),
                    ratio(high)
                )
            });
            let tied = self.tied(cell, closed);
            let tied = match &tied[..] {
                [] => String::new(),
                tied => format!("; not told apart from it: {}", tied.join(", ")),
            };
            sentences.push(format!(
                "With {}, `{}` serves most: {} calls a second{}{tied}.",
                callers(closed.callers),
                cell.strategy,
                calls(closed.calls_per_second),
                held.unwrap_or_default()
            ));
            if closed.per_call.failed > 0.5 {
                let failed = share(closed.per_call.failed);
                sentences
                    .push(format!("WARNING: {failed} of the calls fail: these are the figures of failing."));
            }
            sentences.extend(self.scaling(cell));
            sentences.extend(self.waiting(cell));
            if let Some(memory) = closed.memory {
                sentences.push(format!(
                    "Each of its {} places holds {}; a call spends {} of its time in the reset.",
                    memory.places,
                    bytes(memory.per_place()),
                    share(closed.per_call.reset_share)
                ));
            }
        }
        sentences.extend(self.cells.iter().filter_map(|cell| {
            let reason = cell.reason.as_ref()?;
            Some(format!("`{}` has no figures, or not all: {reason}.", cell.strategy))
        }));
        sentences
    }

    /// Who may serve as many as the best: whose interval reaches into the best's.
    fn tied(&self, best: &Cell, closed: &Closed) -> Vec<String> {
        let least = match closed.ratio_to_baseline {
            Some(ratio) => ratio.low,
            None if best.strategy == self.baseline => 1.0,
            // Too few rounds for any interval.
            None => return Vec::new(),
        };
        let others = self.cells.iter().filter(|cell| !cell.control && cell.strategy != best.strategy);
        let reach = |cell: &Cell| match most(cell)?.ratio_to_baseline {
            Some(ratio) => Some(ratio.high),
            None => (cell.strategy == self.baseline).then_some(1.0),
        };
        let tied = others.filter(|cell| reach(cell).is_some_and(|high| high >= least));
        tied.map(|cell| format!("`{}`", cell.strategy)).collect()
    }

    /// What more callers than one bring.
    fn scaling(&self, cell: &Cell) -> Option<String> {
        let (first, last) = (cell.closed.first()?, cell.closed.last()?);
        let ideal = self.cpus.min(last.callers as usize) as f64 / f64::from(first.callers);
        Some(format!(
            "From {} to {} it gains {} times; as many CPUs could bring {}.",
            callers(first.callers),
            callers(last.callers),
            ratio(gain(cell)?),
            ratio(ideal.max(1.0))
        ))
    }

    /// What callers wait where it is busy, beside the baseline's.
    fn waiting(&self, cell: &Cell) -> Option<String> {
        let own = busy(cell).filter(|open| open.times.latency_ns.n >= TAIL)?;
        let p99 = |open: &Open| ns(open.p99_ns);
        let baseline = self.cells.iter().find(|other| other.strategy == self.baseline);
        let other = baseline.filter(|other| other.strategy != cell.strategy).and_then(|other| busy(other));
        let beside = other.map(|other| format!("; that of `{}` {} at its own", self.baseline, p99(other)));
        Some(format!(
            "At {} of what it serves with a caller for each CPU, one call in a hundred takes longer than {}{}.",
            share(own.load),
            p99(own),
            beside.unwrap_or_default()
        ))
    }
}

/// The closed loop with so many callers.
fn at(cell: &Cell, callers: u32) -> Option<&Closed> {
    cell.closed.iter().find(|closed| closed.callers == callers)
}

/// The closed loop with the most callers.
pub fn most(cell: &Cell) -> Option<&Closed> {
    cell.closed.last()
}

/// The open loop at the load at which latencies are compared.
pub fn busy(cell: &Cell) -> Option<&Open> {
    cell.open.iter().find(|open| (open.load - BUSY).abs() < 1e-9)
}

/// Calls per second with the most callers over those with the fewest.
fn gain(cell: &Cell) -> Option<f64> {
    let (first, last) = (cell.closed.first()?, cell.closed.last()?);
    (first.callers < last.callers).then(|| last.calls_per_second / first.calls_per_second)
}

fn callers(callers: u32) -> String {
    if callers == 1 { "1 caller".into() } else { format!("{callers} callers") }
}

/// A share of no more digits than mean something.
fn share(share: f64) -> String {
    format!("{:.0}\u{a0}%", share * 100.0)
}

/// A rate without fractions of a call, unless there are few.
pub fn calls(per_second: f64) -> String {
    if per_second < 10.0 { count(per_second) } else { grouped(per_second.round() as u64) }
}

fn column(quantity: Quantity, values: impl IntoIterator<Item = u64>) -> Column {
    Column::fit(quantity, values.into_iter().map(|value| value as f64).collect::<Vec<_>>(), 3, 8)
}

/// All groups for a terminal, an empty line between them.
pub fn text(report: &Report, options: Options) -> String {
    let text = |group: &Group| {
        let (title, about, sentences) = (group.title(), group.about(), group.sentences());
        fields::text(&Words { title, about, sentences }, &group.tables(), options.width, NAME)
    };
    let groups: Vec<String> = Group::all(report).iter().map(text).collect();
    groups.join("\n")
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::present::fixture;

    #[test]
    fn serving_on_a_terminal() {
        let text = text(&fixture::serving(), Options::default());
        assert!(text.lines().all(|line| line.width() <= 80), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn rates_are_whole_where_they_are_large() {
        assert_eq!([calls(1_234.6), calls(12.4), calls(3.456)], ["1,235", "12", "3.46"]);
    }
}
