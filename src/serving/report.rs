//! `serving.json`: how many calls each strategy serves, what callers wait, and what memory that takes.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::analyse::bootstrap::{self, Seed};
use crate::analyse::paired::Paired;
use crate::analyse::quantile::median;
use crate::analyse::summary::Ratio;
use crate::measure::latencies::Percentiles;
use crate::measure::row::Params;
use crate::protocol::serving::Served;
use crate::workload::Workload;

/// `serving.json`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    pub schema: u32,
    pub command: String,
    pub machine: String,
    /// CPUs that callers share.
    pub cpus: usize,
    /// The host under whose settings all ran.
    pub host: String,
    pub wasmtime: String,
    /// What ratios refer to.
    pub baseline: String,
    /// From which requests, arrivals and orders were drawn.
    pub seed: u64,
    /// Sessions that a pool has at most.
    pub places: u32,
    pub interrupted: bool,
    /// One per workload and strategy.
    pub cells: Vec<Cell>,
}

/// One strategy serving one workload.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Cell {
    pub workload: String,
    pub params: Params,
    pub strategy: String,
    /// Whether it is there to calibrate, such as the floor.
    pub control: bool,
    /// Why there are no figures, or no more of them.
    pub reason: Option<String>,
    /// The closed loop, by rising numbers of callers.
    pub closed: Vec<Closed>,
    /// The open loop, by rising loads.
    pub open: Vec<Open>,
    /// The closed loop while blocks are indexed, by rising numbers of callers; empty where that was not asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexing: Vec<Indexing>,
}

/// What so many callers get who call again as soon as they have their answer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Closed {
    pub callers: u32,
    /// The median over launches of the median over rounds.
    pub calls_per_second: f64,
    /// Calls per second over those of the baseline in the same rounds: above 1 is more.
    pub ratio_to_baseline: Option<Ratio>,
    #[serde(flatten)]
    pub times: Times,
    pub per_call: PerCall,
    pub memory: Option<Memory>,
}

/// What callers get whose requests arrive by themselves.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Open {
    /// Arrivals as a share of the calls that this strategy served in the closed loop of the same launch, with a caller for each CPU.
    pub load: f64,
    /// Calls that were answered in a second: the median over launches of the median over rounds.
    pub calls_per_second: f64,
    /// Requests that had arrived and were not begun when their slice was over.
    pub left: u64,
    /// The latency that one call in a hundred exceeds, in nanoseconds: the median over launches of the median over rounds. Of
    /// all calls together it would be a figure of the machine's longest stall, behind which requests pile up; it is that where
    /// a slice has less than a hundred calls, of which none is one in a hundred.
    pub p99_ns: u64,
    #[serde(flatten)]
    pub times: Times,
}

/// What callers and an indexer of the same process get beside each other.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Indexing {
    pub callers: u32,
    /// As in the closed loop.
    pub calls_per_second: f64,
    /// Calls per second over those of as many callers while nothing is indexed.
    pub calls_kept: Option<Ratio>,
    /// What a block takes with its reset.
    pub block_ns: Percentiles,
    /// What a block takes on average, over what it takes while nobody calls.
    pub blocks_slowed: Option<Ratio>,
}

/// Of all calls of all launches together.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct Times {
    /// From arrival to answer, in nanoseconds.
    pub latency_ns: Percentiles,
    /// From arrival until a session was there.
    pub waiting_ns: Percentiles,
    /// The call itself.
    pub service_ns: Percentiles,
    /// Giving the session back, with its reset.
    pub reset_ns: Percentiles,
}

/// What a call causes, the mean over all calls.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct PerCall {
    /// Share of the time of calls and resets that is the reset's.
    pub reset_share: f64,
    /// Share of the CPU time that is spent in the kernel.
    pub system_share: f64,
    /// CPU time, in nanoseconds.
    pub cpu_ns: f64,
    pub minor_faults: f64,
    /// Context switches, voluntary and involuntary.
    pub switches: f64,
    /// Of the whole machine; absent where it does not count them.
    pub tlb_shootdowns: Option<f64>,
    /// Share of the calls that trapped or failed, as some requests have to.
    pub failed: f64,
}

/// Resident memory of the process, in bytes: medians over launches.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub struct Memory {
    /// Before the first call, with one session that nobody had called.
    pub empty: u64,
    /// After the rounds, while nobody calls.
    pub steady: u64,
    /// The most meanwhile.
    pub peak: u64,
    /// Sessions of the pool.
    pub places: u64,
}

impl Memory {
    /// What one more session takes.
    pub fn per_place(&self) -> u64 {
        self.steady.saturating_sub(self.empty) / self.places.max(1)
    }
}

/// What is served: a number of callers in the closed loop, a load in the open one, in thousandths, or a number of callers while
/// blocks are indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    Callers(u32),
    Load(u32),
    Indexing(u32),
}

impl Setting {
    /// A load as a share.
    pub fn load(share: f64) -> Self {
        Self::Load((share * 1_000.0).round() as u32)
    }

    /// The share of a load; 1 in the closed loop, which is as busy as can be.
    pub fn share(self) -> f64 {
        match self {
            Self::Callers(_) | Self::Indexing(_) => 1.0,
            Self::Load(thousandths) => f64::from(thousandths) / 1_000.0,
        }
    }

    /// As rows have it.
    pub fn parameter(self) -> (&'static str, Value) {
        match self {
            Self::Callers(callers) => ("callers", json!(callers)),
            Self::Load(_) => ("load", json!(self.share())),
            Self::Indexing(callers) => ("callers_while_indexing", json!(callers)),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Callers(1) => f.write_str("1 caller"),
            Self::Callers(callers) => write!(f, "{callers} callers"),
            Self::Load(_) => write!(f, "{:.0} % load", self.share() * 100.0),
            Self::Indexing(callers) => write!(f, "{} while indexing", Self::Callers(*callers)),
        }
    }
}

/// What was seen of one strategy on one workload, before anything is made of it.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub points: BTreeMap<Setting, Point>,
    /// Why it ended early.
    pub failed: Option<String>,
}

/// What was seen in one setting.
#[derive(Clone, Debug, Default)]
pub struct Point {
    /// By launch and round.
    pub slices: BTreeMap<(u32, u32), Served>,
    /// By launch: resident bytes before the first call, after the rounds, and the most meanwhile.
    pub memory: BTreeMap<u32, [Option<u64>; 3]>,
}

impl Point {
    /// All slices together.
    fn all(&self) -> Served {
        let mut all = Served::default();
        self.slices.values().for_each(|slice| all.add(slice));
        all
    }

    /// The median over launches of the median over rounds, where all slices have the figure.
    fn typical(&self, figure: impl Fn(&Served) -> Option<f64>) -> Option<f64> {
        let mut launches = BTreeMap::<u32, Vec<f64>>::new();
        for ((launch, _), slice) in &self.slices {
            launches.entry(*launch).or_default().push(figure(slice)?);
        }
        median(&mut launches.values_mut().filter_map(|values| median(values)).collect::<Vec<_>>())
    }

    fn calls_per_second(&self) -> Option<f64> {
        self.typical(|slice| Some(slice.rate()))
    }

    fn memory(&self, places: u64) -> Option<Memory> {
        let of = |index: usize| {
            median(&mut self.memory.values().filter_map(|read| read[index]).collect::<Vec<_>>())
        };
        Some(Memory { empty: of(0)?, steady: of(1)?, peak: of(2)?, places })
    }

    /// Log ratios of a figure of each slice, where both have one, by launch.
    fn paired(&self, other: &Self, figure: fn(&Served) -> f64) -> Paired {
        let mut launches = BTreeMap::<u32, Vec<f64>>::new();
        for (at @ (launch, _), own) in &self.slices {
            let Some(other) = other.slices.get(at) else { continue };
            let (own, other) = (figure(own), figure(other));
            if own > 0.0 && other > 0.0 {
                launches.entry(*launch).or_default().push(own.ln() - other.ln());
            }
        }
        Paired::from_logs(launches.into_values().collect())
    }
}

impl Times {
    fn of(all: &Served) -> Option<Self> {
        Some(Self {
            latency_ns: all.latency.percentiles()?,
            waiting_ns: all.waiting.percentiles()?,
            service_ns: all.service.percentiles()?,
            reset_ns: all.reset.percentiles()?,
        })
    }
}

impl PerCall {
    fn of(all: &Served) -> Self {
        let calls = all.calls().max(1) as f64;
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let (service, reset) = (all.service.total_ns() as f64, all.reset.total_ns() as f64);
        let counts = &all.counts;
        let cpu = (counts.user_ns + counts.system_ns) as f64;
        Self {
            reset_share: share(reset, service + reset),
            system_share: share(counts.system_ns as f64, cpu),
            cpu_ns: cpu / calls,
            minor_faults: counts.minor_faults as f64 / calls,
            switches: (counts.voluntary_switches + counts.involuntary_switches) as f64 / calls,
            tlb_shootdowns: counts.tlb_shootdowns.map(|count| count as f64 / calls),
            failed: all.failed as f64 / calls,
        }
    }
}

/// The cells of a workload; of strategies that were not served because they are wrong or cannot, the caller says why.
pub fn cells(
    workload: &Workload,
    baseline: &str,
    seed: u64,
    seen: &BTreeMap<&'static str, Seen>,
    is_control: impl Fn(&str) -> bool,
) -> Vec<Cell> {
    let yardstick = seen.get(baseline);
    let estimate = |paired: Paired, comparison: &[&str]| -> Option<Ratio> {
        bootstrap::estimate(&paired, Seed(seed), comparison).map(|estimate| estimate.ratio)
    };
    let cell = |(name, own): (&&'static str, &Seen)| {
        let other = yardstick.filter(|_| *name != baseline);
        let comparison = [workload.name.as_str(), name];
        Cell {
            workload: workload.name.clone(),
            params: workload.params.clone(),
            strategy: (*name).into(),
            control: is_control(name),
            reason: own.failed.clone(),
            closed: own
                .points
                .iter()
                .filter_map(|(setting, point)| {
                    let ratio = other.and_then(|other| other.points.get(setting)).and_then(|other| {
                        let setting = setting.to_string();
                        let comparison = [comparison[0], comparison[1], &setting];
                        estimate(point.paired(other, Served::rate), &comparison)
                    });
                    closed(*setting, point, ratio)
                })
                .collect(),
            open: own.points.iter().filter_map(|(setting, point)| open(*setting, point)).collect(),
            indexing: indexing(own, |paired, what| estimate(paired, &[&workload.name, name, what])),
        }
    };
    seen.iter().map(cell).collect()
}

fn closed(setting: Setting, point: &Point, ratio_to_baseline: Option<Ratio>) -> Option<Closed> {
    let Setting::Callers(callers) = setting else { return None };
    let all = point.all();
    Some(Closed {
        callers,
        calls_per_second: point.calls_per_second()?,
        ratio_to_baseline,
        times: Times::of(&all)?,
        per_call: PerCall::of(&all),
        memory: point.memory(all.places),
    })
}

fn open(setting: Setting, point: &Point) -> Option<Open> {
    let Setting::Load(_) = setting else { return None };
    let all = point.all();
    let times = Times::of(&all)?;
    let p99 = |slice: &Served| {
        slice.latency.percentiles().filter(|latency| latency.n >= HUNDRED).map(|latency| latency.p99 as f64)
    };
    Some(Open {
        load: setting.share(),
        calls_per_second: point.calls_per_second()?,
        left: all.left,
        p99_ns: point.typical(p99).map_or(times.latency_ns.p99, |p99| p99 as u64),
        times,
    })
}

/// Calls of which one in a hundred can be told.
const HUNDRED: u64 = 100;

/// Each number of callers beside an indexer: held against the same callers without it, and against the indexer alone.
fn indexing(own: &Seen, estimate: impl Fn(Paired, &str) -> Option<Ratio>) -> Vec<Indexing> {
    let alone = own.points.get(&Setting::Indexing(0));
    let points = own.points.iter().filter_map(|(setting, point)| {
        let Setting::Indexing(callers) = *setting else { return None };
        let quiet = own.points.get(&Setting::Callers(callers));
        Some(Indexing {
            callers,
            calls_per_second: point.calls_per_second()?,
            calls_kept: quiet.and_then(|quiet| {
                estimate(point.paired(quiet, Served::rate), &format!("calls kept {callers}"))
            }),
            block_ns: point.all().blocks.percentiles()?,
            blocks_slowed: alone.filter(|_| callers > 0).and_then(|alone| {
                estimate(point.paired(alone, Served::block_ns), &format!("blocks slowed {callers}"))
            }),
        })
    });
    points.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::latencies::Latencies;
    use crate::protocol::serving::Counts;
    use crate::workload::bundled;

    const SECOND: u64 = 1_000_000_000;

    fn latencies(calls: u64, ns: u64) -> Latencies {
        vec![(ns, calls)].into()
    }

    /// So many calls in a second, each of 300 us and a reset of 100 us.
    fn served(calls: u64) -> Served {
        Served {
            elapsed_ns: SECOND,
            failed: calls / 10,
            left: 1,
            latency: latencies(calls, 310_000),
            waiting: latencies(calls, 10_000),
            service: latencies(calls, 300_000),
            reset: latencies(calls, 100_000),
            blocks: Latencies::default(),
            counts: Counts {
                minor_faults: 2 * calls,
                user_ns: 3 * SECOND,
                system_ns: SECOND,
                ..Counts::default()
            },
            places: 4,
        }
    }

    fn seen(rate: u64) -> Seen {
        let slices = |rate: u64| (0..9).map(move |at| ((at / 3, at % 3), served(rate)));
        let memory = (0..3).map(|launch| (launch, [Some(100), Some(500 + u64::from(launch)), Some(900)]));
        let point = |rate| Point { slices: slices(rate).collect(), memory: memory.clone().collect() };
        let points = [(Setting::Callers(4), point(rate)), (Setting::load(0.8), point(rate / 2))];
        Seen { points: points.into(), failed: None }
    }

    fn of(seen: &BTreeMap<&'static str, Seen>) -> Vec<Cell> {
        let workload = bundled::named("stress/noop", &Params::new()).unwrap();
        cells(&workload, "fresh/relink", 1, seen, |name| name == "control/oracle")
    }

    #[test]
    fn calls_are_compared_in_the_same_rounds() {
        let found = of(&[("copy/full", seen(3_000)), ("fresh/relink", seen(1_000))].into());
        let [own, baseline] = &found[..] else { panic!("two cells") };
        let closed = &own.closed[0];
        assert_eq!((closed.callers, closed.calls_per_second), (4, 3_000.0));
        let ratio = closed.ratio_to_baseline.unwrap();
        assert!((ratio.value - 3.0).abs() < 1e-6 && ratio.low <= 3.0 && ratio.high >= 3.0, "{ratio:?}");
        assert_eq!(baseline.closed[0].ratio_to_baseline, None, "it is what others are held against");
        let open = &own.open[0];
        assert_eq!((open.load, open.calls_per_second, open.left), (0.8, 1_500.0, 9));
    }

    #[test]
    fn shares_and_counts_are_per_call() {
        let found = of(&[("fresh/relink", seen(1_000))].into());
        let per_call = &found[0].closed[0].per_call;
        assert!((per_call.reset_share - 0.25).abs() < 0.01, "{per_call:?}");
        assert!((per_call.system_share - 0.25).abs() < 1e-9 && (per_call.minor_faults - 2.0).abs() < 1e-9);
        assert!((per_call.failed - 0.1).abs() < 1e-9 && per_call.tlb_shootdowns.is_none());
        let memory = found[0].closed[0].memory.unwrap();
        assert_eq!((memory.empty, memory.steady, memory.peak, memory.per_place()), (100, 501, 900, 100));
    }

    #[test]
    fn a_stall_of_the_machine_in_one_slice_is_not_the_strategys() {
        let mut stalled = seen(1_000);
        let point = stalled.points.get_mut(&Setting::load(0.8)).unwrap();
        let slice = point.slices.values_mut().next().unwrap();
        slice.latency = vec![(310_000, 300), (50_000_000, 200)].into();
        let open = &of(&[("copy/full", stalled)].into())[0].open[0];
        assert!(open.times.latency_ns.p99 >= 49_000_000, "{open:?}");
        assert!(open.p99_ns.abs_diff(310_000) <= 3_100, "{open:?}");
    }

    #[test]
    fn slices_of_few_calls_or_none_are_taken_together() {
        let mut few = seen(100);
        let slices = &mut few.points.get_mut(&Setting::load(0.8)).unwrap().slices;
        slices.values_mut().next().unwrap().latency = Latencies::default();
        slices.values_mut().last().unwrap().latency = vec![(50_000_000, 90)].into();
        let open = &of(&[("copy/full", few)].into())[0].open[0];
        assert_eq!(open.p99_ns, open.times.latency_ns.p99);
        assert!(open.p99_ns >= 49_000_000, "{open:?}");
    }

    #[test]
    fn who_failed_says_so_and_settings_have_names() {
        let failed = Seen { failed: Some("it ended".into()), ..Seen::default() };
        let found = of(&[("control/oracle", failed)].into());
        assert_eq!((found[0].control, found[0].reason.as_deref()), (true, Some("it ended")));
        assert!(found[0].closed.is_empty() && found[0].open.is_empty());
        let names = [Setting::Callers(1), Setting::Callers(16), Setting::load(0.95)].map(|s| s.to_string());
        assert_eq!(names, ["1 caller", "16 callers", "95 % load"]);
    }
}
