//! What can be typed.

mod kernels;
mod spelling;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use reset_strategies::Kernel;

use crate::export::Format;
use crate::launch::plan::Profile;
use crate::protocol::policy::Policy;
use crate::recommend::limits;
pub use kernels::{CollectArgs, KernelsArgs, KernelsVerb};
pub use spelling::Spelling;

/// Measures ways of resetting a WebAssembly instance between blocks, and proves that they forget everything.
///
/// Start with `resetbench run`: in two minutes it measures all strategies on the bundled indexers and leaves tables
/// and figures. Then run it on your own module: `resetbench run --module indexer.wasm --blocks ~/blocks`.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Say what this machine offers, and what is missing and why.
    Doctor(DoctorArgs),
    /// List strategies and workloads.
    List(ListArgs),
    /// Judge a module: what its blocks could change, and which strategies bring that back.
    Inspect(InspectArgs),
    /// Verify and measure strategies on workloads; write rows, summary and report.
    Run(RunArgs),
    /// Prove that resets forget everything: compare strategies with fresh instances, without measuring.
    ///
    /// Exits with 1 when a strategy that claims to be sound differs from a fresh instance, or a cell cannot be judged.
    /// Controls are expected to differ, and so is every strategy under a policy that leaves resets out.
    Verify(VerifyArgs),
    /// Draw tables and figures from the files of a run.
    ///
    /// What lies beside them in the folder becomes part of the report: a landscape that was measured into `landscape/`,
    /// and `startup.json`, `determinism.json` and `claims.json`, as the verbs of those names write them.
    Report(ReportArgs),
    /// Say which strategy to use, from a run or for your own module, under the limits that your host has.
    Recommend(RecommendArgs),
    /// Say what changed from one run to another.
    Compare(CompareArgs),
    /// Judge a night against its baseline: exit 0 fine, 1 regression, 2 noisy, 3 unusable.
    Check(CheckArgs),
    /// Print a run in the format of someone else's dashboard.
    Export(ExportArgs),
    /// Put the runs of many machines into one report.
    Merge(MergeArgs),
    /// Try whether differences are called where there are none, and found where they were planted.
    Trust(TrustArgs),
    /// Run the same blocks under many memory limits and commit policies: is the same stored?
    Determinism(DeterminismArgs),
    /// Reset after every block, above a size of memory, or on failure: what each costs, and what it breaks.
    Policies(PoliciesArgs),
    /// Put what has been said of resets and memory to the test, each statement measured here and now.
    Claims(ClaimsArgs),
    /// Measure startup: compiled on the spot or ahead of time, and with what memory committed.
    Startup(StartupArgs),
    /// Print what was seen on which kernel, or collect what was.
    Kernels(KernelsArgs),
    /// Print completions for a shell.
    Completions(CompletionsArgs),
    /// Print the manual page.
    Man,
    /// Be one startup (started by `startup`).
    #[command(hide = true)]
    Start(ChildArgs),
    /// Be one case of `determinism` (started by it).
    #[command(hide = true)]
    Cell(ChildArgs),
    /// Be one cell of a run (started by `run`).
    #[command(hide = true)]
    Child(ChildArgs),
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,

    /// Print what each strategy needs of a host, as a Markdown table.
    #[arg(long, conflicts_with = "json")]
    pub facts: bool,
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The module.
    #[arg(value_name = "FILE")]
    pub module: PathBuf,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// How thorough: seconds, two minutes, or twenty. Each cell has a fewest number of launches, and further ones while its
    /// interval is wide and there is time.
    #[arg(long, value_enum, default_value = "quick")]
    pub profile: Profile,

    /// Spend so long on it, such as `8min`, instead of the profile's time.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub budget: Option<Duration>,

    /// Which workloads: those of indexers and the like, or the landscape of dirty pages, shapes and sizes.
    #[arg(long, value_enum, default_value = "standard")]
    pub suite: Suite,

    #[command(flatten)]
    pub filter: Filter,

    #[command(flatten)]
    pub own: Own,

    /// Set a parameter of the workloads that have it, such as `dirty=2048`. With `--suite landscape`, measure only the
    /// places that have it; of a parameter that is given several times, any of the values.
    #[arg(short, long = "param", value_name = "NAME=VALUE")]
    pub params: Vec<String>,

    /// How long one block may take before it counts as timed out, in seconds: 60 unless it is given, and more on a machine
    /// that is seen to be slow.
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,

    /// After all else, run each cell for at least so many blocks more, and say whether its memory grows (10,000 or
    /// more are advised). Takes its time beyond the profile's.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub long_blocks: Option<u64>,

    /// Run the baseline a second time, as `fresh/relink#2`: what differs between the two is noise, and `check` needs to
    /// know how much of it there was.
    #[arg(long)]
    pub aa: bool,

    /// Say by what figures the adaptive strategy decided, and how.
    #[arg(long, conflicts_with = "json")]
    pub explain: bool,

    /// Draw all orders from this seed instead of a new one.
    #[arg(long)]
    pub seed: Option<u64>,

    /// Where to write; a name in use is never overwritten, the next free one is taken.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,

    /// Print summary.json instead of tables.
    #[arg(long)]
    pub json: bool,

    /// Say nothing but results and warnings.
    #[arg(short, long)]
    pub quiet: bool,
}

/// Collections of workloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// The bundled workloads, or those that are asked for.
    Standard,
    /// `stress/touch` over dirty pages, shape, motion, image, growth, history and threads, as far as the time goes.
    Landscape,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    pub filter: Filter,

    #[command(flatten)]
    pub own: Own,

    /// How thorough: each schedule once, 10,000 blocks in all, or 100,000.
    #[arg(long, value_enum, default_value = "quick")]
    pub profile: Profile,

    /// Compare at least so many blocks in all, most of them where blocks are cheap.
    #[arg(long, value_name = "N")]
    pub blocks_count: Option<u64>,

    /// Only these schedules, such as `traps` or `paged-out`. Can be repeated.
    #[arg(long = "schedule", value_name = "PATTERN")]
    pub schedules: Vec<String>,

    /// When to reset: `every` block, `above=SIZE` of memory (`above=1.75GB`), or `on-failure`, with one retry. The
    /// last two show what leaks.
    #[arg(long, default_value_t, value_name = "POLICY")]
    pub policy: Policy,

    /// Set a parameter of the workloads that have it, such as `dirty=2048`.
    #[arg(short, long = "param", value_name = "NAME=VALUE")]
    pub params: Vec<String>,

    /// How long one block may take, in seconds: 10 unless it is given, and more on a machine that is seen to be slow.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Option<u64>,

    /// Draw all schedules from this seed instead of a new one.
    #[arg(long)]
    pub seed: Option<u64>,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,

    /// Say nothing but results and warnings.
    #[arg(short, long)]
    pub quiet: bool,
}

/// Which strategies and workloads.
#[derive(Debug, Default, Args)]
pub struct Filter {
    /// Only these strategies: a name, a family (`dirty`), or a pattern (`*/madvise*`). Can be repeated. `run` adds
    /// the baseline and the floor.
    #[arg(short, long = "strategy", value_name = "PATTERN")]
    pub strategies: Vec<String>,

    /// Only these workloads: a name, a group (`indexer`), or a pattern. Can be repeated.
    #[arg(short, long = "workload", value_name = "PATTERN")]
    pub workloads: Vec<String>,
}

/// The user's own indexer and blocks.
#[derive(Clone, Debug, Default, Args)]
pub struct Own {
    /// Run this module, binary or text (.wat), instead of the bundled ones. It must speak the metashrew ABI.
    #[arg(long, value_name = "FILE")]
    pub module: Option<PathBuf>,

    /// Give indexers these blocks: a file or folder of raw or hex blocks, or Bitcoin Core's blk*.dat files; packed with
    /// gzip, zstd or xz, or not. They get the heights that their coinbases state, in the order of their chain.
    #[arg(long, value_name = "PATH")]
    pub blocks: Option<PathBuf>,

    /// Begin at the block of this height. Where none of them states it, the first block is given it, whatever it states.
    #[arg(long, value_name = "N", requires = "blocks")]
    pub start_height: Option<u32>,

    /// Use at most so many of these blocks.
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub limit: usize,
}

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

    /// What the reset has to hold against.
    #[arg(long, value_enum, value_name = "WHAT")]
    pub must_survive: Vec<Survive>,

    /// The kernel that your host has, such as `5.15`.
    #[arg(long, value_name = "VERSION")]
    pub kernel: Option<Kernel>,

    /// Recommend also where most blocks fail; the times are then those of failing.
    #[arg(long)]
    pub failing_blocks: bool,

    /// How to print it.
    #[arg(long, value_enum, default_value = "text")]
    pub format: Spelling,

    /// Print JSON; the same as `--format json`.
    #[arg(long)]
    pub json: bool,

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
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
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
    /// The folder of the run to judge, measured with `--aa`.
    pub folder: PathBuf,

    /// The folder of the run that was accepted, on the same class of machine.
    #[arg(long, value_name = "FOLDER")]
    pub baseline: PathBuf,

    /// Past nights, from whose wobble the thresholds are made.
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,

    /// Append this night to the history.
    #[arg(long, requires = "history")]
    pub record: bool,

    /// Draw the nights with their change points as `.svg` or `.png`; the Markdown gains how to read it and its table.
    #[arg(long, value_name = "FILE", requires = "history")]
    pub figure: Option<PathBuf>,

    /// Measure what looks like a regression once more, and report it only if it shows again.
    #[arg(long)]
    pub rerun: bool,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
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

#[derive(Debug, Args)]
pub struct TrustArgs {
    /// Comparisons of the baseline with itself.
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub aa: usize,

    /// Comparisons with a slow-down in execute, and as many with one in the reset.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub planted: usize,

    /// The slow-down, in thousandths of a cycle.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub per_mille: u32,

    /// Child processes per contender and comparison.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub launches: u32,

    /// Time for the rounds of a comparison with itself.
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS")]
    pub aa_seconds: f64,

    /// Time for the rounds of a comparison with a slow-down.
    #[arg(long, default_value_t = 30.0, value_name = "SECONDS")]
    pub seconds: f64,

    /// Leave the other core alone.
    #[arg(long)]
    pub quiet_core: bool,
}

#[derive(Debug, Args)]
pub struct DeterminismArgs {
    /// How many cases: a dozen, those that matter within five minutes, or all.
    #[arg(long, value_enum, default_value = "quick")]
    pub profile: Profile,

    /// Use these limits instead of the profile's, such as `512MiB`. Can be repeated.
    #[arg(long = "limit", value_name = "SIZE")]
    pub limits: Vec<String>,

    /// Where to write; a name in use is never overwritten, the next free one is taken.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,

    /// Print determinism.json instead of tables.
    #[arg(long)]
    pub json: bool,

    /// Say nothing but results and warnings.
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct PoliciesArgs {
    /// Blocks in each launch, at least: whole traces are run.
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub blocks_count: u64,

    /// When to reset: `every` block, `above=SIZE` of memory, or `on-failure`, with one retry. Can be repeated; these
    /// three if none is named, the second at 1.75GB. All are compared with `every`, which always runs along.
    #[arg(long = "policy", value_name = "POLICY")]
    pub policies: Vec<Policy>,

    /// Child processes per policy, strategy and workload.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(3..))]
    pub launches: u32,

    #[command(flatten)]
    pub filter: Filter,

    #[command(flatten)]
    pub own: Own,

    /// Leave only the height of every n-th block, on which indexers fail.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub cut_every: Option<u32>,

    /// Where the guest's memory ends, unless it does so before: a guest that is not reset may grow as far.
    #[arg(long, default_value = "2GiB", value_name = "SIZE", value_parser = |text: &str| limits::size(text))]
    pub memory_max: u64,

    /// Set a parameter of the workloads that have it, such as `grow=8`.
    #[arg(short, long = "param", value_name = "NAME=VALUE", requires = "workloads")]
    pub params: Vec<String>,

    /// How long one block may take, in seconds: 60 unless it is given, and more on a machine that is seen to be slow.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Option<u64>,

    /// Draw all orders from this seed instead of a new one.
    #[arg(long)]
    pub seed: Option<u64>,

    /// Where to write; a name in use is never overwritten, the next free one is taken.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,

    /// Print policies.json instead of tables.
    #[arg(long)]
    pub json: bool,

    /// Say nothing but results and warnings.
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct StartupArgs {
    /// How thorough: one round with little memory, a few with up to 4 GiB, or many.
    #[arg(long, value_enum, default_value = "quick")]
    pub profile: Profile,

    /// Draw orders and the large module from this seed instead of a new one.
    #[arg(long)]
    pub seed: Option<u64>,

    /// Where to write; a name in use is never overwritten, the next free one is taken.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,

    /// Print startup.json instead of tables.
    #[arg(long)]
    pub json: bool,

    /// Say nothing but results and warnings.
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct ClaimsArgs {
    /// Only these claims: an id or a pattern. Can be repeated.
    #[arg(short, long = "claim", value_name = "PATTERN")]
    pub claims: Vec<String>,

    /// Generate the large module from this seed instead of a new one.
    #[arg(long)]
    pub seed: Option<u64>,

    /// Where to write; a name in use is never overwritten, the next free one is taken.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,

    /// Print claims.json instead of a table.
    #[arg(long)]
    pub json: bool,

    /// Say nothing but results and warnings.
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct ChildArgs {
    /// What to run, as JSON.
    pub spec: String,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
