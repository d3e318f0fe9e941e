//! Which cells are held against which, and under what names readers are told of them.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use clap::ValueEnum;

use crate::analyse::counterpart::{repeated, split};
use crate::analyse::summary::{Cell, Summary};
use crate::launch::record::Record;
use crate::launch::saved::Saved;
use crate::measure::row::Params;

/// A strategy on a workload in both builds.
pub struct Both<'a> {
    pub new: &'a Cell,
    pub old: &'a Cell,
}

/// The cells of a run that holds two builds.
pub struct Cells<'a> {
    pub run: &'a str,
    /// The name of the old build.
    pub build: String,
    /// Strategies that are no controls, in the order of the summary.
    pub both: Vec<Both<'a>>,
    pub notes: Vec<String>,
    pub summary: &'a Summary,
    record: &'a Record,
}

impl<'a> Cells<'a> {
    /// Finds the cells of both builds.
    ///
    /// # Errors
    /// When there are not two builds.
    pub fn of(saved: &'a Saved) -> Result<Self> {
        let (record, summary) = (&saved.record, &saved.summary);
        let builds: BTreeSet<&str> =
            summary.cells.iter().filter_map(|cell| Some(split(&cell.strategy)?.1)).collect();
        ensure!(
            !builds.is_empty(),
            "`{}` holds one build: measure with `resetbench run --against PROGRAM`, or name an accepted run with --baseline",
            record.run
        );
        let names: Vec<&str> = builds.iter().copied().collect();
        ensure!(
            names.len() == 1,
            "`{}` holds several old builds ({}): measure against one of them",
            record.run,
            names.join(", ")
        );
        let mut cells = Self {
            run: &record.run,
            build: names.concat(),
            both: Vec::new(),
            notes: summary.notes.clone(),
            summary,
            record,
        };
        if record.interrupted {
            cells.notes.push("the run was interrupted: only what it measured until then is judged".into());
        }
        let mut alone = BTreeSet::new();
        for new in summary.cells.iter().filter(|cell| !cell.control) {
            let counterpart = new.counterpart.as_ref().map(|counterpart| counterpart.contender.as_str());
            match cells.beside(new).find(|cell| Some(cell.strategy.as_str()) == counterpart) {
                Some(old) => cells.both.push(Both { new, old }),
                None => {
                    alone.insert(new.strategy.as_str());
                }
            }
        }
        cells
            .notes
            .extend(alone.into_iter().map(|name| format!("`{name}` is in this build only: not judged")));
        Ok(cells)
    }

    /// The cells of a cell's workload.
    pub fn beside(&self, cell: &'a Cell) -> impl Iterator<Item = &'a Cell> + use<'a> {
        self.summary
            .cells
            .iter()
            .filter(move |other| other.workload == cell.workload && other.params == cell.params)
    }

    /// The contenders of a cell's workload that are a strategy once more: A/A pairs of the new build.
    pub fn pairs(&self, cell: &'a Cell) -> impl Iterator<Item = &'a Cell> + use<'a> {
        self.beside(cell).filter(|cell| repeated(&cell.strategy).is_some() && cell.counterpart.is_some())
    }

    /// The parameters by which a workload differs from others of its name in this run.
    fn telling(&self, cell: &Cell) -> Params {
        let others: Vec<&Params> = self
            .summary
            .cells
            .iter()
            .filter(|other| other.workload == cell.workload && other.params != cell.params)
            .map(|other| &other.params)
            .collect();
        let differs = |name: &str| others.iter().any(|other| other.get(name) != cell.params.get(name));
        cell.params.iter().filter(|(name, _)| differs(name)).map(|(n, v)| (n.clone(), v.clone())).collect()
    }

    /// The workload of a cell for readers, with those parameters only that tell it from others.
    pub fn name(&self, cell: &Cell) -> String {
        crate::gate::series::place(&cell.workload, &self.telling(cell))
    }

    /// The workload for readers.
    pub fn place(&self, both: &Both) -> String {
        self.name(both.new)
    }

    /// A sentence about a strategy on its workload.
    pub fn sentence(&self, both: &Both, predicate: &str) -> String {
        format!("`{}` on `{}` {predicate}.", both.new.strategy, self.place(both))
    }

    /// The command that measures a strategy on its workload again, in both builds.
    pub fn command(&self, both: &Both) -> String {
        let typed: Vec<&str> = self.record.command.split_whitespace().collect();
        let against = value_of(&typed, &["--against"]).into_iter().next();
        let against = against.map_or_else(|| format!("PROGRAM={}", self.build), str::to_owned);
        let profile = self.record.profile.to_possible_value();
        let profile = profile.as_ref().map_or("quick", |profile| profile.get_name());
        let host = &self.record.host().name;
        let mut command =
            format!("resetbench run --host {host} --aa --against {against} --profile {profile}");
        // Where a module of one's own is now, only the command of the run can say.
        for option in ["--module", "--blocks"] {
            command.extend(value_of(&typed, &[option]).first().map(|value| format!(" {option} {value}")));
        }
        if !both.new.workload.starts_with("user/") {
            command += &format!(" -w {}", both.new.workload);
        }
        let telling = self.telling(both.new);
        for pair in value_of(&typed, &["-p", "--param"]) {
            // Those that tell it from others follow, and others have parameters of other workloads.
            let of = |(name, _): &(&str, &str)| {
                !telling.contains_key(*name) && both.new.params.contains_key(*name)
            };
            command.extend(pair.split_once('=').filter(of).map(|_| format!(" -p {pair}")));
        }
        command.extend(telling.iter().map(|(name, value)| format!(" -p {name}={value}")));
        command + &format!(" -s {}", both.new.strategy)
    }
}

/// The values that were typed after an option.
fn value_of<'a>(typed: &[&'a str], options: &[&str]) -> Vec<&'a str> {
    let mut values = Vec::new();
    for (at, word) in typed.iter().enumerate() {
        let joined = options.iter().find_map(|option| word.strip_prefix(option)?.strip_prefix('='));
        let next = options.contains(word).then(|| typed.get(at + 1).copied()).flatten();
        values.extend(joined.or(next));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_in_what_was_typed() {
        let typed = ["resetbench", "run", "-p", "dirty=3", "--against=./old=v1", "--param", "grow=0", "-p"];
        assert_eq!(value_of(&typed, &["-p", "--param"]), ["dirty=3", "grow=0"]);
        assert_eq!(value_of(&typed, &["--against"]), ["./old=v1"]);
    }
}
