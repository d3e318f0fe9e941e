//! Sorts a run's rows by cell: what was verified, what was measured, what went wrong.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::Unfit;
use super::learned::Learned;
use super::outcomes::Outcomes;
use super::paired::{Round, Rounds};
use super::quantile::{quantile, sort};
use super::settling::Way;
use super::summary::{Ending, Equivalence};
use crate::measure::row::{Params, Phase, Row, Status, canonical};
use crate::units::several;

/// The metric of times, in the phases execute, reset and cycle.
pub const TIME: &str = "time";
/// The metric of the verify phase: its status is the finding.
pub const EQUIVALENCE: &str = "equivalence";
/// Minor page faults, from the counter pass, in the cycle phase.
pub const MINOR_FAULTS: &str = "minor_faults";
/// What each block took on the way to the steady state, in the cycle phase: the samples of one row per launch.
pub const SETTLING: &str = "settling";
/// Blocks of a launch before it was steady, in the cycle phase.
pub const SETTLED: &str = "settled";
/// Blocks of a launch that never became steady, in the cycle phase; its times do not count.
pub const UNSETTLED: &str = "unsettled";
/// Resident set over time, in the memory phase.
pub const RSS: &str = "rss";
/// High-water mark of the resident set, in the memory phase.
pub const PEAK_RSS: &str = "peak_rss";

/// The metric of the exact resident set between blocks, one sample per reading.
pub const REST_RSS: &str = "rest_rss";

/// How much of that shows files as they are.
pub const FILE_RSS: &str = "file_rss";

/// Resident set at the ends of the windows of the long run, in the memory phase: the samples of one row.
pub const LONG_RSS: &str = "long_rss";
/// Blocks in each of these windows.
pub const LONG_WINDOW: &str = "long_window";

/// All cells of one workload with one set of parameters, by strategy.
pub struct Group {
    pub workload: String,
    pub params: Params,
    pub strategies: BTreeMap<String, Evidence>,
}

/// What the rows say about one cell.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// A comparison with a fresh instance came out equal.
    verified: bool,
    /// Outcomes that forbid figures, with the reasons given. The gravest comes first: a leak seen once counts more than a
    /// probe that failed elsewhere.
    forbidden: BTreeMap<Equivalence, BTreeSet<String>>,
    /// Launches that ended badly, and how; they forbid figures only to a cell that was never verified.
    troubles: BTreeSet<(u32, &'static str, String)>,
    /// Instruments that failed, by metric, and why: their figures are absent, the others stand.
    unmeasured: BTreeSet<(String, String)>,
    /// How the blocks of the trace ended.
    pub outcomes: Option<Outcomes>,
    times: BTreeMap<Phase, Times>,
    /// How each launch became steady.
    pub ways: BTreeMap<u32, Way>,
    /// How its timing ended, and after which launches, batch by batch.
    endings: Vec<(Ending, Range<u32>)>,
    /// Stages of startup in order of first appearance, with their launches and times in nanoseconds.
    pub startup: Vec<(String, Vec<(u32, u64)>)>,
    pub minor_faults: Vec<u64>,
    /// What an adaptive strategy decides by, by metric: the last value of each.
    pub learned: BTreeMap<String, u64>,
    /// Resident set by launch: nanoseconds since the pass began, and bytes.
    pub rss: BTreeMap<u32, Vec<(u64, u64)>>,
    pub peak_rss: Option<u64>,
    /// Between blocks, in bytes.
    pub rest_rss: Vec<u64>,
    pub file_rss: Vec<u64>,
    /// Long runs by launch.
    pub long_runs: BTreeMap<u32, LongRun>,
}

/// Memory over many blocks, read while the process stands still.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LongRun {
    /// Resident bytes before the first window and after each.
    pub rss: Vec<u64>,
    /// Blocks per window.
    pub window: u64,
}

impl LongRun {
    /// Blocks between the first reading and the last.
    pub fn blocks(&self) -> u64 {
        self.window.saturating_mul(self.rss.len().saturating_sub(1) as u64)
    }

    /// Bytes from the first reading to the last; negative where memory was given back.
    pub fn gained(&self) -> f64 {
        match self.rss.as_slice() {
            [first, .., last] => *last as f64 - *first as f64,
            _ => 0.0,
        }
    }
}

/// The times of one phase.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// Samples of the paired rounds.
    pub rounds: Rounds,
    /// Single blocks that belong to no round (a benchmark that ran alone), by launch.
    pub alone: BTreeMap<u32, Vec<u64>>,
    /// Launches that some cells of the workload ran and others did not.
    further: Vec<Range<u32>>,
}

impl Times {
    /// Single blocks by launch, outside any round.
    pub fn alone(alone: BTreeMap<u32, Vec<u64>>) -> Self {
        Self { alone, ..Self::default() }
    }

    /// The rounds of the launches that all cells of the workload ran: those in which medians of different cells are
    /// comparable. A ratio within the round may use the others as well.
    pub fn common(&self) -> impl Iterator<Item = (&(u32, u32), &Round)> {
        self.rounds.iter().filter(|((launch, _), _)| !among(&self.further, *launch))
    }
}

fn among(launches: &[Range<u32>], launch: u32) -> bool {
    launches.iter().any(|range| range.contains(&launch))
}

/// Groups the rows of one run by workload and parameters, and within by strategy.
///
/// The groups are sorted by workload and by the parameters' values, numbers as numbers.
pub fn gather(run: &str, rows: &[Row]) -> Result<Vec<Group>, Unfit> {
    let mut groups = BTreeMap::<(&str, String), Group>::new();
    for row in rows {
        if row.run != run {
            return Err(Unfit::OtherRun { expected: run.to_owned(), found: row.run.clone() });
        }
        let group = groups.entry((&row.workload, canonical(&row.params))).or_insert_with(|| Group {
            workload: row.workload.clone(),
            params: row.params.clone(),
            strategies: BTreeMap::new(),
        });
        group.strategies.entry(row.strategy.clone()).or_default().add(row)?;
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.iter_mut().for_each(Group::set_further_launches_aside);
    let cells = groups.iter_mut().flat_map(|group| group.strategies.values_mut());
    cells.for_each(Evidence::leave_out_what_is_not_steady);
    groups.sort_by(|a, b| a.workload.cmp(&b.workload).then_with(|| by_value(&a.params, &b.params)));
    Ok(groups)
}

/// Orders parameters by name, then numbers by size and everything else by its text.
fn by_value(a: &Params, b: &Params) -> Ordering {
    a.keys().cmp(b.keys()).then_with(|| {
        let unequal = a.values().zip(b.values()).map(|(a, b)| match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => a.to_string().cmp(&b.to_string()),
        });
        unequal.fold(Ordering::Equal, Ordering::then)
    })
}

impl Group {
    /// Finds the launches that are not common to all cells. The cells of a batch begin together and end one by one; who
    /// dropped out has no ending and takes nothing from the others.
    fn set_further_launches_aside(&mut self) {
        let mut batches = BTreeMap::<u32, Range<u32>>::new();
        for (_, launches) in self.strategies.values().flat_map(|evidence| &evidence.endings) {
            let further = batches.entry(launches.start).or_insert(launches.end..launches.end);
            *further = further.start.min(launches.end)..further.end.max(launches.end);
        }
        let further: Vec<_> = batches.into_values().filter(|launches| !launches.is_empty()).collect();
        for evidence in self.strategies.values_mut() {
            evidence.times.values_mut().for_each(|times| times.further.clone_from(&further));
            for (_, times) in &mut evidence.startup {
                times.retain(|(launch, _)| !among(&further, *launch));
            }
        }
    }
}

impl Evidence {
    fn add(&mut self, row: &Row) -> Result<(), Unfit> {
        let reason = || row.error.clone().unwrap_or_else(|| "no reason was recorded".to_owned());
        let forbidden = match row.status {
            Status::Ok => return self.add_value(row),
            // An instrument that is missing or fails leaves its own figure absent, and says nothing about the reset.
            Status::Refused | Status::Unavailable if of_instrument(row) => return Ok(()),
            Status::Failed if of_instrument(row) => {
                self.unmeasured.insert((row.metric.clone(), reason()));
                return Ok(());
            }
            Status::Killed | Status::Failed => {
                let what = if row.status == Status::Killed { "was killed" } else { "failed" };
                self.troubles.insert((row.launch, what, reason()));
                return Ok(());
            }
            Status::Diverged => Equivalence::Diverged,
            Status::Refused => Equivalence::Refused,
            Status::Unavailable => Equivalence::Unavailable,
        };
        self.forbidden.entry(forbidden).or_default().insert(reason());
        Ok(())
    }

    fn add_value(&mut self, row: &Row) -> Result<(), Unfit> {
        let samples = || if row.samples.is_empty() { row.value.as_slice() } else { &row.samples };
        match (row.phase, row.metric.as_str()) {
            (Phase::Verify, EQUIVALENCE) => self.verified = true,
            (Phase::Verify, metric) => {
                let mut outcomes = self.outcomes.clone().unwrap_or_default();
                if outcomes.take(metric, row.value.unwrap_or(0), row.error.as_deref()) {
                    self.outcomes = Some(outcomes);
                }
            }
            (Phase::Execute | Phase::Reset | Phase::Cycle, TIME) => self.add_time(row, samples())?,
            (Phase::Cycle, MINOR_FAULTS) => self.minor_faults.extend(samples()),
            (Phase::Cycle, SETTLING) => self.ways.entry(row.launch).or_default().cycles = row.samples.clone(),
            (Phase::Cycle, metric @ (SETTLED | UNSETTLED)) => {
                let way = self.ways.entry(row.launch).or_default();
                (way.blocks, way.settled) = (row.value.unwrap_or(0), metric == SETTLED);
            }
            (Phase::Cycle, metric) => {
                if let Some(ending) = Ending::of_metric(metric) {
                    let end = row.launch.saturating_add(1);
                    let launches = row.value.and_then(|n| u32::try_from(n).ok()).unwrap_or(end).min(end);
                    self.endings.push((ending, end - launches..end));
                }
            }
            (Phase::Memory, RSS) => {
                let series = self.rss.entry(row.launch).or_default();
                series.extend(row.value.map(|bytes| (row.at_ns.unwrap_or(0), bytes)));
            }
            (Phase::Memory, PEAK_RSS) => self.peak_rss = self.peak_rss.max(row.value),
            (Phase::Memory, REST_RSS) => self.rest_rss.extend(samples()),
            (Phase::Memory, FILE_RSS) => self.file_rss.extend(samples()),
            (Phase::Memory, LONG_RSS) => {
                self.long_runs.entry(row.launch).or_default().rss = row.samples.clone();
            }
            (Phase::Memory, LONG_WINDOW) => {
                self.long_runs.entry(row.launch).or_default().window = row.value.unwrap_or(0);
            }
            (Phase::Startup, stage) => {
                let time = row.value.map(|ns| (row.launch, ns));
                match self.startup.iter_mut().find(|(name, _)| name == stage) {
                    Some((_, times)) => times.extend(time),
                    None => self.startup.push((stage.to_owned(), time.into_iter().collect())),
                }
            }
            (Phase::Reset, metric) if Learned::has(metric) => {
                self.learned.extend(samples().last().map(|value| (metric.to_owned(), *value)));
            }
            // Further counters and memory figures have their own tables.
            _ => {}
        }
        Ok(())
    }

    fn add_time(&mut self, row: &Row, samples: &[u64]) -> Result<(), Unfit> {
        let times = self.times.entry(row.phase).or_default();
        let Some(round) = row.round else {
            times.alone.entry(row.launch).or_default().extend(samples);
            return Ok(());
        };
        let mut sorted = row.samples.clone();
        sort(&mut sorted);
        let Some(value) = row.value.or_else(|| quantile(&sorted, 50)) else { return Ok(()) };
        let sample = Round { value, blocks: row.samples.clone(), cpu: row.cpu };
        if times.rounds.insert((row.launch, round), sample).is_some() {
            return Err(Unfit::Repeated {
                strategy: row.strategy.clone(),
                workload: row.workload.clone(),
                phase: row.phase,
                launch: row.launch,
                round,
            });
        }
        Ok(())
    }

    /// Takes the times out of launches that never became steady.
    fn leave_out_what_is_not_steady(&mut self) {
        let Self { times, ways, .. } = self;
        let unsettled = |launch: u32| ways.get(&launch).is_some_and(|way| !way.settled);
        times.values_mut().for_each(|times| times.rounds.retain(|(launch, _), _| !unsettled(*launch)));
    }

    /// Launches that never became steady, and all that were to.
    pub fn unsettled(&self) -> (u32, u32) {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (count(self.ways.values().filter(|way| !way.settled).count()), count(self.ways.len()))
    }

    /// Whether the cell may have figures, and what there is to say about it.
    ///
    /// The gravest finding of any launch decides. A launch that was killed or failed costs the cell its figures only if
    /// no comparison with a fresh instance had come out equal; otherwise the rounds that were completed remain, and the
    /// reason tells of the launch.
    pub fn equivalence(&self) -> (Equivalence, Option<String>) {
        if let Some((equivalence, reasons)) = self.forbidden.first_key_value() {
            return (*equivalence, Some(join(reasons.iter().cloned())));
        }
        let timed = !self.times.is_empty();
        let troubles =
            self.troubles.iter().map(|(launch, what, reason)| format!("launch {launch} {what}: {reason}"));
        let remain = (self.verified && timed && !self.troubles.is_empty())
            .then(|| "the figures are from the rounds that were completed".to_owned());
        let unmeasured =
            self.unmeasured.iter().map(|(metric, reason)| format!("`{metric}` was not measured: {reason}"));
        let unsettled = match self.unsettled() {
            (0, _) => None,
            (unsettled, of) => Some(format!(
                "it did not become steady in {unsettled} of {}, which {} not count",
                several(of as usize, "launch"),
                if unsettled == 1 { "does" } else { "do" },
            )),
        };
        let told = join(troubles.chain(remain).chain(unmeasured).chain(unsettled));
        let told = (!told.is_empty()).then_some(told);
        match (self.verified, timed) {
            (true, _) => (Equivalence::Equivalent, told),
            (false, _) if !self.troubles.is_empty() => (Equivalence::NotRun, told),
            (false, false) => (Equivalence::NotRun, Some("there are no rows of it".to_owned())),
            (false, true) => {
                (Equivalence::NotRun, Some("it has times, but no verify row vouches for them".to_owned()))
            }
        }
    }

    /// Why it was timed no longer; of several batches the last one says so.
    pub fn ended(&self) -> Option<Ending> {
        self.endings.iter().max_by_key(|(_, launches)| launches.end).map(|(ending, _)| *ending)
    }

    /// The times of a phase, if there are any.
    pub fn times(&self, phase: Phase) -> Option<&Times> {
        self.times.get(&phase)
    }
}

/// Whether the row is of a counter or of the memory pass, which a cell can do without.
fn of_instrument(row: &Row) -> bool {
    match row.phase {
        Phase::Memory => true,
        Phase::Execute | Phase::Reset | Phase::Cycle => row.metric != TIME,
        Phase::Startup | Phase::Verify | Phase::Serve => false,
    }
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join("; ")
}
