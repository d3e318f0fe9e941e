//! What is found of a strategy on a workload, and what that rests on.

use schemars::JsonSchema;
use serde::Serialize;

/// What a finding rests on.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub enum Ground {
    Soundness,
    Time,
    Counts,
    Memory,
}

impl Ground {
    /// As patterns of acknowledgements spell it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Soundness => "soundness",
            Self::Time => "time",
            Self::Counts => "counts",
            Self::Memory => "memory",
        }
    }
}

/// What a strategy does worse on a workload.
#[derive(Clone, Debug, Serialize, JsonSchema, PartialEq)]
pub struct Finding {
    pub strategy: String,
    /// With those parameters that tell it from others of its name.
    pub workload: String,
    pub ground: Ground,
    pub sentence: String,
    /// What shows it again.
    pub command: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Acknowledged>,
    /// How much worse, to sort by.
    #[serde(skip)]
    pub size: f64,
}

/// What is said of one strategy on one workload: a predicate and how bad it is.
pub struct Told {
    pub ground: Ground,
    pub words: String,
    pub size: f64,
}

/// Why a finding is accepted, and for how long.
#[derive(Clone, Debug, Serialize, JsonSchema, PartialEq, Eq)]
pub struct Acknowledged {
    pub reason: String,
    /// The last night, as a date.
    pub until: String,
}
