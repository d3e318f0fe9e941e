//! One file per verb.

pub mod check;
pub mod child;
pub mod claims;
pub mod compare;
pub mod determinism;
pub mod doctor;
pub mod export;
pub mod inspect;
pub mod kernels;
pub mod list;
pub mod manual;
pub mod merge;
pub mod policies;
pub mod profile;
pub mod recommend;
pub mod report;
pub mod run;
pub mod select;
pub mod startup;
pub mod trust;
pub mod verify;

use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;

use crate::cli::Output;
use crate::files;
use crate::launch::stage::{INTERRUPTED, Results, Stage};

/// Prints a value as JSON where that is asked for, and in words elsewhere.
fn tell(json: bool, value: &impl Serialize, words: impl FnOnce() -> String) -> Result<()> {
    print!("{}", if json { files::json(value)? } else { words() });
    Ok(())
}

/// Tells what was measured and then writes it beside the rows: it is told even where it cannot be written.
fn conclude(
    results: &mut Results,
    file: &str,
    report: &impl Serialize,
    output: &Output,
    tables: impl FnOnce() -> String,
) -> Result<()> {
    tell(output.json, report, tables)?;
    results.rows.keep()?;
    files::write_json(&results.folder.join(file), report)
}

/// The exit code of a verb that measures.
fn code(stage: &Stage, is_fine: bool) -> ExitCode {
    match is_fine {
        _ if stage.stopped() => ExitCode::from(INTERRUPTED),
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Says that a strategy which claims to be sound is not.
fn unequal(strategy: &str, workload: &str, difference: &str) {
    eprintln!("error: {strategy} on {workload} is not equal to a fresh instance: {difference}");
}
