//! `recommend`: which strategy to use, from a run or for one's own module.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use super::run::measure;
use super::select::matching;
use crate::cli::{Output, RecommendArgs, RunArgs, Spelling, Survive};
use crate::files;
use crate::kernels;
use crate::launch::saved::Saved;
use crate::present::table::Options;
use crate::present::view::Group;
use crate::recommend::limits::Limits;
use crate::recommend::serving::{self as advice, Room};
use crate::recommend::{recommend, words};
use crate::serving;

/// Prints recommendations; fails where nothing fits the limits.
///
/// # Errors
/// When the run cannot be read or made, or is no result.
pub fn run(args: &RecommendArgs) -> Result<ExitCode> {
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => measured(args)?,
    };
    if args.serving {
        return serve(args, &folder);
    }
    let saved = Saved::read(&folder)?;
    let limits = Limits {
        max_rss: args.max_rss,
        max_startup_ns: args.max_startup.map(|limit| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX)),
        blocks_per_start: args.blocks_per_start,
        must_survive_swap: args.must_survive.contains(&Survive::Swap),
        kernel: args.kernel,
        arch: kernels::arch(&saved.record.machine.arch),
    };
    let groups = Group::all(&saved.summary);
    let all: Vec<&Group> = groups.iter().collect();
    let chosen = matching("workload", &args.workloads, &all, |group| group.workload.to_owned())?;
    let found = recommend(&saved, &chosen, &limits, args.failing_blocks)?;
    let level = saved.summary.method.level;
    match args.form.spelling() {
        Spelling::Json => print!("{}", files::json(&found)?),
        Spelling::Markdown => print!("{}", words::markdown(&found, level)),
        Spelling::Text => print!("{}", words::text(&found, level, Options::for_stdout().width)),
    }
    if found.recommendations.is_empty() {
        bail!("{} holds no cells: there is nothing to recommend from", folder.display());
    }
    let mut code = ExitCode::SUCCESS;
    for answer in found.recommendations.iter().filter(|answer| answer.strategy.is_none()) {
        eprintln!("error: {}: {}", answer.workload, answer.because.replace('`', ""));
        code = ExitCode::FAILURE;
    }
    Ok(code)
}

/// Prints what to serve views with.
fn serve(args: &RecommendArgs, folder: &Path) -> Result<ExitCode> {
    let path = folder.join(serving::FOLDER).join("serving.json");
    ensure!(
        path.exists(),
        "{} holds nothing that was served: measure it with `resetbench run --suite views`",
        folder.display()
    );
    let report = serde_json::from_slice(&files::read(&path)?)
        .with_context(|| format!("{} is malformed: measure it again", path.display()))?;
    let found = advice::recommend(&report, Room { ram: args.ram, call: args.call_memory });
    match args.form.spelling() {
        Spelling::Json => print!("{}", files::json(&found)?),
        Spelling::Markdown => print!("{}", words::serving_markdown(&found)),
        Spelling::Text => print!("{}", words::serving_text(&found, Options::for_stdout().width)),
    }
    ensure!(!found.recommendations.is_empty(), "no strategy has served: there is nothing to recommend from");
    Ok(ExitCode::SUCCESS)
}

/// Makes a short run, which stands in for a saved one.
fn measured(args: &RecommendArgs) -> Result<PathBuf> {
    let output = Output { out: args.out.clone(), json: false, quiet: args.quiet };
    let run = RunArgs { profile: args.profile, own: args.own.clone(), output, ..RunArgs::default() };
    let (folder, stopped) = measure(&run)?;
    ensure!(!stopped, "interrupted: what was measured until then is in {}", folder.display());
    Ok(folder)
}
