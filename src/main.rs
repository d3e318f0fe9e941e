//! The command line: one file per verb in [`resetbench::verb`].

use std::process::ExitCode;

use clap::Parser;
use resetbench::cli::{Cli, Verb};
use resetbench::machine::inherited;
use resetbench::verb;

fn main() -> ExitCode {
    inherited::restore();
    let cli = Cli::parse();
    // A child starts what it needs, where it is measured.
    let is_child = matches!(cli.verb, Verb::Start(_) | Verb::Cell(_) | Verb::Child(_) | Verb::About);
    let started = if is_child { Ok(()) } else { inherited::start_threads() };
    let fine = |()| ExitCode::SUCCESS;
    let result = started.and_then(|()| match cli.verb {
        Verb::Doctor(args) => verb::doctor::run(&args).map(fine),
        Verb::List(args) => verb::list::run(&args).map(fine),
        Verb::Inspect(args) => verb::inspect::run(&args).map(fine),
        Verb::Run(args) => verb::run::run(&args),
        Verb::Verify(args) => verb::verify::run(&args),
        Verb::Report(args) => verb::report::run(&args).map(fine),
        Verb::Recommend(args) => verb::recommend::run(&args),
        Verb::Compare(args) => verb::compare::run(&args).map(fine),
        Verb::Check(args) => verb::check::run(&args),
        Verb::Export(args) => verb::export::run(&args).map(fine),
        Verb::Trust(args) => verb::trust::run(&args),
        Verb::Merge(args) => verb::merge::run(&args).map(fine),
        Verb::Determinism(args) => verb::determinism::run(&args),
        Verb::Policies(args) => verb::policies::run(&args),
        Verb::Profile(args) => verb::profile::run(&args),
        Verb::Claims(args) => verb::claims::run(&args),
        Verb::Startup(args) => verb::startup::run(&args),
        Verb::Kernels(args) => verb::kernels::run(&args),
        Verb::Completions(args) => verb::manual::completions(&args).map(fine),
        Verb::Man => verb::manual::man().map(fine),
        Verb::About => verb::child::about().map(fine),
        Verb::Start(args) => verb::child::start(&args).map(fine),
        Verb::Cell(args) => verb::child::cell(&args),
        Verb::Child(args) => verb::child::child(&args).map(fine),
    });
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
