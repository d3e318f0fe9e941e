//! A strategy to serve views with, and how many instances a host has room for.

use serde::Serialize;

use super::SCHEMA;
use crate::analyse::summary::Ratio;
use crate::present::serving::{busy, calls, most};
use crate::serving::report::{Cell, Closed, Report};
use crate::units::{bytes, ns, ratio};

/// The memory that a host has for it, in bytes; what is absent is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Room {
    /// For the whole process.
    pub ram: Option<u64>,
    /// What a single call may grow to.
    pub call: Option<u64>,
}

/// What to serve each workload with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recommendations {
    pub schema: u32,
    /// The host under whose settings it was measured.
    pub host: String,
    /// The machine that it was measured on, in a sentence.
    pub machine: String,
    pub room: Room,
    pub recommendations: Vec<Recommendation>,
}

/// What to serve one workload with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recommendation {
    pub workload: String,
    pub strategy: String,
    /// Why this one.
    pub because: String,
    /// The others that serve as many calls, as far as can be told.
    pub tied: Vec<String>,
    /// Instances that the host has room for; absent where it does not say how much memory it has.
    pub places: Option<u64>,
    /// How that number comes about, and how many are of use.
    pub sizing: Vec<String>,
}

/// A share of the most calls that is as good as all of them.
const ENOUGH: f64 = 0.95;

/// What to serve each workload of a report with.
pub fn recommend(report: &Report, room: Room) -> Recommendations {
    let alike = |a: &Cell, b: &Cell| (&a.workload, &a.params) == (&b.workload, &b.params);
    let groups = report.cells.chunk_by(alike);
    Recommendations {
        schema: SCHEMA,
        host: report.host.clone(),
        machine: report.machine.clone(),
        room,
        recommendations: groups.filter_map(|cells| one(cells, &report.baseline, room)).collect(),
    }
}

/// A strategy that served with the most callers.
#[derive(Clone, Copy)]
struct Server<'a> {
    cell: &'a Cell,
    closed: &'a Closed,
}

impl Server<'_> {
    /// Calls per second over the baseline's, with what is not known about it.
    fn ratio(&self) -> Ratio {
        self.closed.ratio_to_baseline.unwrap_or(Ratio { value: 1.0, low: 1.0, high: 1.0 })
    }

    /// The 99th percentile where it is busy.
    fn p99(&self) -> u64 {
        busy(self.cell).map_or(u64::MAX, |open| open.p99_ns)
    }
}

fn one(cells: &[Cell], baseline: &str, room: Room) -> Option<Recommendation> {
    let servers: Vec<Server> = cells
        .iter()
        .filter(|cell| !cell.control)
        .filter_map(|cell| Some(Server { cell, closed: most(cell)? }))
        // What it takes to fail is no reason to choose anybody.
        .filter(|server| server.closed.per_call.failed <= 0.5)
        .collect();
    let first = servers.iter().max_by(|a, b| a.ratio().value.total_cmp(&b.ratio().value))?;
    // Of those that cannot be told apart, whoever keeps callers waiting least.
    let close = || servers.iter().filter(|server| server.ratio().high >= first.ratio().low);
    let best = close().min_by_key(|server| server.p99())?;
    let tied = close().filter(|server| server.cell.strategy != best.cell.strategy);
    Some(Recommendation {
        workload: best.cell.workload.clone(),
        strategy: best.cell.strategy.clone(),
        because: because(best, baseline),
        tied: tied.map(|server| server.cell.strategy.clone()).collect(),
        places: places(best, room),
        sizing: sizing(best, room),
    })
}

fn because(best: &Server, baseline: &str) -> String {
    let Server { cell, closed } = best;
    let mut said =
        format!("it serves {} calls a second to {} callers", calls(closed.calls_per_second), closed.callers);
    if let Some(Ratio { value, low, high }) = closed.ratio_to_baseline {
        said +=
            &format!(", {} times those of `{baseline}` ({} to {})", ratio(value), ratio(low), ratio(high));
    }
    if let Some(open) = busy(cell) {
        said += &format!(
            "; at {:.0} % of that, 99 of 100 calls are answered within {}",
            open.load * 100.0,
            ns(open.p99_ns)
        );
    }
    said
}

/// What one instance takes at most: what was seen, or what a call may grow to where that is more.
fn per_place(best: &Server, room: Room) -> Option<u64> {
    let seen = best.closed.memory?.per_place();
    Some(seen.max(room.call.unwrap_or(0)).max(1))
}

fn places(best: &Server, room: Room) -> Option<u64> {
    let empty = best.closed.memory?.empty;
    Some(room.ram?.saturating_sub(empty) / per_place(best, room)?)
}

fn sizing(best: &Server, room: Room) -> Vec<String> {
    let mut said = Vec::new();
    if let (Some(memory), Some(each)) = (best.closed.memory, per_place(best, room)) {
        let seen = memory.per_place();
        let which = match room.call {
            Some(call) if call > seen => "what a call may grow to",
            _ => "as seen here: calls of yours that touch more need more",
        };
        match (room.ram, places(best, room)) {
            (Some(ram), Some(places)) => said.push(format!(
                "with {}: {places} places of {} ({which}), beside {} for the rest of the process",
                bytes(ram),
                bytes(each),
                bytes(memory.empty)
            )),
            _ => said.push(format!("a place takes {} ({which}); --ram says how many fit", bytes(each))),
        }
    }
    let enough = |closed: &&Closed| closed.calls_per_second >= ENOUGH * best.closed.calls_per_second;
    if let Some(closed) = best.cell.closed.iter().find(enough) {
        said.push(format!(
            "{} at once reach {:.0} % of the most calls: further places let callers in sooner, and serve no more of them",
            closed.callers,
            100.0 * closed.calls_per_second / best.closed.calls_per_second
        ));
    }
    said
}

/// For people: a paragraph per workload, with backticks around names.
pub fn paragraphs(found: &Recommendations) -> Vec<(String, Vec<(&'static str, String)>)> {
    let told = |answer: &Recommendation| {
        let tied = answer.tied.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let mut told = vec![("use", format!("`{}`", answer.strategy)), ("because", answer.because.clone())];
        told.extend((!tied.is_empty()).then_some(("tied", tied)));
        told.extend(answer.sizing.iter().map(|said| ("places", said.clone())));
        (answer.workload.clone(), told)
    };
    found.recommendations.iter().map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::fixture;

    const GIB: u64 = 1 << 30;

    #[test]
    fn whoever_serves_most_is_taken_and_memory_decides_how_many() {
        let report = fixture::serving();
        let found = recommend(&report, Room { ram: Some(8 * GIB), call: Some(256 << 20) });
        let [answer] = &found.recommendations[..] else { panic!("{found:?}") };
        assert_eq!((answer.strategy.as_str(), answer.tied.len()), ("adaptive/hot-cold", 0));
        // 12 MiB are the rest of the process.
        assert_eq!(answer.places, Some(31));
        assert!(answer.because.contains("12.0 times those of `fresh/relink`"), "{}", answer.because);
        assert!(answer.sizing[0].contains("31 places of 256 MiB (what a call may grow to)"), "{answer:?}");
        assert!(answer.sizing[1].starts_with("4 at once reach 100 %"), "{answer:?}");
        let unknown = &recommend(&report, Room::default()).recommendations[0];
        assert_eq!(unknown.places, None);
        assert!(unknown.sizing[0].starts_with("a place takes 1.00 MiB (as seen here"), "{unknown:?}");
    }

    #[test]
    fn of_those_that_serve_alike_the_calmest_is_taken_and_never_a_control() {
        let mut report = fixture::serving();
        for cell in report.cells.iter_mut().filter(|cell| cell.strategy == "dirty/pagemap-scan") {
            for closed in &mut cell.closed {
                closed.ratio_to_baseline = Some(Ratio { value: 11.9, low: 11.4, high: 12.5 });
            }
            for open in &mut cell.open {
                open.p99_ns = 1;
            }
        }
        let answer = &recommend(&report, Room::default()).recommendations[0];
        assert_eq!(
            (answer.strategy.as_str(), &*answer.tied),
            ("dirty/pagemap-scan", &["adaptive/hot-cold".to_owned()][..])
        );
        report.cells.retain(|cell| cell.control);
        assert!(recommend(&report, Room::default()).recommendations.is_empty());
    }
}
