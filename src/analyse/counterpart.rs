//! A strategy held against itself in another build, within the same rounds of the same launches.
//!
//! Machine and night are common to both, and cancel. In a run that holds two builds a contender is named `strategy` in the
//! new one and `strategy@NAME` in the old one; `strategy#2` is the strategy once more, in the new build, and shows what such
//! a ratio is worth where nothing changed.

use super::bootstrap::{Seed, estimate};
use super::evidence::Group;
use super::paired::Paired;
use super::summary::Change;
use crate::measure::row::{Phase, canonical};

/// The name of a strategy as another build has it.
pub fn twin(strategy: &str, build: &str) -> String {
    format!("{strategy}@{build}")
}

/// The strategy and the build of a contender of the old build.
pub fn split(contender: &str) -> Option<(&str, &str)> {
    contender.rsplit_once('@').filter(|(strategy, build)| !strategy.is_empty() && !build.is_empty())
}

/// The strategy that a contender is once more, and its number.
pub fn repeated(contender: &str) -> Option<(&str, u32)> {
    let (strategy, number) = contender.rsplit_once('#')?;
    Some((strategy, number.parse().ok()?))
}

/// The counterpart of a contender, if the contenders are of two builds.
pub fn of<'a>(contender: &str, contenders: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let old =
        |strategy: &str| contenders.clone().find(|other| split(other).is_some_and(|(of, _)| of == strategy));
    match repeated(contender) {
        Some((strategy, _)) if contenders.clone().any(|other| split(other).is_some()) => {
            contenders.clone().find(|other| *other == strategy)
        }
        _ => old(contender),
    }
}

/// The ratio of two contenders in a phase, in the rounds that both have; `None` where they are too few.
///
/// That both are sound is for the caller to see to.
pub fn change(group: &Group, seed: u64, phase: Phase, above: &str, below: &str) -> Option<Change> {
    let rounds = |strategy: &str| Some(&group.strategies.get(strategy)?.times(phase)?.rounds);
    let paired = Paired::new(rounds(above)?, rounds(below)?);
    let (params, phase) = (canonical(&group.params), format!("{phase:?}"));
    let estimate = estimate(&paired, Seed(seed), &[&group.workload, &params, &phase, above, below])?;
    Some(Change { ratio: estimate.ratio, launches: estimate.launches, rounds: estimate.rounds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_build_and_repetition() {
        assert_eq!(split(&twin("dirty/uffd-wp", "old")), Some(("dirty/uffd-wp", "old")));
        assert_eq!(split("a/b@c@48.0.7"), Some(("a/b@c", "48.0.7")), "the last one divides");
        assert_eq!([split("a/b"), split("@old"), split("a/b@")], [None; 3]);
        assert_eq!(repeated("fresh/relink#2"), Some(("fresh/relink", 2)));
        assert_eq!([repeated("fresh/relink#planted-reset-20"), repeated("a/b")], [None; 2]);
    }

    #[test]
    fn only_a_run_of_two_builds_has_counterparts() {
        let one = ["fresh/relink", "fresh/relink#2", "copy/full"];
        let two = ["fresh/relink", "fresh/relink@old", "fresh/relink#2", "copy/full"];
        let all = |names: &[&'static str]| {
            names.iter().map(|name| of(name, names.iter().copied())).collect::<Vec<_>>()
        };
        assert_eq!(all(&one), [None; 3]);
        assert_eq!(all(&two), [Some("fresh/relink@old"), None, Some("fresh/relink"), None]);
    }
}
