//! `claims`: what the seeds and hosts state, measured here and now.

use std::process::ExitCode;

use anyhow::{Context, Result};

use super::select::matching;
use super::{code, conclude};
use crate::claims::report::{Checked, Report, row};
use crate::claims::{self, Lab, Verdict};
use crate::cli::ClaimsArgs;
use crate::launch::stage::{Results, Stage};
use crate::machine::Machine;
use crate::machine::group;

/// Checks all claims, or those that are asked for.
///
/// # Errors
/// When a pattern matches nothing, or files cannot be written.
pub fn run(args: &ClaimsArgs) -> Result<ExitCode> {
    let claims = claims::all()?;
    let chosen: Vec<&claims::Claim> = claims.iter().collect();
    let chosen = matching("claim", &args.claims, &chosen, |claim| claim.id.clone())?;
    group::sweep();
    let stage = Stage::new(args.output.quiet)?;
    let mut results = Results::new(args.output.out.as_deref())?;
    stage.progress.note(&format!("{} claims, into {}", chosen.len(), results.folder.display()));
    let mut lab = Lab::new(&stage, args.seed.unwrap_or_else(rand::random));
    let measures = claims::measures();
    let mut checked = Vec::new();
    for claim in chosen {
        if stage.stopped() {
            break;
        }
        stage.progress.say(&format!("{}: {}", claim.id, claim.statement));
        let measure = measures.iter().find(|(id, _)| *id == claim.id);
        let (_, measure) = measure.with_context(|| format!("nothing measures `{}`", claim.id))?;
        let finding = measure(&mut lab);
        results.rows.write(&row(&results.run, &claim.id, &finding))?;
        checked.push(Checked::new(claim, finding));
    }
    stage.progress.finish();
    let report = Report {
        schema: claims::SCHEMA,
        machine: Machine::read().sentence(),
        interrupted: stage.stopped(),
        claims: checked,
    };
    conclude(&mut results, "claims.json", &report, &args.output, || report.table())?;
    Ok(code(&stage, report.claims.iter().any(|claim| claim.verdict != Verdict::NotRun)))
}
