//! `check`: the nightly gate.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::tell;
use crate::cli::CheckArgs;
use crate::files;
use crate::gate::builds;
use crate::gate::builds::acknowledged::Acknowledgements;
use crate::gate::check::check;
use crate::gate::course::{Course, courses};
use crate::gate::history::{History, Night, append};
use crate::gate::rerun;
use crate::hosts::named;
use crate::launch::saved::Saved;
use crate::present::figures::{Figure, history};
use crate::present::markdown;
use crate::present::palette::Palette;
use crate::prose::markdown::escape;

/// The exit code of input that cannot be judged.
const UNUSABLE: u8 = 3;

/// Judges a night and says so by the exit code: 0 fine, 1 a finding, 2 it could not have been seen, 3 unusable.
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
    match &args.baseline {
        Some(baseline) => against_baseline(args, baseline),
        None => of_two_builds(args),
    }
}

/// Judges a run that holds two builds.
fn of_two_builds(args: &CheckArgs) -> Result<u8> {
    let acknowledgements = match &args.acknowledged {
        Some(file) => Acknowledgements::read(file)?,
        None => Acknowledgements::default(),
    };
    let report = builds::judge(&Saved::read(&args.folder)?, &acknowledgements, args.resolve)?;
    tell(args.json, &report, || report.markdown())?;
    if args.annotate {
        eprint!("{}", report.annotations());
    }
    Ok(report.code())
}

/// Judges a run of one build by an earlier one.
fn against_baseline(args: &CheckArgs, baseline: &Path) -> Result<u8> {
    let baseline = Saved::read(baseline).context("the baseline")?;
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
    let picture = match &args.figure {
        Some(file) => picture(file, &courses(&night, &report, &history)?, &night)?,
        None => None,
    };
    tell(args.json, &report, || {
        let nights = picture.as_ref().map(|Picture { figure, .. }| {
            let table = markdown::numbers(&figure.numbers);
            format!("## Nights\n\n{}.\n\n{}\n\n{table}\n", escape(&figure.title), figure.caption)
        });
        report.markdown() + &nights.unwrap_or_default()
    })?;
    if let (Some(file), true) = (&args.history, args.record) {
        if history.knows(&night) {
            eprintln!("this night is in {} already", file.display());
        } else {
            append(file, &Night::of(&night, report.noisy))?;
        }
    }
    if let (Some(file), Some(picture)) = (&args.figure, picture) {
        files::write(file, picture.bytes)?;
    }
    Ok(report.code())
}

/// The figure of the nights, not yet written.
struct Picture {
    figure: Figure,
    bytes: Vec<u8>,
}

/// Draws the nights in the format that the file's name asks for; nothing where no strategy has a ratio.
fn picture(file: &Path, courses: &[Course], night: &Saved) -> Result<Option<Picture>> {
    let summary = &night.summary;
    let palette = Palette::new(summary.cells.iter().map(|cell| cell.strategy.as_str()));
    let class = named(&night.record.machine.class, &night.record.host().name);
    let Some(figure) = history::figure(courses, &palette, &class, &summary.baseline) else {
        eprintln!("no figure: no strategy has a ratio to the baseline tonight");
        return Ok(None);
    };
    let bytes = match file.extension().and_then(OsStr::to_str) {
        Some("svg") => figure.svg().into_bytes(),
        Some("png") => figure.png()?,
        _ => {
            bail!("{} is no picture that can be drawn: name a file that ends in .svg or .png", file.display())
        }
    };
    Ok(Some(Picture { figure, bytes }))
}

/// Measures the suspects once more, beside the night's own folder.
fn again(night: &Path, number: u32, command: &[String]) -> Result<PathBuf> {
    let mut folder: OsString = night.components().as_path().into();
    folder.push(format!("-again-{number}"));
    let folder = PathBuf::from(folder);
    ensure!(!folder.exists(), "{} is there already: was this night checked before?", folder.display());
    eprintln!("running again: resetbench {}", command.join(" "));
    let program = crate::launch::program()?;
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
