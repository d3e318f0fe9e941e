//! What was verified, as files and other programs read it.

use std::time::Duration;

use reset_strategies::Strategy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::watch::option;
use crate::analyse::summary::Equivalence;
use crate::hosts::plain_name;
use crate::prose::{enumerated, grouped};
use crate::protocol::schedule::Schedule;
use crate::workload::Workload;

/// Version of `verify --json`. Keys may be added freely; renaming one raises it.
pub const SCHEMA: u32 = 1;

/// The outcome of a verification.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Report {
    pub schema: u32,
    /// The host under whose settings everything ran; none in particular where a report is older than this key.
    #[serde(default = "plain_name")]
    pub host: String,
    /// From which every schedule was drawn.
    pub seed: u64,
    /// When instances were reset: `every`, `above=SIZE` or `on-failure`.
    pub policy: String,
    /// Blocks that were found equal to fresh instances', in cells of strategies that claim to be sound.
    pub clean_blocks: u64,
    pub schedules: Vec<ScheduleReport>,
    /// What it took, and what would have been enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// One per strategy and workload.
    pub cells: Vec<CellReport>,
}

/// The time of a verification.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Time {
    /// Seconds that it took.
    pub seconds: f64,
    /// Seconds that it might take; absent where it might take as long as it needs.
    pub budget_seconds: Option<f64>,
    /// Seconds that all blocks wanted would take, as far as can be told; absent where all were compared.
    pub enough_seconds: Option<f64>,
}

/// What came of a schedule in all cells.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct ScheduleReport {
    pub name: Schedule,
    pub about: String,
    /// Cells that it was run in.
    pub cells: u64,
    /// Blocks compared in them.
    pub blocks: u64,
    /// Blocks wanted in these cells, and in those that it was left out of.
    #[serde(default)]
    pub wanted: u64,
    /// Cells in which fewer blocks were compared than wanted, for want of time.
    #[serde(default)]
    pub cut_short: u64,
    /// Cells in which it was left out for want of time.
    #[serde(default)]
    pub left_out: u64,
    /// Why it was not run in other cells, with their number.
    pub not_run: Vec<NotRun>,
}

/// A reason why a schedule was not run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct NotRun {
    pub reason: String,
    pub cells: u64,
}

/// What came of one strategy on one workload.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct CellReport {
    pub strategy: String,
    pub workload: String,
    /// Controls are there to be caught.
    pub control: bool,
    pub equivalence: Equivalence,
    /// Blocks compared with fresh instances'.
    pub blocks: u64,
    /// The first difference, in words.
    pub first_difference: Option<String>,
    /// The schedule that showed it.
    pub schedule: Option<Schedule>,
    /// The first block that did something else than a fresh instance, under a policy that leaves resets out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consequence: Option<String>,
    /// Why the cell is refused, unavailable or not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was run, in order; a difference ends it.
    pub schedules: Vec<Ran>,
}

/// One schedule in one cell.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Ran {
    pub name: Schedule,
    pub blocks: u64,
    /// Blocks that were wanted. Where these are more, the time did not suffice for all.
    #[serde(default)]
    pub wanted: u64,
    /// Why it was not run; its blocks were compared all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
    /// Whether it was left out for want of time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left_out: bool,
}

impl Report {
    /// Adds everything up.
    pub fn new(seed: u64, policy: String, schedules: &[Schedule], cells: Vec<CellReport>) -> Self {
        let clean = cells.iter().filter(|cell| !cell.control && cell.equivalence == Equivalence::Equivalent);
        Self {
            schema: SCHEMA,
            host: plain_name(),
            seed,
            policy,
            clean_blocks: clean.map(|cell| cell.blocks).sum(),
            schedules: schedules.iter().map(|schedule| ScheduleReport::new(*schedule, &cells)).collect(),
            time: None,
            cells,
        }
    }

    /// Says as on which host it was.
    pub fn on(self, host: &str) -> Self {
        Self { host: host.into(), ..self }
    }

    /// Adds what it took. What would have been enough is of interest only where something is missing.
    pub fn within(mut self, time: Time) -> Self {
        let enough_seconds = time.enough_seconds.filter(|_| self.is_incomplete());
        self.time = Some(Time { enough_seconds, ..time });
        self
    }

    /// Whether fewer blocks were compared than wanted, for want of time.
    pub fn is_incomplete(&self) -> bool {
        self.schedules.iter().any(|schedule| schedule.cut_short + schedule.left_out > 0)
    }

    /// What was not done for want of time, in a sentence, and what would have been enough.
    pub fn omissions(&self) -> Option<String> {
        if !self.is_incomplete() {
            return None;
        }
        let [compared, wanted] = [|s: &ScheduleReport| s.blocks, |s: &ScheduleReport| s.wanted]
            .map(|count| self.schedules.iter().map(count).sum::<u64>());
        let cells = |missing: fn(&Ran) -> bool| {
            self.cells.iter().filter(|cell| cell.schedules.iter().any(missing)).count()
        };
        let (short, out) = (cells(|ran| ran.is_cut_short()), cells(|ran| ran.left_out));
        let mut text =
            format!("{compared} of {wanted} blocks wanted were compared: for want of time, scripts were ");
        text.push_str(&match (short, out) {
            (short, 0) => format!("cut short in {short} cells"),
            (0, out) => format!("left out in {out} cells"),
            (short, out) => format!("cut short in {short} cells and left out in {out}"),
        });
        if let Some(enough) =
            self.time.and_then(|time| Duration::try_from_secs_f64(time.enough_seconds?).ok())
        {
            text.push_str(&format!("; --budget {} would be enough", option(enough)));
        }
        Some(text)
    }

    /// Strategies that claim to be sound and are not.
    pub fn unsound(&self) -> impl Iterator<Item = &CellReport> {
        self.cells.iter().filter(|cell| !cell.control && cell.equivalence == Equivalence::Diverged)
    }

    /// Cells about which nothing can be said, although nobody refused them and there was something to compare.
    pub fn unjudged(&self) -> impl Iterator<Item = &CellReport> {
        self.cells.iter().filter(|cell| cell.equivalence == Equivalence::NotRun && !cell.is_uncompared())
    }

    /// Cells in which none of the schedules could be what it is about.
    pub fn uncompared(&self) -> impl Iterator<Item = &CellReport> {
        self.cells.iter().filter(|cell| cell.is_uncompared())
    }

    /// What makes a verification a failure, a sentence each: a strategy that claims to be sound and diverges under resets
    /// after every block, a cell that could not be judged, one of the `chosen` schedules that ran nowhere, and nothing
    /// compared at all. Under any other policy differences are the answer and no failure.
    pub fn failures(&self, chosen: &[Schedule]) -> Vec<String> {
        let mut failures = Vec::new();
        for cell in self.unsound().filter(|_| self.policy == "every") {
            let difference = cell.first_difference.as_deref().unwrap_or_default();
            failures.push(format!("{} is not equal to a fresh instance: {difference}", cell.place()));
        }
        for cell in self.unjudged() {
            let reason = cell.reason.as_deref().unwrap_or_default();
            failures.push(format!("{} could not be verified: {reason}", cell.place()));
        }
        let idle = |schedule: &&ScheduleReport| schedule.cells == 0 && chosen.contains(&schedule.name);
        for schedule in self.schedules.iter().filter(idle) {
            let reasons: Vec<_> = schedule.not_run.iter().map(|not_run| not_run.reason.as_str()).collect();
            let reasons = if reasons.is_empty() { "no cell came to it".into() } else { reasons.join("; ") };
            failures.push(format!("the schedule `{}` ran nowhere: {reasons}", schedule.name));
        }
        if failures.is_empty() && self.cells.iter().all(|cell| cell.blocks == 0) {
            failures.push("no block was compared: every cell is refused, unavailable or not run".into());
        }
        failures
    }
}

impl CellReport {
    /// A cell in which nothing was compared.
    pub(super) fn not_run(strategy: &Strategy, workload: &Workload, reason: String) -> Self {
        Self {
            strategy: strategy.name().into(),
            workload: workload.name.clone(),
            control: strategy.is_control(),
            equivalence: Equivalence::NotRun,
            blocks: 0,
            first_difference: None,
            schedule: None,
            consequence: None,
            reason: Some(reason),
            schedules: Vec::new(),
        }
    }

    /// Strategy and workload in words.
    pub fn place(&self) -> String {
        format!("{} on {}", self.strategy, self.workload)
    }

    /// Ends a cell in which nothing differed. Where nothing was compared, nothing is known of it.
    pub fn settle(&mut self) {
        if self.blocks > 0 {
            return;
        }
        let reasons = self.schedules.iter().filter_map(|ran| Some((ran.not_run.as_deref()?, ran.name)));
        let reasons = grouped(reasons).into_iter().map(|(reason, names)| {
            let names: Vec<_> = names.iter().map(ToString::to_string).collect();
            if names.len() > 3 { reason.to_owned() } else { format!("{}: {reason}", enumerated(&names)) }
        });
        let reasons: Vec<_> = reasons.collect();
        self.equivalence = Equivalence::NotRun;
        self.reason = Some(match reasons.is_empty() {
            true => "there are no blocks to compare".into(),
            false => reasons.join("; "),
        });
    }

    fn is_uncompared(&self) -> bool {
        self.equivalence == Equivalence::NotRun
            && !self.schedules.is_empty()
            && self.schedules.iter().all(|ran| ran.not_run.is_some())
    }
}

impl Ran {
    /// Whether fewer blocks were compared than wanted, for want of time.
    pub fn is_cut_short(&self) -> bool {
        self.not_run.is_none() && self.blocks < self.wanted
    }
}

impl ScheduleReport {
    fn new(name: Schedule, cells: &[CellReport]) -> Self {
        let here = cells.iter().flat_map(|cell| &cell.schedules).filter(|ran| ran.name == name);
        let count = |found: fn(&&Ran) -> bool| here.clone().filter(found).count() as u64;
        let (cut_short, left_out) = (count(|ran| ran.is_cut_short()), count(|ran| ran.left_out));
        let wanted =
            here.clone().filter(|ran| ran.not_run.is_none() || ran.left_out).map(|ran| ran.wanted).sum();
        let (ran, not_run): (Vec<_>, Vec<_>) = here.partition(|ran| ran.not_run.is_none());
        let reasons = grouped(not_run.into_iter().filter_map(|ran| Some((ran.not_run.clone()?, ()))));
        let not_run = |(reason, cells): (_, Vec<()>)| NotRun { reason, cells: cells.len() as u64 };
        Self {
            name,
            about: name.about().into(),
            cells: ran.len() as u64,
            blocks: ran.iter().map(|ran| ran.blocks).sum(),
            wanted,
            cut_short,
            left_out,
            not_run: reasons.into_iter().map(not_run).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(name: Schedule, blocks: u64, not_run: Option<&str>) -> Ran {
        Ran { name, blocks, wanted: blocks, not_run: not_run.map(Into::into), left_out: false }
    }

    fn left_out(name: Schedule, wanted: u64) -> Ran {
        Ran { wanted, left_out: true, ..ran(name, 0, Some("left out: there was no time for it")) }
    }

    pub(super) fn cell(equivalence: Equivalence, control: bool) -> CellReport {
        let name = Schedule::InOrder;
        CellReport {
            strategy: "dirty/mincore".into(),
            workload: "foreign/c".into(),
            control,
            equivalence,
            blocks: 10,
            first_difference: None,
            schedule: None,
            consequence: None,
            reason: None,
            schedules: vec![ran(name, 10, None), ran(Schedule::PagedOut, 2, Some("no swap"))],
        }
    }

    fn report(policy: &str, cells: &[(Equivalence, bool)]) -> Report {
        let cells = cells.iter().map(|(equivalence, control)| cell(*equivalence, *control)).collect();
        Report::new(1, policy.into(), &Schedule::ALL, cells)
    }

    #[test]
    fn blocks_are_clean_where_a_sound_strategy_is_equivalent() {
        use Equivalence::{Diverged, Equivalent, Refused};
        let report =
            report("every", &[(Equivalent, false), (Equivalent, true), (Diverged, true), (Refused, false)]);
        assert_eq!(report.clean_blocks, 10);
        let in_order = &report.schedules[0];
        assert_eq!((in_order.cells, in_order.blocks), (4, 40));
        let paged_out = report.schedules.iter().find(|s| s.name == Schedule::PagedOut).unwrap();
        assert_eq!(paged_out.cells, 0);
        assert_eq!(paged_out.not_run, [NotRun { reason: "no swap".into(), cells: 4 }]);
    }

    #[test]
    fn failures_are_about_claims() {
        use Equivalence::{Diverged, Equivalent, NotRun, Refused};
        let failures = |policy, cells: &[_]| report(policy, cells).failures(&[]);
        assert!(
            failures("every", &[(Equivalent, false), (Diverged, true)]).is_empty(),
            "a control is caught"
        );
        let unsound = failures("every", &[(Diverged, false)]);
        assert_eq!(unsound, ["dirty/mincore on foreign/c is not equal to a fresh instance: "]);
        assert!(failures("on-failure", &[(Diverged, false)]).is_empty(), "as it has to be");
        assert_eq!(failures("every", &[(Equivalent, false), (NotRun, false)]).len(), 1, "nothing is known");
        assert_eq!(failures("every", &[]).len(), 1, "nothing was verified");
        let refused = CellReport { blocks: 0, ..cell(Refused, false) };
        let refused = Report::new(1, "every".into(), &Schedule::ALL, vec![refused]).failures(&[]);
        assert_eq!(refused, ["no block was compared: every cell is refused, unavailable or not run"]);
    }

    #[test]
    fn what_compared_nothing_is_not_run_and_no_equivalent() {
        let no_swap = ran(Schedule::MemoryLimit, 0, Some("no swap"));
        let mut idle =
            CellReport { blocks: 0, schedules: vec![no_swap], ..cell(Equivalence::Equivalent, false) };
        idle.settle();
        assert_eq!(idle.equivalence, Equivalence::NotRun);
        assert_eq!(idle.reason.as_deref(), Some("memory-limit: no swap"));
        let mut fine = cell(Equivalence::Equivalent, false);
        fine.settle();
        assert_eq!(fine.equivalence, Equivalence::Equivalent);
        let mut empty = CellReport { blocks: 0, schedules: Vec::new(), ..fine.clone() };
        empty.settle();
        assert_eq!(empty.equivalence, Equivalence::NotRun);

        let report = Report::new(1, "every".into(), &Schedule::ALL, vec![idle.clone(), fine]);
        assert_eq!(report.uncompared().count(), 1);
        assert!(report.failures(&[]).is_empty(), "others have compared something");
        let asked_for = report.failures(&[Schedule::InOrder, Schedule::MemoryLimit]);
        assert_eq!(asked_for, ["the schedule `memory-limit` ran nowhere: no swap"]);
        let alone = Report::new(1, "every".into(), &Schedule::ALL, vec![idle]);
        assert_eq!(alone.failures(&[]).len(), 1);
    }

    #[test]
    fn what_there_was_no_time_for_is_said() {
        let whole = cell(Equivalence::Equivalent, false);
        let time = Time { seconds: 61.0, budget_seconds: Some(60.0), enough_seconds: Some(190.0) };
        let report = |cells| Report::new(1, "every".into(), &Schedule::ALL, cells).within(time);
        let all = report(vec![whole.clone()]);
        assert_eq!((all.omissions(), all.time.unwrap().enough_seconds), (None, None));

        let short = Ran { wanted: 30, ..ran(Schedule::InOrder, 10, None) };
        let mut some = whole.clone();
        some.schedules = vec![short, left_out(Schedule::Forked, 4)];
        let report = report(vec![whole, some.clone()]);
        let [in_order, forked] = [Schedule::InOrder, Schedule::Forked]
            .map(|name| report.schedules.iter().find(|schedule| schedule.name == name).unwrap());
        assert_eq!((in_order.blocks, in_order.wanted, in_order.cut_short, in_order.left_out), (20, 40, 1, 0));
        assert_eq!((forked.cells, forked.wanted, forked.cut_short, forked.left_out), (0, 4, 0, 1));
        assert_eq!(
            report.omissions().unwrap(),
            "20 of 44 blocks wanted were compared: for want of time, scripts were cut short in 1 cells and left out in \
             1; --budget 4min would be enough"
        );
        let text = report.text();
        for part in ["20 of 40 blocks in   2 cells, cut short in 1", "~  as far as compared", "took 65 s"] {
            assert!(text.contains(part), "{part} is missing:\n{text}");
        }
        assert!(report.failures(&[]).is_empty(), "equivalent as far as compared");
        assert_eq!(report.failures(&[Schedule::Forked]).len(), 1, "asked for by name");

        some.schedules = vec![left_out(Schedule::InOrder, 4), left_out(Schedule::Forked, 4)];
        some.blocks = 0;
        some.settle();
        assert_eq!(some.reason.as_deref(), Some("in-order and forked: left out: there was no time for it"));
        assert!(some.is_uncompared(), "a warning beside others, and an error alone");
    }
}
