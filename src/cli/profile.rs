//! What can be typed after `profile`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::RangedU64ValueParser;

use super::groups::{Filter, OnHost, Output, Own};
use crate::launch::plan::Plant;

#[derive(Debug, Args)]
#[command(
    mut_arg("json", |json| json.help("Print profile.json instead of tables")),
    mut_arg("strategies", |strategies| strategies.help(
        "Only these strategies: a name, a family (`dirty`), or a pattern. Can be repeated; the host's baseline and \
         adaptive/hot-cold if none is named. All others are compared with the first"
    )),
    mut_arg("workloads", |workloads| workloads.help(
        "Only these workloads: a name, a group (`indexer`), or a pattern. Can be repeated; indexer/lru if none is named, or \
         all with --pages"
    ))
)]
pub struct ProfileArgs {
    #[command(flatten)]
    pub on: OnHost,

    #[command(flatten)]
    pub filter: Filter,

    #[command(flatten)]
    pub own: Own,

    /// Run each strategy on each workload for so long, three quarters of it sampled.
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS", value_parser = seconds)]
    pub seconds: f64,

    /// Samples in a second of CPU time. More tell smaller shares, and slow blocks down.
    #[arg(long, default_value_t = 499, value_name = "HERTZ", value_parser = RangedU64ValueParser::<u32>::new().range(1..=20_000))]
    pub frequency: u32,

    /// Ask the kernel for no samples: estimate shares from counts and from what one fault, byte and system call costs here, and
    /// draw the guest alone, as wasmtime sees it. So it is done where the kernel forbids sampling.
    #[arg(long)]
    pub no_sampling: bool,

    /// Show which pages each block dirties and what that predicts, and nothing else.
    #[arg(long)]
    pub pages: bool,

    /// Print the pages of all workloads as one table.
    #[arg(long, requires = "pages", conflicts_with = "json")]
    pub table: bool,

    /// Predict from the landscape of this run, and hold the predictions against what it has measured; else those of the newest
    /// run in `results/`.
    #[arg(long, value_name = "FOLDER")]
    pub from: Option<PathBuf>,

    /// Set a parameter of the workloads that have it, such as `dirty=2048`.
    #[arg(short, long = "param", value_name = "NAME=VALUE")]
    pub params: Vec<String>,

    /// CPU time that one block may take, in seconds: 60 unless it is given, and more on a machine that is seen to be slow.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Option<u64>,

    /// Make a strategy worse on purpose, to see whether the profile shows it. What comes out is no result, and says so.
    #[arg(long = "plant", value_name = "STRATEGY:WHAT:AMOUNT", hide = true)]
    pub plants: Vec<Plant>,

    #[command(flatten)]
    pub output: Output,
}

/// A time that is neither none nor endless.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 3_600.0 => Ok(seconds),
        _ => Err("it has to be a number of seconds above 0 and up to 3600".into()),
    }
}
