//! What was verified, as files and other programs read it.

use std::process::ExitCode;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schedule::Schedule;
use crate::analyse::summary::Equivalence;

/// Version of `verify --json`. Keys may be added freely; renaming one raises it.
pub const SCHEMA: u32 = 1;

/// The outcome of a verification.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Report {
    pub schema: u32,
    /// From which every schedule was drawn.
    pub seed: u64,
    /// When instances were reset: `every`, `above=SIZE` or `on-failure`.
    pub policy: String,
    /// Blocks that were found equal to fresh instances', in cells of strategies that claim to be sound.
    pub clean_blocks: u64,
    pub schedules: Vec<ScheduleReport>,
    /// One per strategy and workload.
    pub cells: Vec<CellReport>,
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
    /// Why it was not run; its blocks were compared all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
}

impl Report {
    /// Adds everything up.
    pub fn new(seed: u64, policy: String, schedules: &[Schedule], cells: Vec<CellReport>) -> Self {
        let clean = cells.iter().filter(|cell| !cell.control && cell.equivalence == Equivalence::Equivalent);
        Self {
            schema: SCHEMA,
            seed,
            policy,
            clean_blocks: clean.map(|cell| cell.blocks).sum(),
            schedules: schedules.iter().map(|schedule| ScheduleReport::new(*schedule, &cells)).collect(),
            cells,
        }
    }

    /// Strategies that claim to be sound and are not.
    pub fn unsound(&self) -> impl Iterator<Item = &CellReport> {
        self.cells.iter().filter(|cell| !cell.control && cell.equivalence == Equivalence::Diverged)
    }

    /// Cells about which nothing can be said, although nobody refused them.
    pub fn unjudged(&self) -> impl Iterator<Item = &CellReport> {
        self.cells.iter().filter(|cell| cell.equivalence == Equivalence::NotRun)
    }

    /// 1 when a strategy that claims to be sound diverges under resets after every block, or when a cell could not be
    /// judged. Under any other policy differences are the answer and no failure.
    pub fn exit_code(&self) -> ExitCode {
        let proven = self.policy != "every" || self.unsound().next().is_none();
        let judged = self.unjudged().next().is_none() && self.cells.iter().any(|cell| cell.blocks > 0);
        if proven && judged { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

impl ScheduleReport {
    fn new(name: Schedule, cells: &[CellReport]) -> Self {
        let mut report = Self { name, about: name.about().into(), cells: 0, blocks: 0, not_run: Vec::new() };
        for ran in cells.iter().flat_map(|cell| &cell.schedules).filter(|ran| ran.name == name) {
            let Some(reason) = &ran.not_run else {
                report.cells += 1;
                report.blocks += ran.blocks;
                continue;
            };
            match report.not_run.iter_mut().find(|known| known.reason == *reason) {
                Some(known) => known.cells += 1,
                None => report.not_run.push(NotRun { reason: reason.clone(), cells: 1 }),
            }
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            schedules: vec![
                Ran { name, blocks: 10, not_run: None },
                Ran { name: Schedule::PagedOut, blocks: 2, not_run: Some("no swap".into()) },
            ],
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
    fn the_exit_code_is_about_claims() {
        use Equivalence::{Diverged, Equivalent, NotRun};
        let code = |policy, cells: &[_]| format!("{:?}", report(policy, cells).exit_code());
        let (fine, wrong) = (format!("{:?}", ExitCode::SUCCESS), format!("{:?}", ExitCode::FAILURE));
        assert_eq!(code("every", &[(Equivalent, false), (Diverged, true)]), fine, "a control is caught");
        assert_eq!(code("every", &[(Diverged, false)]), wrong);
        assert_eq!(code("on-failure", &[(Diverged, false)]), fine, "as it has to be");
        assert_eq!(code("every", &[(Equivalent, false), (NotRun, false)]), wrong, "nothing is known");
        assert_eq!(code("every", &[]), wrong, "nothing was verified");
    }
}
