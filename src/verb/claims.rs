//! `claims`: what the seeds state, measured here and now.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::run::{INTERRUPTED, fresh_folder, watch_for_interrupt};
use super::select::matching;
use crate::analyse::quantile::median;
use crate::claims::{self, Finding, Lab, Verdict};
use crate::cli::ClaimsArgs;
use crate::determinism::{group, word};
use crate::machine::Machine;
use crate::measure::row::{Phase, Row, Status, Unit};
use crate::measure::writer::RowWriter;
use crate::progress::Progress;

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

/// Checks all claims, or those that are asked for.
///
/// # Errors
/// When a pattern matches nothing, or files cannot be written.
pub fn run(args: &ClaimsArgs) -> Result<ExitCode> {
    let claims = claims::all()?;
    let chosen: Vec<&claims::Claim> = claims.iter().collect();
    let chosen = matching("claim", &args.claims, &chosen, |claim| claim.id.clone())?;
    group::sweep();
    let interrupted = Arc::new(AtomicBool::new(false));
    watch_for_interrupt(&interrupted)?;
    let folder = fresh_folder(args.out.as_deref())?;
    let progress = Progress::new(args.quiet);
    let staging = tempfile::tempdir().context("cannot make a folder for the children's files")?;
    progress.note(&format!("{} claims, into {}", chosen.len(), folder.display()));
    let seed = args.seed.unwrap_or_else(rand::random);
    let mut lab = Lab::new(staging.path().into(), seed, &interrupted)?;
    let mut rows = RowWriter::create(&folder.join("rows.ndjson"))?;
    let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let measures = claims::measures();
    let mut checked = Vec::new();
    for claim in chosen {
        if interrupted.load(Ordering::Relaxed) {
            break;
        }
        progress.say(&format!("{}: {}", claim.id, claim.statement));
        let measure = measures.iter().find(|(id, _)| *id == claim.id);
        let (_, measure) = measure.with_context(|| format!("nothing measures `{}`", claim.id))?;
        let finding = measure(&mut lab);
        rows.write(&row(&name, &claim.id, &finding))?;
        let (verdict, measured) = match finding {
            Ok(Finding { verdict, measured, .. }) => (verdict, measured),
            Err(error) => (Verdict::NotRun, format!("{error:#}")),
        };
        checked.push(Checked {
            id: claim.id.clone(),
            source: claim.source.clone(),
            statement: claim.statement.clone(),
            quoted: claim.quoted.clone(),
            measured,
            verdict,
        });
    }
    progress.finish();
    let stopped = interrupted.load(Ordering::Relaxed);
    let report = Report {
        schema: claims::SCHEMA,
        machine: Machine::read().sentence(),
        interrupted: stopped,
        claims: checked,
    };
    let text = serde_json::to_string_pretty(&report)? + "\n";
    let path = folder.join("claims.json");
    std::fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    if args.json {
        print!("{text}")
    } else {
        print!("{}", report.table())
    }
    Ok(match report.claims.iter().any(|claim| claim.verdict != Verdict::NotRun) {
        _ if stopped => ExitCode::from(INTERRUPTED),
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The figures behind a verdict.
fn row(run: &str, id: &str, finding: &Result<Finding>) -> Row {
    let (samples, unit, verdict, error) = match finding {
        Ok(finding) => (finding.samples.clone(), finding.unit, finding.verdict, None),
        Err(error) => (Vec::new(), Unit::Count, Verdict::NotRun, Some(format!("{error:#}"))),
    };
    let status = match (verdict, &error) {
        (Verdict::NotRun, Some(_)) => Status::Failed,
        (Verdict::NotRun, None) => Status::Unavailable,
        _ => Status::Ok,
    };
    Row {
        run: run.into(),
        launch: 0,
        round: None,
        order: None,
        strategy: "-".into(),
        workload: "claims".into(),
        params: [("verdict".to_owned(), serde_json::Value::from(word(verdict)))].into(),
        phase: Phase::Verify,
        metric: id.into(),
        unit,
        value: if status == Status::Ok { median(&mut samples.clone()) } else { None },
        samples,
        at_ns: None,
        status,
        error,
    }
}

impl Report {
    fn table(&self) -> String {
        use std::fmt::Write as _;
        let mut out = String::new();
        for claim in &self.claims {
            let verdict = match claim.verdict {
                Verdict::Holds => "HOLDS",
                Verdict::DoesNotHold => "DOES NOT HOLD",
                Verdict::Depends => "DEPENDS",
                Verdict::NotRun => "not run",
            };
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
