//! `check`: the nightly gate.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};

use crate::analyse::saved::Saved;
use crate::cli::CheckArgs;
use crate::gate::check::{Outcome, check};
use crate::gate::history::{History, Night, append};
use crate::gate::rerun;

/// The exit code of input that cannot be judged.
const UNUSABLE: u8 = 3;

/// Judges a night and says so by the exit code: 0 fine, 1 regression, 2 noisy, 3 unusable.
///
/// # Errors
/// Never: what goes wrong makes the night unusable, which is an exit code of its own.
pub fn run(args: &CheckArgs) -> Result<ExitCode> {
    Ok(ExitCode::from(judge(args).unwrap_or_else(|error| {
        eprintln!("unusable: {error:#}");
        UNUSABLE
    })))
}

fn judge(args: &CheckArgs) -> Result<u8> {
    let baseline = Saved::read(&args.baseline).context("the baseline")?;
    let night = Saved::read(&args.folder).context("the night")?;
    let history = match &args.history {
        Some(file) => History::read(file)?,
        None => History::default(),
    };
    let mut report = check(&baseline, &night, &history)?;
    let commands = rerun::commands(night.record.profile, report.suspects().map(|finding| &finding.series));
    if args.rerun {
        for (number, command) in (1..).zip(&commands) {
            let again = Saved::read(&again(&args.folder, number, command)?).context("the second run")?;
            report.confirm(&baseline, &again, &history)?;
        }
    } else {
        report.notes.extend(commands.iter().map(|command| {
            format!(
                "before believing a regression, run it again with `check --rerun` or `resetbench {}`",
                command.join(" ")
            )
        }));
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.markdown());
    }
    if let (Some(file), true) = (&args.history, args.record) {
        if history.knows(&night) {
            eprintln!("this night is in {} already", file.display());
        } else {
            append(file, &Night::of(&night, report.outcome == Outcome::Noisy))?;
        }
    }
    Ok(report.code())
}

/// Measures the suspects once more, beside the night's own folder.
fn again(night: &Path, number: u32, command: &[String]) -> Result<PathBuf> {
    let mut folder: OsString = night.components().as_path().into();
    folder.push(format!("-again-{number}"));
    let folder = PathBuf::from(folder);
    ensure!(!folder.exists(), "{} is there already: was this night checked before?", folder.display());
    eprintln!("running again: resetbench {}", command.join(" "));
    let program = std::env::current_exe().context("cannot find this program")?;
    let status = Command::new(program)
        .args(command)
        .arg("--quiet")
        .arg("--out")
        .arg(&folder)
        .stdout(Stdio::null())
        .status()
        .context("cannot run the suspects again")?;
    ensure!(status.success(), "the second run ended with {status}");
    Ok(folder)
}
