//! One cell: a strategy goes through all schedules on a workload, in as many children as they need.

use std::time::Duration;

use reset_strategies::module::Facts;
use reset_strategies::{Lifecycle, Strategy, Support};

use super::plan::Terms;
use super::report::{CellReport, Ran};
use super::watch::Watch;
use crate::analyse::summary::Equivalence;
use crate::cell::pressure;
use crate::hosts::Host;
use crate::launch::process::{Cell, Ended};
use crate::launch::stage::Stage;
use crate::machine::group::Group;
use crate::protocol::schedule::{Schedule, Script};
use crate::protocol::staging::Staged;
use crate::protocol::{Reference, Request, Spec, Verified};
use crate::workload::Workload;

/// What all children have in common.
#[derive(Clone, Copy)]
pub(super) struct Children<'a> {
    pub host: &'static Host,
    pub stage: &'a Stage,
    /// CPU time that a block may take.
    pub timeout: Duration,
}

impl Children<'_> {
    pub fn start(self, spec: Spec) -> Result<Cell, Ended> {
        Cell::start(&self.stage.binary, spec).map(|(cell, _)| cell)
    }

    pub fn spec(self, workload: &Workload, staged: &Staged, strategy: &str) -> Spec {
        Spec { host: self.host.clone(), ..Spec::new(strategy, workload, staged, self.timeout) }
    }
}

/// A workload that fresh instances have run.
pub(super) struct Lane<'a> {
    pub workload: &'a Workload,
    pub staged: Staged,
    pub terms: Terms,
}

/// A schedule in the cells of a workload.
pub(super) struct Task {
    pub schedule: Schedule,
    /// Steps that are wanted.
    pub wanted: usize,
    /// Absent where there was no time for fresh instances to run it.
    pub planned: Option<Compared>,
    /// Its shortest form, where that is another.
    pub least: Option<Compared>,
}

/// A script, and what fresh instances make of it.
pub(super) type Compared = (Script, Reference);

/// What ends a cell before all of its schedules have run.
enum End {
    Diverged(Schedule, String),
    Unjudged(String),
    Ended(Ended),
}

impl From<Ended> for End {
    fn from(ended: Ended) -> Self {
        Self::Ended(ended)
    }
}

/// A cell on its way: it runs what is planned, and then what there turns out to be time for.
pub(super) struct Course<'a> {
    children: Children<'a>,
    lane: &'a Lane<'a>,
    strategy: &'static Strategy,
    watch: &'a Watch<'a>,
    report: CellReport,
    /// Whether nothing more is to be learnt: it has diverged, or cannot go on.
    has_ended: bool,
    /// Seconds that what is not done was thought to take.
    left: f64,
}

impl<'a> Course<'a> {
    pub fn new(
        children: Children<'a>,
        lane: &'a Lane<'a>,
        strategy: &'static Strategy,
        watch: &'a Watch<'a>,
    ) -> Self {
        let report = CellReport {
            equivalence: Equivalence::Equivalent,
            reason: None,
            ..CellReport::not_run(strategy, lane.workload, String::new())
        };
        Self { children, lane, strategy, watch, report, has_ended: false, left: 0.0 }
    }

    /// Takes the cell through these schedules, up to its first difference.
    pub fn run(&mut self, tasks: &[Task]) {
        if self.has_ended || tasks.is_empty() {
            return;
        }
        if self.children.stage.stopped() && self.report.schedules.is_empty() {
            self.report = CellReport::not_run(self.strategy, self.lane.workload, "interrupted".into());
            self.has_ended = true;
            return;
        }
        let name = &self.lane.workload.name;
        self.watch.say(&format!("{name}: {}", self.strategy));
        self.left = self.lane.terms.start + tasks.iter().map(|task| self.lane.seconds(task)).sum::<f64>();
        let ended = self.schedules(tasks);
        self.has_ended = ended.is_err();
        match ended {
            Ok(()) => {}
            Err(End::Diverged(schedule, difference)) => {
                let progress = &self.children.stage.progress;
                progress.note(&format!("{name}: {} diverges: {difference}", self.strategy));
                self.report.equivalence = Equivalence::Diverged;
                self.report.schedule = Some(schedule);
                self.report.first_difference = Some(difference);
            }
            Err(End::Unjudged(reason)) => {
                self.report.equivalence = Equivalence::NotRun;
                self.report.reason = Some(reason);
            }
            Err(End::Ended(ended)) => {
                self.report.equivalence = ended.equivalence();
                self.report.reason = Some(ended.to_string());
            }
        }
        // Nothing was thought of those who cannot run here.
        let able = !matches!(self.report.equivalence, Equivalence::Refused | Equivalence::Unavailable);
        self.watch.did_cell(if able { self.left } else { 0.0 });
    }

    /// There is nothing to compare with, and why.
    pub fn unable(&mut self, reason: &str) {
        if !self.has_ended {
            let blocks = self.report.blocks;
            self.report = CellReport { blocks, ..unable(self.strategy, self.lane.workload, reason) };
            self.has_ended = true;
        }
    }

    /// What became of the cell.
    pub fn finish(mut self) -> CellReport {
        if !self.has_ended {
            self.report.settle();
        }
        self.report
    }

    fn schedules(&mut self, tasks: &[Task]) -> Result<(), End> {
        let (alone, together): (Vec<_>, Vec<_>) = tasks.iter().partition(|task| task.schedule.is_alone());
        self.scripts(&together, None)?;
        for task in alone {
            let group = match task.schedule {
                // Known without a process: all of its resets make a new memory.
                Schedule::Committed if matches!(self.strategy.lifecycle(), Lifecycle::Fresh(_)) => {
                    Err("nothing to commit: a fresh strategy drops its memory after each block".into())
                }
                Schedule::MemoryLimit => pressure::group().map(Some),
                _ => Ok(None),
            };
            match group {
                Ok(group) => self.scripts(&[task], group.as_ref())?,
                Err(reason) => self.idle(task, reason),
            }
        }
        Ok(())
    }

    /// Runs scripts in a child, up to the first difference. There is none if there is no time for any of them.
    fn scripts(&mut self, tasks: &[&Task], group: Option<&Group>) -> Result<(), End> {
        let mut child = None;
        for task in tasks {
            let (script, expected) = match self.compared(task) {
                Ok(compared) => compared,
                Err(reason) => {
                    self.leave_out(task, reason);
                    continue;
                }
            };
            let cell = match &mut child {
                Some(cell) => cell,
                None => {
                    let spec =
                        self.children.spec(self.lane.workload, &self.lane.staged, self.strategy.name());
                    let special = Some(*script).filter(|script| script.schedule.is_special());
                    let members = group.map(Group::members);
                    child.insert(self.children.start(Spec { script: special, group: members, ..spec })?)
                }
            };
            if let Some(Err(reason)) = group.map(pressure::limit) {
                self.idle(task, reason);
                continue;
            }
            let name = task.schedule;
            let verified: Verified =
                match cell.ask(&Request::Verify { script: *script, expected: expected.clone() }) {
                    // Under a limit the kernel may well kill: that says nothing of the reset.
                    Err(Ended::Killed(how)) if group.is_some() => {
                        self.idle(task, how);
                        return Ok(());
                    }
                    Err(Ended::Crashed(how)) => {
                        return Err(End::Diverged(name, format!("the process was {how}")));
                    }
                    verified => verified?,
                };
            self.take(task, script, verified)?;
        }
        Ok(())
    }

    /// What there is time for, or why there is none.
    fn compared<'t>(&self, task: &'t Task) -> Result<&'t Compared, String> {
        if self.children.stage.stopped() {
            return Err("interrupted".into());
        }
        let planned = task.planned.as_ref().ok_or("there was no time for it within the budget")?;
        if self.watch.is_over_for_scripts() {
            return Err("the budget was used up before it".into());
        }
        let least = task.least.as_ref().filter(|_| self.watch.is_behind());
        Ok(least.unwrap_or(planned))
    }

    /// Notes what came of a script.
    fn take(&mut self, task: &Task, script: &Script, verified: Verified) -> Result<(), End> {
        let Verified { blocks, difference, consequence, not_run, unjudged, .. } = verified;
        let steps = script.count(self.lane.terms.trace);
        // Every step is compared as often, so that the rest of them would have come to as much.
        let ended_early = difference.is_some() || unjudged.is_some() || not_run.is_some();
        let wanted = match ended_early || steps == 0 {
            true => blocks,
            false => blocks * task.wanted as u64 / steps as u64,
        };
        self.watch.did_compare();
        self.report.blocks += blocks;
        self.report.schedules.push(Ran { name: task.schedule, blocks, wanted, not_run, left_out: false });
        self.did(task);
        if self.report.consequence.is_none() {
            self.report.consequence = consequence;
        }
        match (difference, unjudged) {
            (Some(difference), _) => Err(End::Diverged(task.schedule, difference)),
            (None, Some(reason)) => Err(End::Unjudged(reason)),
            (None, None) => Ok(()),
        }
    }

    /// Notes that a schedule cannot be what it says here.
    fn idle(&mut self, task: &Task, reason: String) {
        let not_run = Some(reason);
        self.report.schedules.push(Ran {
            name: task.schedule,
            blocks: 0,
            wanted: 0,
            not_run,
            left_out: false,
        });
        self.did(task);
    }

    /// Notes that there was no time for a schedule. Its blocks would have been compared twice, at least.
    fn leave_out(&mut self, task: &Task, reason: String) {
        let wanted = 2 * u64::from(self.lane.workload.threads) * task.wanted as u64;
        let not_run = Some(format!("left out: {reason}"));
        self.report.schedules.push(Ran { name: task.schedule, blocks: 0, wanted, not_run, left_out: true });
        self.did(task);
    }

    fn did(&mut self, task: &Task) {
        let seconds = self.lane.seconds(task);
        self.left -= seconds;
        self.watch.did(seconds);
    }
}

impl Lane<'_> {
    /// Seconds that a schedule was thought to take in a cell.
    fn seconds(&self, task: &Task) -> f64 {
        let script = task.planned.as_ref().map(|(script, _)| script);
        script.map_or(0.0, |script| self.terms.cell(task.schedule, script.count(self.terms.trace)))
    }
}

/// A cell of a workload that fresh instances do not run: what the strategy refuses is refused all the same.
pub(super) fn unable(strategy: &Strategy, workload: &Workload, reason: &str) -> CellReport {
    let facts = Facts::read(&workload.module).ok();
    match facts.map(|facts| strategy.support(&facts)) {
        Some(Support::Refused { reason }) => CellReport {
            equivalence: Equivalence::Refused,
            ..CellReport::not_run(strategy, workload, reason)
        },
        _ => CellReport::not_run(strategy, workload, reason.into()),
    }
}
