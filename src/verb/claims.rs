//! `claims`: what the seeds state, measured here and now.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use super::run::{INTERRUPTED, watch_for_interrupt};
use super::select::matching;
use crate::claims::report::{Checked, Report, row};
use crate::claims::{self, Lab, Verdict};
use crate::cli::ClaimsArgs;
use crate::launch::folder;
use crate::machine::Machine;
use crate::machine::group;
use crate::measure::writer::RowWriter;
use crate::progress::Progress;

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
    let folder = folder::fresh(&folder::wanted(args.out.as_deref()))?;
    let progress = Progress::new(args.quiet);
    let staging = folder::staging()?;
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
        checked.push(Checked::new(claim, finding));
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
    // What was measured is told even where it cannot be written.
    if args.json {
        print!("{text}")
    } else {
        print!("{}", report.table())
    }
    rows.keep()?;
    let path = folder.join("claims.json");
    std::fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(match report.claims.iter().any(|claim| claim.verdict != Verdict::NotRun) {
        _ if stopped => ExitCode::from(INTERRUPTED),
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
