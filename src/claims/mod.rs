//! Statements of the seeds, and of hosts in public, put to the test.
//!
//! What is stated stands in `claims/claims.toml`; what is done to check it, in [`measures`] under the same id; what came of
//! it, in rows. A test keeps the two lists the same.

mod at_once;
mod growing;
mod guest;
mod hosts;
pub mod lab;
mod memory;
mod outcomes;
pub mod report;
mod resets;
mod views;

use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::measure::row::Unit;
pub use lab::Lab;

/// Version of `claims.json`.
pub const SCHEMA: u32 = 1;

/// A statement of a seed, or of a host in public.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    pub id: String,
    /// File in the seeds, or a project and its document.
    pub source: String,
    pub statement: String,
    /// The figure or outcome that it gives.
    pub quoted: String,
}

/// What came of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Holds,
    DoesNotHold,
    /// On what, the finding says.
    Depends,
    /// It could not be tried on this machine, and why.
    NotRun,
}

impl Verdict {
    /// As a table has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::DoesNotHold => "does not hold",
            Self::Depends => "depends",
            Self::NotRun => "not run",
        }
    }

    fn holds_if(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::DoesNotHold }
    }
}

/// A measurement and what it says of a claim.
#[derive(Clone, Debug)]
pub struct Finding {
    pub verdict: Verdict,
    /// In words, with figures.
    pub measured: String,
    /// The figures behind it.
    pub samples: Vec<u64>,
    pub unit: Unit,
}

impl Finding {
    fn new(verdict: Verdict, measured: impl Into<String>) -> Self {
        Self { verdict, measured: measured.into(), samples: Vec::new(), unit: Unit::Count }
    }

    fn with(self, unit: Unit, samples: Vec<u64>) -> Self {
        Self { unit, samples, ..self }
    }
}

/// What checks a claim.
pub type Measure = fn(&mut Lab<'_>) -> Result<Finding>;

/// All measurements by the ids of their claims.
pub fn measures() -> Vec<(&'static str, Measure)> {
    [
        outcomes::MEASURES,
        memory::MEASURES,
        resets::MEASURES,
        hosts::MEASURES,
        views::MEASURES,
        growing::MEASURES,
        at_once::MEASURES,
    ]
    .concat()
}

/// The claims, in the order of the file.
///
/// # Errors
/// When the file is malformed.
pub fn all() -> Result<Vec<Claim>> {
    #[derive(Deserialize)]
    struct File {
        claim: Vec<Claim>,
    }
    let file: File =
        toml::from_str(include_str!("../../claims/claims.toml")).context("claims/claims.toml")?;
    Ok(file.claim)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_claim_is_measured_and_every_measure_has_a_claim() {
        let claims = all().unwrap();
        let stated: BTreeSet<_> = claims.iter().map(|claim| claim.id.as_str()).collect();
        let measured: BTreeSet<_> = measures().iter().map(|(id, _)| *id).collect();
        assert_eq!(stated, measured);
        assert_eq!(stated.len(), claims.len(), "ids are unique");
        assert_eq!(measured.len(), measures().len());
        assert!(claims.len() >= 15);
    }
}
