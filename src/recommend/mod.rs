//! From a result to a decision: which strategy to use, under the limits that a host has.
//!
//! | step | file |
//! |---|---|
//! | what a host can ask for, and why a strategy does not fit | [`limits`] |
//! | the choice among those that fit, and by what it was made | [`choice`] |
//! | the choice of each workload with all that belongs to it | this one |
//! | what to serve views with, and how many instances fit | [`serving`] |
//! | what the result cannot know | [`unknown`] |
//! | all of it for a terminal and for a page | [`words`] |
//!
//! Only strategies that were found sound and were timed in the run itself are candidates, and never a control.

pub mod choice;
pub mod limits;
pub mod serving;
pub mod unknown;
pub mod words;

#[cfg(test)]
mod tests;

use anyhow::Result;
use reset_strategies::{Kernel, Swap};
use serde::Serialize;

use crate::analyse::summary::{ByMean, Ratio};
use crate::gate::likeness;
use crate::hosts::Calls;
use crate::kernels::{self, seen};
use crate::launch::saved::Saved;
use crate::measure::row::Params;
use crate::present::view::Group;
use crate::units::{bytes, ns};
use choice::{Candidate, Choice, Field};
use limits::Limits;

/// Version of what `recommend --json` prints. Keys may be added freely; renaming one raises it.
pub const SCHEMA: u32 = 1;

/// What to use, workload by workload.
#[derive(Clone, Debug, Serialize)]
pub struct Recommendations {
    pub schema: u32,
    pub run: String,
    /// The host under whose settings it was measured.
    pub host: String,
    /// The machine that it was measured on, in a sentence.
    pub machine: String,
    pub limits: Limits,
    pub recommendations: Vec<Recommendation>,
    /// What holds of all of them.
    pub unknown: Vec<String>,
}

/// What to use for one workload.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Recommendation {
    pub workload: String,
    pub params: Params,
    /// Absent where nothing fits the limits.
    pub strategy: Option<String>,
    /// Why this one, as sentences.
    pub because: String,
    /// The others that fit and cannot be told apart from the shortest cycle.
    pub tied: Vec<String>,
    /// Who of those that fit takes measurably less over whole traces.
    pub by_mean: Option<ByMean>,
    /// What the host has to have or to leave alone.
    pub conditions: Vec<String>,
    /// What would be chosen if there were no such strategy.
    pub runner_up: Option<String>,
    /// The runner-up's cycle over that of the strategy, in the same rounds.
    pub runner_up_ratio: Option<Ratio>,
    /// What would lead to another answer.
    pub changes: Vec<Change>,
    /// Rust to take over.
    pub paste: Option<String>,
    /// Sound strategies that do not fit, and why.
    pub excluded: Vec<Excluded>,
    /// What the result cannot know about this workload.
    pub unknown: Vec<String>,
}

/// A circumstance and the answer under it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// As the rest of a sentence that begins with "if".
    pub condition: String,
    /// Absent where nothing would fit.
    pub strategy: Option<String>,
}

/// A strategy that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Excluded {
    pub strategy: String,
    pub reason: String,
}

/// Recommends a strategy for each of these workloads of a run; for one whose blocks mostly fail only if that is asked
/// for with `failing_blocks`.
///
/// # Errors
/// When the rows are unfit, or the run is no result.
pub fn recommend(
    saved: &Saved,
    workloads: &[&Group],
    limits: &Limits,
    failing_blocks: bool,
) -> Result<Recommendations> {
    likeness::unplanted(saved)?;
    let rows = saved.groups()?;
    let recommendations = workloads
        .iter()
        .map(|group| {
            let here =
                rows.iter().find(|rows| rows.workload == group.workload && rows.params == *group.params);
            one(group, &Field::new(here), saved.record.host().calls, limits, failing_blocks)
        })
        .collect();
    let mut unknown = unknown::of_run(saved);
    unknown.extend(unknown::of_kernel(limits));
    Ok(Recommendations {
        schema: SCHEMA,
        run: saved.record.run.clone(),
        host: saved.record.host().sentence(),
        machine: saved.record.machine.sentence(),
        limits: *limits,
        recommendations,
        unknown,
    })
}

fn one(group: &Group, field: &Field, calls: Calls, limits: &Limits, failing_blocks: bool) -> Recommendation {
    let sound: Vec<Candidate> = Candidate::all(group);
    let under = |limits: &Limits| -> Vec<Candidate> {
        sound.iter().copied().filter(|candidate| limits.objection(candidate).is_none()).collect()
    };
    let fitting = under(limits);
    let excluded = sound.iter().filter_map(|candidate| {
        let reason = limits.objection(candidate)?;
        Some(Excluded { strategy: candidate.name().into(), reason })
    });
    let mut answer = Recommendation {
        workload: group.workload.into(),
        params: group.params.clone(),
        because: nothing_fits(&sound, limits),
        excluded: excluded.collect(),
        unknown: unknown::of_workload(group),
        ..Recommendation::default()
    };
    let choose = |limits: &Limits| field.choose(&under(limits)).map(|choice| choice.chosen.name().to_owned());
    if let Some(outcomes) = group.outcomes.filter(|outcomes| outcomes.mostly_fail() && !failing_blocks) {
        answer.because = format!(
            "{}. `--failing-blocks` has one recommended all the same.",
            outcomes.warning().unwrap_or_default()
        );
        return answer;
    }
    answer.unknown.extend(group.warning());
    let Some(choice) = field.choose(&fitting) else {
        answer.changes = relaxed(limits, None, choose);
        return answer;
    };
    let chosen = choice.chosen;
    let others: Vec<Candidate> =
        fitting.iter().copied().filter(|other| other.name() != chosen.name()).collect();
    let runner_up = field.choose(&others).map(|choice| choice.chosen);
    answer.strategy = Some(chosen.name().into());
    answer.because = because(&choice);
    answer.tied = choice.tied.iter().map(|tied| tied.name().to_owned()).collect();
    answer.by_mean = field.by_mean(&chosen, &fitting);
    answer.conditions = conditions(&chosen);
    let seen = limits.host().and_then(|host| seen::approval(kernels::all(), chosen.name(), &host));
    answer.conditions.extend(seen);
    answer.runner_up = runner_up.map(|other| other.name().into());
    answer.runner_up_ratio = runner_up.and_then(|other| field.ratio(&other, &chosen));
    answer.changes = tightened(limits, &chosen, choose);
    answer.changes.extend(relaxed(limits, Some(chosen.name()), choose));
    answer.paste = chosen.strategy.map(|strategy| match calls {
        Calls::Blocking => strategy.recipe(),
        Calls::Futures => strategy.recipe_async(),
    });
    answer.unknown.extend(choice.undecided());
    answer
}

/// Why the choice fell as it did.
fn because(choice: &Choice) -> String {
    let Choice { chosen, fastest, .. } = choice;
    let cycle = |candidate: &Candidate| candidate.cell.cycle().map_or(String::new(), |q| ns(q.p50));
    let (name, took) = (chosen.name(), cycle(chosen));
    let first = if choice.tied.is_empty() {
        format!("`{name}` has the shortest cycle of those that fit, {took}, and none is tied with it.")
    } else if name == fastest.name() {
        format!("`{name}` has the shortest cycle of those that fit, {took}{}.", choice.told())
    } else {
        format!(
            "`{name}` cannot be told apart from `{}`, whose median cycle is the shortest of those that fit ({}; here \
             {took}){}.",
            fastest.name(),
            cycle(fastest),
            choice.told()
        )
    };
    [first].into_iter().chain(chosen.cell.sentence().map(String::from)).collect::<Vec<_>>().join(" ")
}

fn conditions(chosen: &Candidate) -> Vec<String> {
    let Some(strategy) = chosen.strategy else {
        return vec!["this version does not know the strategy, and so none of its conditions".into()];
    };
    let mut conditions = Vec::new();
    if strategy.kernel() > Kernel::OLDEST {
        conditions.push(format!("needs Linux {} or later", strategy.kernel()));
    }
    for mechanism in strategy.needs() {
        let broken = mechanism.broken.iter();
        conditions.extend(broken.map(|broken| format!("must not run where {} is {broken}", mechanism.name)));
    }
    let needs: Vec<String> = strategy.needs().map(|mechanism| mechanism.name.to_owned()).collect();
    if !needs.is_empty() {
        conditions.push(format!("needs {}: `resetbench doctor` tries each on a host", needs.join(", ")));
    }
    if let Swap::Diverges { reason } = strategy.swap() {
        conditions.push(format!("must not run on a host with swap: {reason}"));
    }
    conditions.extend(strategy.conditions().map(|condition| format!("the host {condition}")));
    conditions
}

/// Limits that the chosen strategy just does not keep, and what would be chosen under each.
fn tightened(limits: &Limits, chosen: &Candidate, choose: impl Fn(&Limits) -> Option<String>) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut change = |condition: String, limits: Limits| {
        changes.push(Change { condition, strategy: choose(&limits) });
    };
    if let Some(peak) = chosen.cell.rss().map(|rss| rss.peak) {
        let below = Limits { max_rss: Some(peak.saturating_sub(1)), ..*limits };
        change(format!("RSS has to stay below {}", bytes(peak)), below);
    }
    if let Some(startup) = chosen.cell.startup_total() {
        let below = Limits { max_startup_ns: Some(startup.saturating_sub(1)), ..*limits };
        change(format!("startup has to take less than {}", ns(startup)), below);
    }
    if let Some(from) =
        chosen.cell.settling().and_then(|settling| settling.pays_after).filter(|from| *from > 1)
    {
        let sooner = Limits { blocks_per_start: Some(from - 1), ..*limits };
        change(format!("the process starts anew before it has run {from} blocks"), sooner);
    }
    if let Some(strategy) = chosen.strategy {
        let kernel = strategy.kernel();
        if kernel > Kernel::OLDEST {
            let older = kernel.before();
            change(format!("the kernel is older than {kernel}"), Limits { kernel: Some(older), ..*limits });
        }
        if strategy.swap() != Swap::Survives {
            change("the host swaps".into(), Limits { must_survive_swap: true, ..*limits });
        }
    }
    changes
}

/// What would be chosen without each of the limits, where that is another strategy.
fn relaxed(limits: &Limits, chosen: Option<&str>, choose: impl Fn(&Limits) -> Option<String>) -> Vec<Change> {
    let without = limits.without_each().into_iter().map(|(flag, limits)| Change {
        condition: format!("`{flag}` were not asked for"),
        strategy: choose(&limits),
    });
    without.filter(|change| change.strategy.is_some() && change.strategy.as_deref() != chosen).collect()
}

/// Which limit rules everything out, and who comes nearest to it.
fn nothing_fits(sound: &[Candidate], limits: &Limits) -> String {
    if sound.is_empty() {
        return "no sound strategy was timed on this workload.".into();
    }
    let mut words = format!("none of the {} sound strategies fits {}.", sound.len(), limits);
    let least = |figure: &dyn Fn(&Candidate) -> Option<u64>| {
        sound.iter().filter_map(|candidate| Some((figure(candidate)?, candidate.name()))).min()
    };
    if let (Some(_), Some((rss, name))) = (limits.max_rss, least(&|c| c.cell.rss().map(|rss| rss.peak))) {
        words += &format!(" The least RSS has `{name}`, {}.", bytes(rss));
    }
    if let (Some(_), Some((startup, name))) = (limits.max_startup_ns, least(&|c| c.cell.startup_total())) {
        words += &format!(" The shortest startup has `{name}`, {}.", ns(startup));
    }
    words
}
