//! Soundness that was lost from one build to the next, which is a finding on any night: noise does not do that.

use super::cells::Both;
use super::{Ground, Told};
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

/// Reasons may be a page long; the summary has them in full.
pub fn shortened(reason: &str) -> String {
    const MOST: usize = 160;
    match reason.char_indices().nth(MOST) {
        Some((at, _)) => format!("{} ...", &reason[..at]),
        None => reason.trim_end_matches('.').to_owned(),
    }
}
