//! `claims.json`, the same in words, and the rows behind it.

use anyhow::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Claim, Finding, Verdict};
use crate::determinism::word;
use crate::launch::rows;
use crate::measure::row::{Phase, Row, Status, Unit};

/// `claims.json`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    pub schema: u32,
    pub machine: String,
    pub interrupted: bool,
    pub claims: Vec<Checked>,
}

/// A claim with what came of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Checked {
    pub id: String,
    pub source: String,
    pub statement: String,
    pub quoted: String,
    pub measured: String,
    pub verdict: Verdict,
}

impl Checked {
    /// What came of a claim; a measurement that failed is one that was not run.
    pub fn new(claim: &Claim, finding: Result<Finding>) -> Self {
        let (verdict, measured) = match finding {
            Ok(finding) => (finding.verdict, finding.measured),
            Err(error) => (Verdict::NotRun, format!("{error:#}")),
        };
        let Claim { id, source, statement, quoted } = claim.clone();
        Self { id, source, statement, quoted, measured, verdict }
    }
}

impl Report {
    /// A line for each of statement, quotation and measurement, and the sum of the verdicts.
    pub fn table(&self) -> String {
        use std::fmt::Write as _;
        let mut out = String::new();
        for claim in &self.claims {
            let verdict = claim.verdict.word().to_uppercase();
            let _ = writeln!(out, "{verdict:<14} {} ({})", claim.statement, claim.source);
            let _ = writeln!(out, "{:<14} quoted: {}", "", claim.quoted);
            let _ = writeln!(out, "{:<14} measured: {}\n", "", claim.measured);
        }
        let count = |verdict| self.claims.iter().filter(|claim| claim.verdict == verdict).count();
        let _ = writeln!(
            out,
            "{} claims: {} hold, {} do not, {} depend, {} not run",
            self.claims.len(),
            count(Verdict::Holds),
            count(Verdict::DoesNotHold),
            count(Verdict::Depends),
            count(Verdict::NotRun)
        );
        out
    }
}

/// The figures behind a verdict.
pub fn row(run: &str, id: &str, finding: &Result<Finding>) -> Row {
    let (samples, unit, verdict, error) = match finding {
        Ok(finding) => (finding.samples.clone(), finding.unit, finding.verdict, None),
        Err(error) => (Vec::new(), Unit::Count, Verdict::NotRun, Some(format!("{error:#}"))),
    };
    let status = match (verdict, &error) {
        (Verdict::NotRun, Some(_)) => Status::Failed,
        (Verdict::NotRun, None) => Status::Unavailable,
        _ => Status::Ok,
    };
    let params = [("verdict".to_owned(), word(verdict).into())].into();
    let row = Row::new(run, "-", "claims", &params, Phase::Verify);
    let row = rows::sampled(Row { metric: id.into(), unit, status, error, ..row }, samples);
    Row { value: row.value.filter(|_| status == Status::Ok), ..row }
}
