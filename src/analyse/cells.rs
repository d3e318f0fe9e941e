//! The cells of a workload: each strategy's figures, compared with the baseline and with the best.

use std::collections::BTreeSet;

use super::Facts;
use super::bootstrap::{Estimate, MIN_ROUNDS, Seed, estimate, over_launches, preview};
use super::counterpart;
use super::evidence::{Evidence, Group, Times};
use super::figures;
use super::growth;
use super::learned::Learned;
use super::paired::{Paired, totals};
use super::spent::settling;
use super::summary::{Cell, Counterpart, Equivalence, More, Quantiles, Ratio, Verdict};
use super::verdict;
use crate::measure::row::{Phase, canonical};

/// The ratio of a strategy to itself.
pub const ITSELF: Ratio = Ratio { value: 1.0, low: 1.0, high: 1.0 };

/// A strategy in its workload, before it is compared.
struct Contender<'a> {
    strategy: &'a str,
    control: bool,
    evidence: &'a Evidence,
    equivalence: Equivalence,
    reason: Option<String>,
    /// Absent unless the cell is equivalent and was timed.
    cycle: Option<Quantiles>,
}

/// Makes the cells of a workload, in the order of [`Facts::contenders`]; strategies not named there follow by name.
///
/// A contender without any row in the workload has a cell that says so.
pub fn cells(group: &Group, facts: &Facts) -> Vec<Cell> {
    let nothing = Evidence::default();
    let mut strategies: Vec<&str> = Vec::new();
    for strategy in facts.contenders.iter().chain(group.strategies.keys()) {
        if !strategies.contains(&strategy.as_str()) {
            strategies.push(strategy);
        }
    }
    let contenders: Vec<Contender> = strategies
        .into_iter()
        .map(|strategy| {
            let evidence = group.strategies.get(strategy).unwrap_or(&nothing);
            let (equivalence, reason) = evidence.equivalence();
            let sound = equivalence == Equivalence::Equivalent;
            Contender {
                strategy,
                control: facts.controls.iter().any(|control| control == strategy),
                evidence,
                equivalence,
                reason,
                cycle: evidence.times(Phase::Cycle).filter(|_| sound).and_then(figures::quantiles),
            }
        })
        .collect();
    let bench = Bench::new(&contenders, group, facts);
    contenders.iter().map(|contender| bench.cell(contender)).collect()
}

/// What every contender of a workload is held against.
struct Bench<'a> {
    group: &'a Group,
    facts: &'a Facts,
    contenders: &'a [Contender<'a>],
    baseline: Option<&'a Contender<'a>>,
    /// The floor, if it is sound.
    floor: Option<&'a Contender<'a>>,
    /// The sound strategy that no other is ahead of within the same rounds, controls aside.
    best: Option<&'a Contender<'a>>,
    /// Likewise the one with the least mean cycle.
    least: Option<&'a Contender<'a>>,
}

impl<'a> Bench<'a> {
    fn new(contenders: &'a [Contender<'a>], group: &'a Group, facts: &'a Facts) -> Self {
        let named = |name: &str| contenders.iter().find(|contender| contender.strategy == name);
        let timed = || contenders.iter().filter(|contender| !contender.control && contender.cycle.is_some());
        Self {
            group,
            facts,
            contenders,
            baseline: named(&facts.baseline),
            floor: named(&facts.floor).filter(|floor| floor.equivalence == Equivalence::Equivalent),
            best: best(group, timed().collect()),
            least: timed()
                .min_by_key(|contender| (contender.cycle.map(|cycle| cycle.mean), contender.strategy)),
        }
    }

    fn cell(&self, contender: &Contender) -> Cell {
        let Contender { strategy, control, evidence, equivalence, reason, cycle } = contender;
        let sound = (*equivalence == Equivalence::Equivalent).then_some(*evidence);
        let quantiles = |phase| figures::quantiles(sound?.times(phase)?);
        let Comparison { verdict, ratio, more, sentence } = self.against_baseline(contender);
        let (launches, rounds) = if cycle.is_some() { counts(evidence) } else { (0, 0) };
        Cell {
            strategy: (*strategy).to_owned(),
            workload: self.group.workload.clone(),
            params: self.group.params.clone(),
            control: *control,
            equivalence: *equivalence,
            reason: reason.clone(),
            outcomes: sound.and_then(|evidence| evidence.outcomes.clone()),
            execute_ns: quantiles(Phase::Execute),
            reset_ns: quantiles(Phase::Reset),
            cycle_ns: *cycle,
            overhead_ns: sound
                .zip(self.floor)
                .and_then(|(cell, floor)| figures::overhead(cell, floor.evidence)),
            ratio_to_baseline: ratio,
            counterpart: self.counterpart(contender),
            regret: self.regret(contender),
            regret_by_mean: self.regret_by_mean(contender),
            verdict,
            sentence,
            more,
            minor_faults: sound.and_then(figures::minor_faults),
            rss_bytes: sound.and_then(figures::residency),
            rss_growth: sound.and_then(growth::growth),
            learned: sound.and_then(|evidence| Learned::of(&evidence.learned)),
            settling: sound.and_then(|evidence| {
                let baseline = self.baseline.filter(|baseline| baseline.strategy != *strategy);
                settling(evidence, baseline.map(|baseline| baseline.evidence))
            }),
            startup: sound.map_or_else(Vec::new, figures::startup),
            launches,
            rounds,
            ended: cycle.and_then(|_| evidence.ended()),
        }
    }

    /// Against the same strategy in another build, if the run holds two.
    fn counterpart(&self, contender: &Contender) -> Option<Counterpart> {
        let other = counterpart::of(contender.strategy, self.contenders.iter().map(|other| other.strategy))?;
        let other = self.contenders.iter().find(|contender| contender.strategy == other)?;
        let timed = contender.cycle.is_some() && other.cycle.is_some();
        let (group, seed) = (self.group, self.facts.seed);
        let change = |phase| {
            counterpart::change(group, seed, phase, contender.strategy, other.strategy).filter(|_| timed)
        };
        Some(Counterpart {
            contender: other.strategy.to_owned(),
            cycle: change(Phase::Cycle),
            execute: change(Phase::Execute),
            reset: change(Phase::Reset),
        })
    }

    /// Cycle over the best strategy's cycle; exactly 1 for the best itself.
    fn regret(&self, contender: &Contender) -> Option<Ratio> {
        contender.cycle?;
        let best = self.best?;
        if best.strategy == contender.strategy {
            return Some(ITSELF);
        }
        self.compare(contender, best).1.map(|estimate| estimate.ratio)
    }

    /// Mean cycle over the least mean cycle; exactly 1 for the strategy that has it.
    fn regret_by_mean(&self, contender: &Contender) -> Option<Ratio> {
        contender.cycle?;
        let least = self.least?;
        if least.strategy == contender.strategy {
            return Some(ITSELF);
        }
        over_traces(self.group, contender.strategy, least.strategy)
    }

    fn against_baseline(&self, contender: &Contender) -> Comparison {
        let strategy = contender.strategy;
        let silent = |verdict, ratio, sentence| Comparison { verdict, ratio, more: None, sentence };
        if contender.cycle.is_none() {
            let sentence = verdict::no_figures(strategy, contender.equivalence, contender.reason.as_deref());
            return silent(Verdict::None, None, sentence);
        }
        if strategy == self.facts.baseline {
            return silent(
                Verdict::Baseline,
                Some(ITSELF),
                self.noted(contender, format!("`{strategy}` is the baseline.")),
            );
        }
        let baseline = match self.baseline {
            Some(baseline) if baseline.cycle.is_some() => baseline,
            other => {
                let why = other.map_or_else(
                    || "was not among the contenders".to_owned(),
                    |baseline| verdict::why(baseline.equivalence, baseline.reason.as_deref()),
                );
                let sentence = verdict::nothing_to_compare_with(strategy, &self.facts.baseline, &why);
                return silent(Verdict::Unsure, None, self.noted(contender, sentence));
            }
        };
        match self.compare(contender, baseline) {
            (_, Some(estimate)) => Comparison {
                verdict: verdict::verdict(&estimate.ratio),
                ratio: Some(estimate.ratio),
                more: verdict::more(&estimate),
                sentence: self.noted(contender, verdict::compared(strategy, baseline.strategy, &estimate)),
            },
            (launches, None) => {
                let sentence = verdict::too_few(strategy, baseline.strategy, launches);
                silent(Verdict::Unsure, None, self.noted(contender, sentence))
            }
        }
    }

    /// The launches with enough paired rounds, and the estimate if they are enough.
    fn compare(&self, above: &Contender, below: &Contender) -> (usize, Option<Estimate>) {
        compare(self.group, self.facts.seed, above.strategy, below.strategy)
    }

    /// The sentence, and what went wrong in a launch of a cell that has figures all the same.
    fn noted(&self, contender: &Contender, sentence: String) -> String {
        match &contender.reason {
            Some(reason) => format!("{sentence} But {reason}."),
            None => sentence,
        }
    }
}

/// Whom no other is ahead of: begins with the least median cycle (of equals the first by name), and goes on to whoever takes
/// least of it within the same rounds, as long as that is less than one.
///
/// The medians alone would name a best that another beats in the very rounds that both have run, since they are not paired.
fn best<'a>(group: &Group, mut timed: Vec<&'a Contender<'a>>) -> Option<&'a Contender<'a>> {
    timed.sort_by_key(|contender| (contender.cycle.map(|cycle| cycle.p50), contender.strategy));
    let mut best = *timed.first()?;
    // Ratios of medians may go round in a circle: nobody is asked twice.
    let mut seen = BTreeSet::from([best.strategy]);
    loop {
        let ratio = |above: &&&Contender| {
            let (above, below) = (cycles(group, above.strategy)?, cycles(group, best.strategy)?);
            Some(preview(&Paired::new(&above.rounds, &below.rounds))?.ratio.value)
        };
        let others = timed.iter().filter(|other| !seen.contains(other.strategy));
        let ratios = others.filter_map(|other| Some((*other, ratio(&other)?)));
        match ratios.min_by(|(_, a), (_, b)| a.total_cmp(b)) {
            Some((ahead, ratio)) if ratio < 1.0 => best = ahead,
            _ => return Some(best),
        }
        seen.insert(best.strategy);
    }
}

/// The ratio of two strategies' cycles in the rounds of a workload: the launches with enough paired rounds, and the
/// estimate if they are enough. That both are sound is for the caller to see to.
pub fn compare(group: &Group, seed: u64, above: &str, below: &str) -> (usize, Option<Estimate>) {
    let (Some(above_times), Some(below_times)) = (cycles(group, above), cycles(group, below)) else {
        return (0, None);
    };
    let paired = Paired::new(&above_times.rounds, &below_times.rounds);
    // Part of the comparison's name, so that each has its own random numbers.
    let params = canonical(&group.params);
    let estimate = estimate(&paired, Seed(seed), &[&group.workload, &params, above, below]);
    (paired.with_at_least(MIN_ROUNDS).launches().len(), estimate)
}

/// The ratio of two strategies' mean cycles over whole traces, in the rounds of a workload, if the launches are enough.
/// That both are sound is for the caller to see to.
pub fn over_traces(group: &Group, above: &str, below: &str) -> Option<Ratio> {
    over_launches(&totals(&cycles(group, above)?.rounds, &cycles(group, below)?.rounds, MIN_ROUNDS))
}

fn cycles<'a>(group: &'a Group, strategy: &str) -> Option<&'a Times> {
    group.strategies.get(strategy)?.times(Phase::Cycle)
}

/// How a contender compares with the baseline.
struct Comparison {
    verdict: Verdict,
    ratio: Option<Ratio>,
    more: Option<More>,
    sentence: String,
}

/// Launches and paired rounds with a cycle time.
fn counts(evidence: &Evidence) -> (u32, u32) {
    let Some(times) = evidence.times(Phase::Cycle) else { return (0, 0) };
    let launches: BTreeSet<u32> =
        times.rounds.keys().map(|&(launch, _)| launch).chain(times.alone.keys().copied()).collect();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (count(launches.len()), count(times.rounds.len()))
}
