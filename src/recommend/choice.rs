//! The choice among strategies that fit: the shortest cycle, and of those tied with it the least demanding one.
//!
//! A tie means that the times do not decide, and so something else has to. In this order: a strategy that survives
//! swapped-out pages goes before one that does not, since nobody watches a host for swap; then less RSS, where
//! differences within [`MARGIN`] do not count; then the older kernel; then fewer mechanisms; then the shorter median.

use std::cell::RefCell;
use std::collections::BTreeMap;

use reset_strategies::{Strategy, Swap, registry};

use crate::analyse::bootstrap::Estimate;
use crate::analyse::summary::{ByMean, Ratio};
use crate::analyse::verdict::more;
use crate::analyse::{MARGIN, SEED, cells, evidence, standing};
use crate::present::view::{Group, Shown};
use crate::prose::enumerated;
use crate::units::bytes;

/// A sound strategy that was timed.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    pub cell: Shown<'a>,
    /// Absent where this version has no strategy of that name.
    pub strategy: Option<&'static Strategy>,
}

impl<'a> Candidate<'a> {
    /// All candidates of a workload, by median cycle.
    pub fn all(group: &Group<'a>) -> Vec<Self> {
        let cells = group.sorted(false, |cell| cell.cycle().map(|cycle| cycle.p50)).into_iter();
        cells
            .filter(|cell| cell.cycle().is_some())
            .map(|cell| Self { cell, strategy: registry::find(cell.name()) })
            .collect()
    }

    /// `family/variant`.
    pub fn name(&self) -> &'a str {
        self.cell.name()
    }
}

/// The measured rounds of one workload, in which candidates are compared.
pub struct Field<'a> {
    rows: Option<&'a evidence::Group>,
    /// Estimates that were made before: a choice is made many times, under many limits.
    known: RefCell<BTreeMap<(String, String), Option<Estimate>>>,
}

/// What was chosen, and how.
#[derive(Clone, Debug)]
pub struct Choice<'a> {
    pub chosen: Candidate<'a>,
    /// The shortest median cycle.
    pub fastest: Candidate<'a>,
    /// All others that cannot be told apart from the fastest.
    pub tied: Vec<Candidate<'a>>,
    /// What decided the tie, as predicates of the chosen one.
    by: Vec<String>,
    /// More launches that would settle comparisons, by strategy.
    open: Vec<(&'a str, u32)>,
}

impl<'a> Field<'a> {
    /// The field of a workload's rows; without them there are no ties but those by eye.
    pub fn new(rows: Option<&'a evidence::Group>) -> Self {
        Self { rows, known: RefCell::default() }
    }

    /// One candidate's cycle over another's, in the same rounds.
    pub fn ratio(&self, above: &Candidate, below: &Candidate) -> Option<Ratio> {
        self.estimate(above, below).map(|estimate| estimate.ratio)
    }

    fn estimate(&self, above: &Candidate, below: &Candidate) -> Option<Estimate> {
        let rows = self.rows?;
        let pair = (above.name().to_owned(), below.name().to_owned());
        let compare = || cells::compare(rows, SEED, above.name(), below.name()).1;
        *self.known.borrow_mut().entry(pair).or_insert_with(compare)
    }

    /// The candidate with the least mean cycle, where it takes measurably less than the chosen one over whole traces.
    pub fn by_mean(&self, chosen: &Candidate, candidates: &[Candidate]) -> Option<ByMean> {
        let least = candidates
            .iter()
            .min_by_key(|candidate| (candidate.cell.cycle().map(|cycle| cycle.mean), candidate.name()))?;
        ByMean::beside(
            chosen.name(),
            least.name(),
            cells::over_traces(self.rows?, chosen.name(), least.name()),
        )
    }

    /// Chooses among candidates that are sorted by median cycle; nothing where there are none.
    pub fn choose<'c>(&self, candidates: &[Candidate<'c>]) -> Option<Choice<'c>> {
        let (&fastest, others) = candidates.split_first()?;
        let mut tied = Vec::new();
        // Who cannot be compared at all is told, but not chosen for anything else than its time.
        let mut eligible = vec![fastest];
        let mut open = Vec::new();
        for other in others {
            let estimate = self.estimate(other, &fastest);
            if standing::ties(estimate.as_ref().map(|estimate| &estimate.ratio)) && self.rows.is_some() {
                tied.push(*other);
                eligible.extend(estimate.is_some().then_some(*other));
                open.extend(estimate.as_ref().and_then(more).map(|more| (other.name(), more.launches)));
            }
        }
        let mut by = Vec::new();
        let mut narrow =
            |eligible: &mut Vec<Candidate<'c>>, keep: &dyn Fn(&Candidate) -> bool, words: &str| {
                let before = eligible.len();
                eligible.retain(keep);
                by.extend((eligible.len() < before).then(|| words.to_owned()));
            };
        let survives = |candidate: &Candidate| {
            candidate.strategy.is_some_and(|strategy| strategy.swap() == Swap::Survives)
        };
        if eligible.iter().any(survives) {
            narrow(&mut eligible, &survives, "survives swap");
        }
        let rss = |candidate: &Candidate| candidate.cell.rss().map(|rss| rss.peak);
        if let Some(least) = eligible.iter().filter_map(rss).min() {
            let near = |candidate: &Candidate| {
                rss(candidate).is_some_and(|rss| rss as f64 <= least as f64 * (1.0 + MARGIN))
            };
            narrow(&mut eligible, &near, &format!("has the least RSS ({})", bytes(least)));
        }
        let kernel = |candidate: &Candidate| candidate.strategy.map(Strategy::kernel);
        if let Some(oldest) = eligible.iter().filter_map(kernel).min() {
            narrow(
                &mut eligible,
                &|c| kernel(c) == Some(oldest),
                &format!("runs on the oldest kernel ({oldest})"),
            );
        }
        let needs = |candidate: &Candidate| candidate.strategy.map(|strategy| strategy.needs().count());
        if let Some(fewest) = eligible.iter().filter_map(needs).min() {
            narrow(&mut eligible, &|c| needs(c) == Some(fewest), "needs the fewest mechanisms");
        }
        // Still in the order of medians.
        let chosen = *eligible.first()?;
        tied.insert(0, fastest);
        tied.retain(|other| other.name() != chosen.name());
        Some(Choice { chosen, fastest, tied, by, open })
    }
}

impl Choice<'_> {
    /// What decided the tie, as the end of a sentence.
    pub fn told(&self) -> String {
        match (self.tied.len(), self.by.is_empty()) {
            (0, _) => String::new(),
            (tied, true) => format!("; of the {} that are tied it has the shortest median", tied + 1),
            (tied, false) => format!("; of the {} that are tied it {}", tied + 1, enumerated(&self.by)),
        }
    }

    /// What more launches would tell.
    pub fn undecided(&self) -> Option<String> {
        let told = |(name, launches): &(&str, u32)| format!("`{name}` ({launches})");
        let open: Vec<String> = self.open.iter().map(told).collect();
        let from = self.fastest.name();
        (!open.is_empty()).then(|| {
            format!(
                "which is faster: about so many more launches would tell `{from}` from {}",
                enumerated(&open)
            )
        })
    }
}
