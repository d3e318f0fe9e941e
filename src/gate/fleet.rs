//! Many machines in one report: each strategy's ratio on each machine class.

use std::collections::BTreeMap;

use anyhow::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compare::interval;
use super::likeness;
use super::series::{Series, ratios};
use crate::analyse::summary::Ratio;
use crate::hosts::{named, plain_name};
use crate::launch::saved::Saved;
use crate::units;

/// Version of `fleet.json`.
pub const SCHEMA: u32 = 1;

/// The results of a fleet.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Fleet {
    pub schema: u32,
    /// The host under whose settings all of them ran.
    #[serde(default = "plain_name")]
    pub host: String,
    /// The strategy that all ratios refer to.
    pub baseline: String,
    /// By machine class.
    pub machines: BTreeMap<String, Machine>,
    /// What was left out, and why.
    pub notes: Vec<String>,
    pub series: Vec<Across>,
}

/// A machine class and the run that speaks for it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Machine {
    pub run: String,
    pub started: String,
    pub sentence: String,
    pub wasmtime: String,
}

/// One series on all machines that have it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Across {
    #[serde(flatten)]
    pub series: Series,
    /// The ratio to the baseline strategy, by machine class.
    pub ratios: BTreeMap<String, Ratio>,
}

/// Merges runs of many machines. Of several runs of one machine class the latest speaks.
///
/// # Errors
/// When a run is no result, or two runs have nothing in common.
pub fn merge(runs: &[Saved]) -> Result<Fleet> {
    let mut notes = Vec::new();
    let mut latest = BTreeMap::<&str, &Saved>::new();
    for run in runs {
        likeness::refuse(run)?;
        let class = run.record.machine.class.as_str();
        let Some(&other) = latest.get(class) else {
            latest.insert(class, run);
            continue;
        };
        let is_newer = run.record.started > other.record.started;
        let (newer, older) = if is_newer { (run, other) } else { (other, run) };
        notes.push(format!(
            "`{}` is left out: `{}` is of the same machine class and later",
            older.record.run, newer.record.run
        ));
        latest.insert(class, newer);
    }
    let mut fleet = Fleet {
        schema: SCHEMA,
        host: runs.first().map_or_else(plain_name, |run| run.record.host().name.clone()),
        baseline: runs.first().map_or_else(String::new, |run| run.record.baseline.clone()),
        machines: BTreeMap::new(),
        notes,
        series: Vec::new(),
    };
    let mut series = BTreeMap::<Series, BTreeMap<String, Ratio>>::new();
    let mut first: Option<&Saved> = None;
    for (class, run) in latest {
        let common = first.map(|first| likeness::common(first, run)).transpose()?;
        // Machines differ, which is the point; what else differs has to be said.
        let notes = common.iter().flat_map(|common| &common.notes);
        fleet.notes.extend(notes.filter(|note| !note.starts_with("the machine class")).cloned());
        first = first.or(Some(run));
        for (of, ratio) in ratios(&run.summary) {
            if common.as_ref().is_none_or(|common| common.holds(&of)) {
                series.entry(of).or_default().insert(class.to_owned(), ratio);
            }
        }
        let record = &run.record;
        let machine = Machine {
            run: record.run.clone(),
            started: record.started.clone(),
            sentence: record.machine.sentence(),
            wasmtime: record.wasmtime.clone(),
        };
        fleet.machines.insert(class.to_owned(), machine);
    }
    fleet.notes.sort();
    fleet.notes.dedup();
    fleet.series = series.into_iter().map(|(series, ratios)| Across { series, ratios }).collect();
    Ok(fleet)
}

impl Fleet {
    /// The fleet for a page: a column per machine.
    pub fn markdown(&self) -> String {
        let mut out = format!("# {}\n\n", named(&units::several(self.machines.len(), "machine"), &self.host));
        for (class, machine) in &self.machines {
            out += &format!(
                "- `{class}`: {}, wasmtime {}, run `{}`\n",
                machine.sentence, machine.wasmtime, machine.run
            );
        }
        out += &format!("\nRatios to `{}` of the same run.\n\n", self.baseline);
        super::compare::list(&mut out, "Notes", &self.notes);
        let classes: Vec<&String> = self.machines.keys().collect();
        out += "| strategy | workload | of |";
        out.extend(classes.iter().map(|class| format!(" `{class}` |")));
        out += &format!("\n|:--|:--|:--|{}\n", "--:|".repeat(classes.len()));
        for Across { series, ratios } in &self.series {
            out += &format!("| `{}` | `{}` | {} |", series.strategy, series.place(), series.metric);
            out.extend(classes.iter().map(|&class| match ratios.get(class) {
                Some(r) if r.low == r.high => format!(" {} |", units::ratio(r.value)),
                Some(r) => format!(" {} |", interval(r)),
                None => " - |".into(),
            }));
            out += "\n";
        }
        out
    }
}
