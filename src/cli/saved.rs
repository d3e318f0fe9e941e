//! What can be typed after the verbs that read saved runs.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};
use reset_strategies::Kernel;

use super::groups::{Form, Own};
use crate::export::Format;
use crate::launch::plan::Profile;
use crate::recommend::limits;

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The folder of a run.
    pub folder: PathBuf,

    /// Say by what figures the adaptive strategy decided, and how.
    #[arg(long)]
    pub explain: bool,

    /// Say nothing but results and warnings.
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("source").required(true).multiple(true).args(["folder", "module", "blocks"])))]
pub struct RecommendArgs {
    /// The folder of a run; without one, a run is made of `--module` or `--blocks`.
    #[arg(conflicts_with_all = ["module", "blocks"])]
    pub folder: Option<PathBuf>,

    /// Only for these workloads: a name, a group (`indexer`), or a pattern. Can be repeated.
    #[arg(short, long = "workload", value_name = "PATTERN", requires = "folder")]
    pub workloads: Vec<String>,

    #[command(flatten)]
    pub own: Own,

    /// How thorough a run made for this is.
    #[arg(long, value_enum, default_value = "quick")]
    pub profile: Profile,

    /// Where to write a run made for this.
    #[arg(long, value_name = "FOLDER", conflicts_with = "folder")]
    pub out: Option<PathBuf>,

    /// The most that the process may have resident, such as `64MiB`.
    #[arg(long, value_name = "SIZE", value_parser = |text: &str| limits::size(text))]
    pub max_rss: Option<u64>,

    /// The most that may pass from process start to the first block ready, such as `20ms`.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub max_startup: Option<Duration>,

    /// How many blocks the host runs between two starts of its process: a strategy has to have paid for its settling by then.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub blocks_per_start: Option<u64>,

    /// What the reset has to hold against.
    #[arg(long, value_enum, value_name = "WHAT")]
    pub must_survive: Vec<Survive>,

    /// The kernel that your host has, such as `5.15`.
    #[arg(long, value_name = "VERSION")]
    pub kernel: Option<Kernel>,

    /// Recommend what to serve views with, from a run of `--suite views`: the strategy, and how many instances.
    #[arg(long, requires = "folder")]
    pub serving: bool,

    /// The memory that the process may take, such as `8GiB`: how many instances is that?
    #[arg(long, value_name = "SIZE", value_parser = |text: &str| limits::size(text), requires = "serving")]
    pub ram: Option<u64>,

    /// What a single call may grow to, such as `256MiB`.
    #[arg(long, value_name = "SIZE", value_parser = |text: &str| limits::size(text), requires = "serving")]
    pub call_memory: Option<u64>,

    /// Recommend also where most blocks fail; the times are then those of failing.
    #[arg(long)]
    pub failing_blocks: bool,

    #[command(flatten)]
    pub form: Form,

    /// Say nothing but results and warnings.
    #[arg(short, long)]
    pub quiet: bool,
}

/// What may happen to a host, and must not break the reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Survive {
    /// Pages that are swapped out.
    Swap,
}

#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The folder of the earlier run.
    pub a: PathBuf,

    /// The folder of the later run.
    pub b: PathBuf,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The folder of the run to judge: measured with `--against`, or with `--aa` where there is a `--baseline`.
    pub folder: PathBuf,

    /// Hold the run against this one, which was accepted on the same class of machine, rather than against the old build
    /// that it holds.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["resolve", "acknowledged", "annotate"])]
    pub baseline: Option<PathBuf>,

    /// Exit with 2 where nothing was found, but a change of this size could have gone unseen, such as `5%`.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub resolve: Option<f64>,

    /// Findings that are accepted: a TOML file of `[[acknowledged]]` with `series` (a pattern, such as
    /// `dirty/* on indexer/lru, time`), `reason` and `until` (a date).
    #[arg(long, value_name = "FILE")]
    pub acknowledged: Option<PathBuf>,

    /// Say each finding as an annotation of GitHub Actions too, on the standard error.
    #[arg(long)]
    pub annotate: bool,

    /// Past nights, from whose wobble the thresholds are made.
    #[arg(long, value_name = "FILE", requires = "baseline")]
    pub history: Option<PathBuf>,

    /// Append this night to the history.
    #[arg(long, requires = "history")]
    pub record: bool,

    /// Draw the nights with their change points as `.svg` or `.png`; the Markdown gains how to read it and its table.
    #[arg(long, value_name = "FILE", requires = "history")]
    pub figure: Option<PathBuf>,

    /// Measure what looks like a regression once more, and report it only if it shows again.
    #[arg(long, requires = "baseline")]
    pub rerun: bool,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// A share such as `5%` or `2.5 %`.
fn share(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').map(|number| number.trim().parse::<f64>());
    match number {
        Some(Ok(per_cent)) if per_cent > 0.0 && per_cent.is_finite() => Ok(per_cent / 100.0),
        _ => Err(format!("`{text}` is no share above 0, such as 5%")),
    }
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// What to print.
    #[arg(long, value_enum)]
    pub format: Format,

    /// The folder of a run.
    pub folder: PathBuf,
}

#[derive(Debug, Args)]
pub struct MergeArgs {
    /// The folders of the runs.
    #[arg(required = true)]
    pub folders: Vec<PathBuf>,

    /// Write `fleet.json` and `fleet.md` there.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
