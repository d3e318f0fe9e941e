//! What a strategy can restore of a module, construct by construct.

use std::fmt;

/// Whether a strategy can restore everything that a module may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support {
    /// Everything.
    Supported,
    /// Not everything: the strategy must not be used on this module.
    Refused {
        /// The construct and its index.
        reason: String,
    },
}

/// A strategy's answer to one construct of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What it is about, with its index: `table 0`.
    pub construct: String,
    /// What the module has there and does with it.
    pub detail: String,
    /// What the strategy makes of it.
    pub answer: Answer,
}

/// What a strategy makes of a construct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Each reset brings it back.
    Restored,
    /// It cannot change.
    NotNeeded,
    /// It may change, and cannot be brought back.
    Refused {
        /// Why, as the rest of a sentence that begins with the construct.
        reason: String,
    },
}

impl Support {
    /// What follows from the answers to all constructs: the first refusal, if there is one.
    pub(crate) fn of(judgements: &[Judgement]) -> Self {
        let refusals = judgements.iter().filter_map(|judgement| match &judgement.answer {
            Answer::Refused { reason } => Some(format!("{} {reason}", judgement.construct)),
            Answer::Restored | Answer::NotNeeded => None,
        });
        refusals.into_iter().next().map_or(Self::Supported, |reason| Self::Refused { reason })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Restored => "restored",
            Self::NotNeeded => "not needed",
            Self::Refused { .. } => "refused",
        })
    }
}
