//! What can be typed.

mod groups;
mod known;
mod measure;
mod profile;
mod saved;

use clap::{Parser, Subcommand};

pub use groups::{Filter, Form, OnHost, Output, Own, Spelling};
pub use known::{CollectArgs, CompletionsArgs, DoctorArgs, InspectArgs, KernelsArgs, KernelsVerb, ListArgs};
pub use measure::{
    ChildArgs, ClaimsArgs, DeterminismArgs, PoliciesArgs, RunArgs, StartupArgs, Suite, TrustArgs, VerifyArgs,
};
pub use profile::ProfileArgs;
pub use saved::{CheckArgs, CompareArgs, ExportArgs, MergeArgs, RecommendArgs, ReportArgs, Survive};

/// Measures ways of resetting a WebAssembly instance between blocks, and proves that they forget everything.
///
/// Start with `resetbench run`: in two to three minutes it measures all strategies on the bundled indexers and leaves tables
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
    /// Judge a night: what the new build does worse than the old one.
    ///
    /// A run that was measured with `--against PROGRAM` holds both builds, and each strategy is held against itself in the
    /// same rounds. With `--baseline FOLDER` a run of one build is held against another run instead.
    ///
    /// Exits with
    /// 0 where nothing is worse, as far as the stated resolution goes;
    /// 1 where something is: slower, more memory, more faults or system calls, or a reset that is no longer sound;
    /// 2 where nothing was found, but `--resolve` asked for more than could be seen (with `--baseline`: the A/A pair moved);
    /// 3 where the run cannot be judged.
    #[command(verbatim_doc_comment)]
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
    /// Show where a block's time goes: guest, host, faults, zeroing, mapping, locks.
    ///
    /// Each strategy is verified, becomes steady, and is then sampled while it runs whole traces, with its stacks through guest,
    /// host and kernel. What comes of it is a table of shares; flame graphs, and how those of the second strategy differ from the
    /// first's; and files for the profiler of Firefox. `resetbench profile -w indexer/lru -s fresh/relink -s adaptive/hot-cold`
    /// takes half a minute. Samples of what the kernel does need root, the capability PERFMON, or
    /// `sysctl kernel.perf_event_paranoid=1`; names of its functions also `sysctl kernel.kptr_restrict=0`. Without, it says what is
    /// missing.
    Profile(ProfileArgs),
    /// Put what has been said of resets and memory, by hosts in public among others, to the test: each statement measured here and
    /// now.
    Claims(ClaimsArgs),
    /// Measure startup: compiled on the spot or ahead of time, and with what memory committed.
    Startup(StartupArgs),
    /// Print what was seen on which kernel, or collect what was.
    Kernels(KernelsArgs),
    /// Print completions for a shell.
    Completions(CompletionsArgs),
    /// Print the manual page.
    Man,
    /// Say what this build is (asked by `run --against` of another one).
    #[command(hide = true)]
    About,
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
