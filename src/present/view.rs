//! What may be shown of a [`Summary`], and in which order.
//!
//! A reset that leaves something behind is wrong, and a wrong contender has no time, however fast it was. Tables and
//! figures therefore never read a [`Cell`] but a [`Shown`], which hands out figures of equivalent cells only.

use crate::analyse::learned::Learned;
use crate::analyse::outcomes::Outcomes;
use crate::analyse::settling::Settling;
use crate::analyse::standing;
use crate::analyse::summary::{
    ByMean, Cell, Ending, Equivalence, Growth, Method, Overhead, Quantiles, Ratio, Residency, Stage,
    Standing, Summary, Verdict,
};
use crate::gate::compare;
use crate::hosts;
use crate::measure::row::Params;
use crate::prose::{enumerated, percent};

/// A cell behind the rule that only an equivalent reset has figures.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    cell: &'a Cell,
}

impl<'a> Shown<'a> {
    /// Puts a cell behind the rule.
    pub fn new(cell: &'a Cell) -> Shown<'a> {
        Shown { cell }
    }

    /// `family/variant`.
    pub fn name(self) -> &'a str {
        &self.cell.strategy
    }

    /// Whether the strategy is there to calibrate or to be caught.
    pub fn control(self) -> bool {
        self.cell.control
    }

    /// Whether this run saw the reset equal a fresh instance.
    pub fn sound(self) -> bool {
        self.cell.equivalence == Equivalence::Equivalent
    }

    /// The outcome of the comparison with a fresh instance.
    pub fn equivalence(self) -> Equivalence {
        self.cell.equivalence
    }

    /// Time in the guest.
    pub fn execute(self) -> Option<Quantiles> {
        self.cell.execute_ns.filter(|_| self.sound())
    }

    /// Time in the reset.
    pub fn reset(self) -> Option<Quantiles> {
        self.cell.reset_ns.filter(|_| self.sound())
    }

    /// How it has adapted, if it does.
    pub fn learned(self) -> Option<Learned> {
        self.cell.learned.filter(|_| self.sound())
    }

    /// Execute and reset together.
    pub fn cycle(self) -> Option<Quantiles> {
        self.cell.cycle_ns.filter(|_| self.sound())
    }

    /// Cost beyond the floor's execute.
    pub fn overhead(self) -> Option<Overhead> {
        self.cell.overhead_ns.filter(|_| self.sound())
    }

    /// Cycle over the baseline's.
    pub fn ratio(self) -> Option<Ratio> {
        self.cell.ratio_to_baseline.filter(|r| self.sound() && r.value.is_finite())
    }

    /// Cycle over that of the best sound strategy.
    pub fn regret(self) -> Option<Ratio> {
        self.cell.regret.filter(|r| self.sound() && r.value.is_finite())
    }

    /// Minor faults per cycle.
    pub fn faults(self) -> Option<f64> {
        self.cell.minor_faults.filter(|f| self.sound() && f.is_finite())
    }

    /// Resident set of the child.
    pub fn rss(self) -> Option<Residency> {
        self.cell.rss_bytes.filter(|_| self.sound())
    }

    /// Change of the resident set in the long run.
    pub fn growth(self) -> Option<Growth> {
        self.cell.rss_growth.filter(|_| self.sound())
    }

    /// What it took to become steady.
    pub fn settling(self) -> Option<Settling> {
        self.cell.settling.filter(|_| self.sound())
    }

    /// The same in a sentence, names in backticks.
    pub fn settles(self, baseline: &str) -> Option<String> {
        Some(self.settling()?.sentence(self.name(), baseline))
    }

    /// Stages of startup in their order.
    pub fn startup(self) -> &'a [Stage] {
        if self.sound() { &self.cell.startup } else { &[] }
    }

    /// Sum of all stages of startup, when there are any.
    pub fn startup_total(self) -> Option<u64> {
        let stages = self.startup();
        (!stages.is_empty()).then(|| stages.iter().fold(0, |sum: u64, stage| sum.saturating_add(stage.ns)))
    }

    /// The verdict as a sentence.
    pub fn sentence(self) -> Option<&'a str> {
        let sentence = self.cell.sentence.trim();
        (self.sound() && !sentence.is_empty()).then_some(sentence)
    }

    /// How it compares with the baseline; [`Verdict::None`] for a cell without figures.
    pub fn verdict(self) -> Verdict {
        if self.sound() { self.cell.verdict } else { Verdict::None }
    }

    /// Why it was timed no longer, and the launches that it had.
    pub fn ended(self) -> Option<(Ending, u32)> {
        self.cell.ended.map(|ending| (ending, self.cell.launches)).filter(|_| self.sound())
    }

    /// Why there is no time: `diverged: memory 0 differs at 0x1000`; absent for a cell that has one.
    pub fn why_missing(self) -> Option<String> {
        let word = match word(self.cell.equivalence) {
            Some(word) => word,
            None if self.cycle().is_none() => "equivalent, but not timed",
            None => return None,
        };
        Some(self.reason().map_or_else(|| word.into(), |reason| format!("{word}: {reason}")))
    }

    /// What went wrong in a launch of a cell that has figures all the same.
    pub fn caveat(self) -> Option<&'a str> {
        self.reason().filter(|_| self.cycle().is_some())
    }

    fn reason(self) -> Option<&'a str> {
        self.cell.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty())
    }
}

/// The word for an outcome other than `equivalent`.
pub fn word(equivalence: Equivalence) -> Option<&'static str> {
    (equivalence != Equivalence::Equivalent).then(|| compare::word(equivalence))
}

/// The cells of one workload at one set of parameters: what one table or figure shows.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// `group/name`.
    pub workload: &'a str,
    /// Parameters of the workload.
    pub params: &'a Params,
    /// The host under whose settings it ran.
    pub host: &'a str,
    /// The strategy that ratios refer to.
    pub baseline: &'a str,
    /// How intervals and verdicts were made.
    pub method: Method,
    /// Who is best, as the analysis has it.
    standing: Option<&'a Standing>,
    /// How the blocks ended, if the rows say.
    pub outcomes: Option<&'a Outcomes>,
    /// Whether the run holds this workload at other parameters too, so that the name alone would be ambiguous.
    pub several: bool,
    /// In the order of the summary.
    pub cells: Vec<Shown<'a>>,
}

impl<'a> Group<'a> {
    /// All groups of a summary, in the order in which they first appear.
    pub fn all(summary: &'a Summary) -> Vec<Group<'a>> {
        let mut groups: Vec<Group<'a>> = Vec::new();
        for cell in &summary.cells {
            let known = groups.iter_mut().find(|g| g.workload == cell.workload && *g.params == cell.params);
            match known {
                Some(group) => group.cells.push(Shown::new(cell)),
                None => groups.push(Group::with(summary, cell)),
            }
        }
        for i in 0..groups.len() {
            let workload = groups[i].workload;
            groups[i].several = groups.iter().filter(|group| group.workload == workload).count() > 1;
            groups[i].outcomes = groups[i].cells.iter().find_map(|shown| shown.cell.outcomes.as_ref());
        }
        groups
    }

    fn with(summary: &'a Summary, cell: &'a Cell) -> Group<'a> {
        let mut standings = summary.standings.iter();
        let standing = standings.find(|s| s.workload == cell.workload && s.params == cell.params);
        Group {
            workload: &cell.workload,
            params: &cell.params,
            host: summary.host(),
            baseline: &summary.baseline,
            method: summary.method,
            standing,
            outcomes: None,
            several: false,
            cells: vec![Shown::new(cell)],
        }
    }

    /// The workload's name, with its parameters where the name alone is ambiguous, and with its host if it is one of the field.
    pub fn title(&self) -> String {
        hosts::named(&self.place(), self.host)
    }

    fn place(&self) -> String {
        if self.several && !self.params.is_empty() {
            format!("{} ({})", self.workload, self.parameters())
        } else {
            self.workload.into()
        }
    }

    /// The parameters as `name=value, name=value`; empty when there are none.
    pub fn parameters(&self) -> String {
        let pairs: Vec<String> =
            self.params.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
        pairs.join(", ")
    }

    /// The title as part of a file name; a run has one host.
    pub fn slug(&self) -> String {
        slug(&self.place())
    }

    /// The best sound strategy, which the analysis computes regret against; where a summary does not name it, the shortest
    /// median cycle. Controls are never it.
    pub fn best(&self) -> Option<Shown<'a>> {
        let named = self.standing.and_then(|standing| self.cell(&standing.best));
        if let Some(best) = named.filter(|cell| cell.cycle().is_some()) {
            return Some(best);
        }
        let timed = self.cells.iter().copied().filter(|s| !s.control()).filter(|s| s.cycle().is_some());
        timed.min_by_key(|s| (s.cycle().map(|q| q.p50), s.name()))
    }

    /// Who takes less than the best over whole traces.
    pub fn by_mean(&self) -> Option<&'a ByMean> {
        self.standing?.by_mean.as_ref()
    }

    /// How small a difference could have been told: `differences from the best below 4 % could not be told`.
    pub fn resolution(&self) -> Option<String> {
        let share = self.standing?.resolution?;
        Some(format!(
            "differences from the best below {} could not be told",
            percent((share * 1000.0).ceil() / 1000.0)
        ))
    }

    /// The sound strategies that cannot be told apart from the best, by cycle.
    pub fn tied(&self) -> Vec<Shown<'a>> {
        let Some(best) = self.best() else { return Vec::new() };
        let others = self.by_cycle(false).into_iter().filter(|cell| cell.name() != best.name());
        others.filter(|cell| cell.cycle().is_some() && standing::ties(cell.regret().as_ref())).collect()
    }

    /// The second best contender.
    pub fn next(&self) -> Option<Shown<'a>> {
        let best = self.best()?;
        self.by_cycle(false).into_iter().find(|cell| cell.cycle().is_some() && cell.name() != best.name())
    }

    /// The cell of a strategy.
    pub fn cell(&self, name: &str) -> Option<Shown<'a>> {
        self.cells.iter().copied().find(|cell| cell.name() == name)
    }

    /// What has to be known about the blocks before any of the times is read.
    pub fn warning(&self) -> Option<String> {
        self.outcomes?.warning()
    }

    /// The best and all that are tied with it, names in backticks: `a/b`, tied with `c/d` and `e/f`.
    pub fn answer(&self) -> Option<String> {
        let best = format!("`{}`", self.best()?.name());
        let tied: Vec<String> = self.tied().iter().map(|cell| format!("`{}`", cell.name())).collect();
        Some(if tied.is_empty() { best } else { format!("{best}, tied with {}", enumerated(&tied)) })
    }

    /// Contenders or controls by their median cycle, those without one last.
    pub fn by_cycle(&self, control: bool) -> Vec<Shown<'a>> {
        self.sorted(control, |cell| cell.cycle().map(|q| q.p50))
    }

    /// Contenders (`control == false`) or controls: by `key`, those without it last, in the order of their names.
    pub fn sorted<K: Ord>(&self, control: bool, key: impl Fn(Shown<'a>) -> Option<K>) -> Vec<Shown<'a>> {
        let mut cells: Vec<Shown<'a>> =
            self.cells.iter().copied().filter(|s| s.control() == control).collect();
        cells.sort_by(|a, b| match (key(*a), key(*b)) {
            (Some(x), Some(y)) => x.cmp(&y).then(a.name().cmp(b.name())),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => a.name().cmp(b.name()),
        });
        cells
    }
}

/// The longest slug: with what is put before and after it, a file name has to stay below the 255 bytes of Linux.
const LONGEST_SLUG: usize = 120;

/// A title as part of a file name: runs of anything but letters, digits, `.` and `_` become `-`, and what is too long is cut
/// off; whoever needs slugs to differ has to see to it.
pub fn slug(title: &str) -> String {
    let slug: String = title
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c } else { '-' })
        .collect();
    let parts: Vec<&str> = slug.split('-').filter(|part| part.chars().any(|c| c != '.')).collect();
    let mut slug = if parts.is_empty() { "unnamed".into() } else { parts.join("-") };
    // Of ASCII only.
    slug.truncate(LONGEST_SLUG);
    slug
}

/// A JSON value without the quotes of a string.
pub fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The part of a strategy's name before the slash.
pub fn family(strategy: &str) -> &str {
    strategy.split_once('/').map_or(strategy, |(family, _)| family)
}

/// The part of a strategy's name after the slash.
pub fn variant(strategy: &str) -> &str {
    strategy.split_once('/').map_or(strategy, |(_, variant)| variant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::fixture;

    #[test]
    fn only_an_equivalent_cell_has_figures() {
        let summary = fixture::small();
        for cell in &summary.cells {
            let shown = Shown::new(cell);
            let figures = [
                shown.cycle().is_some(),
                shown.execute().is_some(),
                shown.reset().is_some(),
                shown.overhead().is_some(),
                shown.ratio().is_some(),
                shown.regret().is_some(),
                shown.faults().is_some(),
                shown.rss().is_some(),
                !shown.startup().is_empty(),
                shown.sentence().is_some(),
                shown.why_missing().is_none(),
            ];
            assert!(figures.iter().all(|has| *has == shown.sound()), "{}: {figures:?}", cell.strategy);
        }
    }

    #[test]
    fn the_best_is_sound_and_no_control() {
        let summary = fixture::summary();
        for group in Group::all(&summary) {
            let best = group.best().unwrap();
            assert!(best.sound() && !best.control());
            assert_eq!(
                best.regret().unwrap().value,
                1.0,
                "the analysis means the same strategy in {}",
                group.title()
            );
        }
    }

    #[test]
    fn the_answer_names_all_that_are_tied() {
        let mut summary = fixture::small();
        let answer = |summary: &Summary| Group::all(summary)[0].answer().unwrap();
        assert_eq!(answer(&summary), "`fresh/pooling-scan`");
        for cell in summary.cells.iter_mut().filter(|cell| !cell.control) {
            if let Some(regret) = cell.regret.as_mut().filter(|regret| regret.value > 1.0) {
                *regret = Ratio { value: 1.01, low: 0.99, high: 1.03 };
            }
        }
        assert!(answer(&summary).starts_with("`fresh/pooling-scan`, tied with `"), "{}", answer(&summary));
    }

    #[test]
    fn slugs_are_safe_in_paths() {
        let summary = fixture::odd();
        let groups = Group::all(&summary);
        assert_eq!(groups[0].slug(), "script-alert-2-script-co");
        assert_eq!(slug(&"é/".repeat(300)), "unnamed");
        assert_eq!(slug(&"a/".repeat(300)).len(), LONGEST_SLUG);
    }
}
