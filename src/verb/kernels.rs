//! `kernels`: what was seen on which kernel, and the files that say so.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{CollectArgs, KernelsArgs, KernelsVerb, Spelling};
use crate::files;
use crate::kernels::{self, Cell, collect, table};
use crate::present::table::Options;

/// Prints what was seen, or makes files of the boots in a folder.
///
/// # Errors
/// When the boots cannot be read, or the files cannot be written.
pub fn run(args: &KernelsArgs) -> Result<ExitCode> {
    if let Some(KernelsVerb::Collect(args)) = &args.verb {
        return collect(args);
    }
    print(kernels::all(), args.form.spelling())?;
    Ok(ExitCode::SUCCESS)
}

fn print(cells: &[Cell], spelling: Spelling) -> Result<()> {
    match spelling {
        Spelling::Json => print!("{}", files::json(&cells)?),
        Spelling::Markdown => print!("{}", table::markdown(cells)),
        Spelling::Text => print!("{}", table::text(cells, Options::for_stdout().width)),
    }
    Ok(())
}

/// Fails only where a strategy that claims to be sound is not: a boot that failed is a row with a reason.
fn collect(args: &CollectArgs) -> Result<ExitCode> {
    let cells = collect::read(&args.folder)?;
    collect::write(&cells, &args.out)?;
    print(&cells, Spelling::Text)?;
    let mut code = ExitCode::SUCCESS;
    for cell in &cells {
        for seen in cell.unsound() {
            let first = seen.difference.as_ref().map_or("", |difference| difference.text.as_str());
            eprintln!(
                "error: {}: {} is not equal to a fresh instance: {first}",
                cell.boot.cell, seen.strategy
            );
            code = ExitCode::FAILURE;
        }
        if !cell.is_complete() {
            let reason = cell.boot.reason.as_deref().unwrap_or("no reason was given");
            eprintln!("warning: {} failed: {reason}", cell.boot.cell);
        }
        for trouble in &cell.troubles {
            eprintln!("warning: {}: {trouble}", cell.boot.cell);
        }
    }
    Ok(code)
}
