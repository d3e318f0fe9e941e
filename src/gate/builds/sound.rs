//! Soundness that was lost from one build to the next, which is a finding on any night: noise does not do that.

use super::cells::Both;
use super::finding::{Ground, Told};
use crate::analyse::summary::Equivalence;
use crate::gate::compare::word;

/// Whether the strategy is no longer equal to a fresh instance, or can no longer be shown to be.
pub fn is_lost(both: &Both) -> bool {
    let (new, old) = (both.new.equivalence, both.old.equivalence);
    new != old && (old == Equivalence::Equivalent || new == Equivalence::Diverged)
}

/// What there is to say of it.
pub fn worse(both: &Both, build: &str) -> Option<Told> {
    let reason = both.new.reason.as_deref().unwrap_or("no reason was recorded");
    is_lost(both).then(|| Told {
        ground: Ground::Soundness,
        words: format!(
            "is {} in `{build}` and {} now: {}",
            word(both.old.equivalence),
            word(both.new.equivalence),
            shortened(reason)
        ),
        size: f64::INFINITY,
    })
}

/// What there is to say where it was gained, as a predicate.
pub fn better(both: &Both, build: &str) -> Option<String> {
    let (new, old) = (both.new.equivalence, both.old.equivalence);
    let gained = new == Equivalence::Equivalent && old != new;
    gained.then(|| format!("is {} in `{build}` and {} now", word(old), word(new)))
}

/// What there is to say where a reset is wrong in both, as a predicate: nobody broke it tonight.
pub fn wrong_in_both(both: &Both) -> Option<&'static str> {
    let wrong = [both.new, both.old].iter().all(|cell| cell.equivalence == Equivalence::Diverged);
    wrong.then_some("is not equal to a fresh instance in either build")
}

/// Reasons may be a page long; the summary has them in full.
pub fn shortened(reason: &str) -> String {
    const MOST: usize = 160;
    match reason.char_indices().nth(MOST) {
        Some((at, _)) => format!("{} ...", &reason[..at]),
        None => reason.trim_end_matches('.').to_owned(),
    }
}
