//! What can be typed after the verbs that start children.

use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};

use super::groups::{Filter, OnHost, Output, Own};
use crate::launch::build::Against;
use crate::launch::plan::{Plant, Profile};
use crate::protocol::policy::Policy;
use crate::recommend::limits;

#[derive(Debug, Default, Args)]
#[command(mut_arg("json", |json| json.help("Print summary.json instead of tables")))]
pub struct RunArgs {
    /// How thorough: seconds, two minutes, or twenty. Each cell has a fewest number of launches, and further ones while its
    /// interval is wide and there is time.
    #[arg(long, value_enum, default_value = "quick")]
    pub profile: Profile,

    /// Spend so long on it, such as `8min`, instead of the profile's time.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub budget: Option<Duration>,

    /// Which workloads: those of indexers and the like, those that answer views, or the landscape of dirty pages, shapes and
    /// sizes.
    #[arg(long, value_enum, default_value = "standard")]
    pub suite: Suite,

    #[command(flatten)]
    pub on: OnHost,

    #[command(flatten)]
    pub filter: Filter,

    #[command(flatten)]
    pub own: Own,

    /// Set a parameter of the workloads that have it, such as `dirty=2048`. With `--suite landscape`, measure only the
    /// places that have it; of a parameter that is given several times, any of the values.
    #[arg(short, long = "param", value_name = "NAME=VALUE")]
    pub params: Vec<String>,

    /// CPU time that one block may take before it counts as timed out, in seconds: 60 unless it is given, and more on a
    /// machine that is seen to be slow.
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,

    /// After all else, run each cell for at least so many blocks more, and say whether its memory grows (10,000 or
    /// more are advised). Takes its time beyond the profile's.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub long_blocks: Option<u64>,

    /// With `--suite views`, serve once more while blocks are indexed, and say how much each slows the other.
    #[arg(long)]
    pub while_indexing: bool,

    /// Run the baseline a second time, as `fresh/relink#2`: what differs between the two is noise, and `check` needs to
    /// know how much of it there was.
    #[arg(long)]
    pub aa: bool,

    /// Leave contenders to the scheduler. Else all contenders of a launch are kept on one CPU, and launches take the CPUs in
    /// turn: two turns on different CPUs differ by more than strategies do.
    #[arg(long)]
    pub unpinned: bool,

    /// Run another build of this program in the same shuffled rounds, such as one of an earlier commit or with another
    /// wasmtime: machine and night then cancel in the ratio of the two. Its strategies are verified as all are and named
    /// `strategy@NAME`, `other` unless a name is given; they are never recommended. Controls other than the baseline and the
    /// floor are left to this build. Takes about twice as long: give a --budget, or fewer strategies. Both programs are held
    /// open, so that either can be built anew meanwhile.
    #[arg(long, value_name = "PROGRAM[=NAME]", value_parser = OsStringValueParser::new().try_map(Against::parse))]
    pub against: Option<Against>,

    /// Make a strategy of this build worse on purpose, to see whether a gate finds it: waste thousandths of its cycle in
    /// `execute` or `reset`, by `faults` or in a function of the `host`, dirty `pages` in vain in each block, or hold
    /// thousandths more `memory`. What comes out is no result, and says so. Can be repeated.
    #[arg(long = "plant", value_name = "STRATEGY:WHAT:AMOUNT", hide = true)]
    pub plants: Vec<Plant>,

    /// Say by what figures the adaptive strategy decided, and how.
    #[arg(long, conflicts_with = "json")]
    pub explain: bool,

    /// Draw all orders from this seed instead of a new one.
    #[arg(long)]
    pub seed: Option<u64>,

    #[command(flatten)]
    pub output: Output,
}

/// Collections of workloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// The bundled workloads, or those that are asked for.
    #[default]
    Standard,
    /// `stress/touch` over dirty pages, shape, motion, image, growth, history and threads, as far as the time goes.
    Landscape,
    /// Views: many short calls of a filled store. First call by call, as blocks are measured; then with many callers at once
    /// over a pool of instances.
    Views,
}

impl Suite {
    /// The time of a profile that is `usual` for standard workloads: views are also served.
    pub fn usual(self, usual: Duration) -> Duration {
        match self {
            Self::Views => usual.mul_f64(1.2),
            Self::Standard | Self::Landscape => usual,
        }
    }
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    pub on: OnHost,

    #[command(flatten)]
    pub filter: Filter,

    #[command(flatten)]
    pub own: Own,

    /// How thorough: each schedule once, 10,000 blocks in all, or 100,000. In ten, fifteen or forty minutes at most, and in
    /// more on a machine that is seen to be slow.
    #[arg(long, value_enum, default_value = "quick")]
    pub profile: Profile,

    /// Compare at least so many blocks in all instead of the profile's number, most of them where blocks are cheap. It
    /// takes as long as it needs, unless `--budget` is given as well.
    #[arg(long, value_name = "N")]
    pub blocks_count: Option<u64>,

    /// Take at most so long, such as `8min`, instead of the profile's time. Where that is too little, scripts are cut
    /// short, then schedules are left out from the last one on, and the result says which.
    #[arg(long, value_name = "TIME", value_parser = budget)]
    pub budget: Option<Duration>,

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

    /// CPU time that one block may take, in seconds: 10 unless it is given, and more on a machine that is seen to be slow.
    /// A block that takes more is not judged.
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

/// A time that is not none.
fn budget(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("there has to be some time: say for instance `8min`".into()),
        Ok(time) => Ok(time),
        Err(error) => Err(format!("`{text}` is no time such as `8min` or `90s`: {error}")),
    }
}

#[derive(Debug, Args)]
pub struct TrustArgs {
    #[command(flatten)]
    pub on: OnHost,

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

    /// Compare on this workload; without one, and without --module, it is a small block made for the purpose.
    #[arg(short, long, value_name = "NAME")]
    pub workload: Option<String>,

    #[command(flatten)]
    pub own: Own,
}

#[derive(Debug, Args)]
#[command(mut_arg("json", |json| json.help("Print determinism.json instead of tables")))]
pub struct DeterminismArgs {
    /// How many cases: a dozen, those that matter within five minutes, or all.
    #[arg(long, value_enum, default_value = "quick")]
    pub profile: Profile,

    /// Use these limits instead of the profile's, such as `512MiB`. Can be repeated.
    #[arg(long = "limit", value_name = "SIZE")]
    pub limits: Vec<String>,

    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
#[command(mut_arg("json", |json| json.help("Print policies.json instead of tables")))]
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

    /// CPU time that one block may take, in seconds: 60 unless it is given, and more on a machine that is seen to be slow.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Option<u64>,

    /// Draw all orders from this seed instead of a new one.
    #[arg(long)]
    pub seed: Option<u64>,

    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
#[command(mut_arg("json", |json| json.help("Print startup.json instead of tables")))]
pub struct StartupArgs {
    /// How thorough: one round with little memory, a few with up to 4 GiB, or many.
    #[arg(long, value_enum, default_value = "quick")]
    pub profile: Profile,

    /// Draw orders and the large module from this seed instead of a new one.
    #[arg(long)]
    pub seed: Option<u64>,

    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
#[command(mut_arg("json", |json| json.help("Print claims.json instead of a table")))]
pub struct ClaimsArgs {
    /// Only these claims: an id or a pattern. Can be repeated.
    #[arg(short, long = "claim", value_name = "PATTERN")]
    pub claims: Vec<String>,

    /// Generate the large module from this seed instead of a new one.
    #[arg(long)]
    pub seed: Option<u64>,

    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct ChildArgs {
    /// What to run, as JSON.
    pub spec: String,
}
