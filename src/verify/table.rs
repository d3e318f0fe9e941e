//! A verification on a terminal: a matrix of marks, and below it what stands behind each that is not `=`.

use std::fmt::Write;
use std::time::Duration;

use super::report::{CellReport, Report};
use super::watch::rounded;
use crate::analyse::summary::Equivalence;
use crate::hosts::named;
use crate::prose::{distinct, grouped};

impl Report {
    /// The whole report as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("a string takes everything");
        text
    }

    fn write(&self, to: &mut String) -> std::fmt::Result {
        let strategies = distinct(self.cells.iter().map(|cell| cell.strategy.as_str()));
        let workloads = distinct(self.cells.iter().map(|cell| cell.workload.as_str()));
        for (column, workload) in workloads.iter().enumerate() {
            writeln!(to, "{:>3}  {workload}", column + 1)?;
        }
        let width = strategies.iter().map(|name| name.len()).max().unwrap_or(0);
        write!(to, "\n{:width$}", "")?;
        for column in 1..=workloads.len() {
            write!(to, "{column:>4}")?;
        }
        writeln!(to)?;
        for strategy in &strategies {
            write!(to, "{strategy:width$}")?;
            for workload in &workloads {
                let cell = self.cells.iter().find(|c| c.strategy == *strategy && c.workload == *workload);
                write!(to, "{:>4}", cell.map_or("", mark))?;
            }
            writeln!(to)?;
        }
        let mut legend = "=  equivalent   x  diverged   r  refused   u  unavailable   -  not run".to_owned();
        for (rare, means) in [("~", "as far as compared"), ("?", "not judged")] {
            if self.cells.iter().any(|cell| mark(cell) == rare) {
                legend.push_str(&format!("   {rare}  {means}"));
            }
        }
        writeln!(to, "{:width$}   {legend}", "")?;
        self.write_findings(to)?;
        self.write_reasons(to)?;
        self.write_schedules(to)?;
        let equivalent = self.cells.iter().filter(|c| !c.control && c.equivalence == Equivalence::Equivalent);
        writeln!(
            to,
            "\n{}; {} cells of strategies that claim to be sound diverge (seed {})",
            named(&format!("{} clean blocks in {} cells", self.clean_blocks, equivalent.count()), &self.host),
            self.unsound().count(),
            self.seed
        )?;
        self.write_time(to)
    }

    /// What it took, and what was not done for want of time.
    fn write_time(&self, to: &mut String) -> std::fmt::Result {
        let Some(time) = self.time else { return Ok(()) };
        let [took, budget] = [Some(time.seconds), time.budget_seconds]
            .map(|seconds| Duration::try_from_secs_f64(seconds?).ok().map(rounded));
        write!(to, "took {}", took.unwrap_or_default())?;
        if let Some(budget) = budget {
            write!(to, " of {budget}")?;
        }
        writeln!(
            to,
            "; {}",
            self.omissions().unwrap_or_else(|| "no block wanted was left out for want of time".into())
        )
    }

    fn write_findings(&self, to: &mut String) -> std::fmt::Result {
        let diverged: Vec<_> =
            self.cells.iter().filter(|cell| cell.equivalence == Equivalence::Diverged).collect();
        if !diverged.is_empty() {
            writeln!(to, "\nFirst differences (resets: {})", self.policy)?;
        }
        for cell in diverged {
            let control = if cell.control { ", a control" } else { "" };
            let schedule = cell.schedule.map_or_else(String::new, |schedule| schedule.to_string());
            writeln!(to, "  {} on {}{control}, {schedule}:", cell.strategy, cell.workload)?;
            writeln!(to, "      {}", cell.first_difference.as_deref().unwrap_or_default())?;
            if let Some(consequence) = &cell.consequence {
                writeln!(to, "      shows in what is stored: {consequence}")?;
            }
        }
        Ok(())
    }

    /// Why cells have no outcome; what holds for many of them is said once.
    fn write_reasons(&self, to: &mut String) -> std::fmt::Result {
        let reasons = self.cells.iter().filter_map(|cell| Some(((cell.reason.as_ref()?, mark(cell)), cell)));
        let reasons = grouped(reasons);
        if !reasons.is_empty() {
            writeln!(to, "\nReasons")?;
        }
        for ((reason, mark), cells) in reasons {
            let strategies = some(cells.iter().map(|cell| cell.strategy.as_str()), "strategies");
            let workloads = some(cells.iter().map(|cell| cell.workload.as_str()), "workloads");
            writeln!(to, "  {mark} {strategies} on {workloads}: {reason}")?;
        }
        Ok(())
    }

    fn write_schedules(&self, to: &mut String) -> std::fmt::Result {
        writeln!(to, "\nSchedules")?;
        for schedule in &self.schedules {
            let name = schedule.name.to_string();
            if schedule.cells > 0 || schedule.not_run.is_empty() {
                let wanted = match schedule.cut_short {
                    0 => String::new(),
                    _ => format!(" of {}", schedule.wanted),
                };
                write!(
                    to,
                    "  {name:<13} {:>8}{wanted} blocks in {:>3} cells",
                    schedule.blocks, schedule.cells
                )?;
                if schedule.cut_short > 0 {
                    write!(to, ", cut short in {}", schedule.cut_short)?;
                }
                writeln!(to, ": {}", schedule.about)?;
            }
            for not_run in &schedule.not_run {
                writeln!(to, "  {name:<13} not run in {} cells: {}", not_run.cells, not_run.reason)?;
            }
        }
        Ok(())
    }
}

fn mark(cell: &CellReport) -> &'static str {
    match cell.equivalence {
        Equivalence::Equivalent if cell.schedules.iter().any(|ran| ran.left_out) => "~",
        Equivalence::Equivalent => "=",
        Equivalence::Diverged => "x",
        Equivalence::Refused => "r",
        Equivalence::Unavailable => "u",
        // Something was compared, and then it could not go on.
        Equivalence::NotRun if cell.blocks > 0 => "?",
        Equivalence::NotRun => "-",
    }
}

/// The one name, or how many there are.
fn some<'a>(names: impl Iterator<Item = &'a str>, what: &str) -> String {
    match distinct(names)[..] {
        [name] => name.into(),
        ref names => format!("{} {what}", names.len()),
    }
}
